/**
 * The lab's revocation server over real HTTP: lists and answers as a client reads them and as OpenSSL verifies them, each fault by its
 * name, and what survives a restart.
 */
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import type { Instant } from '../src/base/brand.ts';
import { certificateOf } from '../src/lab/accounts.ts';
import { startControl } from '../src/lab/control.ts';
import { sequence } from '../src/lab/der-writing.ts';
import { certificateIn } from '../src/lab/document-signer.ts';
import { readOcspRequest } from '../src/lab/ocsp-messages.ts';
import type { Pki } from '../src/lab/pki.ts';
import { preparePki } from '../src/lab/pki.ts';
import { addressesOf } from '../src/lab/revocation-addresses.ts';
import { documentKinds, revocationFaults } from '../src/lab/revocation-faults.ts';
import type { RevocationFault } from '../src/lab/revocation-faults.ts';
import type { RevocationServer } from '../src/lab/revocation-server.ts';
import { startRevocationServer } from '../src/lab/revocation-server.ts';
import { parseCrl } from '../src/x509/crl.ts';
import type { Crl } from '../src/x509/crl-contract.ts';
import type { BasicOcspResponse, OcspResponse } from '../src/x509/ocsp-contract.ts';
import { encodeOcspRequest } from '../src/x509/ocsp-request.ts';
import { parseOcspResponse } from '../src/x509/ocsp-response.ts';
import { verifyCertificate, verifySignature } from '../src/x509/signature.ts';
import { run } from './support/processes.ts';
import { peerTest } from './support/real-peers.ts';

const recipes = resolve(import.meta.dirname, '../certs/recipes');
const rules = { allowSha1: false };
const hour = 3_600_000;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** Code of the error that ended it; null: it came whole. */
  readonly error: string | null;
}

interface Sent {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer;
  /** Enough: the rest is not waited for. */
  readonly enough?: (bytes: Buffer) => boolean;
  readonly signal?: AbortSignal;
}

function ask({ port }: { readonly port: number }, path: string, sent: Sent = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, enough = () => false, signal } = sent;
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let status = 0;
    let received: IncomingHttpHeaders = {};
    const end = (error: string | null) => resolve({ status, headers: received, bytes: Buffer.concat(pieces), error });
    const asking = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false, signal });
    asking.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    asking.once('response', (response) => {
      status = response.statusCode ?? 0;
      received = response.headers;
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        if (!enough(Buffer.concat(pieces))) return;
        end(null);
        asking.destroy();
      });
      response.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
      response.once('end', () => end(null));
    });
    asking.end(body);
  });
}

const folder = await mkdtemp(join(tmpdir(), 'dsmapper-revocation-'));
const pki = await preparePki({ recipes, folder: join(folder, 'pki'), now: new Date() });

/** Its own copy of the certificates, so that what one test revokes is not revoked for another. */
async function startServer(t: Test, now?: () => Instant): Promise<{ server: RevocationServer; own: Pki }> {
  const copy = await mkdtemp(join(folder, 'copy-'));
  await cp(pki.folder, copy, { recursive: true });
  const own = { ...pki, folder: copy };
  const server = await startRevocationServer({ pki: own, port: 0, ...(now === undefined ? {} : { now }) });
  t.teardown(() => server.stop());
  return { server, own };
}

const certificate = (name: string) => certificateIn(certificateOf(pki, name).der);
const serialOf = (name: string) => certificate(name).serial;
const crlPath = (publishedAs: string) => addressesOf('', publishedAs).crl;
const deltaPath = (publishedAs: string) => addressesOf('', publishedAs).deltaCrl;

async function crlFrom(server: RevocationServer, path: string): Promise<Crl> {
  const { bytes } = await ask(server, path);
  const result = parseCrl(bytes);
  if (result.kind !== 'parsed') throw new TypeError(`${path}: ${result.reason}`);
  return result.crl;
}

function reasonIn(crl: Crl, name: string): number | null {
  const { serial, issuer } = certificate(name);
  return crl.entries.find(serial, issuer)?.reason ?? null;
}

function isSignedBy(crl: Crl, name: string): boolean {
  return verifySignature(crl.signatureAlgorithm, crl.tbs, crl.signature, certificate(name).publicKey, rules) === 'good';
}

function requestAbout(name: string, issuer: string, nonce: Buffer | null = null, hash?: 'sha1' | 'sha256'): Buffer {
  return encodeOcspRequest({
    certificate: certificate(name),
    issuer: certificate(issuer),
    nonce,
    ...(hash === undefined ? {} : { hash }),
  });
}

