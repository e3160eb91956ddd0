/**
 * Whoever talks to a backend through the gateway gets what they would get without it: hundreds of exchanges, each over HTTP/1.1 and
 * HTTP/2 and many with a late certificate, beside the same one with the backend itself.
 */
import { METHODS } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { allowances } from '../support/conformance-allowances.ts';
import type { ConformanceBackend, Script } from '../support/conformance-backend.ts';
import { delimiterOf, startConformanceBackend } from '../support/conformance-backend.ts';
import { pipelined } from '../support/conformance-clients.ts';
import type { Difference, Sight } from '../support/conformance-differences.ts';
import { differences, ownAnswer } from '../support/conformance-differences.ts';
import type { BodySeen } from '../support/conformance-octets.ts';
import { chunkOf, patternPieces, readBody, writeAll, writePieces } from '../support/conformance-octets.ts';
import type { Shape, Way } from '../support/conformance-shape.ts';
import { shapeField } from '../support/conformance-shape.ts';
import { conformanceShapes } from '../support/conformance-shapes.ts';
import { clientsOf, host, openStream, openTcp, openTls } from '../support/conformance-ways.ts';
import type { TestGateway } from '../support/gateway.ts';
import { testGateway } from '../support/gateway.ts';
import { run } from '../support/processes.ts';

/** Milliseconds; an exchange takes a few. */
const patience = 30_000;
/** Octets; more than all buffers of the system between client and backend hold. */
const flood = 64_000_000;
const nothing: Sight = { answer: null, request: null };
const shapes = conformanceShapes();
t.setTimeout(390_000);
const scripts = new Map<string, Script>();
const backend = await startConformanceBackend(shapes, scripts);
t.teardown(() => backend.stop());
const gateway = await testGateway(t, {
  configure: (yaml) => yaml.replace(/upstream: http:\S+/, `upstream: http://127.0.0.1:${backend.port}`),
});

await t.test('the table has hundreds of rows, and no two of one name', (t) => {
  t.ok(shapes.length >= 300, `${shapes.length} rows`);
  t.equal(new Set(shapes.map(({ name }) => name)).size, shapes.length);
  t.end();
});

await t.test('every row gives the same answer and the same request, save for what is allowed', async (t) => {
  const found = await runAll(shapes, gateway, backend);
  const used = new Set<string>();
  const wrong: string[] = [];
  for (const difference of found) {
    const reasons = allowances.filter(({ explains }) => explains(difference));
    for (const { name } of reasons) used.add(name);
    if (reasons.length === 0) wrong.push(lineOf(difference));
  }
  t.same(wrong.slice(0, 100), [], 'no difference without a reason');
  t.same(
    allowances.map(({ name }) => name).filter((name) => !used.has(name)),
    [],
    'no reason without a difference',
  );
});

await t.test('pipelined requests are answered in their order, as the backend would', async (t) => {
  const rows = [...shapes.entries()]
    .filter(([, shape]) => isPipelined(shape))
    .filter((_, at) => at % 4 === 0)
    .slice(0, 60);
  t.equal(rows.length, 60);
  const look = async (socket: Socket, way: string) => {
    const marked = rows.map(([index, { request }]) => ({
      request,
      fields: [[shapeField, `${index}.pipelined ${way}`]] as const,
    }));
    const answers = await pipelined(socket, host, marked);
    const seen = rows.map(([index]) => backend.seen(`${index}.pipelined ${way}`));
    return (await Promise.all(seen)).map((request, at): Sight => ({ answer: answers[at] ?? null, request }));
  };
  const direct = await look(await openTcp(backend.port), 'direct');
  for (const way of ['http1', 'late'] as const) {
    const through = await look(await openTls(gateway, way), way);
    const found = rows.flatMap(([, shape], at) =>
      differences(shape, way, direct[at] ?? nothing, through[at] ?? nothing),
    );
    t.same(found.filter((each) => !allowances.some(({ explains }) => explains(each))).map(lineOf), [], way);
  }
});

/** One request after another may follow without waiting, and nothing of it depends on time. */
function isPipelined({ request, answer }: Shape): boolean {
  const { leaves, expect, slow, version, fields, method } = request;
  const plain = leaves === null && !expect && !slow && version === '1.1' && METHODS.includes(method);
  const ends = answer.framing === 'close' || answer.early || answer.breaks !== null || answer.stalls !== null;
  return plain && !ends && fields.length === 0 && (request.body ?? 0) < 20_000;
}

