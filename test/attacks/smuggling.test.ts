/**
 * Attacks on the border between two readers of HTTP, each with its name: refused, or made harmless, shown with the very octets that a
 * backend received. After each the connection is over, or the next request on it is answered as itself and reaches the backend once.
 */
import t from 'tap';
import type { Test } from 'tap';
import type { TestGateway } from '../support/gateway.ts';
import { testGateway, testLab } from '../support/gateway.ts';
import type { RecordingBackend } from '../support/recording-backend.ts';
import { startRecordingBackend } from '../support/recording-backend.ts';
import type { Wire, WireWhere } from '../support/wire.ts';
import { openWire } from '../support/wire.ts';
import { headers, openHttp2 } from '../support/http2-wire.ts';
import type { Row } from './http1-rows.ts';
import { chunkRows, connectionRows, fields, framing, hosts, pipelines, sent, sizes, targets } from './http1-rows.ts';
import { answerRows } from './answer-rows.ts';
import { http2Rows } from './http2-rows.ts';

const lab = await testLab(t);
const http1 = { framing, chunkRows, fields, connectionRows, targets, hosts, sizes, pipelines };

await t.test('the table has at least 80 attacks, no two of one name', (t) => {
  const names = [...Object.values(http1).flat(), ...http2Rows, ...answerRows].map(({ name }) => name);
  t.equal(new Set(names).size, names.length);
  t.ok(names.length >= 80, `${names.length} rows`);
  t.end();
});

for (const where of ['upFront', 'late', 'http'] as const) {
  await t.test(`HTTP/1.1, binding ${where}`, async (t) => {
    const { to, backend } = await recorded(t);
    for (const [group, rows] of Object.entries(http1))
      await t.test(group, async (t) => {
        for (const row of rows) await attack(t, to, where, backend, row);
      });
  });
}

await t.test('HTTP/2', async (t) => {
  const { to, backend } = await recorded(t);
  const host = `127.0.0.1:${to.ports.upFront}`;
  for (const row of http2Rows) {
    const start = backend.octets.length;
    const wire = await openHttp2(to);
    wire.send(...row.sends(host));
    const end = await wire.ended(1);
    t.equal(end.how === 'whole' ? end.status : end.how, row.ends, `${row.name}: its end`);
    const next = end.how === 'gone' ? await openHttp2(to) : wire;
    const stream = end.how === 'gone' ? 1 : 3;
    next.send(
      headers(stream, [
        [':method', 'GET'],
        [':scheme', 'https'],
        [':authority', host],
        [':path', '/probe'],
      ]),
    );
    const answer = await next.ended(stream);
    t.equal(`${answer.status} ${answer.body}`, '200 seen GET /probe', `${row.name}: the next request`);
    for (const { socket } of [wire, next]) socket.destroy();
    received(t, backend.octets.slice(start), row, host, 'https');
  }
});

