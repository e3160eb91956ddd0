/**
 * Whoever talks to a backend through the gateway gets what they would get without it: hundreds of exchanges, each over HTTP/1.1 and
 * HTTP/2 and many with a late certificate, beside the same one with the backend itself.
 */
import { connect as connectHttp2 } from 'node:http2';
import net from 'node:net';
import { setTimeout } from 'node:timers/promises';
import tls from 'node:tls';
import t from 'tap';
import { allowances } from '../support/conformance-allowances.ts';
import { startConformanceBackend } from '../support/conformance-backend.ts';
import type { ConformanceBackend } from '../support/conformance-backend.ts';
import type { ConformanceClient } from '../support/conformance-clients.ts';
import { http1Client, http2Client } from '../support/conformance-clients.ts';
import type { Difference, Sight } from '../support/conformance-differences.ts';
import { differences, ownAnswer } from '../support/conformance-differences.ts';
import type { Shape, Way } from '../support/conformance-shape.ts';
import { shapeField } from '../support/conformance-shape.ts';
import { conformanceShapes } from '../support/conformance-shapes.ts';
import type { TestGateway } from '../support/gateway.ts';
import { testGateway } from '../support/gateway.ts';

/** Milliseconds; an exchange takes a few. */
const patience = 30_000;
const shapes = conformanceShapes();
t.setTimeout(300_000);
const backend = await startConformanceBackend(shapes);
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

function lineOf({ shape, way, side, what, name, direct, through }: Difference): string {
  return `${shape.name} [${way}] ${side} ${what} ${name}: ${direct.slice(0, 200)} => ${through.slice(0, 200)}`;
}

/** Each way is a lane of its own; what the direct one saw is awaited by the others. */
async function runAll(
  rows: readonly Shape[],
  to: TestGateway,
  server: ConformanceBackend,
): Promise<readonly Difference[]> {
  const host = '127.0.0.1';
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
    const answer = await inTime(exchange, shape, `${shape.name} [${way}]: the client never had its answer`);
    if (way !== 'direct' && ownAnswer(answer) !== null) return { answer, request: null };
    const request = await inTime(server.seen(mark), shape, `${shape.name} [${way}]: the backend never finished`);
    return { answer, request };
  }
}

/** What does not end is named, instead of the whole test. */
async function inTime<Value>(value: Promise<Value>, shape: Shape, complaint: string): Promise<Value> {
  const deadline = new AbortController();
  const late = setTimeout(patienceFor(shape), null, { signal: deadline.signal }).then(() =>
    Promise.reject(new Error(complaint)),
  );
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

function clientsOf(to: TestGateway, direct: number): Readonly<Record<Way, ConformanceClient>> {
  const { ca } = to;
  const identity = to.identity('alice');
  const secure = (port: number, ALPNProtocols: string[]) => () =>
    new Promise<net.Socket>((resolve, reject) => {
      const socket = tls.connect({ port, host: '127.0.0.1', ca, ALPNProtocols, ...identity });
      socket.once('secureConnect', () => resolve(socket)).once('error', reject);
    });
  return {
    direct: http1Client(
      () =>
        new Promise((resolve) => {
          const socket = net.connect(direct, '127.0.0.1', () => resolve(socket));
        }),
      true,
    ),
    http1: http1Client(secure(to.ports.upFront, ['http/1.1']), true),
    late: http1Client(secure(to.ports.late, ['http/1.1']), false),
    http2: http2Client(
      () =>
        new Promise((resolve) => {
          const session = connectHttp2(`https://127.0.0.1:${to.ports.upFront}`, {
            ca,
            ...identity,
            settings: { maxHeaderListSize: 1_000_000, initialWindowSize: 1_000_000 },
            maxSendHeaderBlockLength: 200_000,
            maxHeaderListPairs: 1000,
          });
          session.once('connect', () => resolve(session));
        }),
    ),
  };
}
