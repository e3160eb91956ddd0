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
import type { Row } from './http1-rows.ts';
import { chunkRows, connectionRows, fields, framing, hosts, pipelines, sent, sizes, targets } from './http1-rows.ts';

const lab = await testLab(t);
const http1 = { framing, chunkRows, fields, connectionRows, targets, hosts, sizes, pipelines };

await t.test('the table has at least 80 attacks, no two of one name', (t) => {
  const names = Object.values(http1).flatMap((rows) => rows.map(({ name }) => name));
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
  const got = backend.octets
    .slice(start)
    .replaceAll(/^X-Request-Id: [0-9a-f]{10}-[0-9a-z]+(?=\r\n)/gm, 'X-Request-Id: {id}');
  const own = textFor(row.backend);
  const next = textFor(sent('GET /probe'));
  if (row.unfinished === true && got !== next) {
    t.ok(
      got.endsWith(next) && got.length < own.length + next.length + 1 && own.startsWith(got.slice(0, -next.length)),
      `${row.name}: what the backend received is no request: ${JSON.stringify(got)}`,
    );
  } else t.equal(got, own === '' || row.unfinished ? next : own + next, `${row.name}: what the backend received`);

  function textFor(template: string): string {
    return template.replaceAll('{host}', host).replaceAll('{scheme}', where === 'http' ? 'http' : 'https');
  }
}

/** The next request, on the same connection or on a fresh one, is answered as itself. */
async function probe(t: Test, wire: Wire, host: string, name: string): Promise<void> {
  wire.send(`GET /probe HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const answer = await wire.next();
  t.equal(`${answer?.status} ${answer?.body}`, '200 seen GET /probe', `${name}: the next request`);
  wire.socket.destroy();
}
