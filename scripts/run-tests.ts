/**
 * `npm test`: runs tap over all test files (or those named), shows failures as they come, and ends with one line of numbers. What was
 * skipped is named with its reason; with DSMAPPER_NO_SKIP=1 (the CI) a skip is a failure.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const tap = fileURLToPath(new URL('../node_modules/.bin/tap', import.meta.url));
const child = spawn(tap, ['--reporter=tap', ...process.argv.slice(2)], { stdio: ['ignore', 'pipe', 'inherit'] });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));

/** Lines of the file that is running, kept to be shown if it fails. */
let lines: string[] = [];
let file = '';
const counts = { passed: 0, failed: 0, skipped: 0 };
const skips: string[] = [];
let inFile = { passed: 0, failed: 0 };

for await (const line of createInterface({ input: child.stdout })) read(line);
const exit = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)));

for (const skip of skips) console.log(`skipped: ${skip}`);
const forbiddenSkips = process.env['DSMAPPER_NO_SKIP'] === '1' ? counts.skipped : 0;
if (exit !== 0 && counts.failed === 0) counts.failed = 1;
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed + forbiddenSkips > 0 ? 1 : 0;

function read(line: string): void {
  const begin = /^# Subtest: (.+)$/.exec(line);
  if (begin !== null) {
    file = begin[1] ?? '';
    lines = [];
    inFile = { passed: 0, failed: 0 };
    return;
  }
  const subtest = /^ {4}(ok|not ok) \d+ - (.*)$/.exec(line);
  if (subtest !== null) countSubtest(subtest[1] === 'ok', subtest[2] ?? '');
  const end = /^(ok|not ok) \d+ - (.*)$/.exec(line);
  if (end !== null) endFile(end[1] === 'ok', end[2] ?? '');
  lines.push(line);
}

function countSubtest(ok: boolean, title: string): void {
  const skip = /^(.*?) # SKIP(?: (.*))?$/i.exec(title);
  if (ok && skip !== null) {
    counts.skipped += 1;
    skips.push(`${skip[1]} (${file}): ${skip[2] ?? 'no reason given'}`);
    return;
  }
  counts[ok ? 'passed' : 'failed'] += 1;
  inFile[ok ? 'passed' : 'failed'] += 1;
}

function endFile(ok: boolean, title: string): void {
  const skip = /^(.*?) # SKIP(?: (.*))?$/i.exec(title);
  if (ok && skip !== null) {
    counts.skipped += 1;
    skips.push(`${skip[1]}: ${skip[2] ?? 'no reason given'}`);
    return;
  }
  if (!ok && inFile.failed === 0) counts.failed += 1;
  console.log(
    `${ok ? 'ok    ' : 'FAILED'} ${title.replace(/ # time=.*$/, '')} (${inFile.passed} passed${inFile.failed > 0 ? `, ${inFile.failed} failed` : ''})`,
  );
  if (!ok) for (const text of lines) console.log(`    ${text}`);
}