async function ocsp(server: RevocationServer, body: Buffer): Promise<OcspResponse> {
  const headers = { 'content-type': 'application/ocsp-request' };
  const { bytes } = await ask(server, '/ocsp', { method: 'POST', headers, body });
  const result = parseOcspResponse(bytes);
  if (result.kind !== 'parsed') throw new TypeError(`OCSP: ${result.reason}`);
  return result.response;
}

async function basic(server: RevocationServer, body: Buffer): Promise<BasicOcspResponse> {
  const response = await ocsp(server, body);
  if (response.basic === null) throw new TypeError(response.status);
  return response.basic;
}

/** Whether the certificate that goes along signed the answer, and whether this CA issued that. */
function signature(answer: BasicOcspResponse, issuer: string) {
  const [responder] = answer.certificates;
  if (responder === undefined) throw new TypeError('no responder certificate');
  const { signatureAlgorithm, tbs } = answer;
  return {
    answer: verifySignature(signatureAlgorithm, tbs, answer.signature, responder.publicKey, rules),
    responder: verifyCertificate(responder, certificate(issuer).publicKey, rules),
    sameIssuerName: responder.issuer.der.equals(certificate(issuer).subject.der),
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1000 && !condition(); attempt += 1) await new Promise((done) => setTimeout(done, 5));
  if (!condition()) throw new Error('did not happen');
}

await t.test('certificates name where they are published', async (t) => {
  const { crl, ocsp, certificate: ca } = addressesOf(pki.revocation, 'issuing');
  const alice = certificate('alice').extensions;
  t.strictSame(
    alice.crlDistributionPoints?.flatMap(({ fullName }) => fullName?.uris ?? []),
    [crl],
  );
  t.strictSame(alice.authorityInfoAccess, { ocsp: [ocsp], caIssuers: [ca] });
  const renewed = certificate('renewed').extensions.crlDistributionPoints;
  t.strictSame(renewed?.[0]?.fullName?.uris, [addressesOf(pki.revocation, 'issuing(1)').crl]);
  const issuing = certificate('issuing').extensions.crlDistributionPoints;
  t.strictSame(issuing?.[0]?.fullName?.uris, [addressesOf(pki.revocation, 'root').crl]);
  for (const name of ['root', 'foreign-root', 'foreign', 'ocsp-issuing'])
    t.notOk(certificate(name).extensions.crlDistributionPoints?.length, `${name} names none`);
  const responder = certificate('ocsp-issuing').extensions;
  t.ok(
    responder.all.some(({ oid }) => oid === '1.3.6.1.5.5.7.48.1.5'),
    'nocheck',
  );
  t.strictSame(responder.extendedKeyUsage, ['1.3.6.1.5.5.7.3.9']);
});

await t.test('the renewed CA has the name of the old one and another key', (t) => {
  const [old, renewed] = [certificate('issuing'), certificate('issuing-renewed')];
  t.strictSame(renewed.subject.der, old.subject.der);
  t.not(renewed.publicKey.digest, old.publicKey.digest);
  t.equal(verifyCertificate(certificate('renewed'), renewed.publicKey, rules), 'good');
  t.equal(verifyCertificate(certificate('renewed'), old.publicKey, rules), 'bad');
  t.end();
});

