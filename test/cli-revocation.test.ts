/**
 * The commands that look at revocation data, within this process: what they print, how they end, and what they do with
 * hostile input.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { createAuthority } from '../src/lab/authority.ts';
import { pemText } from '../src/x509/pem.ts';
import { certificateOf } from './support/chains.ts';
import { within } from './support/command.ts';
import { listOf } from './support/crl-scene.ts';
import { bulkEntries, issuingDistributionPoint } from './support/crl-writer.ts';
import { errorResponse, writeOcspResponse, type WrittenResponse, type WrittenSingle } from './support/ocsp-writer.ts';
import { answer, startScriptedHttp } from './support/scripted-http.ts';

const key = 'ed25519';
const hour = 3_600_000;
const iso = (offset: number) => new Date(Date.now() + offset).toISOString();
const dates = { thisUpdate: iso(-hour), nextUpdate: iso(24 * hour) };
const root = await createAuthority({ subject: 'O=Lab,CN=Root', key });
const other = await createAuthority({ subject: 'O=Lab,CN=Other', key });
const alice = await root.issue({ subject: 'CN=alice', key });
const folder = await mkdtemp(join(tmpdir(), 'dsm-revocation-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: Buffer | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const rootFile = await file('root.pem', root.cert);
const otherFile = await file('other.pem', other.cert);
const aliceFile = await file('alice.pem', alice.cert);

const dsmapper = (t: Test, ...words: readonly string[]) => within(t, words);

/** What may not reach a terminal: control and format characters but for the line's end. */
const raw = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const entries = [
  { serial: '0a', date: '2026-11-01T10:00:00Z', reason: 1 },
  { serial: '00ff', date: '2026-11-02T10:00:00Z', invalidityDate: '2026-10-01T00:00:00Z' },
];

