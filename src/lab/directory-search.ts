/**
 * Answers one search: base object, scope and limits, paged results, ranges of values, continuation references. Which
 * objects match is decided in `directory-store.ts`.
 */
import { constructed } from './directory-constructed.ts';
import type { DirectoryFaults } from './directory-faults.ts';
import { readFilter } from './directory-filter.ts';
import {
  encodeAttribute,
  encodeEntry,
  encodePaging,
  encodeReference,
  encodeResult,
  responseTag,
  resultCode,
  type ResultFacts,
  type SearchRequest,
} from './directory-messages.ts';
import { type Pages, takePage } from './directory-paging.ts';
import type { Replica } from './directory-replica.ts';
import { isBaseOnly, isConstructed, isPartial } from './directory-schema.ts';
import { sidBytes } from './directory-sid.ts';
import { isTombstone, type Store, type StoredEntry } from './directory-store.ts';
import { controlOid, rootDse, type TreeFacts } from './directory-tree.ts';

export interface SearchSettings {
  readonly store: Store;
  readonly facts: TreeFacts;
  /** MaxPageSize: entries in one answer. */
  readonly maxPageSize: number;
  /** MaxValRange: values of one attribute in one answer. */
  readonly valueRange: number;
  readonly globalCatalog: boolean;
  readonly replica: Pick<Replica, 'highestCommittedUsn'>;
  readonly faults: Pick<DirectoryFaults, 'references' | 'hidden' | 'deletedObjects'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Far above what a mapping asks for, far below what would occupy the process. */
const filterLimits = { depth: 64, nodes: 1024 };

/** The messages of the answer, SearchResultDone last. @throws Failure `ldap-malformed` */
export function answerSearch(settings: SearchSettings, request: SearchRequest, pages: Pages): Buffer[] {
  const done = (facts: ResultFacts) => encodeResult(request.id, responseTag.searchDone, facts);
  const unknown = request.controls.find(({ oid, critical }) => critical && !controlOids.has(oid));
  if (unknown !== undefined) {
    const message = `00000057: LdapErr: DSID-0C0907E0, comment: Error processing control, data 0 (${unknown.oid})`;
    return [done({ code: resultCode.unavailableCriticalExtension, message })];
  }
  if (request.base === '' && request.scope === 'base') return [rootEntry(settings, request), done({ code: 0 })];
  if (request.scope !== 'base' && request.attributes.some((name) => isBaseOnly(baseName(name)))) {
    const message = '00002120: SvcErr: DSID-03140289, problem 5012 (DIR_ERROR), data 0';
    return [done({ code: resultCode.operationsError, message })];
  }
  const { store, globalCatalog, faults } = settings;
  const knows = (attribute: string) => store.knows(attribute) && isShown(settings, attribute);
  const filter = readFilter(request.filter, knows, filterLimits);
  if (filter === null) return [done({ code: resultCode.adminLimitExceeded, message: 'the filter is too complex' })];
  const deleted = faults.deletedObjects && request.controls.some(({ oid }) => oid === controlOid.showDeleted);
  const base = baseObject(settings, request, deleted);
  if ('code' in base) return [done(base)];

  const find = () => store.search(base.object, request.scope, filter, { crossing: globalCatalog, deleted });
  const page = takePage(request, pages, settings.maxPageSize, find);
  if (page === null) {
    const message = '00000057: LdapErr: DSID-0C090A3A, comment: Error processing control, data 0';
    return [done({ code: resultCode.unwillingToPerform, message })];
  }
  return [
    ...page.entries.map((entry) => encodeObject(settings, request, entry)),
    ...(page.last ? references(settings, request, base.object) : []),
    done({ code: page.code, controls: page.cookie === null ? [] : [encodePaging(controlOid.paging, page.cookie)] }),
  ];
}

const controlOids: ReadonlySet<string> = new Set(Object.values(controlOid));

function baseObject(
  settings: SearchSettings,
  request: SearchRequest,
  deleted: boolean,
): { object: StoredEntry | null } | ResultFacts {
  const { store, globalCatalog } = settings;
  const { base } = request;
  // Only a global catalog searches "everything" (MS-ADTS 3.1.1.3.1.3.2).
  if (base === '') return globalCatalog ? { object: null } : { code: resultCode.noSuchObject, message: noObject('') };
  const byId = /^<(SID|GUID)=([^>]*)>$/i.exec(base);
  const object = byId === null ? store.find(base) : findById(store, byId[1] ?? '', byId[2] ?? '');
  if (object === 'invalid') {
    const message = '0000208F: NameErr: DSID-03100225, problem 2006 (BAD_NAME), data 8350, best match of:';
    return { code: resultCode.invalidDnSyntax, message };
  }
  if (object !== null && (deleted || !isTombstone(object))) return { object };
  const nearest = byId === null ? store.nearest(base) : null;
  const domain = [...base.matchAll(/(?<=^|,)\s*DC\s*=([^,]*)/gi)].map((match) => (match[1] ?? '').trim()).join('.');
  if (nearest === null && byId === null && domain !== '') {
    // A name of another forest or domain: the server sends the client away (MS-ADTS 3.1.1.3.1.3.2).
    const message = `0000202B: RefErr: DSID-0310082F, data 0, 1 access points\n\tref 1: '${domain.toLowerCase()}'\n`;
    return { code: resultCode.referral, message, referrals: [`ldap://${domain.toLowerCase()}/${base}`] };
  }
  const matchedDn = nearest?.dn ?? '';
  return { code: resultCode.noSuchObject, matchedDn, message: noObject(matchedDn) };
}

function noObject(bestMatch: string): string {
  return `0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'${bestMatch}'\n`;
}

function findById(store: Store, kind: string, text: string): StoredEntry | null | 'invalid' {
  const hex = /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, 'hex') : null;
  if (kind.toUpperCase() === 'SID') {
    const value = hex ?? sidBytes(text);
    return value === null ? 'invalid' : store.findBy('objectsid', value);
  }
  const parts = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(text)?.slice(1);
  if (parts === undefined) return hex === null ? 'invalid' : store.findBy('objectguid', hex);
  // The first three groups are little-endian integers (MS-DTYP 2.3.4).
  const groups = parts.map((part, index) =>
    index < 3 ? Buffer.from(part, 'hex').reverse() : Buffer.from(part, 'hex'),
  );
  return store.findBy('objectguid', Buffer.concat(groups));
}