await t.test('lists', async (t) => {
  let now = Date.parse('2026-06-01T12:00:00.250Z') as Instant;
  const { server, own } = await startServer(t, () => now);

  await t.test('complete ones of every CA', async (t) => {
    for (const [publishedAs, name] of [
      ['root', 'root'],
      ['issuing', 'issuing'],
      ['issuing(1)', 'issuing-renewed'],
    ] as const) {
      const crl = await crlFrom(server, crlPath(publishedAs));
      t.ok(isSignedBy(crl, name), publishedAs);
      t.strictSame(crl.issuer.der, certificate(name).subject.der);
      t.strictSame(crl.authorityKeyIdentifier?.keyIdentifier, certificate(name).extensions.subjectKeyIdentifier);
      t.equal(crl.thisUpdate, Date.parse('2026-06-01T12:00:00Z'));
      t.equal(crl.nextUpdate, crl.thisUpdate + hour);
      t.equal(crl.baseCrlNumber, null);
      t.equal(crl.unknownCritical, null);
      t.strictSame(
        crl.freshestCrl.flatMap(({ fullName }) => fullName?.uris ?? []),
        name === 'root' ? [] : [addressesOf(pki.revocation, publishedAs).deltaCrl],
      );
      t.equal(crl.entries.count, name === 'issuing' ? 1 : 0, 'the recipe that is revoked, and nobody else');
    }
    t.equal(reasonIn(await crlFrom(server, crlPath('issuing')), 'revoked'), 1, 'keyCompromise');
    t.equal((await ask(server, deltaPath('root'))).status, 404, 'the root has no delta list');
  });

  await t.test('stay the same until half their life is over, and then get another number', async (t) => {
    const first = await ask(server, crlPath('issuing'));
    now = (now + hour / 2 - 2000) as Instant;
    const same = await ask(server, crlPath('issuing'));
    t.strictSame(same.bytes, first.bytes);
    const before = await crlFrom(server, crlPath('issuing'));
    now = (now + 2000) as Instant;
    const after = await crlFrom(server, crlPath('issuing'));
    t.ok((after.crlNumber ?? 0n) > (before.crlNumber ?? 0n), `${before.crlNumber} ${after.crlNumber}`);
    t.equal(after.nextUpdate, Math.floor(now / 1000) * 1000 + hour);
  });

  await t.test('are not sent again to whoever has them', async (t) => {
    const first = await ask(server, crlPath('issuing'));
    t.equal(first.headers['content-type'], 'application/pkix-crl');
    const { etag = '', 'last-modified': date = '' } = first.headers;
    t.equal(Date.parse(date) % 1000, 0);
    for (const [headers, status] of [
      [{ 'if-none-match': etag }, 304],
      [{ 'if-none-match': `"other", W/${etag}` }, 304],
      [{ 'if-none-match': '"other"', 'if-modified-since': date }, 200],
      [{ 'if-modified-since': date }, 304],
      [{ 'if-modified-since': new Date(Date.parse(date) - 1000).toUTCString() }, 200],
    ] as const) {
      const answer = await ask(server, crlPath('issuing'), { headers });
      t.equal(answer.status, status, JSON.stringify(headers));
      t.equal(answer.bytes.length > 0, status === 200);
    }
    const head = await ask(server, crlPath('issuing'), { method: 'HEAD' });
    t.equal(head.headers['content-length'], String(first.bytes.length));
    t.equal(head.bytes.length, 0);
    t.equal((await ask(server, crlPath('issuing'), { method: 'POST' })).status, 405);
    t.equal((await ask(server, '/crl/nobody.crl')).status, 404);
    t.equal((await ask(server, '/crl/%E0%A4%A')).status, 404);
    t.strictSame((await ask(server, '/crl/issuing%281%29.crl')).status, 200, 'whatever is encoded of the path');
  });

  await t.test('change at once when somebody is revoked; a delta says what has changed', async (t) => {
    const before = await crlFrom(server, crlPath('issuing'));
    t.equal((await crlFrom(server, deltaPath('issuing'))).entries.count, 0);
    await server.revoke('alice', 'superseded');
    await server.revoke('renewed');
    const after = await crlFrom(server, crlPath('issuing'));
    t.equal(reasonIn(after, 'alice'), 4);
    t.equal(reasonIn(after, 'revoked'), 1);
    t.equal(reasonIn(after, 'renewed'), null, 'the other CA has it on its list');
    t.equal(reasonIn(await crlFrom(server, crlPath('issuing(1)')), 'renewed'), 6, 'certificateHold unless it is said');
    const delta = await crlFrom(server, deltaPath('issuing'));
    t.ok(isSignedBy(delta, 'issuing'));
    t.equal(reasonIn(delta, 'alice'), 4);
    t.equal(reasonIn(delta, 'revoked'), null, 'is on every complete list');
    t.ok((delta.baseCrlNumber ?? 99n) <= (before.crlNumber ?? 0n), 'it goes with the list before');
    t.ok((delta.crlNumber ?? 0n) > (before.crlNumber ?? 99n));
    t.ok((delta.nextUpdate ?? 0) < (after.nextUpdate ?? 0));

    await server.unrevoke('alice');
    t.equal(reasonIn(await crlFrom(server, crlPath('issuing')), 'alice'), null);
    t.equal(reasonIn(await crlFrom(server, deltaPath('issuing')), 'alice'), 8, 'removeFromCRL');
  });

  await t.test('survive a restart', async (t) => {
    const before = await crlFrom(server, crlPath('issuing'));
    await server.revoke('issuing-renewed/00C0FFEE');
    await server.stop();
    const again = await startRevocationServer({ pki: own, port: 0, now: () => now });
    t.teardown(() => again.stop());
    const crl = await crlFrom(again, crlPath('issuing'));
    t.equal(reasonIn(crl, 'revoked'), 1);
    t.ok((crl.crlNumber ?? 0n) > (before.crlNumber ?? 99n), 'numbers go on');
    t.equal(reasonIn(await crlFrom(again, crlPath('issuing(1)')), 'renewed'), 6);
    const other = await crlFrom(again, crlPath('issuing(1)'));
    t.ok(other.entries.find(Buffer.from('00c0ffee', 'hex'), other.issuer), 'serials that no recipe names');
    t.equal(reasonIn(await crlFrom(again, deltaPath('issuing')), 'alice'), 8);
    await again.stop();
    await writeFile(join(own.folder, 'revoked.json'), '{ "number": ');
    await t.rejects(startRevocationServer({ pki: own, port: 0 }), { code: 'lab-revocation-state' });
  });
});