await t.test('crl show', async (t) => {
  const der = listOf(root, { ...dates, entries, crlNumber: 7 });
  const path = await file('root.crl', der);

  await t.test('header and entries as text', async (t) => {
    const { code, stdout, stderr } = await dsmapper(t, 'crl', 'show', path);
    t.equal(code, 0, stderr);
    t.match(stdout, /^Issuer +CN=Root,O=Lab$/m);
    t.match(stdout, /^Kind +complete list$/m);
    t.match(stdout, /^Number +7$/m);
    t.match(stdout, new RegExp(`^Next update +${dates.nextUpdate.slice(0, 19)}\\.000Z$`, 'm'));
    t.match(stdout, /^Entries +2$/m);
    t.match(stdout, /^0a {2}2026-11-01T10:00:00\.000Z {2}keyCompromise$/m);
    t.match(stdout, /^ff {2}2026-11-02T10:00:00\.000Z {2}unspecified {2}invalid since 2026-10-01T00:00:00\.000Z$/m);
  });

  await t.test('PEM, JSON', async (t) => {
    const pem = await file('root.crl.pem', pemText(der, 'X509 CRL'));
    const { code, stdout } = await dsmapper(t, 'crl', 'show', pem, '--json');
    t.equal(code, 0);
    t.match(JSON.parse(stdout), {
      issuer: 'CN=Root,O=Lab',
      crlNumber: '7',
      baseCrlNumber: null,
      bytes: der.length,
      count: 2,
      signature: null,
      entries: [
        { serial: '0a', reason: 'keyCompromise' },
        { serial: 'ff', invalidityDate: '2026-10-01T00:00:00.000Z' },
      ],
    });
  });

  await t.test('a delta, its scope and dates that do not hold', async (t) => {
    const delta = await file(
      'delta.crl',
      listOf(root, {
        thisUpdate: '2027-01-01T00:00:00Z',
        nextUpdate: '2026-01-01T00:00:00Z',
        baseCrlNumber: 5,
        scope: issuingDistributionPoint({ only: 'user', uris: ['http://pki.example.test/a.crl'] }),
      }),
    );
    const { stdout } = await dsmapper(t, 'crl', 'show', delta);
    t.match(stdout, /^Kind +changes since number 5$/m);
    t.match(stdout, /^Scope +user certificates only; for the distribution point http:\/\/pki\.example\.test\/a\.crl$/m);
    t.match(stdout, /^This update .* \(in the future\)$/m);
    t.match(stdout, /^Next update .* \(has passed\)$/m);
  });

  await t.test('one serial number, however it is written', async (t) => {
    for (const serial of ['0a', '0x0A', 'ff', '00:ff', '00 FF']) {
      const { code, stdout } = await dsmapper(t, 'crl', 'show', path, '--serial', serial);
      t.equal(code, 1, serial);
      t.match(stdout, /^(?:0a {2}.*keyCompromise|ff {2}.*unspecified.*)$/m, serial);
      t.equal(stdout.split('\n').filter((line) => /^[0-9a-f]{2} {2}/.test(line)).length, 1, serial);
    }
    const absent = await dsmapper(t, 'crl', 'show', path, '--serial', '0b');
    t.equal(absent.code, 0);
    t.match(absent.stdout, /the serial number is not on this list/);
    const json = await dsmapper(t, 'crl', 'show', path, '--serial', '0a', '--json');
    t.match(JSON.parse(json.stdout), { entries: [{ serial: '0a' }] });
    for (const wrong of ['0', 'xyz', '', '00'.repeat(22)])
      t.equal((await dsmapper(t, 'crl', 'show', path, '--serial', wrong)).code, 2, wrong);
  });

  await t.test('one serial number of an indirect list, whoever issued the certificate', async (t) => {
    const indirect = await file(
      'indirect.crl',
      listOf(root, {
        ...dates,
        scope: issuingDistributionPoint({ indirect: true }),
        entries: [{ serial: '0a', certificateIssuer: certificateOf(other).subject.der }, { serial: '0b' }],
      }),
    );
    const { code, stdout } = await dsmapper(t, 'crl', 'show', indirect, '--serial', '0b');
    t.equal(code, 1);
    t.match(stdout, /^0b {2}.*issued by CN=Other,O=Lab$/m);
  });

  await t.test('the signature', async (t) => {
    const good = await dsmapper(t, 'crl', 'show', path, '--issuer', rootFile);
    t.equal(good.code, 0);
    t.match(good.stdout, /^Signature +good$/m);
    const stranger = await dsmapper(t, 'crl', 'show', path, '--issuer', otherFile);
    t.equal(stranger.code, 1);
    t.match(stranger.stdout, /^Signature +the list names another issuer than CN=Other,O=Lab$/m);
    const namesake = await createAuthority({ subject: 'O=Lab,CN=Root', key });
    const wrong = await dsmapper(t, 'crl', 'show', path, '--issuer', await file('namesake.pem', namesake.cert));
    t.equal(wrong.code, 1);
    t.match(wrong.stdout, /^Signature +it is not by the key of this issuer$/m);
  });

  await t.test('few entries of many, or all', async (t) => {
    const count = 30_000;
    const many = await file('many.crl', listOf(root, { ...dates, entries: bulkEntries(count) }));
    const lines = (text: string) => text.split('\n').filter((line) => /^[0-9a-f]{2,} {2}2/.test(line)).length;
    const few = await dsmapper(t, 'crl', 'show', many);
    t.equal(lines(few.stdout), 20);
    t.match(few.stdout, /^and 29980 more; --all prints all$/m);
    t.equal(lines((await dsmapper(t, 'crl', 'show', many, '--entries', '3')).stdout), 3);
    t.equal(lines((await dsmapper(t, 'crl', 'show', many, '--all')).stdout), count);
    const [head = '', ...rest] = (await dsmapper(t, 'crl', 'show', many, '--all', '--json')).stdout
      .trimEnd()
      .split('\n');
    t.match(JSON.parse(head), { count, entries: null });
    t.equal(rest.length, count);
    t.match(JSON.parse(rest[count - 1] ?? ''), { revocationDate: String });
    t.equal((await dsmapper(t, 'crl', 'show', many, '--entries', 'ten')).code, 2);
  });

  await t.test('nothing of a list acts on a terminal', async (t) => {
    const hostile = await createAuthority({ subject: 'CN=\u001b[2J\u202eevil\u2028', key });
    const another = await createAuthority({ subject: 'CN=\u001b]0;title\u0007', key });
    const path = await file(
      'hostile.crl',
      listOf(hostile, {
        ...dates,
        scope: issuingDistributionPoint({ indirect: true, uris: ['http://x/\u001b[31m'] }),
        entries: [{ serial: '0a', certificateIssuer: certificateOf(another).subject.der }],
      }),
    );
    for (const more of [[], ['--json'], ['--serial', '0a'], ['--issuer', otherFile]]) {
      const { stdout, stderr } = await dsmapper(t, 'crl', 'show', path, ...more);
      t.notMatch(stdout + stderr, raw, more.join(' '));
    }
  });

  await t.test('what is no CRL', async (t) => {
    const garbage = await dsmapper(t, 'crl', 'show', await file('garbage', Buffer.from('3082000500', 'hex')));
    t.equal(garbage.code, 1);
    t.match(garbage.stderr, /not a valid CRL: /);
    t.match((await dsmapper(t, 'crl', 'show', rootFile)).stderr, /root\.pem: not a valid CRL: no X509 CRL block/);
    const page = await dsmapper(t, 'crl', 'show', await file('page.crl', '<html>sign in</html>'));
    t.match(page.stderr, /page\.crl: not a valid CRL: neither DER nor PEM/);
    const missing = await dsmapper(t, 'crl', 'show', join(folder, 'missing.crl'));
    t.equal(missing.code, 2);
    t.match(missing.stderr, /there is no such file/);
    t.match((await dsmapper(t, 'crl', 'show', folder)).stderr, /it is a directory/);
  });

  await t.test('over HTTP', async (t) => {
    const server = await startScriptedHttp(t, ({ path: asked }, socket) => {
      if (asked === '/away') socket.end(answer(302, '', { location: 'http://pki.example.test/a.crl' }));
      else socket.end(asked === '/root.crl' ? answer(200, der) : answer(404));
    });
    t.match((await dsmapper(t, 'crl', 'show', `${server.url}root.crl`)).stdout, /^Number +7$/m);
    const absent = await dsmapper(t, 'crl', 'show', `${server.url}none`);
    t.equal(absent.code, 3);
    t.match(absent.stderr, /404/);
    t.match(absent.stderr, /^hint: the server runs: check the path of the URL$/m);
    const away = await dsmapper(t, 'crl', 'show', `${server.url}away`);
    t.equal(away.code, 1, 'a host that nobody named is not asked');
    t.match(away.stderr, /does not allow http:\/\/pki\.example\.test/);
    t.equal((await dsmapper(t, 'crl', 'show', 'ldap:///CN=Root?certificateRevocationList')).code, 1);
    t.equal((await dsmapper(t, 'crl', 'show', 'ftp://pki.example.test/a.crl')).code, 2);
  });
});

