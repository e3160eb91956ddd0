/**
 * The embedded directory of the laboratory: LDAP over real sockets, with the manners of an Active Directory domain controller
 * as far as certificate mapping meets them. Zero-install stand-in for tests and demonstrations, and the place where
 * a test lets a directory fail. It takes no writes over LDAP.
 */
import { hash } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Channel } from './directory-authentication.ts';
import { createFaults, type DirectoryFaults } from './directory-faults.ts';
import { createReplica, type Snapshot } from './directory-replica.ts';
import { serveSession } from './directory-session.ts';
import { createStore, type DirectoryEntry } from './directory-store.ts';
import { plantController, plantTree } from './directory-tree.ts';

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
  /** Clear text (`ldap://`) at first, until the client asks for StartTLS. */
  readonly startTls?: boolean;
  /**
   * SHA-256 of client certificates (lower-case hex) to the name each stands for, null: nobody. As in Active Directory, one counts without
   * a bind over LDAPS, and by SASL EXTERNAL after StartTLS (MS-ADTS 5.1.1.2).
   */
  readonly certificates?: ReadonlyMap<string, string | null>;
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
  /** Highest update sequence number; every change below moves it. */
  readonly highestCommittedUsn: number;
  /** Of the database; another after a restore. 16 octets. */
  readonly invocationId: Buffer;
  /** uSNChanged and whenChanged are those of now unless the entry brings them. @throws Failure when the name is taken */
  add(entry: DirectoryEntry): void;
  /** Takes the object away without a trace. @throws Failure when there is no such object */
  remove(dn: string): void;
  /** Makes a tombstone of it, which ordinary searches do not find. @throws Failure when there is no such object */
  delete(dn: string): void;
  /** @param to whole new name; groups follow. @throws Failure when there is no such object, or already one of the new name */
  move(dn: string, to: string): void;
  /** No values take the attribute away. @throws Failure when there is no such object */
  replace(dn: string, attribute: string, values: readonly (string | Buffer)[]): void;
  snapshot(): Snapshot;
  /** The older state with a new invocation id; connections stay. */
  restore(snapshot: Snapshot): void;
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
  const now = options.now ?? (() => systemClock.now());
  const replica = createReplica(store, { domain: options.domain, now });
  const facts = { ...options, upnSuffixes: options.upnSuffixes ?? [], rootDse: options.rootDse ?? {} };
  plantTree(replica, facts);
  plantController(replica, options.domain, replica.invocationId);
  for (const entry of options.entries) replica.add(entry);

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
    replica,
    facts,
    faults,
    maxPageSize: options.maxPageSize ?? 1000,
    valueRange: options.valueRange ?? 1500,
    globalCatalog: options.globalCatalog ?? false,
    now,
  };
  const authentication = { credentials: options.bind, certificates: options.certificates ?? new Map() };
  const isImplicit = tls !== null && options.startTls !== true;
  // What a client certificate chains to is nobody's business here: it is known by its octets.
  const secureOptions = {
    ...tls,
    handshakeTimeout: 10_000,
    requestCert: options.certificates !== undefined,
    rejectUnauthorized: false,
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
      authentication,
      faults,
      channel: channelOf(socket, isImplicit),
      encrypt: tls === null || socket instanceof TLSSocket ? null : () => encrypt(socket),
      released: (resume) => void (faults.hold ? held.push(resume) : resume()),
      counted,
    });
  }

  function encrypt(socket: Socket): void {
    const encrypted = new TLSSocket(socket, { ...secureOptions, isServer: true });
    encrypted.on('error', () => socket.destroy());
    encrypted.once('secure', () => serve(encrypted));
  }

  async function start(): Promise<void> {
    if (server !== null) return;
    const created = isImplicit ? createTlsServer(secureOptions, serve) : createServer(serve);
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
      return `${isImplicit ? 'ldaps' : 'ldap'}://${host}:${port}`;
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
    get highestCommittedUsn() {
      return replica.highestCommittedUsn;
    },
    get invocationId() {
      return replica.invocationId;
    },
    add: (entry) => replica.add(entry),
    remove: (dn) => replica.remove(dn),
    delete: (dn) => replica.delete(dn),
    move: (dn, to) => replica.move(dn, to),
    replace: (dn, attribute, values) => replica.replace(dn, attribute, values),
    snapshot: () => replica.snapshot(),
    restore: (snapshot) => replica.restore(snapshot),
    faults,
    stop,
    start,
  };
}

function channelOf(socket: Socket, implicit: boolean): Channel {
  if (!(socket instanceof TLSSocket)) return { encrypted: false, implicit: false, certificate: null };
  const shown = socket.getPeerX509Certificate();
  const certificate = shown === undefined ? null : hash('sha256', shown.raw, 'hex');
  return { encrypted: true, implicit, certificate };
}

export type { DirectoryEntry, DirectoryFaults, Snapshot };
