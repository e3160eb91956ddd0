#!/usr/bin/env node
/**
 * The entry of the command: makes sure that Node is new enough before anything else is loaded, because older ones stop with a stack
 * trace where a sentence is due.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < 26 || (major === 26 && minor < 9)) {
  process.stderr.write(`error: dsmapper needs Node 26.9 or later, this is ${process.versions.node}\n`);
  process.stderr.write(
    'hint: run it through npm in its own folder (npm start, npx dsmapper), which brings a Node of its own\n',
  );
  process.exitCode = 2;
} else {
  const { run } = await import('./program.ts');
  process.exitCode = await run(process.argv.slice(2));
}
