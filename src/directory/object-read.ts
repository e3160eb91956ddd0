/**
 * One attribute of one object, as octets: CRLs and CA certificates that live in a directory (RFC 4523). Decides what an answer means. Each
 * read has a connection of its own, which ends with it: a list of megabytes on a connection that is shared would keep the searches
 * for accounts waiting, and a slow one would cost them the connection.
 */
import type { Millis } from '../base/brand.ts';
import type { Connection } from './connection.ts';
import { valuesOf } from './entry.ts';
import { anything } from './filter.ts';
import { tooMuch, type FramingLimits } from './framed-socket.ts';
import { resultCodes } from './result-code.ts';

export interface ObjectRead {
  readonly dn: string;
  /** Without options: Active Directory knows no `;binary`, and others answer the plain name with it. */
  readonly attribute: string;
  /** Bound on the whole read, connection included. */
  readonly timeout: Millis;
  /** Octets of all values together. */
  readonly maximumBytes: number;
  /** Ends the read early. */
  readonly signal: AbortSignal;
}

export type ObjectAnswer =
  | { readonly kind: 'read'; /** At least one. */ readonly values: readonly Buffer[]; readonly server: string }
  /** The server answered: no such object, or the attribute is not there or not to be seen. */
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'tooLarge'; readonly reason: string }
  /** No server answered in time. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** What may be read beside accounts. */
export interface ObjectReader {
  /** Whether a server of this name or address is one of the configured ones. @param host lower case, without brackets */
  serves(host: string): boolean;
  /** From any configured server. Never rejects, settles within `timeout`. */
  readObject(request: ObjectRead): Promise<ObjectAnswer>;
}

/** Octets around the values in the one message that carries them: names, lengths, controls. */
const envelope = 65_536;

export function limitsFor({ maximumBytes }: ObjectRead): FramingLimits {
  return { message: maximumBytes + envelope, unfinished: maximumBytes + 2 * envelope };
}

/**
 * Asks, and ends the connection.
 * @param server URL, for reasons
 * @param patience milliseconds
 */
export async function readFrom(
  connection: Connection,
  server: string,
  { dn, attribute, maximumBytes, signal }: ObjectRead,
  patience: number,
): Promise<ObjectAnswer> {
  const stop = (): void => connection.destroy('the read was given up');
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const request = { base: dn, scope: 'base', filter: anything, attributes: [attribute], sizeLimit: 0 } as const;
  const answer = await connection.search(request, Math.max(1, patience) as Millis);
  signal.removeEventListener('abort', stop);
  void connection.close();
  if (answer.kind === 'lost')
    return { kind: answer.reason === tooMuch ? 'tooLarge' : 'unknown', reason: `${server}: ${answer.reason}` };
  if (answer.kind === 'code') {
    const absent = answer.code === resultCodes.noSuchObject;
    return { kind: absent ? 'absent' : 'unknown', reason: `${server}: ${answer.reason}` };
  }
  const [entry] = answer.entries;
  const values = entry === undefined ? [] : valuesOf(entry, attribute);
  const bytes = values.reduce((sum, value) => sum + value.length, 0);
  if (bytes > maximumBytes) return { kind: 'tooLarge', reason: `${server}: ${bytes} octets, at most ${maximumBytes}` };
  if (values.length > 0) return { kind: 'read', values, server };
  return { kind: 'absent', reason: `${server}: ${entry === undefined ? 'no such object' : `no ${attribute} there`}` };
}
