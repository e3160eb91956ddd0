/**
 * The verification samples of docs/samples as they are, against assertions of our own signer and its key set over HTTP: each believes what it should,
 * and nothing else.
 *
 * Packages (Debian): python3-jwt python3-cryptography golang-go default-jdk-headless libjackson2-databind-java.
 */
import { createHmac, createPublicKey, sign } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type JWTPayload, SignJWT } from 'jose';
import tap, { type Test } from 'tap';
import { startAdmin } from '../../src/admin/surface.ts';
import { setAlarm } from '../../src/base/alarm.ts';
import type { Instant } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { AssertionSettings, AssertionSigner } from '../../src/forward/assertion-contract.ts';
import { createAssertionSigner } from '../../src/forward/assertion.ts';
import { createMemoryKeyStore } from '../../src/forward/key-store.ts';
import { makeSigningKey, type SigningAlgorithm, type SigningKey } from '../../src/forward/signing-key.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { assertionFacts, assertionSettings, clientCertificate } from '../support/assertion-world.ts';
import { run, startDaemon } from '../support/processes.ts';
import { peerTest } from '../support/real-peers.ts';

tap.setTimeout(600_000);

const samples = new URL('../../docs/samples/', import.meta.url).pathname;
const leaf = await clientCertificate();
const other = await clientCertificate('CN=mallory');

interface Sample {
  readonly name: string;
  readonly programs: readonly string[];
  readonly packages: string;
  /** Files that must be there beside the programs. */
  readonly files: readonly string[];
  /** What is to be run, after building where that is needed. */
  command(t: Test): Promise<readonly [program: string, args: readonly string[], cwd: string]>;
}

const jackson = ['databind', 'core', 'annotations'].map((part) => `/usr/share/java/jackson-${part}.jar`);
const pythonModules = ['jwt', 'cryptography'].map((name) => `/usr/lib/python3/dist-packages/${name}/__init__.py`);

const all: readonly Sample[] = [
  {
    name: 'Node with jose, as in Express',
    programs: [],
    packages: '',
    files: [],
    command: async () => [process.execPath, ['server.mjs'], join(samples, 'express')],
  },
  {
    name: 'Python with PyJWT',
    programs: ['python3'],
    packages: 'python3-jwt python3-cryptography',
    files: pythonModules,
    command: async () => ['/usr/bin/python3', ['-B', 'server.py'], join(samples, 'python')],
  },
  {
    name: 'Go with its standard library',
    programs: ['go'],
    packages: 'golang-go',
    files: [],
    async command(t) {
      const folder = temporary(t);
      const env = {
        GOFLAGS: '',
        GOPROXY: 'off',
        GOPATH: join(folder, 'path'),
        GOCACHE: join(folder, 'cache'),
        CGO_ENABLED: '0',
      };
      await run('go', ['build', '-o', join(folder, 'backend'), '.'], { cwd: join(samples, 'go'), env });
      return [join(folder, 'backend'), [], samples];
    },
  },
  {
    name: 'Java with Jackson',
    programs: ['java', 'javac'],
    packages: 'default-jdk-headless libjackson2-databind-java',
    files: jackson,
    command: async () => ['java', ['-cp', jackson.join(':'), 'Assertion.java'], join(samples, 'java')],
  },
];

function temporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'dsm-verifier-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What a backend is shown. */
interface Shown {
  readonly token?: string;
  readonly certificate?: string;
}

interface Backend {
  /** Status and body. */
  show(shown: Shown): Promise<{ readonly status: number; readonly body: string }>;
  /** What it wrote to its log. */
  log(): string;
}

interface Scene {
  readonly backend: Backend;
  /** Those who sign now; what the key set is served from. */
  signer: AssertionSigner;
  key: SigningKey;
  /** How often the key set was fetched. */
  readonly fetched: () => number;
  /** A key that no key set had before signs from now on. */
  rotate(algorithm: SigningAlgorithm): void;
}

for (const sample of all) {
  const here = sample.files.every((file) => existsSync(file));
  const programs = here ? sample.programs : [...sample.programs, ...sample.files];
  await peerTest(`${sample.name} believes our assertions and nothing else`, programs, sample.packages, async (t) => {
    // Compilers take their time on a busy machine.
    t.setTimeout(180_000);
    const scene = await setScene(t, sample);
    for (const algorithm of ['EdDSA', 'ES256'] as const) {
      // The first has been fetched by nobody; the second must be fetched because it is unknown.
      scene.rotate(algorithm);
      await believesOnly(t, scene);
    }
    scene.rotate('ES256');
    t.equal(
      await settles(scene, { token: await good(scene) }),
      200,
      `the next key of one algorithm\n${scene.backend.log()}`,
    );
    await asksSeldom(t, scene);
  });
}