await t.test('certificates of CAs', async (t) => {
  const { server } = await startServer(t);
  for (const [publishedAs, name] of [
    ['root', 'root'],
    ['issuing(1)', 'issuing-renewed'],
  ] as const) {
    const { bytes, headers } = await ask(server, addressesOf('', publishedAs).certificate);
    t.strictSame(bytes, certificateOf(pki, name).der);
    t.equal(headers['content-type'], 'application/pkix-cert');
  }
});

await t.test('OCSP', async (t) => {
  const { server } = await startServer(t);

  await t.test('answers for each CA by its own responder', async (t) => {
    for (const [name, issuer] of [
      ['alice', 'issuing'],
      ['renewed', 'issuing-renewed'],
      ['issuing', 'root'],
    ] as const) {
      for (const hash of ['sha1', 'sha256'] as const) {
        const answer = await basic(server, requestAbout(name, issuer, null, hash));
        t.match(answer.singles, [{ status: { kind: 'good' }, certId: { hash, serial: serialOf(name) } }]);
        t.strictSame(signature(answer, issuer), { answer: 'good', responder: 'good', sameIssuerName: true });
        t.equal(answer.nonce, null);
        t.equal((answer.singles[0]?.nextUpdate ?? 0) - answer.producedAt, hour);
      }
    }
  });

  await t.test('knows who is revoked', async (t) => {
    const [rita] = (await basic(server, requestAbout('revoked', 'issuing'))).singles;
    t.match(rita?.status, { kind: 'revoked', reason: 1 });
    await server.revoke('alice');
    t.match((await basic(server, requestAbout('alice', 'issuing'))).singles, [
      { status: { kind: 'revoked', reason: 6 } },
    ]);
    t.match((await basic(server, requestAbout('alice', 'issuing-renewed'))).singles, [{ status: { kind: 'good' } }]);
    await server.unrevoke('alice');
    t.match((await basic(server, requestAbout('alice', 'issuing'))).singles, [{ status: { kind: 'good' } }]);
  });

  await t.test('speaks for no other CA than its own', async (t) => {
    await server.revoke('renewed');
    const certIds = [requestAbout('alice', 'issuing'), requestAbout('renewed', 'issuing-renewed')].map((request) =>
      sequence(readOcspRequest(request)?.asked[0]?.der ?? Buffer.alloc(0)),
    );
    const answer = await basic(server, sequence(sequence(sequence(...certIds))));
    t.match(answer.singles, [{ status: { kind: 'good' } }, { status: { kind: 'unknown' } }]);
    t.match(signature(answer, 'issuing'), { answer: 'good', responder: 'good' });
    await server.unrevoke('renewed');
  });

  await t.test('repeats the nonce', async (t) => {
    const nonce = randomBytes(32);
    t.strictSame((await basic(server, requestAbout('alice', 'issuing', nonce))).nonce, nonce);
  });

  await t.test('answers GET, and says how long that may be kept', async (t) => {
    const base64 = requestAbout('alice', 'issuing').toString('base64');
    for (const path of [encodeURIComponent(base64), base64]) {
      const { bytes, headers } = await ask(server, `/ocsp/${path}`);
      t.match(parseOcspResponse(bytes), { response: { status: 'successful' } });
      t.match(headers, {
        'content-type': 'application/ocsp-response',
        'cache-control': /^max-age=3[56]\d\d,public/,
        etag: /^"/,
      });
    }
    const nonce = encodeURIComponent(requestAbout('alice', 'issuing', randomBytes(16)).toString('base64'));
    t.match((await ask(server, `/ocsp/${nonce}`)).headers, { 'cache-control': 'no-cache' });
  });

  await t.test('refuses what is no request, and what is about others', async (t) => {
    t.equal((await ocsp(server, Buffer.from('3003020101', 'hex'))).status, 'malformedRequest');
    t.equal((await ocsp(server, Buffer.alloc(0))).status, 'malformedRequest');
    t.equal((await ocsp(server, requestAbout('foreign', 'foreign-root'))).status, 'unauthorized');
    const long = await ask(server, '/ocsp', { method: 'POST', body: Buffer.alloc(20_000) });
    t.ok(long.status === 413 || long.error !== null, `${long.status} ${long.error}`);
  });
});