await t.test('ocsp check', async (t) => {
  const single: WrittenSingle = { certificate: alice, issuer: root, ...dates };
  const response = (what: Partial<WrittenSingle> = {}, more: Partial<WrittenResponse> = {}) =>
    writeOcspResponse({ signer: root, producedAt: iso(-hour), singles: [{ ...single, ...what }], ...more });
  const ask = async (t: Test, body: Buffer | null, ...more: readonly string[]) => {
    const server = await startScriptedHttp(t, (_, socket) =>
      socket.end(body === null ? answer(500) : answer(200, body, { 'content-type': 'application/ocsp-response' })),
    );
    return dsmapper(t, 'ocsp', 'check', aliceFile, rootFile, '--url', server.url, ...more);
  };

  await t.test('good', async (t) => {
    const { code, stdout, stderr } = await ask(t, response());
    t.equal(code, 0, stderr);
    t.match(stdout, /^Answer +good$/m);
    t.match(stdout, /^Signed by +CN=Root,O=Lab \(the issuer itself\)$/m);
    t.match(stdout, /^Nonce +sent, not repeated$/m);
    const json = await ask(t, response(), '--json');
    t.match(JSON.parse(json.stdout), {
      issuer: 'CN=Root,O=Lab',
      answers: [{ status: 'good', code: null, right: 'issuer' }],
    });
  });

  await t.test('revoked', async (t) => {
    const { code, stdout } = await ask(t, response({ status: { revoked: '2026-11-01T10:00:00Z', reason: 4 } }));
    t.equal(code, 1);
    t.match(stdout, /^Answer +revoked$/m);
    t.match(stdout, /^Revoked +2026-11-01T10:00:00\.000Z, superseded$/m);
  });

  await t.test('an answer that is not believed, and why', async (t) => {
    for (const [body, why] of [
      [response({ status: 'unknown' }), /^Why +the responder does not know this certificate$/m],
      [response({ thisUpdate: iso(-48 * hour), nextUpdate: iso(-24 * hour) }), /^Why .*the answer ended at/m],
      [
        response({}, { signer: other }),
        /^Why +the response does not contain the certificate of its responder CN=Other,O=Lab$/m,
      ],
      [response({ certificate: other, issuer: other }), /^Why .*says nothing about this certificate/m],
    ] as const) {
      const { code, stdout } = await ask(t, body);
      t.equal(code, 1, String(why));
      t.match(stdout, /^Answer +unknown$/m);
      t.match(stdout, why);
    }
  });

  await t.test('a delegate without nocheck has to be checked itself', async (t) => {
    const delegate = await root.issue({ subject: 'CN=Responder', key, extendedKeyUsage: ['1.3.6.1.5.5.7.3.9'] });
    const { code, stdout } = await ask(t, response({}, { signer: delegate, certificates: [delegate] }));
    t.equal(code, 0);
    t.match(stdout, /^Signed by +CN=Responder \(appointed by the issuer\)$/m);
    t.match(stdout, /^Needs +CN=Responder must be found good as well/m);
  });

  await t.test('no answer', async (t) => {
    for (const body of [null, errorResponse(3), Buffer.from('<html>')]) {
      const { code, stdout } = await ask(t, body);
      t.equal(code, 3);
      t.match(stdout, /^Answer +none$/m);
    }
  });

  await t.test('the responders that the certificate names, until one answers', async (t) => {
    const good = await startScriptedHttp(t, (_, socket) => socket.end(answer(200, body)));
    const named = await root.issue({
      subject: 'CN=bob',
      key,
      authorityInfoAccess: { ocsp: `${good.url}ocsp`, caIssuers: 'http://pki.example.test/ca.crt' },
    });
    const body = response({ certificate: named });
    const { code, stdout } = await dsmapper(t, 'ocsp', 'check', await file('bob.pem', named.cert), rootFile);
    t.equal(code, 0);
    t.match(stdout, new RegExp(`^Responder +${good.url}ocsp$`, 'm'));
    t.equal(good.requests.length, 1);
  });

  await t.test('with a configuration its responders are asked first, and its hosts hold', async (t) => {
    const dead = await startScriptedHttp(t, (_, socket) => socket.end(answer(500)));
    const good = await startScriptedHttp(t, (_, socket) => socket.end(answer(200, body)));
    const own = await startScriptedHttp(t, (_, socket) => socket.end(answer(500)));
    const named = await root.issue({
      subject: 'CN=carol',
      key,
      authorityInfoAccess: { ocsp: own.url, caIssuers: 'http://pki.example.test/ca.crt' },
    });
    const body = response({ certificate: named });
    const carol = await file('carol.pem', named.cert);
    const config = (responders: readonly string[]) =>
      file(
        'ocsp.yaml',
        `bindings: [{ endpoint: "127.0.0.1:0" }, { endpoint: "127.0.0.2:0", certificate: { cert: file:w.pem, key: file:w.key } }]
sites: [{ name: Site, bindings: ["127.0.0.1:0"], upstream: "http://127.0.0.1:1" }]
trust: { roots: [file:root.pem] }
revocation: { issuers: [{ certificate: file:root.pem, ocsp: ${JSON.stringify(responders)} }] }
`,
      );
    const web = await root.issue({ subject: 'CN=w', key: 'p256' });
    await file('w.pem', web.cert);
    await file('w.key', web.key);
    const { code, stdout, stderr } = await dsmapper(
      t,
      'ocsp',
      'check',
      carol,
      rootFile,
      '-c',
      await config([dead.url, good.url]),
      '--json',
    );
    t.equal(code, 0, stderr);
    t.match(JSON.parse(stdout), {
      answers: [
        { responder: dead.url, status: 'noAnswer', code: 'httpStatus' },
        { responder: good.url, status: 'good' },
      ],
    });
    t.equal(own.requests.length, 0, 'nobody is asked after an answer');
    const refused = await dsmapper(t, 'ocsp', 'check', carol, rootFile, '-c', await config([dead.url]));
    t.equal(refused.code, 3);
    t.match(refused.stdout, /the configuration does not allow http:\/\/127\.0\.0\.1/);
    t.equal(own.requests.length, 0, 'a host that the configuration does not allow');
  });

  await t.test('questions that make no sense', async (t) => {
    const stranger = await dsmapper(t, 'ocsp', 'check', aliceFile, otherFile, '--url', 'http://127.0.0.1:1/');
    t.equal(stranger.code, 1);
    t.match(stranger.stderr, /other\.pem did not issue /);
    const none = await dsmapper(t, 'ocsp', 'check', aliceFile, rootFile);
    t.equal(none.code, 1);
    t.match(none.stderr, /names no OCSP responder/);
    t.equal((await dsmapper(t, 'ocsp', 'check', aliceFile, rootFile, '--url', 'ldap:///CN=a')).code, 2);
  });
});

