/**
 * Clients of other people against both kinds of binding, as a table: who they are arrives at the backend, who has no certificate or a revoked one is
 * told so, bodies arrive whole, connections are kept. What cannot work says so in the words that `docs/clients.md` prints.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { EchoAnswer } from '../../src/lab/echo.ts';
import * as programs from '../support/client-programs.ts';
import type { ClientJob, ClientProgram, JobAnswer, JobOutcome } from '../support/client-programs.ts';
import { testGateway } from '../support/gateway.ts';
import { nodeHttp2, nodeHttps, undiciFetch } from '../support/node-programs.ts';
import { run } from '../support/processes.ts';
import { findProgram, peerTest } from '../support/real-peers.ts';

type Where = 'late' | 'upFront';
/** What the gateway sees it speak, or the words in which it gives up. */
type Expected = readonly [protocol: 'TLSv1.2' | 'TLSv1.3', http: '1.1' | '2.0'] | RegExp;
type Row = readonly [where: Where, version: ClientJob['version'], expected: Expected];

interface Client {
  readonly name: string;
  readonly needs: readonly string[];
  readonly packages: string;
  readonly program: ClientProgram;
  readonly rows: readonly Row[];
  /** Cannot change between GET and POST on one connection. */
  readonly oneMethod?: true;
}

const scratch = await mkdtemp(join(tmpdir(), 'dsmapper-clients-'));
t.teardown(() => rm(scratch, { recursive: true, force: true, maxRetries: 3 }));
const to = await testGateway(t);
const body = Array.from({ length: 2560 }, (_, index) => `${String(index).padStart(7, '0')}\n`).join('');
const bodyFile = join(scratch, 'body');
await writeFile(bodyFile, body);
const rootFile = join(to.lab.pki.folder, 'root.pem');

/** Nobody renegotiates in TLS 1.3 (RFC 8446 section 4.1.2), and every client has its own words for the alert. */
const tooNew = /protocol[ _]version/i;
const rows = (http: '1.1' | '2.0', without12 = tooNew): readonly Row[] => [
  ['late', null, ['TLSv1.2', '1.1']],
  ['late', '1.3', without12],
  ['upFront', '1.2', ['TLSv1.2', http]],
  ['upFront', '1.3', ['TLSv1.3', http]],
];
/** Of a client that cannot do it at all. */
const notLate = (why: RegExp, list: readonly Row[]): readonly Row[] =>
  list.map(([where, version, expected]) => [where, version, where === 'late' && version === null ? why : expected]);

/** Debian's module for its own Python, null where it is there. */
const pythonModule = (file: RegExp, name: string): string[] => {
  const folder = '/usr/lib/python3/dist-packages';
  const found = existsSync(programs.systemPython) && readdirSync(folder).some((entry) => file.test(entry));
  return found ? [] : [name];
};
/** Before Go 1.21 there is no extended_master_secret. */
const oldGo = findProgram('go') !== null && /go1\.(\d|1\d|20)\b/.test(await run('go', ['version']));
const goLate = { RenegotiateNever: /tls: no renegotiation/, RenegotiateOnceAsClient: null };
const noSecret = /tls: handshake failure/;

const clients: readonly Client[] = [
  ...(['HttpClient', 'HttpsURLConnection'] as const).map((flavour) => ({
    name: `Java ${flavour}`,
    needs: ['java', 'javac', 'openssl'],
    packages: 'default-jdk-headless openssl',
    program: programs.java(flavour, scratch),
    rows: rows(flavour === 'HttpClient' ? '2.0' : '1.1'),
  })),
  ...(['RenegotiateNever', 'RenegotiateOnceAsClient'] as const).map((flavour) => {
    const refused = oldGo ? noSecret : goLate[flavour];
    const all = rows('2.0');
    return {
      name: `Go net/http, ${flavour}`,
      needs: ['go'],
      packages: 'golang-go',
      program: programs.go(flavour, scratch),
      rows: refused === null ? all : notLate(refused, all),
    };
  }),
  {
    name: 'libcurl with GnuTLS',
    needs: pythonModule(/^pycurl\./, 'pycurl'),
    packages: 'python3-pycurl',
    program: programs.python('pycurl'),
    rows: rows('2.0'),
  },
  {
    name: 'Python requests',
    needs: pythonModule(/^requests$/, 'requests'),
    packages: 'python3-requests',
    program: programs.python('requests'),
    rows: rows('1.1'),
  },
  {
    name: 'Python http.client',
    needs: pythonModule(/./, programs.systemPython),
    packages: 'python3',
    program: programs.python('http.client'),
    rows: rows('1.1'),
  },
  { name: 'curl', needs: ['curl'], packages: 'curl', program: programs.curl, rows: rows('2.0') },
  {
    name: 'wget as it comes',
    needs: ['wget'],
    packages: 'wget',
    program: programs.wget(),
    // Its compatibility mode leaves extended_master_secret out.
    rows: [
      ['late', null, /received alert \[40\]/],
      ['upFront', null, ['TLSv1.3', '1.1']],
    ],
    oneMethod: true,
  },
  {
    name: 'wget --ciphers=NORMAL',
    needs: ['wget'],
    packages: 'wget',
    program: programs.wget('NORMAL'),
    rows: rows('1.1'),
    oneMethod: true,
  },
  {
    name: 'gnutls-cli',
    needs: ['gnutls-cli'],
    packages: 'gnutls-bin',
    program: programs.gnutlsCli,
    rows: rows('1.1', /TLS fatal alert/),
  },
  { name: 's_client', needs: ['openssl'], packages: 'openssl', program: programs.sClient, rows: rows('1.1') },
  { name: 'Node https', needs: [], packages: '', program: nodeHttps, rows: rows('1.1') },
  {
    name: 'Node http2',
    needs: [],
    packages: '',
    program: nodeHttp2,
    rows: notLate(/no application protocol/, rows('2.0')),
  },
  { name: 'undici fetch', needs: [], packages: '', program: undiciFetch, rows: rows('2.0') },
];

