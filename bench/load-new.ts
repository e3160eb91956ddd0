/**
 * New connections: a handshake and one request each, with one certificate or with many in turn. autocannon knows one certificate and no
 * session reuse, so this is a driver of its own. Prints a `LoadResult`.
 */
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import type { LoadResult, LoadSettings } from './load.ts';

const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LoadSettings;
const url = new URL(settings.url);
const ca = readFileSync(settings.ca);
const contexts = settings.identities.map(({ cert, key }) =>
  tls.createSecureContext({
    ca,
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(settings.tls === undefined ? {} : { minVersion: settings.tls, maxVersion: settings.tls }),
  }),
);
const sessions: (Buffer | undefined)[] = contexts.map(() => undefined);
const request = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`;
const latencies: number[] = [];
let failed = 0;
let started = 0;

const begin = performance.now();
await Promise.all(Array.from({ length: settings.connections }, worker));
const seconds = (performance.now() - begin) / 1000;
latencies.sort((a, b) => a - b);
const output: LoadResult = {
  done: latencies.length,
  failed,
  seconds,
  p50: latencies[Math.floor(latencies.length * 0.5)] ?? 0,
  p99: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
};
console.log(JSON.stringify(output));

async function worker(): Promise<void> {
  while (started < settings.count) {
    const index = started % contexts.length;
    started += 1;
    const from = performance.now();
    if (await connectOnce(index)) latencies.push(performance.now() - from);
    else failed += 1;
  }
}

function connectOnce(index: number): Promise<boolean> {
  return new Promise((resolve) => {
    const context = contexts[index];
    const session = settings.resume === true ? sessions[index] : undefined;
    const socket = tls.connect({
      host: url.hostname,
      port: Number(url.port),
      ...(context === undefined ? {} : { secureContext: context }),
      ...(session === undefined ? {} : { session }),
    });
    let answer = '';
    socket.setNoDelay(true);
    socket.once('secureConnect', () => socket.write(request));
    if (settings.resume === true) socket.on('session', (fresh) => (sessions[index] = fresh));
    socket.on('data', (piece: Buffer) => (answer += answer.length < 12 ? piece.toString('latin1', 0, 12) : ''));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(answer.startsWith('HTTP/1.1 200')));
  });
}