await t.test('check', async (t) => {
  const web = await root.issue({ subject: 'CN=web', key: 'p256', dnsNames: ['localhost'] });
  const subordinate = await root.subordinate({
    subject: 'O=Lab,CN=Issuing',
    key,
    crlDistributionPoints: ['http://pki.example.test/root.crl', 'http://127.0.0.1:1/root.crl'],
    authorityInfoAccess: { ocsp: 'http://ocsp.example.test:8080/', caIssuers: 'http://aia.example.test/ca.crt' },
  });
  await file('web.pem', web.cert);
  await file('web.key', web.key);
  await file('issuing.pem', subordinate.cert);
  const server = await startScriptedHttp(t, ({ path }, socket) => {
    const lists: Readonly<Record<string, Buffer>> = {
      '/root.crl': listOf(root, { ...dates, crlNumber: 9, entries }),
      '/old.crl': listOf(root, { thisUpdate: iso(-48 * hour), nextUpdate: iso(-24 * hour), crlNumber: 3 }),
    };
    const list = lists[path];
    socket.end(list === undefined ? answer(path === '/' ? 200 : 404) : answer(200, list));
  });
  const config = (crls: readonly string[], more = '', intermediates = '[]') =>
    file(
      'dsmapper.yaml',
      `bindings:
  - endpoint: 127.0.0.1:0
    certificate: { cert: file:web.pem, key: file:web.key }
    negotiateClientCertificate: enabled
sites:
  - { name: Site, bindings: ["127.0.0.1:0"], upstream: "${server.url.slice(0, -1)}", locations: { /: { access: { sslFlags: [Ssl] } } } }
trust: { roots: [file:root.pem], intermediates: ${intermediates} }
revocation: { crls: ${JSON.stringify(crls)}${more} }
`,
    );

  await t.test('a list that is good', async (t) => {
    const { code, stdout, stderr } = await dsmapper(t, 'check', '-c', await config([`${server.url}root.crl`]));
    t.equal(code, 0, stderr + stdout);
    t.match(stdout, /^ok +CRL http:\/\/127\.0\.0\.1:\d+\/root\.crl: number 9, 2 entries, until 2/m);
    t.notMatch(stdout, /hosts that certificates/);
  });

  await t.test('one that is not taken up is a finding, one that does not come is silent', async (t) => {
    const old = await dsmapper(t, 'check', '-c', await config([`${server.url}old.crl`]));
    t.equal(old.code, 1);
    t.match(old.stdout, /^BAD +CRL .*old\.crl: expired: /m);
    const absent = await dsmapper(t, 'check', '-c', await config([`${server.url}none.crl`]), '--json');
    t.equal(absent.code, 3);
    t.match(JSON.parse(absent.stdout), { contacts: [{ answers: false, detail: /^httpStatus: / }, {}] });
  });

  await t.test('what came in place of a list is said', async (t) => {
    const pem = pemText(listOf(root, { ...dates }), 'X509 CRL');
    const contact = async (name: string, content: string) =>
      dsmapper(t, 'check', '-c', await config([`file:${await file(name, content)}`]));
    const page = await contact('page', '<html>sign in</html>');
    t.equal(page.code, 1);
    t.match(page.stdout, /, with which HTML begins at octet 0$/m);
    const two = await contact('two', pem + pem);
    t.equal(two.code, 1, 'one file, one list');
    t.match(two.stdout, /, with which PEM begins, not DER at octet 0$/m);
    const one = await contact('pem', pem);
    t.equal(one.code, 0, one.stdout);
    t.match(one.stdout, /^ok {3}CRL file:.*pem: /m, 'as openssl writes it');
  });

  await t.test('a responder that is silent is named once', async (t) => {
    const told = await root.subordinate({
      subject: 'O=Lab,CN=Told',
      key,
      authorityInfoAccess: { ocsp: 'http://127.0.0.1:1/', caIssuers: 'http://127.0.0.1:1/ca.crt' },
    });
    await file('told.pem', told.cert);
    const path = await config([`${server.url}root.crl`], ', hosts: ["127.0.0.1:1"]', '[file:told.pem]');
    const { stdout, code } = await dsmapper(t, 'check', '-c', path);
    t.equal(code, 3);
    t.match(stdout, /^FAIL OCSP responder http:\/\/127\.0\.0\.1:1\/: unreachable: 127\.0\.0\.1 gave no answer/m);
  });

  await t.test('a folder that cannot keep lists is a finding', async (t) => {
    const told = async (folder: string) =>
      dsmapper(t, 'check', '-c', await config([`${server.url}root.crl`], `, cacheDirectory: "${folder}"`));
    const missing = await told('kept/lists');
    t.equal(missing.code, 0, missing.stdout);
    t.match(missing.stdout, /^ok +cacheDirectory .*kept\/lists: lists can be kept$/m);
    for (const folder of ['root.pem', 'root.pem/lists']) {
      const { code, stdout } = await told(folder);
      t.equal(code, 1, folder);
      t.match(stdout, /^BAD +cacheDirectory .*root\.pem.*: lists do not outlive a restart$/m, folder);
    }
  });

  await t.test('hosts that CA certificates name are proposed', async (t) => {
    const path = await config([`${server.url}root.crl`], '', '[file:issuing.pem]');
    const { code, stdout } = await dsmapper(t, 'check', '--offline', '-c', path);
    t.equal(code, 0);
    t.match(stdout, /^ {2}pki\.example\.test, named by CN=Issuing,O=Lab$/m);
    const own = server.place;
    t.match(stdout, `  revocation: { hosts: ["${own}", "127.0.0.1:1", "ocsp.example.test:8080", "pki.example.test"] }`);
    const again = await config(
      [`${server.url}root.crl`],
      ', hosts: ["127.0.0.1:1", "ocsp.example.test:8080", .example.test]',
      '[file:issuing.pem]',
    );
    t.notMatch((await dsmapper(t, 'check', '--offline', '-c', again)).stdout, /hosts that certificates/);
    const aia = await config([`${server.url}root.crl`], '', '[file:issuing.pem], aia: enabled');
    t.match(JSON.parse((await dsmapper(t, 'check', '--offline', '-c', aia, '--json')).stdout), {
      proposedHosts: [{ host: '127.0.0.1:1' }, { host: 'aia.example.test' }, {}, {}],
      revocation: { aia: true },
    });
    const findings = await dsmapper(t, 'check', '-c', path);
    t.match(findings.stdout, /^BAD +CRL http:\/\/pki\.example\.test\/root\.crl: hostNotAllowed: /m);
  });

  await t.test('nothing where revocation is not checked', async (t) => {
    const off = await config([`${server.url}none.crl`], ', mode: disabled', '[file:issuing.pem]');
    const { code, stdout } = await dsmapper(t, 'check', '-c', off);
    t.equal(code, 0);
    t.notMatch(stdout, /CRL|hosts that/);
    t.match(stdout, /warning: .*revocation is not checked on 127\.0\.0\.1:0/);
  });
});
