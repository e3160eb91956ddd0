/**
 * `openssl ocsp` as a responder and as a client: it answers our requests and we judge its answers, over HTTP; and what we staple is what
 * `openssl s_client` believes.
 */
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Instant, Millis } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createAuthority, type Authority, type Issued } from '../../src/lab/authority.ts';
import { createFetcher } from '../../src/revocation/fetcher.ts';
import { ocspStanding } from '../../src/revocation/ocsp-answer.ts';
import { createOcspCache } from '../../src/revocation/ocsp-cache.ts';
import type { AnswerRules, OcspQuestion } from '../../src/revocation/revocation-contract.ts';
import { createStapler } from '../../src/revocation/stapler.ts';
import { certificateOf, type Made } from '../support/chains.ts';
import { testFront, untilTrue } from '../support/front.ts';
import { freePort, run, startDaemon } from '../support/processes.ts';
import { peerTest } from '../support/real-peers.ts';

const key = 'p256';
const ocspSigning = ['1.3.6.1.5.5.7.3.9'];
const nocheck = { oid: '1.3.6.1.5.5.7.48.1.5', critical: false, value: Buffer.from('0500', 'hex') };
const rules: AnswerRules = {
  clockSkew: 300_000 as Millis,
  maximumAge: null,
  allowSha1: false,
  minimumRsaBits: 2048,
  nonce: 'never',
};

const issuing = await createAuthority({ subject: 'O=Lab,CN=Issuing CA', key });
const foreign = await createAuthority({ subject: 'O=Lab,CN=Issuing CA', key });
const issue = (name: string) => issuing.issue({ subject: `O=Lab,CN=${name}`, key });
const [alice, mallory, held, nobody] = await Promise.all(['alice', 'mallory', 'held', 'nobody'].map(issue));
const delegate = (more: object = {}, by = issuing) =>
  by.issue({ subject: 'O=Lab,CN=OCSP', key, extendedKeyUsage: ocspSigning, extensions: [nocheck], ...more });
if (alice === undefined || mallory === undefined || held === undefined || nobody === undefined)
  throw new Error('no PKI');

interface ResponderOptions {
  readonly signer?: Issued;
  readonly ca?: Authority;
  readonly arguments?: readonly string[];
  /** Further certificates that are good. */
  readonly known?: readonly Made[];
}

