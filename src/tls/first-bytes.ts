/**
 * Waits for what a fresh connection begins with: the header of a proxy, which is taken away, and the ClientHello, whose bytes are put back, so
 * that whoever speaks TLS next reads them again. Bounds bytes; time is bounded by the front's handshake timer.
 */
import type { Socket } from 'node:net';
import { createByteStore } from './byte-cursor.ts';
import { createClientHelloReader } from './client-hello.ts';
import type { ClientHello, MalformedReason } from './client-hello.ts';

import { proxyHeaderIn } from './proxy-protocol.ts';
import type { ToldClient } from './proxy-protocol.ts';

export type FirstBytes =
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  | { readonly kind: 'malformed'; readonly reason: MalformedReason; readonly bytes: Buffer };

/** @param done called at most once, and not at all when the connection ends first */
export function readFirstBytes(raw: Socket, maximumBytes: number, done: (first: FirstBytes) => void): void {
  const reader = createClientHelloReader(maximumBytes);

  function onReadable(): void {
    const bytes: Buffer | null = raw.read();
    if (bytes === null) return;
    const result = reader.push(bytes);
    if (result.kind === 'incomplete') return;
    raw.off('readable', onReadable);
    if (result.kind === 'malformed') return done({ ...result, bytes: reader.received() });
    raw.unshift(reader.received());
    done(result);
  }
  raw.on('readable', onReadable);
}

/**
 * Takes the PROXY protocol header off a connection; what came behind it is read next.
 * @param done called at most once, and not at all when the connection ends first; null: the header tells no client
 */
export function readProxyHeader(raw: Socket, done: (client: ToldClient | null | 'malformed') => void): void {
  const store = createByteStore();

  function onReadable(): void {
    const bytes: Buffer | null = raw.read();
    if (bytes === null) return;
    store.append(bytes);
    const header = proxyHeaderIn(store.bytes());
    if (header.kind === 'incomplete') return;
    raw.off('readable', onReadable);
    if (header.kind === 'malformed') return done('malformed');
    const rest = store.bytes().subarray(header.octets);
    if (rest.length > 0) raw.unshift(rest);
    done(header.client);
  }
  raw.on('readable', onReadable);
}
