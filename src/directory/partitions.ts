/**
 * The names of the forest's domains, from CN=Partitions of the configuration (MS-ADTS 6.1.1.2.1). Decides what a domain is called and
 * which suffixes a userPrincipalName may have.
 */
import type { SearchRecord } from './directory.ts';
import { domainOfDn } from './dn.ts';
import { firstText, textOf, valuesOf, type DirectoryEntry } from './entry.ts';
import type { Reading } from './fact.ts';
import { anything, equalTo } from './filter.ts';
import type { ServerGroup } from './server-group.ts';

export interface Partitions {
  /** NetBIOS names by DNS name in lower case. */
  readonly netbiosNames: ReadonlyMap<string, string>;
  /** uPNSuffixes of the forest, lower case. */
  readonly upnSuffixes: readonly string[];
}

/**
 * @param configuration DN of the configuration naming context
 * @param deadline monotonic milliseconds
 */
export async function readPartitions(
  group: ServerGroup,
  configuration: string,
  deadline: number,
): Promise<Reading<Partitions>> {
  const base = `CN=Partitions,${configuration}`;
  const records: SearchRecord[] = [];
  const [container, crossRefs] = await Promise.all([
    group.search(
      { base, scope: 'base', filter: anything, attributes: ['uPNSuffixes'], sizeLimit: 0 },
      deadline,
      records,
    ),
    group.search(
      {
        base,
        scope: 'one',
        filter: {
          kind: 'and',
          parts: [equalTo('objectClass', 'crossRef'), { kind: 'present', attribute: 'nETBIOSName' }],
        },
        attributes: ['nCName', 'nETBIOSName', 'systemFlags'],
        sizeLimit: 0,
      },
      deadline,
      records,
    ),
  ]);
  if (container.kind !== 'entries') return { kind: 'unknown', reason: `${base} was not read: ${container.reason}` };
  if (crossRefs.kind !== 'entries') return { kind: 'unknown', reason: `${base} was not read: ${crossRefs.reason}` };
  const netbiosNames = new Map<string, string>();
  for (const entry of crossRefs.entries) {
    const domain = domainOfDn(firstText(entry, 'nCName') ?? '');
    const netbiosName = firstText(entry, 'nETBIOSName');
    if (domain !== null && netbiosName !== null && isDomain(entry)) netbiosNames.set(domain, netbiosName);
  }
  const [entry] = container.entries;
  const suffixes = entry === undefined ? [] : valuesOf(entry, 'uPNSuffixes').map(textOf);
  const upnSuffixes = suffixes.filter((suffix) => suffix !== null).map((suffix) => suffix.toLowerCase());
  return { kind: 'read', value: { netbiosNames, upnSuffixes }, server: crossRefs.server };
}

/** FLAG_CR_NTDS_DOMAIN, 2 (MS-ADTS 6.1.1.2.1.1.1). */
function isDomain(entry: DirectoryEntry): boolean {
  return (Number(firstText(entry, 'systemFlags') ?? 2) & 2) !== 0;
}
