/**
 * CRLs and CA certificates from a directory. Decides which directory is asked, and which of several values is the answer.
 */
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
  const request = { dn, attribute, maximumBytes, signal, timeout: retrieval.remaining() };
  const answer =
    server === null
      ? await directory?.readObject(request)
      : await readAnonymously(server, request, () => clock.monotonic());
  if (answer === undefined) throw new RetrievalError('unsupportedUrl', 'no directory is configured');
  if (answer.kind !== 'read') throw new RetrievalError(codes[answer.kind], answer.reason);
  // An authority has many certificates, and any of them may be the one that is wanted; a list it has one of.
  const wantsAll = attribute === 'cACertificate' || attribute === 'crossCertificatePair';
  const bytes = createSharedBytes(maximumBytes);
  for (const value of wantsAll ? answer.values : answer.values.slice(0, 1)) bytes.add(value);
  return {
    kind: 'fetched',
    bytes: bytes.finish(),
    from: url,
    validators: { etag: null, lastModified: null },
    maximumAge: null,
  };
}

const codes = { absent: 'notFound', tooLarge: 'tooLarge', unknown: 'unreachable' } as const;
