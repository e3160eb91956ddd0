/**
 * `npm run build`: emits JavaScript, declarations and source maps of `src` into `dist`, for the package and the image.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(`${root}/dist`, { recursive: true, force: true });
const { status } = spawnSync(`${root}/node_modules/.bin/tsc`, ['-p', `${root}/tsconfig.build.json`], {
  stdio: 'inherit',
});
if (status === 0) chmodSync(`${root}/dist/cli/main.js`, 0o755);
process.exitCode = status ?? 1;
