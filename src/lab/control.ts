/**
 * Looks into and troubles the lab's directory from outside: `GET /searches` answers the number of searches so far, `POST /directory/stop`
 * and `POST /directory/start` make and end an outage.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DirectoryServer } from './directory-server.ts';

export interface LabControl {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startControl(directory: DirectoryServer): Promise<LabControl> {
  const server = createServer((request, response) => {
    request.resume();
    answer(`${request.method} ${request.url}`, directory)
      .then((text) =>
        response.writeHead(text === null ? 404 : 200, { 'content-type': 'text/plain' }).end(`${text ?? 'unknown'}\n`),
      )
      .catch((error: unknown) => response.writeHead(500).end(`${String(error)}\n`));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(line: string, directory: DirectoryServer): Promise<string | null> {
  if (line === 'GET /searches') return String(directory.searches);
  if (line === 'POST /directory/stop') {
    await directory.stop();
    return 'stopped';
  }
  if (line === 'POST /directory/start') {
    await directory.start();
    return 'started';
  }
  return null;
}
