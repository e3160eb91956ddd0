/**
 * What `check` makes of the sources of revocation data: a list or OCSP answer that is taken up is good; one that came and is not taken up is
 * a finding, as is a source that the configuration does not allow; one that does not come is a system that is silent. And whether lists can
 * be kept: the gateway does without, and would tell only its log.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isoText } from '../base/clock.ts';
import { codeOf, reasonOf } from '../base/failure.ts';
import type { RevocationSetup } from '../gateway/revocation-setup.ts';
import type {
  FetchFailure,
  OcspRefreshed,
  Refreshed,
  StoredCrl,
  StoredOcsp,
} from '../revocation/revocation-contract.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { Contact } from './check.ts';

export async function contactSources(revocation: Pick<RevocationSetup, 'contact'>): Promise<readonly Contact[]> {
  const contacted = await revocation.contact();
  return contacted.map((one) => {
    if (one.kind === 'crl') return contactOf(`CRL ${one.source}`, one.refreshed, listText);
    return contactOf(`OCSP responder ${one.source}`, one.refreshed, answerText);
  });
}

/** @param folder of the configuration; it may be missing, where it can be made */
export async function contactFolder(folder: string | null): Promise<readonly Contact[]> {
  if (folder === null) return [];
  const problem = await problemOf(folder);
  return [
    {
      what: `cacheDirectory ${folder}`,
      answers: true,
      finding: problem !== null,
      detail: problem === null ? 'lists can be kept' : `${problem}: lists do not outlive a restart`,
    },
  ];
}

async function problemOf(folder: string): Promise<string | null> {
  try {
    if (!(await stat(folder)).isDirectory()) return `${folder} is not a folder`;
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    const above = dirname(folder);
    return codeOf(error) === 'ENOENT' && above !== folder ? problemOf(above) : reasonOf(error);
  }
}

type Outcome<T> =
  { readonly kind: 'taken' | 'unchanged'; readonly stored: T } | Extract<Refreshed | OcspRefreshed, { kind: 'failed' }>;

function contactOf<T>(what: string, refreshed: Outcome<T>, textOf: (stored: T) => string): Contact {
  if (refreshed.kind !== 'failed') return { what, answers: true, finding: false, detail: textOf(refreshed.stored) };
  const { code, detail } = refreshed;
  const answers = !silent.includes(code);
  // Details of OCSP begin with the responder, because a verdict may name several.
  const own = detail.startsWith(`${what}: `) ? detail.slice(what.length + 2) : detail;
  return { what, answers, finding: answers, detail: `${code}: ${own}` };
}

/** Nobody answers there, or not with what was asked for. */
const silent: readonly string[] = [
  'unreachable',
  'timeout',
  'tooManyRedirects',
  'httpStatus',
  'cutOff',
  'notFound',
  'aborted',
] satisfies readonly FetchFailure[];

function answerText({ certificate }: StoredOcsp): string {
  return `answers about ${rfc4514Text(certificate.subject)}`;
}

function listText({ crl }: StoredCrl): string {
  const { entries, nextUpdate, crlNumber } = crl;
  const number = crlNumber === null ? 'no number' : `number ${crlNumber}`;
  const end = nextUpdate === null ? 'no nextUpdate' : `until ${isoText(nextUpdate)}`;
  return `${number}, ${entries.count} entries, ${end}`;
}
