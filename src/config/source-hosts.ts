/**
 * Hosts that revocation data may be fetched from, and URLs of such data, as the configuration language writes them. Both are
 * read by what will fetch, so that nothing loads here that is refused there.
 */
import { Failure } from '../base/failure.ts';
import { createAllowedHosts, defaultPorts } from '../revocation/allowed-hosts.ts';
import { hostText } from '../revocation/authority-text.ts';
import { targetOf } from '../revocation/fetch-target.ts';
import { quoted } from './complaint.ts';
import { text, type Scalar } from './scalars.ts';

export interface SourceUrl {
  readonly url: string;
  /** What allows it, as an entry of `revocation.hosts`; null: it needs none. */
  readonly host: string | null;
}

/** One entry of `revocation.hosts`, lower case. */
export const sourceHost: Scalar<string> = text('host, host:port, .domain or https://host', (raw) => {
  try {
    createAllowedHosts([raw]);
    return { value: raw.toLowerCase() };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { wrong: `${quoted(raw)} is not a host to fetch from`, hint: otherHost(raw) ?? error.hint };
  }
});

function otherHost(raw: string): string | null {
  if (raw.startsWith('*.')) return `write \`${raw.slice(1)}\` for all names below it`;
  const source = readSourceUrl(raw);
  return 'url' in source && source.host !== null ? `write \`${source.host}\`: the host alone` : null;
}

/** @returns why it is none, as a clause, when it is none */
export function readSourceUrl(raw: string): SourceUrl | { readonly why: string } {
  let host: string | null = null;
  const target = targetOf(raw, {
    hosts: {
      allows(scheme, name, port) {
        const place = port === defaultPorts[scheme] ? hostText(name) : `${hostText(name)}:${port}`;
        host = scheme === 'https' ? `https://${place}` : place;
        return true;
      },
    },
    files: new Set(),
    // A server of the directory needs no entry, but does no harm with one.
    serves: () => false,
  });
  return target.kind === 'refused' ? { why: target.why.replace(/^.*? is not fetched: /, '') } : { url: raw, host };
}
