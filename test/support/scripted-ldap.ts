/**
 * An LDAP server over TLS that does what a test says, message by message: for answers that no real directory gives, and for
 * silence at a chosen moment. Binds succeed, and the rootDSE and the names of the domains are answered, unless the script takes them.
 */
import { createServer as createPlainServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import { elementsOf, encode, type Element } from '../../src/lab/directory-ber.ts';
import {
  createMessageReader,
  encodeAttribute,
  encodeEntry,
  encodeResult,
  readRequest,
  responseTag,
  type Request,
  type SearchRequest,
} from '../../src/lab/directory-messages.ts';

export type Bind = Extract<Request, { kind: 'bind' }>;

export type Extended = Extract<Request, { kind: 'extended' }>;

export interface ScriptedConnection {
  /** 1 for the first connection that the server took. */
  readonly number: number;
  readonly socket: Socket;
  entry(id: number, dn: string, attributes: Readonly<Record<string, readonly (string | Buffer)[]>>): void;
  done(id: number, code?: number, message?: string): void;
  bound(id: number, code?: number, message?: string): void;
  raw(bytes: Buffer): void;
}

export interface Script {
  /** True: taken. */
  bind?: (request: Bind, connection: ScriptedConnection) => boolean;
  search?: (request: SearchRequest, connection: ScriptedConnection) => boolean;
  /** Extended operations are not known unless the script takes them. */
  extended?: (request: Extended, connection: ScriptedConnection) => boolean;
}

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  /** Connections taken so far. */
  readonly accepted: number;
  /** Connections that are open. */
  readonly open: number;
  readonly binds: number;
  readonly searches: readonly SearchRequest[];
  script: Script;
  close(): Promise<void>;
}

export const scriptedDomain = 'DC=lab,DC=example,DC=test';

/** @param tls null: clear text */
export async function startScriptedLdap(
  tls: { readonly cert: string; readonly key: string } | null,
  script: Script = {},
  host = '127.0.0.1',
): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const searches: SearchRequest[] = [];
  let accepted = 0;
  let binds = 0;
  const serve = (socket: Socket): void => {
    accepted += 1;
    socket.setNoDelay(true);
    const connection = scripted(socket, accepted);
    const reader = createMessageReader(1 << 24);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.read(chunk)) {
        const request = readRequest(message);
        if (request.kind === 'unbind') socket.end();
        if (request.kind === 'bind') {
          binds += 1;
          if (self.script.bind?.(request, connection) !== true) connection.bound(request.id);
        }
        if (request.kind === 'extended' && self.script.extended?.(request, connection) !== true)
          connection.raw(encodeResult(request.id, responseTag.extended, { code: 2 }));
        if (request.kind === 'search') {
          searches.push(request);
          if (self.script.search?.(request, connection) === true) continue;
          if (request.base === '' && request.scope === 'base')
            connection.entry(request.id, '', {
              defaultNamingContext: [scriptedDomain],
              configurationNamingContext: [`CN=Configuration,${scriptedDomain}`],
            });
          if (request.base.startsWith('CN=Partitions,') && request.scope === 'one')
            connection.entry(request.id, `CN=LAB,${request.base}`, {
              nCName: [scriptedDomain],
              nETBIOSName: ['LAB'],
              systemFlags: ['3'],
            });
          connection.done(request.id);
        }
      }
    });
  };
  const server = tls === null ? createPlainServer(serve) : createServer({ cert: tls.cert, key: tls.key }, serve);
  track(server, sockets);
  await listen(server, host);
  const { port } = server.address() as AddressInfo;
  const self: ScriptedServer = {
    url: `${tls === null ? 'ldap' : 'ldaps'}://${host}:${port}`,
    port,
    get accepted() {
      return accepted;
    },
    get open() {
      return sockets.size;
    },
    get binds() {
      return binds;
    },
    searches,
    script,
    close: () => close(server, sockets),
  };
  return self;
}

export interface SilentServer {
  readonly url: string;
  readonly accepted: number;
  close(): Promise<void>;
}

/** Takes TCP connections and never says a word. */
export async function startSilentServer(host = '127.0.0.1'): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createPlainServer((socket) => {
    accepted += 1;
    socket.on('error', () => {});
    socket.resume();
  });
  track(server, sockets);
  await listen(server, host);
  return {
    url: `ldaps://${host}:${(server.address() as AddressInfo).port}`,
    get accepted() {
      return accepted;
    },
    close: () => close(server, sockets),
  };
}

/** Every equality of a filter: attribute and value as they came over the wire. */
export function equalitiesOf(filter: Element): { readonly attribute: string; readonly value: Buffer }[] {
  if (filter.tag === 0xa3) {
    const [attribute, value] = elementsOf(filter.content);
    return [{ attribute: attribute?.content.toString('utf8') ?? '', value: value?.content ?? Buffer.alloc(0) }];
  }
  return (filter.tag & 0x20) === 0 ? [] : elementsOf(filter.content).flatMap(equalitiesOf);
}

/** Whether the search asks for this value, of whatever attribute. */
export function asksFor(request: SearchRequest, value: string): boolean {
  return equalitiesOf(request.filter).some((equality) => equality.value.toString('utf8') === value);
}

/** A search result entry as octets, for those that are to be cut or bent. */
export function entryBytes(
  id: number,
  dn: string,
  attributes: Readonly<Record<string, readonly (string | Buffer)[]>>,
): Buffer {
  const encoded = Object.entries(attributes).map(([name, values]) =>
    encodeAttribute(
      name,
      values.map((value) => Buffer.from(value)),
    ),
  );
  return encodeEntry(id, dn, encoded);
}

export function doneBytes(id: number, code = 0): Buffer {
  return encodeResult(id, responseTag.searchDone, { code });
}

export { encode };

function scripted(socket: Socket, number: number): ScriptedConnection {
  const raw = (bytes: Buffer): void => void socket.write(bytes);
  return {
    number,
    socket,
    raw,
    entry: (id, dn, attributes) => raw(entryBytes(id, dn, attributes)),
    done: (id, code = 0, message = '') => raw(encodeResult(id, responseTag.searchDone, { code, message })),
    bound: (id, code = 0, message = '') => raw(encodeResult(id, responseTag.bind, { code, message })),
  };
}

function track(server: Server, sockets: Set<Socket>): void {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
}

function listen(server: Server, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
}

function close(server: Server, sockets: Set<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}
