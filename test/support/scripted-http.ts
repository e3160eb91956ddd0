/**
 * A web server that answers octet by octet as a test says: whole, late, cut off, endless or not at all.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface ScriptedHttp {
  /** `127.0.0.1:port` */
  readonly place: string;
  readonly port: number;
  /** With a slash at its end. */
  readonly url: string;
  /** In the order in which they were complete. */
  readonly requests: readonly HttpRequest[];
  /** Connections open now. */
  readonly open: number;
  /** Connections accepted so far. */
  readonly accepted: number;
}

/** Called for each complete request. */
export type HttpScript = (request: HttpRequest, socket: Socket) => void;

export async function startScriptedHttp(
  t: { teardown(end: () => unknown): void },
  script: HttpScript,
  options: { readonly host?: string; readonly tls?: { readonly cert: string; readonly key: string } } = {},
): Promise<ScriptedHttp> {
  const { host = '127.0.0.1', tls } = options;
  const requests: HttpRequest[] = [];
  const sockets = new Set<Socket>();
  let accepted = 0;
  const serve = (socket: Socket): void => {
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const request = requestOf(received);
      if (request === null) return;
      received = Buffer.alloc(0);
      requests.push(request);
      script(request, socket);
    });
  };
  const server: Server = tls === undefined ? createServer(serve) : createTlsServer({ ...tls }, serve);
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    place,
    port,
    url: `http${tls === undefined ? '' : 's'}://${place}/`,
    requests,
    get open() {
      return sockets.size;
    },
    get accepted() {
      return accepted;
    },
  };
}

/** A whole answer with its length; the connection stays open. */
export function answer(
  status: number,
  body: Buffer | string = '',
  headers: Readonly<Record<string, string>> = {},
): Buffer {
  const bytes = Buffer.from(body);
  const fields = Object.entries({ 'content-length': String(bytes.length), ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Whatever\r\n${fields.join('')}\r\n`, 'latin1'), bytes]);
}

function requestOf(bytes: Buffer): HttpRequest | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [line = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n');
  const headers = Object.fromEntries(
    fields.map((field) => [
      field.slice(0, field.indexOf(':')).toLowerCase(),
      field.slice(field.indexOf(':') + 1).trim(),
    ]),
  );
  const body = bytes.subarray(end + 4);
  if (body.length < Number(headers['content-length'] ?? 0)) return null;
  const [method = '', path = ''] = line.split(' ');
  return { method, path, headers, body };
}
