/**
 * The backend of a bench: as little work as an HTTP server can do. Prints its port.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const body = 'ok'.padEnd(100, '.');
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
process.on('SIGTERM', () => process.exit(0));
