/**
 * The backend of `bench/stream.ts`: `GET ...?size=N` is answered with so many octets in chunks, a body is read and counted. Prints its port.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const piece = Buffer.alloc(65_536, 7);

const server = createServer((request, response) => {
  const size = Number(/\?size=(\d+)$/.exec(request.url ?? '')?.[1] ?? 0);
  let octets = 0;
  request.on('data', (chunk: Buffer) => (octets += chunk.length));
  request.on('end', () => {
    if (size === 0) {
      response.end(String(octets));
      return;
    }
    let left = size;
    const write = (): void => {
      while (left > 0) {
        const next = piece.subarray(0, Math.min(left, piece.length));
        left -= next.length;
        if (!response.write(next)) break;
      }
      if (left > 0) response.once('drain', write);
      else response.end();
    };
    write();
  });
});
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
process.on('SIGTERM', () => process.exit(0));
