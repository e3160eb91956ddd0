/**
 * What a session is bound to. Tickets of one binding mean nothing to another, nor to the same binding under another
 * trust or asking its clients in another way; and no chain of renewed tickets outlives an hour, because the key does not.
 */
import { hkdfSync } from 'node:crypto';
import type { Instant } from '../base/brand.ts';
import { digestOf } from '../base/bytes.ts';
import type { BindingSettings } from './binding.ts';

/** Milliseconds for which one ticket key lives. A ticket renewed on resumption starts its own lifetime anew; the key ends it. */
const epochMillis = 3_600_000;

export function epochOf(now: Instant): number {
  return Math.floor(now / epochMillis);
}

/** @returns the 48 octets of Node's `ticketKeys`: key name, HMAC key and AES key */
export function ticketKeysOf(secret: Buffer, binding: BindingSettings, epoch: number): Buffer {
  const label = digestOf('dsmapper ticket key', boundTo(binding), String(epoch));
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), Buffer.from(label, 'hex'), 48));
}

/** OpenSSL's session id context, at most 32 characters: a session of another context is not resumed. */
export function sessionContextOf(binding: BindingSettings): string {
  return digestOf('dsmapper session context', boundTo(binding)).slice(0, 32);
}

function boundTo(binding: BindingSettings): string {
  return digestOf(binding.name, binding.trustDigest, binding.clientCertificate);
}