await peerTest('OpenSSL agrees', ['openssl'], 'openssl', async (t) => {
  const { server } = await startServer(t);
  /** Both outputs: `crl -verify` tells its result on standard error alone, and ends well whatever it is. */
  const openssl = (...words: string[]): Promise<string> =>
    run('sh', ['-c', 'exec openssl "$@" 2>&1', 'openssl', ...words]);
  const keep = async (name: string, bytes: Buffer | string) => {
    const file = join(folder, name);
    await writeFile(file, bytes);
    return file;
  };
  const pem = (name: string) => keep(`${name}.pem`, certificateOf(pki, name).cert);
  const root = await pem('root');

  await t.test('with the lists', async (t) => {
    await server.revoke('alice');
    for (const [path, ca] of [
      [crlPath('root'), 'root'],
      [crlPath('issuing'), 'issuing'],
      [deltaPath('issuing'), 'issuing'],
      [crlPath('issuing(1)'), 'issuing-renewed'],
      [deltaPath('issuing(1)'), 'issuing-renewed'],
    ] as const) {
      const file = await keep('one.crl', (await ask(server, path)).bytes);
      const verify = async (by: string) =>
        openssl('crl', '-inform', 'DER', '-in', file, '-noout', '-verify', '-CAfile', await pem(by));
      t.match(await verify(ca), /verify OK/, path);
      const other = verify(ca === 'issuing' ? 'issuing-renewed' : 'issuing');
      t.match(await other.catch(String), /verify failure|issuer certificate/, `${path}, another key`);
    }
    const text = await openssl(
      'crl',
      '-inform',
      'DER',
      '-in',
      await keep('delta.crl', (await ask(server, deltaPath('issuing'))).bytes),
      '-noout',
      '-text',
    );
    t.match(text, /X509v3 Delta CRL Indicator: critical\s+1\n/);
    t.match(text, /Certificate Hold/);
  });

  await t.test('with what they say of a certificate', async (t) => {
    const lists = await Promise.all(
      [crlPath('root'), crlPath('issuing'), crlPath('issuing(1)')].map(async (path) =>
        openssl('crl', '-inform', 'DER', '-in', await keep(path.replaceAll('/', '_'), (await ask(server, path)).bytes)),
      ),
    );
    const crls = await keep('all.pem', lists.join(''));
    const verify = async (name: string, issuer: string) =>
      openssl(
        ...['verify', '-x509_strict', '-purpose', 'sslclient', '-crl_check_all', '-CRLfile', crls],
        ...['-CAfile', root, '-untrusted', await pem(issuer), await pem(name)],
      );
    t.match(await verify('bob', 'issuing'), /: OK/);
    t.match(await verify('renewed', 'issuing-renewed'), /: OK/);
    await t.rejects(verify('revoked', 'issuing'), /certificate revoked/);
    await t.rejects(verify('alice', 'issuing'), /certificate revoked/);
    await server.unrevoke('alice');
  });

  await t.test('with the answers', async (t) => {
    for (const [name, issuer, says] of [
      ['alice', 'issuing', /: good/],
      ['revoked', 'issuing', /: revoked[\s\S]*keyCompromise/],
      ['renewed', 'issuing-renewed', /: good/],
      ['issuing-renewed', 'root', /: good/],
    ] as const) {
      const output = await openssl(
        ...['ocsp', '-issuer', await pem(issuer), '-cert', await pem(name), '-CAfile', root],
        ...['-verify_other', await pem(issuer), '-url', `http://127.0.0.1:${server.port}/ocsp`],
      );
      t.match(output, /Response verify OK/);
      t.match(output, says);
      t.notMatch(output, /WARNING|no nonce/i);
    }
  });
});

