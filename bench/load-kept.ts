/**
 * Kept connections, driven by autocannon: many requests on each of a few connections. Prints a `LoadResult`.
 */
import autocannon from 'autocannon';
import { readFileSync } from 'node:fs';
import type { LoadResult, LoadSettings } from './load.ts';

const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LoadSettings;
const [identity] = settings.identities;
if (identity === undefined) throw new Error('no identity');
const result = await autocannon({
  url: settings.url,
  connections: settings.connections,
  amount: settings.count,
  tlsOptions: {
    ca: readFileSync(settings.ca),
    cert: readFileSync(identity.cert),
    key: readFileSync(identity.key),
    ...(settings.tls === undefined ? {} : { minVersion: settings.tls, maxVersion: settings.tls }),
  },
});
const output: LoadResult = {
  done: result['2xx'],
  failed: result.non2xx + result.errors + result.timeouts,
  seconds: result.duration,
  p50: result.latency.p50,
  p99: result.latency.p99,
};
console.log(JSON.stringify(output));
