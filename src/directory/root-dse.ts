/**
 * What a server says about itself before anything else is asked (rootDSE, RFC 4512 section 5.1, MS-ADTS 3.1.1.3.2). Decides whether
 * it is the server that the configuration says it is.
 */
import type { Millis } from '../base/brand.ts';
import { domainScope, type Connection, type DirectorySearch } from './connection.ts';
import type { SearchRecord } from './directory.ts';
import { sameDn } from './dn.ts';
import { firstText, textOf, valuesOf } from './entry.ts';
import { anything } from './filter.ts';
import { searchRecord } from './search-record.ts';

export interface RootDse {
  /** Null where the server does not say: it is no domain controller, but may hold the entries all the same. */
  readonly defaultNamingContext: string | null;
  readonly configurationNamingContext: string | null;
  /** False only where a server says so. */
  readonly globalCatalogReady: boolean;
  /** It can be told to make no references to other servers. */
  readonly knowsDomainScope: boolean;
}

/** A rootDSE, or why there is none. */
export async function readRootDse(
  connection: Connection,
  url: string,
  timeout: Millis,
  monotonic: () => number,
  onSearch: (record: SearchRecord) => void,
): Promise<RootDse | string> {
  const sentAt = monotonic();
  const answer = await connection.search(request, timeout);
  onSearch(searchRecord(url, request, answer, monotonic() - sentAt));
  if (answer.kind !== 'entries') return `the rootDSE was not read: ${answer.reason}`;
  const [entry] = answer.entries;
  if (entry === undefined) return 'the server has no rootDSE';
  return {
    defaultNamingContext: firstText(entry, 'defaultNamingContext'),
    configurationNamingContext: firstText(entry, 'configurationNamingContext'),
    globalCatalogReady: firstText(entry, 'isGlobalCatalogReady')?.toUpperCase() !== 'FALSE',
    knowsDomainScope: valuesOf(entry, 'supportedControl').some((value) => textOf(value) === domainScope),
  };
}

/**
 * Why the server cannot be asked for the domain whose naming context is `base`; null when it can.
 * @param mustSay it has to name its domain; else one that names none is taken
 */
export function wrongDomain({ defaultNamingContext }: RootDse, base: string, mustSay = false): string | null {
  if (defaultNamingContext === null)
    return mustSay ? `the server does not say that it is a controller of ${base}` : null;
  if (sameDn(defaultNamingContext, base)) return null;
  return `the server is a controller of ${defaultNamingContext}, not of ${base}`;
}

/** Why the server cannot be asked as a global catalog; null when it can. */
export function wrongCatalog({ globalCatalogReady }: RootDse): string | null {
  return globalCatalogReady ? null : 'the server says that its global catalog is not ready';
}

const request: DirectorySearch = {
  base: '',
  scope: 'base',
  filter: anything,
  attributes: ['defaultNamingContext', 'configurationNamingContext', 'isGlobalCatalogReady', 'supportedControl'],
  sizeLimit: 0,
};
