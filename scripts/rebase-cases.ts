/**
 * Writes what the configuration cases yield now into their expected.txt: after messages were changed on purpose. Read the
 * difference before committing it; a test that was never red proves nothing.
 *
 *   npx -c 'node scripts/rebase-cases.ts'              all cases
 *   npx -c 'node scripts/rebase-cases.ts NAME...'      some
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createConfigWorld } from '../test/support/config-world.ts';

const root = new URL('../test/cases/config/', import.meta.url);
const wanted = process.argv.slice(2);
const world = await createConfigWorld();
for (const entry of await readdir(root, { withFileTypes: true })) {
  if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
  if (wanted.length > 0 && !wanted.includes(entry.name)) continue;
  const folder = new URL(`${entry.name}/`, root);
  const outcome = await world.outcome(await readFile(new URL('config.yaml', folder)));
  const expected = new URL('expected.txt', folder);
  const before = await readFile(expected, 'utf8').catch(() => '');
  if (before === outcome) continue;
  await writeFile(expected, outcome);
  console.log(`${before === '' ? 'new' : 'changed'}: ${entry.name}`);
}
