/**
 * What `check` makes of the sources of revocation data: a list that is taken up is good; one that came and is not taken up is a finding, as is
 * a source that the configuration does not allow; one that does not come is a system that is silent.
 */
import { isoText } from '../base/clock.ts';
import type { RevocationSetup } from '../gateway/revocation-setup.ts';
import type { FetchFailure, Refreshed, StoredCrl } from '../revocation/revocation-contract.ts';
import type { Contact } from './check.ts';

export async function contactSources(revocation: Pick<RevocationSetup, 'contact'>): Promise<readonly Contact[]> {
  const contacted = await revocation.contact();
  return contacted.map(({ source, refreshed }) => contactOf(`CRL ${source}`, refreshed));
}

function contactOf(what: string, refreshed: Refreshed): Contact {
  if (refreshed.kind !== 'failed') return { what, answers: true, finding: false, detail: listText(refreshed.stored) };
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

function listText({ crl }: StoredCrl): string {
  const { entries, nextUpdate, crlNumber } = crl;
  const number = crlNumber === null ? 'no number' : `number ${crlNumber}`;
  const end = nextUpdate === null ? 'no nextUpdate' : `until ${isoText(nextUpdate)}`;
  return `${number}, ${entries.count} entries, ${end}`;
}
