/**
 * The front: listeners, the binding of each connection, and the HTTP server of each binding, under one set of limits.
 * Bindings can be replaced while connections live. What a request means is decided by the handler.
 *
 * A client's certificate may be asked for up front (TLS 1.2 and 1.3, HTTP/2 allowed) or late, by renegotiation (TLS 1.2
 * and HTTP/1.1 only); one port serves both, because the ClientHello is read before a TLS stack sees it.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { createBindingServer } from './binding-server.ts';
import type { BindingServer, RequestSink, ServerContext } from './binding-server.ts';
import type { BindingSettings, ConnectionLimits } from './binding.ts';
import type { Connection } from './connection.ts';
import { planListens, unspecifiedOf } from './endpoints.ts';
import type { Listen } from './endpoints.ts';
import { openListener } from './listener.ts';
import type { Listener } from './listener.ts';
import { createReception } from './reception.ts';
import type { FrontEvents } from './reception.ts';

export interface FrontOptions extends RequestSink {
  readonly bindings: readonly BindingSettings[];
  readonly limits: ConnectionLimits;
  readonly events: FrontEvents;
  /** Random, 32 octets or more, the same in every process that shall resume each other's sessions. */
  readonly secret: Buffer;
  /** For the hourly change of ticket keys. */
  readonly clock?: Clock;
  /** See `ServerContext`. */
  readonly staplerOf?: NonNullable<ServerContext['staplerOf']>;
}

export interface FrontAddress {
  readonly binding: string;
  readonly address: string;
  readonly port: number;
}

export interface Front {
  /** Where each binding can be reached now, ports chosen by the system filled in. */
  addresses(): readonly FrontAddress[];
  /**
   * The binding that a connection to this local address and port with this server name gets: compare it with the
   * connection's own to find a request whose Host belongs to another binding (421).
   * @param host without port; null when there is none
   */
  bindingFor(host: string | null, localAddress: string, port: number): BindingSettings | null;
  connections(): Iterable<Connection>;
  /**
   * Takes up new bindings: all of them or, on failure, none. Connections of bindings that changed or went end gently.
   * @throws Failure as `startFront`
   */
  replaceBindings(bindings: readonly BindingSettings[]): Promise<void>;
  /** Closes the listeners; connections live on. */
  stopAccepting(): void;
  /** Ends everything at once. Resolves when the last socket is closed. */
  close(): Promise<void>;
}

/** @throws Failure `listen-failed`, `binding-*` */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { events, clock = systemClock } = options;
  /** By the binding object that connections carry; several generations only while one takes over. */
  const servers = new Map<BindingSettings, BindingServer>();
  const listens = new Map<string, Listen>();
  let listeners: readonly Listener[] = [];
  /** As `listeners`, but kept when these are closed: what came in through them is still served. */
  let entrances: readonly Listener[] = [];
  let accepting = true;
  let turn: Promise<void> = Promise.resolve();

  const reception = createReception({
    limits: options.limits,
    events,
    clock,
    serverOf: (binding) => servers.get(binding) ?? null,
  });
  const context: ServerContext = { ...options, ...reception };

  function open(listen: Listen): Promise<Listener> {
    return openListener(listen, {
      accepted: (raw) => reception.accept(() => listens.get(listen.key)?.group ?? null, raw),
      acceptFailed: (error) => events.acceptFailed?.(error),
    });
  }

  async function takeUp(bindings: readonly BindingSettings[]): Promise<void> {
    const former = new Map(servers);
    const next = serversFor(bindings, [...former.values()], context);
    const planned = planListens(next.map(({ binding }) => binding));
    const wanted = new Set(planned.map(({ key }) => key));
    const kept = listeners.filter(({ key }) => wanted.has(key));
    const leaving = listeners.filter(({ key }) => !wanted.has(key));
    const added = planned.filter(({ key }) => !kept.some((listener) => listener.key === key));
    // 0.0.0.0:443 cannot be opened while 127.0.0.1:443 still is.
    const inTheWay = leaving.filter(({ port }) => added.some((listen) => listen.port === port));

    for (const listener of inTheWay) listener.close();
    for (const server of next) servers.set(server.binding, server);
    for (const listen of added) listens.set(listen.key, listen);
    const opened = await openAll(added, open).catch(async (error: unknown) => {
      const before = inTheWay.flatMap(({ key }) => listens.get(key) ?? []);
      listeners = [...listeners.filter((listener) => !inTheWay.includes(listener)), ...(await openAll(before, open))];
      settleOn([...former.values()]);
      entrances = listeners;
      throw error;
    });

    for (const listener of leaving) listener.close();
    listeners = [...kept, ...opened];
    listens.clear();
    for (const listen of planned) listens.set(listen.key, listen);
    settleOn(next);
    entrances = listeners;
    if (!accepting) stopAccepting();
  }

  /** Retires every other server and ends its connections. */
  function settleOn(current: readonly BindingServer[]): void {
    for (const [binding, server] of servers) {
      if (current.includes(server)) continue;
      servers.delete(binding);
      server.retire();
    }
    for (const connection of reception.connections) if (!servers.has(connection.binding)) connection.end('gently');
  }

  function replaceBindings(bindings: readonly BindingSettings[]): Promise<void> {
    const mine = turn.then(() => takeUp(bindings));
    turn = mine.catch(() => {});
    return mine;
  }

  function stopAccepting(): void {
    accepting = false;
    for (const listener of listeners) listener.close();
    listeners = [];
  }

  await replaceBindings(options.bindings);
  return {
    addresses: () =>
      listeners.flatMap(({ key, address, port }) =>
        (listens.get(key)?.group.reachableAt(address) ?? []).map((reachable) => ({
          binding: reachable.binding.name,
          address: reachable.address,
          port,
        })),
      ),
    bindingFor(host, localAddress, port) {
      const here = [localAddress, unspecifiedOf(localAddress)];
      const listener = entrances.find((each) => each.port === port && here.includes(each.address));
      const group = listener === undefined ? undefined : listens.get(listener.key)?.group;
      return group?.bindingFor(host?.toLowerCase() ?? null, localAddress) ?? null;
    },
    connections: () => reception.connections,
    replaceBindings,
    stopAccepting,
    async close() {
      stopAccepting();
      const closed = [...reception.sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      for (const socket of reception.sockets) socket.destroy();
      await Promise.all(closed);
      settleOn([]);
    },
  };
}

/** A server for each binding; one whose settings are unchanged is kept, and with it the binding object. */
function serversFor(
  bindings: readonly BindingSettings[],
  former: readonly BindingServer[],
  context: ServerContext,
): readonly BindingServer[] {
  return bindings.map(
    (binding) =>
      former.find((server) => isDeepStrictEqual(server.binding, binding)) ?? createBindingServer(binding, context),
  );
}

/** Opens all or, on failure, leaves none open. */
async function openAll(
  listens: readonly Listen[],
  open: (listen: Listen) => Promise<Listener>,
): Promise<readonly Listener[]> {
  const opened: Listener[] = [];
  try {
    for (const listen of listens) opened.push(await open(listen));
  } catch (error) {
    for (const listener of opened) listener.close();
    throw error;
  }
  return opened;
}
