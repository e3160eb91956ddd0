/**
 * Whether failing servers leave anything behind: many requests over a mix of everything that servers do wrong, and what is open before and
 * after. Exits with 1 where something is.
 *
 *   node --expose-gc bench/upstream-leaks.ts [REQUESTS] [SEED]
 */
import { leakRun } from '../test/support/upstream-failures.ts';

const [requests = '50000', seed = '1'] = process.argv.slice(2);
const started = performance.now();
const run = await leakRun({ requests: Number(requests), concurrency: 64, seed: Number(seed) });
const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({ ...run, seconds: Math.round(seconds) }, null, 2));
const { before, after, mixed, unanswered } = run;
const perRequest = (after.heap - before.heap) / run.requests;
console.log(`heap: ${perRequest.toFixed(1)} octets a request`);
const leaks = after.sockets > before.sockets || after.timers > before.timers || perRequest > 100;
process.exitCode = leaks || mixed > 0 || unanswered > 0 ? 1 : 0;