await t.test('what backends answer', async (t) => {
  const { to, backend } = await recorded(t);
  const host = `127.0.0.1:${to.ports.upFront}`;
  for (const row of answerRows) {
    backend.early.set('/answer', row.sends);
    const wire = await openWire(to, 'upFront');
    wire.send(`GET /answer HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    let answer = await wire.next();
    while (answer?.status === 103) answer = await wire.next();
    t.equal(answer?.status, row.status, `${row.name}: its status`);
    if (row.body !== undefined) t.equal(answer?.body, row.body, `${row.name}: its body`);
    t.notMatch(answer?.head, /injected|evil|upgrade|h2c|proxy-/i, `${row.name}: nothing is injected`);
    t.equal(answer?.head.match(/^x-request-id: [0-9a-f]{10}-[0-9a-z]+$/gim)?.length, 1, `${row.name}: one id, ours`);
    t.equal(answer?.head.match(/^x[-_]dsmapper[-_]/gim)?.length, 1, `${row.name}: one verdict, ours`);
    t.match(answer?.head, row.status === 200 ? /^X-DSMapper-Verdict: 200$/m : /^X-DSMapper-Verdict: 502/m);
    await probe(t, wire, host, row.name);
  }
});

await t.test('an answer to nobody ends the connection to the backend', async (t) => {
  const { to, backend } = await recorded(t);
  const host = `127.0.0.1:${to.ports.upFront}`;
  await probe(t, await openWire(to, 'upFront'), host, 'before');
  await backend.interrupt('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
  await probe(t, await openWire(to, 'upFront'), host, 'after');
});

await t.test('CL.0 and 0.CL: an answer before the body', async (t) => {
  const { to, backend } = await recorded(t);
  const host = `127.0.0.1:${to.ports.upFront}`;
  const body = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const early = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly';
  const framings = [
    ['Content-Length', `Content-Length: ${body.length}`, body.slice(0, 10), body.slice(10)],
    [
      'chunks',
      'Transfer-Encoding: chunked',
      `a\r\n${body.slice(0, 10)}\r\n`,
      `${(body.length - 10).toString(16)}\r\n${body.slice(10)}\r\n0\r\n\r\n`,
    ],
  ] as const;
  for (const [name, framing, first, rest] of framings)
    for (const [how, sends] of [
      ['stays', [early]],
      ['ends', [early, null]],
    ] as const) {
      backend.early.set('/early', sends);
      const from = backend.requests.length;
      const wire = await openWire(to, 'upFront');
      wire.send(`POST /early HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n\r\n${first}`);
      t.match(await wire.next(), { status: 200, body: 'early' }, `${name}, the backend ${how}`);
      wire.send(rest);
      await probe(t, wire, host, `${name}, the backend ${how}`);
      t.strictSame(
        backend.requests.slice(from).map(({ path }) => path),
        ['/probe'],
        "the rest of the body is nobody's request",
      );
    }
});

await t.test('pauses', async (t) => {
  const { to, backend } = await recorded(t, ', requestTimeout: 600ms, headersTimeout: 600ms');
  const host = `127.0.0.1:${to.ports.upFront}`;
  const smuggled = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const half = `POST /pause HTTP/1.1\r\nHost: ${host}\r\n`;
  for (const [name, bytes] of [
    ['half a head', half],
    ['a head that announces a body', `${half}Content-Length: ${smuggled.length}\r\n\r\n`],
    ['a head that announces chunks', `${half}Transfer-Encoding: chunked\r\n\r\n`],
    ['half a body', `${half}Content-Length: ${smuggled.length + 5}\r\n\r\nhello`],
    ['half a chunk', `${half}Transfer-Encoding: chunked\r\n\r\n50\r\nhello`],
  ] as const) {
    const from = backend.requests.length;
    const wire = await openWire(to, 'upFront');
    wire.send(bytes);
    const answer = await wire.next();
    t.ok(answer === null || answer.status === 408, `${name}: ${answer?.status}`);
    wire.send(smuggled);
    t.equal(await wire.rest(), '', `${name}: what comes later is not read`);
    await probe(t, await openWire(to, 'upFront'), host, name);
    t.strictSame(
      backend.requests.slice(from).map(({ path }) => path),
      ['/probe'],
      `${name}: the backend got no request of it`,
    );
  }
});

await t.test('a body that is read before the client is asked for its certificate', async (t) => {
  const { to, backend } = await recorded(t);
  const host = `127.0.0.1:${to.ports.late}`;
  const body = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const post = `POST /payroll HTTP/1.1\r\nHost: ${host}\r\n`;
  const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\nX-Remote-User: root\r\n\r\n`;
  for (const [name, bytes] of [
    ['Content-Length', `Content-Length: ${body.length}\r\n\r\n${body}`],
    ['chunks', `Transfer-Encoding: chunked\r\n\r\n${chunks}`],
  ] as const) {
    const from = backend.requests.length;
    const wire = await openWire(to, 'late', 'alice');
    wire.send(post + bytes);
    t.match(await wire.next(), { status: 200, body: 'seen POST /payroll' }, name);
    await probe(t, wire, host, name);
    const [request, ...others] = backend.requests.slice(from);
    t.strictSame(
      others.map(({ path }) => path),
      ['/probe'],
    );
    t.ok(request?.text.endsWith(`\r\ncontent-length: ${body.length}\r\n\r\n${body}`), 'one length, one body');
    t.strictSame(request?.text.match(/^x-remote-user: .*$/gim), ['X-Remote-User: LAB\\alice']);
  }
  const before = backend.octets.length;
  const wire = await openWire(to, 'late', 'alice');
  wire.send(`${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n${body}`);
  t.match(await wire.next(), { status: 400 });
  t.equal(await wire.rest(), '');
  await probe(t, await openWire(to, 'late'), host, 'broken chunks');
  t.notMatch(backend.octets.slice(before), /payroll|smuggled/, 'nothing of a broken body goes upstream');
});

interface Recorded {
  readonly to: TestGateway;
  readonly backend: RecordingBackend;
}

/** A gateway that lets everybody in at `/`, in front of a backend that keeps what it receives. */
async function recorded(t: Test, more = ''): Promise<Recorded> {
  const backend = await startRecordingBackend(t);
  const to = await testGateway(t, {
    lab,
    configure: (yaml) =>
      `${yaml.replace(/upstream: .*/, `upstream: ${backend.url}`).replace('sslFlags: [Ssl] }', 'sslFlags: [] }')}limits: { lingerTimeout: 300ms${more} }\n`,
  });
  return { to, backend };
}

async function attack(t: Test, to: TestGateway, where: WireWhere, backend: RecordingBackend, row: Row): Promise<void> {
  const host = `127.0.0.1:${to.ports[where]}`;
  const start = backend.octets.length;
  const wire = await openWire(to, where);
  const answers: number[] = [];
  for (const bytes of row.sends.slice(0, -1)) {
    wire.send(bytes.replaceAll('{host}', host));
    answers.push((await wire.next(row.toHead))?.status ?? 0);
  }
  wire.send((row.sends.at(-1) ?? '').replaceAll('{host}', host));
  while (answers.length < row.answers.length) answers.push((await wire.next(row.toHead))?.status ?? 0);
  t.strictSame(answers, row.answers, `${row.name}: its answers`);
  if (row.after === 'closed') {
    t.equal(await wire.rest(), '', `${row.name}: nothing more is said`);
    await probe(t, await openWire(to, where), host, row.name);
  } else await probe(t, wire, host, row.name);
  received(t, backend.octets.slice(start), row, host, where === 'http' ? 'http' : 'https');
}

/** What came of an attack and of the next request is just what the table says. */
function received(
  t: Test,
  octets: string,
  row: Pick<Row, 'name' | 'backend' | 'unfinished'>,
  host: string,
  scheme: 'http' | 'https',
): void {
  const got = octets.replaceAll(/^X-Request-Id: [0-9a-f]{10}-[0-9a-z]+(?=\r\n)/gm, 'X-Request-Id: {id}');
  const textFor = (template: string) => template.replaceAll('{host}', host).replaceAll('{scheme}', scheme);
  const own = textFor(row.backend);
  const next = textFor(sent('GET /probe'));
  const begun = row.unfinished === true ? got.slice(0, -next.length) : own;
  t.ok(own.startsWith(begun), `${row.name}: no more than ${JSON.stringify(own)} has begun: ${JSON.stringify(begun)}`);
  t.equal(got, begun + next, `${row.name}: what the backend received`);
}

/** The next request, on the same connection or on a fresh one, is answered as itself. */
async function probe(t: Test, wire: Wire, host: string, name: string): Promise<void> {
  wire.send(`GET /probe HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const answer = await wire.next();
  t.equal(`${answer?.status} ${answer?.body}`, '200 seen GET /probe', `${name}: the next request`);
  wire.socket.destroy();
}
