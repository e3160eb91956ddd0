#!/usr/bin/env node
/**
 * The entry of the command: makes sure that Node is new enough before anything else is loaded, because older ones stop with a stack
 * trace where a sentence is due.
 */
import { nodeComplaint } from './node-version.ts';

const complaint = nodeComplaint(process.versions.node);

if (complaint.length > 0) {
  process.stderr.write(`${complaint.join('\n')}\n`);
  process.exitCode = 2;
} else {
  const { endQuietly, run } = await import('./program.ts');
  process.stdout.on('error', endQuietly);
  process.exitCode = await run(process.argv.slice(2));
}
