/**
 * Tests that need a program which may not be installed. Where it is missing the test is skipped with one line that says
 * what is missing; where `DSMAPPER_REQUIRE_PEERS` is set, as in CI, it fails instead, so that a missing peer cannot hide.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';

/**
 * Runs `body` when every program is there.
 * @param programs names looked for in PATH and in the sbin folders
 * @param packages what to install, for the notice
 */
export async function peerTest(
  name: string,
  programs: readonly string[],
  packages: string,
  body: (t: Test) => Promise<unknown>,
): Promise<void> {
  const missing = programs.filter((program) => findProgram(program) === null);
  const notice = `${missing.join(', ')} not installed (packages: ${packages})`;
  if (missing.length === 0) await t.test(name, async (t) => void (await body(t)));
  else if (process.env['DSMAPPER_REQUIRE_PEERS'] === undefined) await t.test(name, { skip: notice }, () => {});
  else t.fail(`${name}: ${notice}`);
}

/** The path of an executable, null where there is none. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  for (const folder of folders.filter((folder) => folder !== '')) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // looked for in the next folder
    }
  }
  return null;
}
