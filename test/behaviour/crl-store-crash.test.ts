/**
 * A process that is killed while it fetches, verifies or writes a list: whatever the moment, the next one starts with the last good list.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parseCrlHeader } from '../../src/x509/crl.ts';
import type { CrashTemplate } from '../support/crl-store-loop.ts';
import { listAuthority, listOf, openStore, scratchFolder, trusting } from '../support/crl-store-world.ts';
import { bulkEntries } from '../support/crl-writer.ts';
import { randomFrom } from '../support/mutation.ts';

const kills = 50;
const seed = Number(process.env['DSMAPPER_SEED'] ?? Date.now() % 1_000_000_000);
t.comment(`seed ${seed} (DSMAPPER_SEED)`);
const random = randomFrom(seed);
const program = fileURLToPath(new URL('../support/crl-store-loop.ts', import.meta.url));
const ca = listAuthority();
const source = 'http://pki.test/crash.crl';
/** Numbers count from here, so that each has four octets. */
const first = 0x01_00_00_00;

await t.test(`killed ${kills} times at random moments, it starts with the last good list each time`, async (t) => {
  const cacheDirectory = scratchFolder();
  const template = join(dirname(cacheDirectory), 'template.json');
  writeFileSync(template, JSON.stringify(makeTemplate()));
  const died = { fetching: 0, taken: 0, kept: 0, restored: 0 };
  let leftovers = 0;
  let kept = 0;
  let newest = 0;
  // A list is fetched, taken and kept in about so many milliseconds; measured as it goes.
  const spans = { fetching: 100, taken: 20 };
  const start = () =>
    spawn(process.execPath, [program, cacheDirectory, template], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { NODE_COMPILE_CACHE: join(dirname(cacheDirectory), 'compiled') },
    });
  // Started one ahead: it loads while another runs, and waits.
  let next = start();
  t.teardown(() => next.kill('SIGKILL'));
  for (let round = 0; round < kills; round += 1) {
    const [from, after] = (
      [
        ['fetching', 0],
        ['taken', 0],
        ['fetching', 1],
        ['taken', 1],
      ] as const
    )[round % 4] ?? ['fetching', 0];
    const child = next;
    next = start();
    const story = await runAndKill({ child, from, after, spans });
    t.equal(story.problem, '', `round ${round}: no problem`);
    if (story.restored === null) continue;
    t.ok(story.restored >= kept, `round ${round}: started with ${story.restored}, kept was ${kept}`);
    t.ok(story.restored <= newest, `round ${round}: started with ${story.restored}, taken was ${newest}`);
    kept = Math.max(kept, story.kept);
    newest = Math.max(newest, story.fetching);
    died[story.last] += 1;
    leftovers += readdirSync(cacheDirectory).filter((name) => name.endsWith('.tmp')).length;
  }
  const world = openStore(t, { cacheDirectory });
  await world.store.restore(trusting(ca));
  const found = Number(world.store.from(source)?.crl.crlNumber);
  t.ok(found >= kept && found <= newest, `in the end ${found} is there, ${kept} was kept`);
  t.strictSame(
    world.changes.map(({ kind }) => kind),
    ['taken'],
    'nothing was damaged',
  );
  t.equal(readdirSync(cacheDirectory).length, 1, 'no leftovers');
  t.comment(`died after ${JSON.stringify(died)}; ${leftovers} half-written files; ${found - first} lists`);
  t.ok(died.fetching >= 5, 'some died during a fetch');
  t.ok(died.taken >= 5, 'some died during a write');
});

function makeTemplate(): CrashTemplate {
  const list = listOf(ca, {
    crlNumber: first,
    entries: bulkEntries(20_000),
    thisUpdate: '2020-01-01T00:00:00Z',
    // The program lives in real time.
    nextUpdate: '2096-01-01T00:00:00Z',
  });
  const parsed = parseCrlHeader(list);
  if (parsed.kind === 'malformed') throw new Error(parsed.reason);
  const tbs = list.indexOf(parsed.header.tbs);
  return {
    list: list.toString('base64'),
    key: ca.key.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    number: list.lastIndexOf(Buffer.from('020401000000', 'hex')) + 2,
    tbs: [tbs, tbs + parsed.header.tbs.length],
    source,
  };
}

interface Killing {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  /** What it said last before the random wait for the kill. */
  readonly from: 'fetching' | 'taken';
  /** Lists that it may complete before. */
  readonly after: number;
  readonly spans: { fetching: number; taken: number };
}

interface Story {
  /** Null: it did not get that far. */
  restored: number | null;
  fetching: number;
  kept: number;
  last: 'fetching' | 'taken' | 'kept' | 'restored';
  problem: string;
}

async function runAndKill({ child, from, after, spans }: Killing): Promise<Story> {
  const lines = createInterface({ input: child.stdout });
  const ended = Promise.all([once(child, 'close'), once(lines, 'close')]);
  const story: Story = { restored: null, fetching: 0, kept: 0, last: 'restored', problem: '' };
  const said = { fetching: 0, taken: 0 };
  let completed = 0;
  const patience = setTimeout(() => child.kill('SIGKILL'), 20_000);
  lines.on('line', (line) => {
    const [what = '', value = ''] = line.split(' ');
    const at = performance.now();
    if (what === 'problem') story.problem = line;
    if (what === 'restored') story.restored = Number(value);
    if (what === 'fetching' || what === 'kept') story[what] = Number(value);
    if (what === 'fetching' || what === 'taken' || what === 'kept' || what === 'restored') story.last = what;
    if (what === 'fetching' || what === 'taken') said[what] = at;
    if (what === 'taken' && said.fetching > 0) spans.fetching = at - said.fetching;
    if (what === 'kept') {
      spans.taken = at - said.taken;
      completed += 1;
    }
    // What the disk gives is taken as well: it does not count.
    if (what === from && story.restored !== null && completed === after)
      setTimeout(() => child.kill('SIGKILL'), (random(1000) / 1000) * spans[from]);
  });
  child.stdin.write('go\n');
  await ended;
  clearTimeout(patience);
  return story;
}
