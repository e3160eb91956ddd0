/**
 * CRLs and CA certificates from a directory. Decides which directory is asked, and which of several values is the answer.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { readAnonymously } from '../directory/anonymous-read.ts';
import type { ObjectReader } from '../directory/object-read.ts';
import type { LdapTarget } from './fetch-target.ts';
import { RetrievalError, type Fetched, type Retrieval } from './retrieval.ts';
import { createSharedBytes } from './shared-bytes.ts';

/** @throws RetrievalError */
export async function fetchLdap(
  { url, server, dn, attribute }: LdapTarget,
  maximumBytes: number,
  retrieval: Retrieval,
  directory: ObjectReader | null,
  clock: Pick<Clock, 'monotonic'>,
): Promise<Fetched> {
  const { signal } = retrieval;
  const left = retrieval.remaining();
  // A little earlier than the retrieval itself, to say why.
  const timeout = Math.ceil(left - Math.min(50, left / 10)) as Millis;
  const request = { dn, attribute, maximumBytes, signal, timeout };
  const answer =
    server === null
      ? await directory?.readObject(request)
      : await readAnonymously(server, request, () => clock.monotonic());
  if (answer === undefined) throw new RetrievalError('unsupportedUrl', 'no directory is configured');
  if (answer.kind !== 'read') throw new RetrievalError(codes[answer.kind], answer.reason);
  // An authority has many certificates, and any of them may be the one that is wanted; a list it has one of.
  const wantsAll = attribute === 'cACertificate' || attribute === 'crossCertificatePair';
  const bytes = createSharedBytes(maximumBytes);
  for (const value of wantsAll ? answer.values : answer.values.slice(0, 1))
    for (let at = 0; at < value.length; at += piece) {
      // In pieces, with others in between: a large list takes tens of milliseconds to copy.
      if (at > 0) await nextTurn();
      bytes.add(value.subarray(at, at + piece));
    }
  return {
    kind: 'fetched',
    bytes: bytes.finish(),
    from: url,
    validators: { etag: null, lastModified: null },
    maximumAge: null,
  };
}

const piece = 4 * 1024 * 1024;

const codes = { absent: 'notFound', tooLarge: 'tooLarge', unknown: 'unreachable' } as const;