await t.test('faults', async (t) => {
  const { server } = await startServer(t);
  const path = crlPath('issuing');
  const good = (await ask(server, path)).bytes;
  const tried = new Set<RevocationFault>();
  const fault = async (name: RevocationFault, body: (t: Test) => Promise<void>) => {
    tried.add(name);
    await t.test(name, async (t) => {
      await server.trouble(name);
      try {
        await body(t);
      } finally {
        await server.trouble(null);
      }
      t.match(await ask(server, path), { status: 200, error: null }, 'all is well again');
    });
  };
  const nonce = randomBytes(16);
  const aboutAlice = requestAbout('alice', 'issuing', nonce);
  const post = { method: 'POST', body: aboutAlice };

  await fault('down', async (t) => {
    t.match(await ask(server, path), { status: 0, error: 'ECONNREFUSED' });
    await server.trouble(null);
    await server.trouble('down', 'ocsp');
    t.match(await ask(server, '/ocsp', post), { status: 0, error: 'ECONNRESET' });
    t.match(await ask(server, path), { status: 200 });
  });

  await fault('silent', async (t) => {
    const given = new AbortController();
    const seen = server.requests.length;
    const asking = ask(server, path, { signal: given.signal });
    await until(() => server.requests.length > seen);
    await server.trouble(null);
    t.match(await ask(server, path), { status: 200 }, 'whoever comes later is answered');
    given.abort();
    t.match(await asking, { status: 0, error: 'ABORT_ERR' }, 'and the first still was not');
  });

  await fault('slow', async (t) => {
    const began = performance.now();
    const { bytes, headers } = await ask(server, path, { enough: ({ length }) => length >= 2 });
    t.ok(performance.now() - began > 900);
    t.equal(headers['content-length'], String(good.length));
    t.strictSame(bytes, good.subarray(0, 2), 'one octet after the other');
  });

  await fault('endless', async (t) => {
    const { bytes, headers } = await ask(server, path, { enough: ({ length }) => length > 2_000_000 });
    t.equal(headers['content-length'], undefined);
    t.ok(bytes.length > 2_000_000);
    t.equal(bytes[0], 0x30, 'begins like a list');
  });

  await fault('redirect-loop', async (t) => {
    t.match(await ask(server, path), { status: 302, headers: { location: path } });
  });

  await fault('redirect-elsewhere', async (t) => {
    const { status, headers } = await ask(server, path);
    t.equal(status, 302);
    t.equal(headers.location, `http://localhost:${server.port}${path}`);
    await ask(server, path, { headers: { host: 'localhost' } });
    t.match(server.requests.at(-1), { kind: 'crl', host: 'localhost' }, 'who follows is seen');
  });

  await fault('server-error', async (t) => {
    t.match(await ask(server, path), { status: 500 });
  });

  await fault('html', async (t) => {
    const { status, headers, bytes } = await ask(server, path);
    t.match({ status, headers }, { status: 200, headers: { 'content-type': 'text/html' } });
    t.match(bytes.toString(), /^<!DOCTYPE html>/);
  });

  await fault('truncated', async (t) => {
    const { error, bytes, headers } = await ask(server, path);
    t.equal(error, null);
    t.equal(headers['content-length'], String(bytes.length));
    t.strictSame(bytes, good.subarray(0, good.length >> 1));
  });

  await fault('cut-off', async (t) => {
    const { error, bytes, headers } = await ask(server, path);
    t.equal(error, 'ECONNRESET');
    t.equal(headers['content-length'], String(good.length));
    t.ok(bytes.length < good.length);
  });

  await fault('wrong-signer', async (t) => {
    const crl = await crlFrom(server, path);
    t.notOk(isSignedBy(crl, 'issuing'));
    t.strictSame(crl.authorityKeyIdentifier?.keyIdentifier, certificate('issuing').extensions.subjectKeyIdentifier);
    const answer = await basic(server, aboutAlice);
    t.strictSame(signature(answer, 'issuing'), { answer: 'bad', responder: 'good', sameIssuerName: true });
  });

  await fault('same-name-other-key', async (t) => {
    const crl = await crlFrom(server, path);
    t.notOk(isSignedBy(crl, 'issuing') || isSignedBy(crl, 'issuing-renewed'));
    t.strictSame(crl.issuer.der, certificate('issuing').subject.der);
    t.not(
      crl.authorityKeyIdentifier?.keyIdentifier?.toString('hex'),
      certificate('issuing').extensions.subjectKeyIdentifier?.toString('hex'),
    );
    const answer = await basic(server, aboutAlice);
    t.strictSame(signature(answer, 'issuing'), { answer: 'good', responder: 'bad', sameIssuerName: true });
  });

  await fault('other-generation', async (t) => {
    const crl = await crlFrom(server, path);
    t.ok(isSignedBy(crl, 'issuing-renewed'));
    t.equal(reasonIn(crl, 'revoked'), null, 'and has its own entries');
    t.ok(isSignedBy(await crlFrom(server, crlPath('issuing(1)')), 'issuing'));
  });

  await fault('expired', async (t) => {
    const crl = await crlFrom(server, path);
    t.ok(isSignedBy(crl, 'issuing'));
    t.ok((crl.nextUpdate ?? Infinity) <= Date.now() - hour);
    const [single] = (await basic(server, aboutAlice)).singles;
    t.ok((single?.nextUpdate ?? Infinity) <= Date.now() - hour);
  });

  await fault('not-yet-valid', async (t) => {
    t.ok((await crlFrom(server, path)).thisUpdate > Date.now() + 23 * hour);
    t.ok(((await basic(server, aboutAlice)).singles[0]?.thisUpdate ?? 0) > Date.now() + 23 * hour);
  });

  await fault('clock-skew', async (t) => {
    const { thisUpdate } = await crlFrom(server, path);
    t.ok(thisUpdate > Date.now() && thisUpdate <= Date.now() + 120_000);
    t.ok((await basic(server, aboutAlice)).producedAt > Date.now());
  });

  await fault('older', async (t) => {
    const held = parseCrl(good);
    if (held.kind !== 'parsed') throw new TypeError(held.reason);
    const crl = await crlFrom(server, path);
    t.ok(isSignedBy(crl, 'issuing'));
    t.ok((crl.crlNumber ?? 99n) < (held.crl.crlNumber ?? 0n));
    t.ok(crl.thisUpdate < held.crl.thisUpdate);
    t.ok((crl.nextUpdate ?? 0) > Date.now(), 'and still valid');
    t.equal(crl.entries.count, 0);
  });

  await fault('unknown-critical', async (t) => {
    const crl = await crlFrom(server, path);
    t.ok(isSignedBy(crl, 'issuing'));
    t.type(crl.unknownCritical, 'string');
    t.type((await basic(server, aboutAlice)).unknownCritical, 'string');
  });

  await fault('try-later', async (t) => {
    t.equal((await ocsp(server, aboutAlice)).status, 'tryLater');
    t.strictSame((await ask(server, path)).bytes, good, 'lists are as they were');
  });

  await fault('foreign-responder', async (t) => {
    const answer = await basic(server, aboutAlice);
    t.strictSame(signature(answer, 'issuing'), { answer: 'good', responder: 'bad', sameIssuerName: false });
    t.strictSame(signature(answer, 'foreign-root'), { answer: 'good', responder: 'good', sameIssuerName: true });
  });

  await fault('replayed', async (t) => {
    await server.revoke('alice');
    const answer = await basic(server, aboutAlice);
    t.match(answer.singles, [{ status: { kind: 'good' } }], 'although she is revoked by now');
    t.ok(answer.producedAt <= Date.now() - 600_000);
    t.equal(answer.nonce?.length, nonce.length);
    t.notSame(answer.nonce, nonce);
    t.strictSame(signature(answer, 'issuing'), { answer: 'good', responder: 'good', sameIssuerName: true });
    await server.unrevoke('alice');
  });

  await fault('nonce-missing', async (t) => {
    t.equal((await basic(server, aboutAlice)).nonce, null);
  });

  await t.test('each has been tried, and touches only what it is told to', async (t) => {
    t.strictSame([...tried].toSorted(), Object.keys(revocationFaults).toSorted());
    for (const only of documentKinds) {
      await server.trouble('html', only);
      const answers = {
        crl: await ask(server, path),
        ocsp: await ask(server, '/ocsp', post),
        ca: await ask(server, addressesOf('', 'issuing').certificate),
      };
      for (const kind of documentKinds)
        t.equal(answers[kind].headers['content-type'] === 'text/html', kind === only, `${only}: ${kind}`);
      await server.trouble(null);
    }
  });
});