/** What is asked of each row, as one job each. */
interface Question {
  readonly row: Row;
  readonly as: 'alice' | 'revoked' | null;
  readonly requests: ClientJob['requests'];
  readonly relay: Relay;
}

const identities = new Map(
  await Promise.all((['alice', 'revoked'] as const).map(async (name) => [name, await identityOf(name)] as const)),
);
const outcomes = startAll(clients.filter(({ needs }) => needs.every((program) => findProgram(program) !== null)));

for (const client of clients) {
  await peerTest(client.name, client.needs, client.packages, async (t) => {
    for (const [question, outcome] of (await outcomes.get(client.name)) ?? []) await judge(t, question, outcome);
  });
}

async function judge(t: Test, { row: [where, version, expected], as, requests, relay }: Question, outcome: JobOutcome) {
  const title = `${where}, TLS ${version ?? 'as it comes'}, ${as ?? 'nobody'}: ${requests.join(', ')}`;
  await t.test(title, async (t) => {
    if (expected instanceof RegExp) {
      t.ok('error' in outcome, JSON.stringify(outcome));
      if ('error' in outcome) t.match(outcome.error, expected);
      return;
    }
    if ('error' in outcome) {
      t.fail(outcome.error);
      return;
    }
    t.equal(outcome.length, requests.length, JSON.stringify(outcome));
    for (const [index, answer] of outcome.entries()) judgeAnswer(t, answer, requests[index], as);
    for (const { requestId } of outcome)
      t.match(await to.logged(requestId), {
        binding: `127.0.0.1:${to.ports[where]}`,
        protocol: expected[0],
        http: expected[1],
      });
    t.equal(relay.connections, 1, 'one connection');
  });
}

function judgeAnswer(t: Test, answer: JobAnswer, method: string | undefined, as: Question['as']): void {
  if (as !== 'alice') {
    t.match(answer, { status: 403, verdict: as === null ? '403.7' : '403.13' });
    return;
  }
  t.equal(answer.status, 200, answer.body);
  const echo = JSON.parse(answer.body) as EchoAnswer;
  t.strictSame(
    echo.headers.filter(([name]) => name.toLowerCase() === 'x-remote-user'),
    [['X-Remote-User', 'LAB\\alice']],
  );
  const sent = method === 'POST' ? body : '';
  t.equal(echo.method, method);
  t.equal(echo.bodySha256, createHash('sha256').update(sent).digest('hex'));
}

/** All of them begin now, two at a time, in the order of the table: the slow ones first. */
function startAll(list: readonly Client[]): ReadonlyMap<string, Promise<readonly (readonly [Question, JobOutcome])[]>> {
  const turns = [Promise.resolve(), Promise.resolve()] as Promise<unknown>[];
  return new Map(
    list.map((client, index) => {
      const work = (turns[index % 2] ?? Promise.resolve()).then(() => ask(client));
      turns[index % 2] = work.catch(() => {});
      return [client.name, work];
    }),
  );
}

async function ask(client: Client): Promise<(readonly [Question, JobOutcome])[]> {
  const questions: Question[] = [];
  for (const row of client.rows) {
    const add = async (as: Question['as'], requests: ClientJob['requests']) =>
      void questions.push({ row, as, requests, relay: await relayTo(to.ports[row[0]]) });
    await add('alice', client.oneMethod ? ['GET', 'GET'] : ['GET', 'POST', 'GET']);
    if (row[2] instanceof RegExp) continue;
    await add('alice', ['POST']);
    // What refuses in the handshake refuses everybody.
    await add(null, ['GET']);
    await add('revoked', ['GET']);
  }
  const jobs = questions.map(({ row: [, version], as, requests, relay }) => {
    const identity = as === null ? null : (identities.get(as) ?? null);
    return { port: relay.port, identity, rootFile, version, requests, bodyFile };
  });
  const begun = performance.now();
  const list = await client.program(jobs);
  t.comment(`${client.name}: ${Math.round(performance.now() - begun)} ms`);
  return questions.map((question, index) => [question, list[index] ?? { error: 'no outcome' }]);
}

interface Relay {
  readonly port: number;
  /** Those that were made so far. */
  readonly connections: number;
}

/** An address of its own for each job, so that its connections can be counted. */
async function relayTo(port: number): Promise<Relay> {
  let connections = 0;
  const server = net.createServer((client) => {
    connections += 1;
    const gateway = net.connect(port, '127.0.0.1');
    client.on('error', () => gateway.destroy());
    gateway.on('error', () => client.destroy());
    client.pipe(gateway).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
  };
}

async function identityOf(name: string): Promise<NonNullable<ClientJob['identity']>> {
  const [chain, key, p12] = [
    join(to.lab.pki.folder, `${name}.pem`),
    join(to.lab.pki.folder, `${name}.key`),
    join(scratch, `${name}.p12`),
  ];
  const out = ['-out', p12, '-passout', 'pass:lab', '-name', name];
  if (findProgram('openssl') !== null) await run('openssl', ['pkcs12', '-export', '-in', chain, '-inkey', key, ...out]);
  return { chain, key, p12 };
}
