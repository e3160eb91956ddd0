/**
 * Stands in for tap where a test file runs once for every mutant: the same comparisons, nothing told but whether all held, and the first
 * that does not ends the process. Loaded with `--import`; has only what the tests of src/mapping call, and throws for
 * anything else. What only measures is left out.
 */
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { match, same, strict } from 'tcompare';

type Body = (test: object) => unknown;

let ended = false;
let running = 0;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'tap' ? { url: import.meta.url, shortCircuit: true } : next(specifier, context),
});

process.on('exit', (code) => {
  if (ended) return;
  const held = code === 0 && running === 0;
  writeSync(
    1,
    `TAP version 14\n${held ? 'ok' : 'not ok'} 1 - ${held ? 'all' : 'the file did not come to its end'}\n1..1\n`,
  );
});

function hold(holds: boolean, name: string): boolean {
  if (holds) return true;
  ended = true;
  writeSync(1, `TAP version 14\nnot ok 1 - ${name.replaceAll(/[^\w .:-]/g, '_')}\n1..1\n`);
  process.exit(1);
}

function createTest(name: string): object {
  const teardowns: (() => unknown)[] = [];
  const all = {
    name,
    equal: (found: unknown, wanted: unknown) => hold(Object.is(found, wanted), `${name}: equal`),
    not: (found: unknown, wanted: unknown) => hold(!Object.is(found, wanted), `${name}: not`),
    ok: (found: unknown) => hold(Boolean(found), `${name}: ok`),
    notOk: (found: unknown) => hold(!found, `${name}: notOk`),
    same: (found: unknown, wanted: unknown) => hold(same(found, wanted).match, `${name}: same`),
    strictSame: (found: unknown, wanted: unknown) => hold(strict(found, wanted).match, `${name}: strictSame`),
    match: (found: unknown, wanted: unknown) => hold(match(found, wanted).match, `${name}: match`),
    notMatch: (found: unknown, wanted: unknown) => hold(!match(found, wanted).match, `${name}: notMatch`),
    fail: () => hold(false, `${name}: fail`),
    comment: () => undefined,
    capture: (owner: Record<string, unknown>, key: string, instead: unknown) => {
      const before = owner[key];
      const restore = () => (owner[key] = before);
      owner[key] = instead;
      teardowns.push(restore);
      return { restore };
    },
    teardown: (act: () => unknown) => void teardowns.push(act),
    test: async (title: string, ...rest: readonly [Body] | readonly [{ readonly skip?: unknown }, Body]) => {
      const [options, body] = rest.length === 1 ? [{}, rest[0]] : rest;
      if (options.skip || title.startsWith('measured: ')) return;
      running += 1;
      const inner = createTest(title) as typeof all;
      try {
        await body(inner);
        for (const act of inner.endings().toReversed()) await act();
      } catch (error) {
        hold(false, `${title}: ${String(error)}`);
      }
      running -= 1;
    },
    endings: () => teardowns,
  };
  return new Proxy(all, {
    get: (target, key) => {
      if (!(key in target)) throw new Error(`t.${String(key)} is not known here`);
      return target[key as keyof typeof all];
    },
  });
}

const t = createTest('file');

// oxlint-disable-next-line import/no-default-export -- tap has one
export default t;
