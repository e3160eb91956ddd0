/**
 * The enterprise's NTAuth store: the authorities whose certificates may name accounts (MS-WCCE 2.2.2.11.3). Decides what was read; an
 * object that does not exist is an empty store, one that was not read is unknown. Who must be in it is decided by mapping.
 */
import { hash } from 'node:crypto';
import type { Digest } from '../base/brand.ts';
import type { SearchRecord } from './directory.ts';
import { valuesOf } from './entry.ts';
import type { Reading } from './fact.ts';
import { anything } from './filter.ts';
import { completeEntry } from './range.ts';
import { resultCodes } from './result-code.ts';
import type { ServerGroup } from './server-group.ts';

/**
 * SHA-256 of the DER of each certificate.
 * @param configuration DN of the configuration naming context
 * @param deadline monotonic milliseconds
 */
export async function readNtAuth(
  group: ServerGroup,
  configuration: string,
  deadline: number,
): Promise<Reading<ReadonlySet<Digest>>> {
  const base = `CN=NTAuthCertificates,CN=Public Key Services,CN=Services,${configuration}`;
  const records: SearchRecord[] = [];
  const request = { base, scope: 'base', filter: anything, attributes: ['cACertificate'], sizeLimit: 0 } as const;
  const answer = await group.search(request, deadline, records);
  if (answer.kind === 'code' && answer.code === resultCodes.noSuchObject)
    return { kind: 'read', value: new Set(), server: answer.server };
  const [entry] = answer.kind === 'entries' ? answer.entries : [];
  if (answer.kind !== 'entries' || entry === undefined)
    return {
      kind: 'unknown',
      reason: `${base} was not read: ${answer.kind === 'entries' ? 'no entry' : answer.reason}`,
    };
  const complete = await completeEntry({ entry, server: answer.server }, group, deadline, records);
  if (complete.kind === 'unknown') return complete;
  const certificates = complete.found.flatMap((found) => valuesOf(found.entry, 'cACertificate'));
  return { kind: 'read', value: new Set(certificates.map(digestOfDer)), server: answer.server };
}

function digestOfDer(der: Buffer): Digest {
  return hash('sha256', der, 'hex') as Digest;
}