async function believesOnly(t: Test, scene: Scene): Promise<void> {
  const { backend, key } = scene;
  const token = await good(scene);
  const name = `${key.algorithm}:`;
  t.equal(await settles(scene, { token }), 200, `${name} a good one\n${backend.log()}`);
  t.same(JSON.parse((await backend.show({ token })).body), { sub: claimsIn(token)['sub'], name: 'LAB\\Jörg' });
  t.equal((await backend.show({ token, certificate: field(leaf.der) })).status, 200, `${name} with its certificate`);
  for (const [what, shown] of await refused(scene, token)) {
    // Were keys fetched only once a second, an unknown kid just now must not be why the next is refused.
    const { status } = await backend.show(shown);
    t.equal(status, 401, `${name} ${what}`);
  }
  t.equal(await settles(scene, { token }), 200, `${name} still believes the good one`);
}

/** What nobody may believe, each made from a token that is believed by changing one thing. */
async function refused({ key, signer }: Scene, token: string): Promise<readonly (readonly [string, Shown])[]> {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const claims = claimsIn(token);
  const now = Math.floor(Date.now() / 1000);
  const { algorithm: alg, kid } = key;
  const typ = 'dsmapper+jwt';
  const signed = (change: JWTPayload, head = {}, by = key) =>
    new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg, kid, typ, ...head }).sign(by.privateKey);
  const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
  const stranger = makeSigningKey({ ...key });
  const jwk = signer.jwks(Date.now() as Instant).keys.find((one) => one['kid'] === kid);
  const [, foreignPayload = ''] = (await signed({ sub: 'S-1-5-21-1-2-3-500' })).split('.');
  const missing = async (claim: string) => {
    const rest = Object.fromEntries(Object.entries(claims).filter(([name]) => name !== claim));
    return { token: await new SignJWT(rest).setProtectedHeader({ alg, kid, typ }).sign(key.privateKey) };
  };
  const none = encode({ alg: 'none', kid, typ });
  const critical = new SignJWT(claims).setProtectedHeader({ alg, kid, typ, crit: ['x'], x: 1 });
  const misnamed = `${encode({ alg: 'HS256', kid, typ })}.${payload}`;
  const secrets: Readonly<Record<string, string | Buffer>> = {
    'the octets of the public key': Buffer.from(String(jwk?.['x']), 'base64url'),
    'the public key as PEM': publicOf(key, 'pem'),
    'the public key as DER': publicOf(key, 'der'),
    'the JWK': JSON.stringify(jwk),
    nothing: '',
  };
  return [
    ['no token', {}],
    ['an empty token', { token: '' }],
    ['no token at all', { token: 'x' }],
    ['another audience', { token: await signed({ aud: 'wiki' }) }],
    ['another issuer', { token: await signed({ iss: 'somebody' }) }],
    ['expired', { token: await signed({ exp: now - 60 }) }],
    ['not valid yet', { token: await signed({ nbf: now + 600 }) }],
    ['without an end', await missing('exp')],
    ['without a beginning', await missing('nbf')],
    ['about nobody', await missing('sub')],
    ['an altered payload', { token: `${header}.${foreignPayload}.${signature}` }],
    ['an altered signature', { token: `${header}.${payload}.${flipped}` }],
    ['no signature', { token: `${header}.${payload}.` }],
    ['signature cut short', { token: token.slice(0, -4) }],
    ['alg none', { token: `${none}.${payload}.` }],
    ['alg none with the signature', { token: `${none}.${payload}.${signature}` }],
    ...Object.entries(secrets).map(([what, secret]) => {
      const input = `${encode({ alg: 'HS256', kid, typ })}.${payload}`;
      const mac = createHmac('sha256', secret).update(input).digest('base64url');
      return [`HS256 with ${what} as secret`, { token: `${input}.${mac}` }] as const;
    }),
    ['signed by a stranger under our kid', { token: await signed({}, {}, stranger) }],
    ['signed by a stranger who brings the key', { token: await signed({}, { jwk: stranger.publicJwk }, stranger) }],
    ['signed by a stranger without a kid', { token: await signed({}, { kid: undefined }, stranger) }],
    ['of another type', { token: await signed({}, { typ: 'JWT' }) }],
    ['without a type', { token: await signed({}, { typ: undefined }) }],
    ['with a critical extension', { token: await critical.sign(key.privateKey, { crit: { x: true } }) }],
    ['signed by us under the name of another algorithm', { token: `${misnamed}.${signature64(key, misnamed)}` }],
    ["with somebody else's certificate", { token, certificate: field(other.der) }],
    ['with a certificate that is none', { token, certificate: leaf.der.toString('base64') }],
    ['of an unknown kid', { token: await signed({}, { kid: stranger.kid }, stranger) }],
  ];
}

