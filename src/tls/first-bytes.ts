/**
 * Waits for the ClientHello of a fresh connection and puts its bytes back, so that whoever speaks TLS next reads them
 * again. Bounds bytes; time is bounded by the front's handshake timer.
 */
import type { Socket } from 'node:net';
import { createClientHelloReader } from './client-hello.ts';
import type { ClientHello, MalformedReason } from './client-hello.ts';

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