await t.test('the control', async (t) => {
  const { server } = await startServer(t);
  const control = await startControl({ directory: null, revocation: server });
  t.teardown(() => control.stop());
  const at = { port: Number(new URL(control.url).port) };
  const post = async (path: string) => (await ask(at, path, { method: 'POST' })).status;

  t.equal(await post('/revoke/alice?reason=affiliationChanged'), 200);
  t.equal(reasonIn(await crlFrom(server, crlPath('issuing')), 'alice'), 3);
  t.equal(await post('/unrevoke/alice'), 200);
  t.equal(reasonIn(await crlFrom(server, crlPath('issuing')), 'alice'), null);
  t.equal(await post('/revoke/issuing/0102'), 200);
  for (const path of [
    '/revoke/nobody-here',
    '/revoke/root',
    '/revoke/foreign',
    '/revoke/foreign-root/01',
    '/revoke/alice?reason=whim',
    '/revocation/fault/nonsense',
    '/revocation/fault/constructor',
    '/revocation/fault/html?only=nothing',
    '/revoke/',
    '/searches',
  ])
    t.equal(await post(path), 404, path);

  t.equal(await post('/revocation/fault/html?only=crl'), 200);
  t.equal((await ask(server, crlPath('issuing'))).headers['content-type'], 'text/html');
  const told = JSON.parse((await ask(at, '/revocation')).bytes.toString()) as Record<string, unknown>;
  t.match(told, {
    url: pki.revocation,
    faults: { crl: 'html', ocsp: null, ca: null },
    entries: [{ issuer: 'issuing', revoked: true }, { revoked: false }, { serial: '0102' }],
    requests: [{ kind: 'crl' }, { kind: 'crl' }, { kind: 'crl', method: 'GET' }],
  });
  t.equal(await post('/revocation/fault/none'), 200);
  t.match(await ask(server, crlPath('issuing')), { headers: { 'content-type': 'application/pkix-crl' } });
});

