/**
 * The embedded directory of the laboratory: LDAP over real sockets, with the manners of an Active Directory domain controller
 * as far as certificate mapping meets them. Zero-install stand-in for tests and demonstrations, and the place where
 * a test lets a directory fail. It takes no writes over LDAP.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { createFaults, type DirectoryFaults } from './directory-faults.ts';
import { serveSession } from './directory-session.ts';
import { createStore, type DirectoryEntry } from './directory-store.ts';
import { plantTree } from './directory-tree.ts';

export interface DirectoryServerOptions {
  /** DNS name, such as `lab.example.test`. */
  readonly domain: string;
  readonly netbiosName: string;
  readonly domainSid: string;
  readonly host?: string;
  /** 0 or absent: any free one, kept over `stop` and `start`. */
  readonly port?: number;
  /** PEM. Null: clear text, where every bind with a password is refused. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Names are compared as given: DN, UPN or `DOMAIN\user`; list each spelling that may bind. */
  readonly bind: readonly { readonly dn: string; readonly password: string }[];
  readonly entries: Iterable<DirectoryEntry>;
  /** DER; null leaves the NTAuthCertificates object out. */
  readonly ntAuth: readonly Buffer[] | null;
  readonly upnSuffixes?: readonly string[];
  /** Replaces attributes of the rootDSE; an empty list takes one away. */
  readonly rootDse?: Readonly<Record<string, readonly string[]>>;
  /** 1000 as in Active Directory unless given. */
  readonly maxPageSize?: number;
  /** 1500 as in Active Directory unless given. */
  readonly valueRange?: number;
  /** Whether the port is that of a global catalog: partial attributes, the whole forest, no references. */
  readonly globalCatalog?: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface DirectoryServer {
  readonly port: number;
  readonly url: string;
  /** Search requests received since the server was made, that of the rootDSE too. */
  readonly searches: number;
  readonly binds: number;
  /** Open connections. */
  readonly connections: number;
  /** Connections accepted since the server was made. */
  readonly accepted: number;
  /** Settles when so many searches have been received since the server was made. */
  reached(searches: number): Promise<void>;
  /** @throws Failure when the name is taken */
  add(entry: DirectoryEntry): void;
  /** @throws Failure when there is no such object */
  remove(dn: string): void;
  /** No values take the attribute away. @throws Failure when there is no such object */
  replace(dn: string, attribute: string, values: readonly (string | Buffer)[]): void;
  readonly faults: DirectoryFaults;
  /** Closes port and connections; entries and counts stay. */
  stop(): Promise<void>;
  /** Opens the same port again. @throws Failure `lab-directory-listen` */
  start(): Promise<void>;
}

/** @throws Failure `lab-directory-listen` when the port cannot be had, `lab-directory-entry` when an entry is wrong */
export async function startDirectoryServer(options: DirectoryServerOptions): Promise<DirectoryServer> {
  const { tls, host = '127.0.0.1' } = options;
  const store = createStore();
  const facts = { ...options, upnSuffixes: options.upnSuffixes ?? [], rootDse: options.rootDse ?? {} };
  plantTree(store, facts);
  for (const entry of options.entries) store.add(entry);

  const sockets = new Set<Socket>();
  const waiting: { readonly searches: number; readonly resolve: () => void }[] = [];
  let held: (() => void)[] = [];
  let server: Server | null = null;
  let port = options.port ?? 0;
  const counts = { searches: 0, binds: 0, accepted: 0 };
  const faults = createFaults(() => {
    const resumed = held;
    held = [];
    for (const resume of resumed) resume();
  });
  const search = {
    store,
    facts,
    maxPageSize: options.maxPageSize ?? 1000,
    valueRange: options.valueRange ?? 1500,
    globalCatalog: options.globalCatalog ?? false,
    now: options.now ?? (() => systemClock.now()),
  };

  function counted(what: 'bind' | 'search'): void {
    if (what === 'bind') counts.binds += 1;
    else counts.searches += 1;
    for (const { searches, resolve } of waiting) if (counts.searches >= searches) resolve();
  }

  function track(socket: Socket): void {
    counts.accepted += 1;
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    if (faults.refuseConnections) socket.destroy();
  }

  function serve(socket: Socket): void {
    serveSession(socket, {
      search,
      credentials: options.bind,
      faults,
      secure: tls !== null,
      released: (resume) => void (faults.hold ? held.push(resume) : resume()),
      counted,
    });
  }

  async function start(): Promise<void> {
    if (server !== null) return;
    const created = tls === null ? createServer(serve) : createTlsServer({ ...tls, handshakeTimeout: 10_000 }, serve);
    created.on('connection', track);
    await new Promise<void>((resolve, reject) => {
      created.once('error', (cause) => {
        const hint = 'choose another port, or 0 for any';
        reject(new Failure(`cannot listen on ${host}:${port}`, { code: 'lab-directory-listen', hint, cause }));
      });
      created.listen(port, host, resolve);
    });
    port = (created.address() as AddressInfo).port;
    server = created;
  }

  async function stop(): Promise<void> {
    const closing = server;
    if (closing === null) return;
    server = null;
    held = [];
    const gone = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of sockets) socket.destroy();
    await Promise.all([...gone, new Promise((resolve) => closing.close(resolve))]);
  }

  await start();
  return {
    get port() {
      return port;
    },
    get url() {
      return `${tls === null ? 'ldap' : 'ldaps'}://${host}:${port}`;
    },
    get searches() {
      return counts.searches;
    },
    get binds() {
      return counts.binds;
    },
    get connections() {
      return sockets.size;
    },
    get accepted() {
      return counts.accepted;
    },
    reached: (searches) =>
      new Promise((resolve) => (counts.searches >= searches ? resolve() : waiting.push({ searches, resolve }))),
    add: (entry) => store.add(entry),
    remove: (dn) => store.remove(dn),
    replace: (dn, attribute, values) => store.replace(dn, attribute, values),
    faults,
    stop,
    start,
  };
}

export type { DirectoryEntry, DirectoryFaults };