for (const way of ['http1', 'http2', 'late'] as const) {
  await t.test(`what either side says arrives before it says more (${way})`, async (t) => {
    // A body that is read ahead is there as a whole or not at all.
    const speaks = way !== 'late';
    const mark = `dialogue ${way}`;
    const events = createCount();
    const words = createCount();
    const heads = createCount();
    scripts.set(mark, async ({ head, reader, socket }) => {
      const body = readBody(reader, delimiterOf(head.fields), (octets) => words.set(octets));
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      await heads.reach(1);
      for (let turn = 1; turn <= 5; turn += 1) {
        if (speaks) await words.reach(turn);
        socket.write(chunkOf(Buffer.from('data: x\n\n')));
        await events.reach(turn);
      }
      await body;
      socket.write('0\r\n\r\n');
    });
    const stream = await openStream(gateway, way, mark, speaks);
    let text = '';
    void stream.begun.then(() => heads.set(1));
    stream.onData((octets) => events.set((text += octets.toString('latin1')).split('data: ').length - 1));
    for (let turn = 1; turn <= 5; turn += 1) {
      if (speaks) stream.write(Buffer.from('x'));
      await inTime(events.reach(turn), patience, `turn ${turn} is held back`);
    }
    stream.end();
    await inTime(stream.ended, patience, 'the answer does not end');
    t.pass();
  });

  await t.test(`who does not read is not written to (${way})`, async (t) => {
    const [down, up] = [`flood ${way}`, `standstill ${way}`];
    let written = 0;
    scripts.set(down, async ({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${flood}\r\n\r\n`);
      for (const piece of patternPieces(flood)) {
        await writeAll(socket, [piece]);
        written += piece.length;
      }
    });
    const reader = await openStream(gateway, way, down, false);
    reader.pause();
    const held = await standstill(() => written);
    t.ok(held < flood / 2, `${held} octets of ${flood} left the backend while the client read nothing`);
    let octets = 0;
    reader.onData((piece) => (octets += piece.length));
    await inTime(reader.ended, patience, 'the rest of the answer does not come');
    t.ok(octets >= flood);

    if (way === 'late') return;
    const go = createCount();
    let body: BodySeen | null = null;
    scripts.set(up, async ({ head, reader, socket }) => {
      await go.reach(1);
      body = await readBody(reader, delimiterOf(head.fields));
      socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    });
    const writer = await openStream(gateway, way, up, true);
    let sent = 0;
    const sending = writePieces(
      writer,
      counted(patternPieces(flood), (octets) => (sent = octets)),
    );
    const taken = await standstill(() => sent);
    t.ok(taken < flood / 2, `${taken} octets of ${flood} left the client while the backend read nothing`);
    go.set(1);
    await inTime(sending, patience, 'the rest of the body is not taken');
    writer.onData(() => {});
    writer.end();
    await inTime(writer.ended, patience, 'the answer does not end');
    t.match(body, { octets: flood, pattern: true, ending: 'complete' });
  });
}

await t.test('memory does not know how long a body is', async (t) => {
  const bench = fileURLToPath(new URL('../../bench/stream.ts', import.meta.url));
  const output = await run(process.execPath, [bench, '--megabytes', '256']);
  const lines = output.trim().split('\n');
  t.equal(lines.length, 2, 'one way and the other, and neither above the bound');
  for (const line of lines) t.match(line, /"gigabytes":0.256.*"samples":[1-9]/, line);
});

/** Polls until it has not changed for half a second: a busy machine can only make it too low. */
async function standstill(value: () => number): Promise<number> {
  let last = -1;
  for (let same = 0; same < 25; same += 1) {
    if (value() !== last || last === 0) same = 0;
    last = value();
    await setTimeout(20);
  }
  return last;
}

function* counted(pieces: Iterable<Buffer>, tell: (octets: number) => void): Generator<Buffer> {
  let octets = 0;
  for (const piece of pieces) {
    yield piece;
    tell((octets += piece.length));
  }
}

/** A number that grows, and whoever waits for it. */
function createCount() {
  let value = 0;
  const waiting = new Set<() => void>();
  return {
    /** @returns false, for readers that ask whether they have enough */
    set(next: number): false {
      value = next;
      for (const look of waiting) look();
      return false;
    },
    reach: (wanted: number) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (value < wanted) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

function lineOf({ shape, way, side, what, name, direct, through }: Difference): string {
  return `${shape.name} [${way}] ${side} ${what} ${name}: ${direct.slice(0, 200)} => ${through.slice(0, 200)}`;
}

/** Each way is a lane of its own; what the direct one saw is awaited by the others. */
async function runAll(
  rows: readonly Shape[],
  to: TestGateway,
  server: ConformanceBackend,
): Promise<readonly Difference[]> {
  const clients = clientsOf(to, server.port);
  const found: Difference[] = [];
  for (const [index, shape] of rows.entries()) {
    const direct = await look(index, shape, 'direct');
    for (const way of shape.ways) found.push(...differences(shape, way, direct, await look(index, shape, way)));
  }
  for (const client of Object.values(clients)) client.close();
  return found;

  async function look(index: number, shape: Shape, way: Way): Promise<Sight> {
    const mark = `${index}.${way}`;
    const arrived = () => server.arrived(mark);
    const exchange = clients[way].ask(shape.request, host, [[shapeField, mark]], arrived);
    const answer = await inTime(
      exchange,
      patienceFor(shape),
      `${shape.name} [${way}]: the client never had its answer`,
    );
    if (way !== 'direct' && ownAnswer(answer) !== null) return { answer, request: null };
    const request = await inTime(
      server.seen(mark),
      patienceFor(shape),
      `${shape.name} [${way}]: the backend never finished`,
    );
    return { answer, request };
  }
}

/** What does not end is named, instead of the whole test. */
async function inTime<Value>(value: Promise<Value>, millis: number, complaint: string): Promise<Value> {
  const deadline = new AbortController();
  const late = setTimeout(millis, null, { signal: deadline.signal }).then(() => Promise.reject(new Error(complaint)));
  late.catch(() => {});
  try {
    return await Promise.race([value, late]);
  } finally {
    deadline.abort();
  }
}

function patienceFor({ request, answer }: Shape): number {
  return patience + ((request.body ?? 0) + (answer.body ?? 0)) / 1000;
}