/** @returns the URL of a responder that ends with the test */
async function startResponder(t: Test, options: ResponderOptions = {}): Promise<string> {
  const { ca = issuing, signer = ca, known = [] } = options;
  const folder = await mkdtemp(join(tmpdir(), 'ocsp-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = async (name: string, content: string) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const lines = [
    ...[alice, ...known].map((made) => indexLine('V', made)),
    indexLine('R', mallory, '261101000000Z,keyCompromise'),
    indexLine('R', held, '261101000000Z,certificateHold'),
  ];
  const port = await freePort('127.0.0.1');
  const daemon = startDaemon('openssl', [
    ...['ocsp', '-index', await file('index.txt', lines.join(''))],
    ...['-CA', await file('ca.pem', ca.cert)],
    ...['-rsigner', await file('signer.pem', signer.cert), '-rkey', await file('signer.key', signer.key)],
    ...['-port', String(port), '-timeout', '10'],
    ...(options.arguments ?? ['-ndays', '1']),
  ]);
  t.teardown(() => daemon.stop());
  // Not by connecting: a connection without a request holds it up until its timeout.
  await untilTrue(() => daemon.output().includes('waiting for OCSP client') || !daemon.running);
  if (!daemon.running) throw new Error(`the responder ended: ${daemon.output()}`);
  return `http://127.0.0.1:${port}`;
}

function indexLine(state: 'V' | 'R', made: Made | undefined, revocation = ''): string {
  const serial = new X509Certificate(made?.der ?? '').serialNumber;
  return `${state}\t491231000000Z\t${revocation}\t${serial}\tunknown\t/CN=${serial}\n`;
}

function createStore(t: Test, url: string) {
  const fetcher = createFetcher({ allowedHosts: [new URL(url).host], directory: null }, systemClock);
  const store = createOcspCache({
    fetcher,
    clock: systemClock,
    random: Math.random,
    randomBytes: (octets) => Buffer.alloc(octets, 3),
    renewInterval: null,
  });
  t.teardown(async () => {
    await store.close();
    await fetcher.close();
  });
  return store;
}

interface Asked extends Partial<Omit<OcspQuestion, 'certificate' | 'issuer'>> {
  readonly rules?: Partial<AnswerRules>;
  /** Milliseconds from now. */
  readonly later?: number;
}

/** What the store has after asking: `good`, `revoked 1`, or the failure. */
async function ask(t: Test, made: Made | undefined, url: string, asked: Asked = {}): Promise<string> {
  const store = createStore(t, url);
  const question: OcspQuestion = {
    certificate: certificateOf(made ?? issuing),
    issuer: certificateOf(issuing),
    responders: [url],
    signers: asked.signers ?? [],
  };
  const demanded = { ...rules, ...asked.rules };
  const refreshed = await store.refresh(question, { timeout: 10_000 as Millis, rules: demanded });
  if (refreshed.kind === 'failed') return `${refreshed.code}: ${refreshed.detail}`;
  const at = (Date.now() + (asked.later ?? 0)) as Instant;
  const standing = ocspStanding(refreshed.stored, { rules: demanded, at, signers: question.signers });
  if (standing.status === 'unknown') return `${standing.code}: ${standing.why}`;
  const needs = standing.needs === null ? '' : ' needs';
  return standing.status === 'good' ? `good${needs}` : `revoked ${standing.reason}${needs}`;
}

await peerTest('openssl ocsp answers', ['openssl'], 'openssl', async (t) => {
  await t.test('signed by the CA: good, revoked, on hold, unknown', async (t) => {
    const url = await startResponder(t);
    t.equal(await ask(t, alice, url), 'good');
    t.equal(await ask(t, mallory, url), 'revoked 1');
    t.equal(await ask(t, held, url), 'revoked 6');
    t.match(await ask(t, nobody, url), /^unknownCertificate/);
    t.equal(await ask(t, alice, url, { rules: { nonce: 'require' } }), 'good', 'by POST, with a nonce');
    t.match(await ask(t, alice, url, { later: 25 * 3_600_000 }), /^expired/, 'and a day later it has ended');
  });

  await t.test(
    'signed by a delegate: with and without nocheck, by key, without certificates, from elsewhere',
    async (t) => {
      const check = async (options: ResponderOptions, asked: Asked = {}) =>
        ask(t, alice, await startResponder(t, options), asked);
      const signer = await delegate();
      t.equal(await check({ signer }), 'good');
      t.equal(await check({ signer, arguments: ['-ndays', '1', '-resp_key_id'] }), 'good');
      t.equal(await check({ signer: await delegate({ key: 'rsa2048' }) }), 'good');
      t.equal(await check({ signer: await delegate({ extensions: [] }) }), 'good needs');
      t.match(
        await check({ signer, arguments: ['-ndays', '1', '-resp_no_certs'] }),
        /^wrongSigner: .*does not contain/,
      );
      t.match(await check({ signer: await delegate({ extendedKeyUsage: [] }) }), /^wrongSigner: .*OCSPSigning/);
      t.match(
        await check({ signer: await delegate({ notAfter: new Date('2026-01-01T00:00:00Z') }) }),
        /^wrongSigner: .*valid from/,
      );
      const elsewhere = await delegate({}, foreign);
      t.match(await check({ signer: elsewhere }), /^wrongSigner: .*not by the issuer/);
      t.equal(await check({ signer: elsewhere }, { signers: [certificateOf(elsewhere)] }), 'good');
    },
  );

  await t.test('by a CA of the same name with another key, corrupted, or without an end', async (t) => {
    t.match(await ask(t, alice, await startResponder(t, { ca: foreign })), /^wrongSigner: .*not signed with its key/);
    const bad = await startResponder(t, { arguments: ['-ndays', '1', '-badsig'] });
    t.match(await ask(t, alice, bad), /^wrongSigner: .*not signed with its key/);
    const endless = await startResponder(t, { arguments: [] });
    t.equal(await ask(t, alice, endless), 'good');
    t.match(await ask(t, alice, endless, { later: 2 * 3_600_000 }), /^expired: .*no nextUpdate/);
    const brief = await startResponder(t, { arguments: ['-nmin', '1'] });
    t.equal(await ask(t, alice, brief, { later: 359_000 }), 'good', 'a minute, and five of skew');
    t.match(await ask(t, alice, brief, { later: 361_000 }), /^expired/);
  });
});

await peerTest('openssl s_client believes what is stapled', ['openssl'], 'openssl', async (t) => {
  const server = await issuing.issue({
    subject: 'CN=server',
    key,
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    dnsNames: ['a.test'],
  });
  const url = await startResponder(t, { known: [server] });
  const store = createStore(t, url);
  const question = {
    certificate: certificateOf(server),
    issuer: certificateOf(issuing),
    responders: [url],
    signers: [],
  };
  const stapler = createStapler(question, { timeout: 10_000 as Millis, rules }, { store, clock: systemClock });
  t.teardown(() => stapler.close());
  await untilTrue(() => stapler.staple() !== null);
  const { port } = await testFront(t, {
    bindings: [
      { name: 'stapling', certificate: { cert: server.cert, key: server.key } },
      {
        name: 'late',
        certificate: server,
        clientCertificate: 'late',
        endpoint: { kind: 'address', address: '127.0.0.2', port: 0 },
      },
      { name: 'plain', certificate: server, endpoint: { kind: 'address', address: '127.0.0.3', port: 0 } },
    ],
    staplerOf: ({ name }) => (name === 'plain' ? null : () => stapler.staple()),
  });
  const folder = await mkdtemp(join(tmpdir(), 'ocsp-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'ca.pem'), issuing.cert);
  const client = (name: string, address: string, ...more: string[]) =>
    run('openssl', [
      ...['s_client', '-connect', `${address}:${port(name)}`, '-servername', 'a.test', '-status'],
      ...['-CAfile', join(folder, 'ca.pem'), ...more],
    ]);
  for (const version of ['-tls1_2', '-tls1_3']) {
    const said = await client('stapling', '127.0.0.1', version);
    t.match(said, /OCSP Response Status: successful/, version);
    t.match(said, /Cert Status: good/, version);
  }
  t.match(await client('late', '127.0.0.2'), /Cert Status: good/);
  t.match(await client('plain', '127.0.0.3'), /OCSP response: no response sent/);
});
