/**
 * Every account with altSecurityIdentities, page by page over a connection of its own. Decides what one page may cost, and that a domain
 * which was not read to its end is said to be so: what an audit does not mention, it must have looked at.
 */
import type { Clock } from '../base/clock.ts';
import type { Millis } from '../base/brand.ts';
import { accountAttributes, readAccount } from './account.ts';
import type { DirectorySearch } from './connection.ts';
import type { AccountScan, ScannedAccount, ScanPiece, SearchRecord } from './directory.ts';
import { dnOfDomain } from './dn.ts';
import type { DomainFacilities } from './domain.ts';
import type { DirectoryEntry } from './entry.ts';
import { equalTo } from './filter.ts';
import { openLine, type Line } from './line.ts';
import type { ObjectPlace } from './object-reader.ts';
import { completeEntry } from './range.ts';

export interface ScanMeans {
  /** The controllers of each domain. */
  readonly places: readonly ObjectPlace[];
  readonly netbiosName: DomainFacilities['netbiosName'];
  /** Bound on each search. */
  readonly timeout: Millis;
  readonly clock: Clock;
  readonly onSearch: (record: SearchRecord) => void;
}

/** What Active Directory gives at most (MaxPageSize). */
const pageSize = 1000;

export function createAccountScan(means: ScanMeans): AccountScan {
  return {
    async *scan(signal) {
      for (const place of means.places) {
        if (signal.aborted) return;
        yield* scanDomain(place, means, signal);
      }
    },
  };
}

async function* scanDomain(place: ObjectPlace, means: ScanMeans, signal: AbortSignal): AsyncGenerator<ScanPiece> {
  const domain = place.group.name;
  const failed = (reason: string): ScanPiece => ({ kind: 'failed', domain, reason });
  const deadline = means.clock.monotonic() + means.timeout;
  const netbios = await means.netbiosName(domain, deadline);
  if ('reason' in netbios) return yield failed(netbios.reason);
  const line = (await place.group.ready(deadline)) ? await connect(place, means, signal) : 'no controller is up';
  if (typeof line === 'string') return yield failed(line);
  try {
    let cookie: Buffer | null = null;
    do {
      const page = await line.page(searchOf(domain), pageSize, cookie);
      if (page.kind !== 'entries') return yield signal.aborted ? failed('it was given up') : failed(page.reason);
      const accounts: ScannedAccount[] = [];
      for (const entry of page.entries) accounts.push(await scanned(entry, netbios.name, line, means));
      ({ cookie } = page);
      yield { kind: 'accounts', domain, accounts };
    } while (cookie !== null && !signal.aborted);
    if (cookie !== null) yield failed('it was given up');
  } finally {
    line.close();
  }
}

/** To the first controller that takes a connection; cookies of pages belong to the connection. */
async function connect(place: ObjectPlace, means: ScanMeans, signal: AbortSignal): Promise<Line | string> {
  const { timeout, clock, onSearch } = means;
  const reasons: string[] = [];
  for (const server of place.servers.filter(({ up }) => up)) {
    const line = await openLine(server, { timeout, onSearch, signal, monotonic: () => clock.monotonic() });
    if (typeof line !== 'string') return line;
    reasons.push(line);
  }
  return reasons.join('; ') || 'no controller is up';
}

async function scanned(
  entry: DirectoryEntry,
  netbiosName: string,
  line: Line,
  { clock }: ScanMeans,
): Promise<ScannedAccount> {
  const { server } = line;
  const readAt = clock.now();
  const complete = await completeEntry({ entry, server }, line.group, Infinity, []);
  const [whole = { entry, server }] = complete.kind === 'found' ? complete.found : [];
  const { account, gaps } = readAccount(whole, netbiosName, readAt);
  return { account, gaps: complete.kind === 'found' ? gaps : [complete.reason, ...gaps] };
}

/** Computers are of class user too. */
function searchOf(domain: string): DirectorySearch {
  return {
    base: dnOfDomain(domain),
    scope: 'sub',
    filter: {
      kind: 'and',
      parts: [equalTo('objectClass', 'user'), { kind: 'present', attribute: 'altSecurityIdentities' }],
    },
    attributes: accountAttributes,
    sizeLimit: 0,
  };
}
