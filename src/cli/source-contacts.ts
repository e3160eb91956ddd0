/**
 * What `check` makes of the sources of revocation data: a list or OCSP answer that is taken up is good; one that came and is not taken up is
 * a finding, as is a source that the configuration does not allow; one that does not come is a system that is silent.
 */
import { isoText } from '../base/clock.ts';
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

type Outcome<T> =
  { readonly kind: 'taken' | 'unchanged'; readonly stored: T } | Extract<Refreshed | OcspRefreshed, { kind: 'failed' }>;

function contactOf<T>(what: string, refreshed: Outcome<T>, textOf: (stored: T) => string): Contact {
  if (refreshed.kind !== 'failed') return { what, answers: true, finding: false, detail: textOf(refreshed.stored) };
  const { code, detail } = refreshed;
  const answers = !silent.includes(code);
  return { what, answers, finding: answers, detail: `${code}: ${detail}` };
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