await t.test('the folder of certificates', async (t) => {
  const place = join(folder, 'prepared');
  const options = { recipes, folder: place, now: new Date() };
  const stampFile = join(place, 'made.json');
  const restamp = async (change: (stamp: Record<string, unknown>) => void) => {
    const stamp = JSON.parse(await readFile(stampFile, 'utf8')) as Record<string, unknown>;
    change(stamp);
    await writeFile(stampFile, JSON.stringify(stamp));
  };
  const first = await preparePki({ ...options, revocation: 'http://127.0.0.1:4711' });
  t.match(first, { made: true, replaced: null, revocation: 'http://127.0.0.1:4711' });

  await t.test('keeps the address of the revocation server', async (t) => {
    const again = await preparePki({ ...options, revocation: 'http://127.0.0.1:4712' });
    t.match(again, { made: false, replaced: null, revocation: 'http://127.0.0.1:4711' });
    t.strictSame(again.certificates.get('alice')?.der, first.certificates.get('alice')?.der);
  });

  await t.test('is made again as a whole where an earlier version made it', async (t) => {
    await writeFile(join(place, 'revoked.json'), '{}');
    await restamp((stamp) => delete stamp['version']);
    const again = await preparePki({ ...options, revocation: 'http://127.0.0.1:4712' });
    t.match(again, { made: true, replaced: /another version/, revocation: 'http://127.0.0.1:4712' });
    for (const [name, { der }] of again.certificates) t.notSame(der, first.certificates.get(name)?.der, name);
    await t.rejects(readFile(join(place, 'revoked.json')), 'what was revoked is gone with those who were');
    const kept = await preparePki(options);
    t.equal(kept.made, false);
    t.strictSame(
      [...kept.certificates].map(([, { der }]) => der),
      [...again.certificates].map(([, { der }]) => der),
    );
  });

  await t.test('says why it was made again', async (t) => {
    await rm(join(place, 'bob.key'));
    t.match(await preparePki(options), { made: true, replaced: /missing/ });
    await writeFile(stampFile, '{');
    t.match(await preparePki(options), { made: true, replaced: /broken/ });
    await restamp((stamp) => (stamp['recipes'] = 'other'));
    t.match(await preparePki(options), { made: true, replaced: /recipes/ });
    await restamp((stamp) => (stamp['madeOn'] = '2020-01-01'));
    t.match(await preparePki(options), { made: true, replaced: /end/ });
  });

  await t.test('is left alone where it holds something else', async (t) => {
    await rm(stampFile);
    await t.rejects(preparePki(options), { code: 'lab-pki' });
    t.ok(await readFile(join(place, 'alice.pem')));
  });

  await t.test('names a port that must be had', async (t) => {
    const { server, own } = await startServer(t);
    const taken = { ...own, revocation: `http://127.0.0.1:${server.port}` };
    await t.rejects(startRevocationServer({ pki: taken }), {
      code: 'lab-revocation-listen',
      message: new RegExp(`127\\.0\\.0\\.1:${server.port}.*${own.folder}`),
    });
  });
});

await rm(folder, { recursive: true, force: true });