function references(settings: SearchSettings, request: SearchRequest, base: StoredEntry | null): Buffer[] {
  const extra = settings.faults.references.map((uri) => encodeReference(request.id, uri));
  if (base === null || settings.globalCatalog) return extra;
  if (request.controls.some(({ oid }) => oid === controlOid.domainScope)) return extra;
  const contexts = settings.store.contextsBelow(base, request.scope);
  return [...contexts.map(({ dn }) => encodeReference(request.id, `ldap://${settings.facts.domain}/${dn}`)), ...extra];
}

function rootEntry(settings: SearchSettings, request: SearchRequest): Buffer {
  const wanted = new Set(request.attributes.map(baseName));
  const all = wanted.size === 0 || wanted.has('*');
  const state = { now: settings.now(), highestCommittedUsn: settings.replica.highestCommittedUsn };
  const attributes = Object.entries(rootDse(settings.facts, state))
    .filter(([name, values]) => values.length > 0 && (all || wanted.has(name.toLowerCase())))
    .map(([name, values]) =>
      encodeAttribute(name, request.typesOnly ? [] : values.map((value) => Buffer.from(value, 'utf8'))),
    );
  return encodeEntry(request.id, '', attributes);
}

function encodeObject(settings: SearchSettings, request: SearchRequest, entry: StoredEntry): Buffer {
  const shown: Buffer[] = [];
  const all = request.attributes.length === 0 || request.attributes.includes('*');
  if (all) {
    for (const name of entry.attributes.keys())
      if (!isConstructed(name)) shown.push(...encodeWanted(settings, request, entry, name));
    if (!entry.attributes.has('memberof')) shown.push(...encodeWanted(settings, request, entry, 'memberof'));
  }
  for (const wanted of new Set(request.attributes.map((name) => name.toLowerCase())))
    if (!all || isConstructed(baseName(wanted))) shown.push(...encodeWanted(settings, request, entry, wanted));
  return encodeEntry(request.id, entry.dn, shown);
}

/** @param wanted an attribute description as asked for, in lower case; options are honoured */
function encodeWanted(settings: SearchSettings, request: SearchRequest, entry: StoredEntry, wanted: string): Buffer[] {
  const [name = '', ...options] = wanted.split(';');
  const { store, facts, now, valueRange } = settings;
  if (!isShown(settings, name)) return [];
  const own = entry.attributes.get(name);
  const attribute = own ?? constructed(store, entry, name, facts.netbiosName, now());
  if (attribute === null) return [];
  const { values } = attribute;
  const range = options.map((option) => /^range=(\d{1,9})-(\d{1,9}|\*)$/.exec(option)).find((match) => match !== null);
  const spelling = options.includes('binary') ? `${attribute.name};binary` : attribute.name;
  if (range === undefined && values.length <= valueRange) {
    if (request.typesOnly) return [encodeAttribute(spelling, [])];
    if (own === undefined || spelling !== own.name) return [encodeAttribute(spelling, values)];
    own.encoded ??= encodeAttribute(own.name, values);
    return [own.encoded];
  }
  const low = Number(range?.[1] ?? 0);
  const high = range === undefined || range[2] === '*' ? Infinity : Number(range[2]);
  if (low >= values.length) return [];
  const end = Math.min(values.length, high + 1, low + valueRange);
  const name2 = `${spelling};range=${low}-${end === values.length ? '*' : end - 1}`;
  const part = encodeAttribute(name2, request.typesOnly ? [] : values.slice(low, end));
  // Where the server chose the range itself it sends the plain name too, without values (MS-ADTS 3.1.1.3.1.3.3; seen
  // in ldapjs issue 582).
  return range === undefined ? [encodeAttribute(spelling, []), part] : [part];
}

/** Whether this port carries the attribute and the reader may see it. */
function isShown({ globalCatalog, faults }: SearchSettings, attribute: string): boolean {
  if (globalCatalog && !isPartial(attribute)) return false;
  return !faults.hidden.some((hidden) => hidden.toLowerCase() === attribute);
}

function baseName(attribute: string): string {
  return attribute.toLowerCase().split(';', 1)[0] ?? '';
}