/** Strangers with unknown kids must not make a backend flood the gateway. */
async function asksSeldom(t: Test, scene: Scene): Promise<void> {
  const { backend, key, fetched } = scene;
  const before = fetched();
  const began = performance.now();
  const token = await good(scene);
  for (let count = 0; count < 40; count += 1) {
    const stranger = makeSigningKey({ ...key });
    const head = { alg: key.algorithm, kid: stranger.kid, typ: 'dsmapper+jwt' };
    const foreign = await new SignJWT(claimsIn(token)).setProtectedHeader(head).sign(stranger.privateKey);
    t.equal((await backend.show({ token: foreign })).status, 401);
  }
  const seconds = (performance.now() - began) / 1000;
  t.ok(fetched() - before <= seconds + 2, `${fetched() - before} fetches in ${seconds} s`);
}

/** Asks again while the answer may be that keys were fetched a moment ago. @returns the last status */
async function settles({ backend }: Scene, shown: Shown): Promise<number> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const { status } = await backend.show(shown);
    if (status === 200 || performance.now() > deadline) return status;
    await pause(100);
  }
}

async function good({ signer }: Scene): Promise<string> {
  const signed = await signer.sign(assertionFacts(leaf, { name: 'LAB\\Jörg' }), systemClock.now());
  if (signed.kind !== 'signed') throw new Error(signed.kind);
  return signed.token;
}

async function setScene(t: Test, sample: Sample): Promise<Scene> {
  let fetches = 0;
  const memoryKeys = createMemoryKeyStore();
  const facilities = { clock: systemClock, setAlarm, report: () => {}, memoryKeys };
  const settings: AssertionSettings = { ...assertionSettings, lifetime: 300_000 as AssertionSettings['lifetime'] };
  const signers: AssertionSigner[] = [];
  const current = () => {
    const signer = signers.at(-1);
    if (signer === undefined) throw new Error('nobody signs yet');
    return signer;
  };
  const setup = {
    clock: systemClock,
    get assertions() {
      return current();
    },
  };
  const admin = await startAdmin({ listen: { address: '127.0.0.1', port: 0 }, socket: null }, {
    setup,
  } as unknown as Gateway);
  const counting = http.createServer((request, response) => {
    fetches += 1;
    void fetch(`http://${admin.address}${request.url}`).then(async (answer) => {
      response.writeHead(
        answer.status,
        [...answer.headers].filter(([name]) => name !== 'transfer-encoding'),
      );
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
  });
  await new Promise<void>((resolve) => void counting.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    for (const signer of signers) signer.close();
    counting.closeAllConnections();
    counting.close();
    await admin.close();
  });
  const rotate = (algorithm: SigningAlgorithm) => {
    const now = systemClock.now();
    const number = 1 + memoryKeys.read().filter((key) => key.algorithm === algorithm).length;
    const key = makeSigningKey({ algorithm, number, created: now, signsFrom: now, signsUntil: (now + 1e9) as Instant });
    memoryKeys.add(key);
    signers.push(createAssertionSigner({ ...settings, algorithm }, facilities));
    scene.key = key;
    scene.signer = current();
  };
  const { port } = counting.address() as AddressInfo;
  const backend = await startBackend(t, sample, `http://127.0.0.1:${port}/.well-known/jwks.json`, settings.issuer);
  const scene = { backend, fetched: () => fetches, rotate } as Scene;
  return scene;
}

async function startBackend(t: Test, sample: Sample, jwks: string, issuer: string): Promise<Backend> {
  const [program, args, cwd] = await sample.command(t);
  const env = { ASSERTION_JWKS: jwks, ASSERTION_ISSUER: issuer, ASSERTION_AUDIENCE: 'payroll', PORT: '0' };
  const daemon = startDaemon(program, args, { cwd, env });
  t.teardown(() => daemon.stop());
  const deadline = performance.now() + 60_000;
  let port: string | undefined;
  while ((port = /listening on (\d+)/.exec(daemon.output())?.[1]) === undefined) {
    if (!daemon.running || performance.now() > deadline)
      throw new Error(`${program} does not serve: ${daemon.output()}`);
    await pause(20);
  }
  return {
    log: () => daemon.output(),
    async show({ token, certificate }) {
      const headers = {
        connection: 'close',
        ...(token !== undefined && { 'x-dsmapper-assertion': token }),
        ...(certificate !== undefined && { 'client-cert': certificate }),
      };
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers });
      return { status: answer.status, body: await answer.text() };
    },
  };
}

function claimsIn(token: string): JWTPayload {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** As JWS wants it: r and s side by side. */
function signature64({ algorithm, privateKey }: SigningKey, input: string): string {
  const how = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(input), how).toString('base64url');
}

/** RFC 9440: a byte sequence of structured fields. */
function field(der: Buffer): string {
  return `:${der.toString('base64')}:`;
}

function publicOf({ privateKey }: SigningKey, format: 'pem' | 'der'): string | Buffer {
  const key = createPublicKey(privateKey);
  return format === 'pem' ? key.export({ type: 'spki', format }) : key.export({ type: 'spki', format });
}
