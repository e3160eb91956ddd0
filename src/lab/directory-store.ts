/**
 * The entries of the embedded directory: a tree of objects with hash indexes over the attributes that Active Directory
 * indexes too. Decides which objects a search finds; what of them is shown is decided in `directory-search.ts`.
 */
import { Failure } from '../base/failure.ts';
import { foldRdns, joinRdns, splitRdns } from './directory-folding.ts';
import { evaluate, type Filter } from './directory-filter.ts';
import { isIndexed, isListed, keyOf } from './directory-schema.ts';

export interface DirectoryEntry {
  readonly dn: string;
  readonly attributes: Readonly<Record<string, readonly (string | Buffer)[]>>;
}

export interface StoredAttribute {
  /** The spelling in which the entry brought it. */
  readonly name: string;
  readonly values: readonly Buffer[];
  /** Comparable forms, made when first needed. */
  keys: readonly string[] | null;
  /** The attribute as it goes into an answer, made when first needed. */
  encoded: Buffer | null;
}

export interface StoredEntry {
  readonly dn: string;
  readonly key: string;
  readonly parent: StoredEntry | null;
  readonly children: Set<StoredEntry>;
  /** Head of the naming context the object lives in. */
  readonly context: StoredEntry;
  /** By lower-case name. */
  readonly attributes: Map<string, StoredAttribute>;
}

export type Scope = 'base' | 'one' | 'subtree';

export interface Reach {
  /** Also into naming contexts below that of the base. */
  readonly crossing?: boolean;
  /** Also tombstones. */
  readonly deleted?: boolean;
}

export interface Store {
  /** @throws Failure when the name is taken or is none, or lies in no naming context */
  add(entry: DirectoryEntry, contextHead?: boolean): void;
  /** Takes the object and what is below it away. @throws Failure when there is none */
  remove(dn: string): void;
  /** Sets an attribute; no values take it away. @throws Failure when there is no such object */
  replace(dn: string, attribute: string, values: readonly (string | Buffer)[]): void;
  /** Null where nothing has that name; `invalid` where the text is no name. */
  find(dn: string): StoredEntry | null | 'invalid';
  /** The object of an objectSid or objectGUID value. */
  findBy(attribute: 'objectsid' | 'objectguid', value: Buffer): StoredEntry | null;
  /** The nearest object above a name that does not exist; null outside of all naming contexts. */
  nearest(dn: string): StoredEntry | null;
  /** Groups that name the object as a member, directly. */
  groupsOf(entry: StoredEntry): readonly StoredEntry[];
  /** Heads of naming contexts that a search below `base` would cross into. */
  contextsBelow(base: StoredEntry, scope: Scope): readonly StoredEntry[];
  knows(attribute: string): boolean;
  /** Parents before children. */
  all(): Iterable<StoredEntry>;
  clear(): void;
  /** @param base null is the whole directory */
  search(base: StoredEntry | null, scope: Scope, filter: Filter, reach?: Reach): StoredEntry[];
  readonly size: number;
  /** Objects tried by searches so far: what an index saves. */
  readonly tried: number;
}

export function createStore(): Store {
  const byKey = new Map<string, StoredEntry>();
  const indexes = new Map<string, Map<string, Set<StoredEntry>>>();
  const seen = new Map<string, number>();
  const heads: StoredEntry[] = [];
  let tried = 0;

  const store: Store = {
    add(entry, contextHead = false) {
      const rdns = foldRdns(entry.dn);
      if (rdns === null || rdns.length === 0) throw refused(`${entry.dn} is not a distinguished name`);
      const key = joinRdns(rdns);
      if (byKey.has(key)) throw refused(`${entry.dn} exists already`);
      const parent = contextHead ? (byKey.get(joinRdns(rdns.slice(1))) ?? null) : parentOf(entry.dn, rdns);
      const attributes = new Map<string, StoredAttribute>();
      for (const [name, values] of Object.entries(entry.attributes))
        if (values.length > 0) attributes.set(name.toLowerCase(), stored(name, values));
      attributes.set('distinguishedname', stored('distinguishedName', [entry.dn]));
      const draft = { dn: entry.dn, key, parent, children: new Set<StoredEntry>(), attributes };
      const object: StoredEntry = Object.assign(draft, { context: parent?.context as StoredEntry });
      if (contextHead) {
        Object.assign(object, { context: object });
        heads.push(object);
      }
      byKey.set(key, object);
      parent?.children.add(object);
      for (const [name, attribute] of attributes) index(object, name, attribute);
    },
    remove(dn) {
      const object = existing(dn);
      for (const child of object.children) store.remove(child.dn);
      for (const [name, attribute] of object.attributes) unindex(object, name, attribute);
      object.parent?.children.delete(object);
      byKey.delete(object.key);
    },
    replace(dn, attribute, values) {
      const object = existing(dn);
      const name = attribute.toLowerCase();
      const before = object.attributes.get(name);
      if (before !== undefined) unindex(object, name, before);
      object.attributes.delete(name);
      if (values.length === 0) return;
      const after = stored(before?.name ?? attribute, values);
      object.attributes.set(name, after);
      index(object, name, after);
    },
    find(dn) {
      const rdns = foldRdns(dn);
      return rdns === null ? 'invalid' : (byKey.get(joinRdns(rdns)) ?? null);
    },
    findBy(attribute, value) {
      const [first] = indexes.get(attribute)?.get(keyOf(attribute, value) ?? '') ?? [];
      return first ?? null;
    },
    nearest(dn) {
      const rdns = foldRdns(dn) ?? [];
      for (let skip = 1; skip < rdns.length; skip += 1) {
        const above = byKey.get(joinRdns(rdns.slice(skip)));
        if (above !== undefined) return above;
      }
      return null;
    },
    groupsOf: (entry) => [...(indexes.get('member')?.get(entry.key) ?? [])],
    contextsBelow: (base, scope) =>
      heads.filter(
        (head) =>
          head !== base &&
          head.parent?.context === base.context &&
          inScope(head.parent, base, 'subtree', false) &&
          (scope === 'subtree' || (scope === 'one' && head.parent === base)),
      ),
    knows: (attribute) => isListed(attribute) || (seen.get(attribute) ?? 0) > 0,
    all: () => byKey.values(),
    clear() {
      for (const map of [byKey, indexes, seen]) map.clear();
      heads.length = 0;
    },
    search(base, scope, filter, { crossing = false, deleted = false } = {}) {
      const shown = (entry: StoredEntry) => deleted || !isTombstone(entry);
      if (scope === 'base') return base !== null && shown(base) && matches(base, filter) ? [base] : [];
      const found: StoredEntry[] = [];
      for (const entry of candidates(filter) ?? byKey.values())
        if (shown(entry) && inScope(entry, base, scope, crossing) && matches(entry, filter)) found.push(entry);
      return found;
    },
    get size() {
      return byKey.size;
    },
    get tried() {
      return tried;
    },
  };
  return store;

  function parentOf(dn: string, rdns: readonly string[]): StoredEntry {
    const found = byKey.get(joinRdns(rdns.slice(1)));
    if (found !== undefined) return found;
    const written = splitRdns(dn).slice(1);
    const rdn = /^\s*([A-Za-z]+)\s*=\s*(.*)$/.exec(written[0] ?? '');
    if (rdn === null || rdn[1]?.toUpperCase() === 'DC') throw refused(`${dn} lies in no naming context`);
    const type = rdn[1]?.toUpperCase() === 'OU' ? 'organizationalUnit' : 'container';
    store.add({
      dn: written.join(',').trim(),
      attributes: { objectClass: ['top', type], [rdn[1] ?? 'CN']: [rdn[2] ?? ''], name: [rdn[2] ?? ''] },
    });
    return existing(written.join(','));
  }

  function existing(dn: string): StoredEntry {
    const object = store.find(dn);
    if (object === null || object === 'invalid') throw refused(`there is no ${dn}`);
    return object;
  }

  function index(object: StoredEntry, name: string, attribute: StoredAttribute): void {
    seen.set(name, (seen.get(name) ?? 0) + 1);
    if (!isIndexed(name)) return;
    const byValue = indexes.get(name) ?? new Map<string, Set<StoredEntry>>();
    indexes.set(name, byValue);
    for (const key of keysOf(name, attribute)) {
      const objects = byValue.get(key);
      if (objects === undefined) byValue.set(key, new Set([object]));
      else objects.add(object);
    }
  }

  function unindex(object: StoredEntry, name: string, attribute: StoredAttribute): void {
    seen.set(name, (seen.get(name) ?? 0) - 1);
    const byValue = indexes.get(name);
    for (const key of byValue === undefined ? [] : keysOf(name, attribute)) {
      const objects = byValue?.get(key);
      objects?.delete(object);
      if (objects?.size === 0) byValue?.delete(key);
    }
  }

  function matches(entry: StoredEntry, filter: Filter): boolean {
    tried += 1;
    return (
      evaluate(filter, (name) => {
        const attribute = entry.attributes.get(name);
        if (attribute !== undefined) return keysOf(name, attribute);
        if (name !== 'memberof') return undefined;
        const groups = store.groupsOf(entry);
        return groups.length === 0 ? undefined : groups.map(({ key }) => key);
      }) === true
    );
  }

  /** Null where no index helps: then every object is tried. */
  function candidates(filter: Filter): Iterable<StoredEntry> | null {
    if (filter.kind === 'equal') {
      // memberOf is the other end of member and has no values of its own to be found by.
      if (!isIndexed(filter.attribute) || filter.attribute === 'memberof') return null;
      return indexes.get(filter.attribute)?.get(filter.key) ?? [];
    }
    if (filter.kind === 'and') {
      for (const part of filter.parts) {
        const some = candidates(part);
        if (some !== null) return some;
      }
      return null;
    }
    if (filter.kind !== 'or') return null;
    const union = new Set<StoredEntry>();
    for (const part of filter.parts) {
      const some = candidates(part);
      if (some === null) return null;
      for (const entry of some) union.add(entry);
    }
    return union;
  }
}

export function isTombstone(entry: StoredEntry): boolean {
  return entry.attributes.has('isdeleted');
}

function inScope(entry: StoredEntry, base: StoredEntry | null, scope: Scope, crossing: boolean): boolean {
  if (base === null) return scope === 'subtree' || entry.parent === null;
  if (!crossing && entry.context !== base.context) return false;
  if (scope === 'one') return entry.parent === base;
  for (let at: StoredEntry | null = entry; at !== null; at = at.parent) if (at === base) return true;
  return false;
}

function stored(name: string, values: readonly (string | Buffer)[]): StoredAttribute {
  const buffers = values.map((value) => (typeof value === 'string' ? Buffer.from(value, 'utf8') : value));
  return { name, values: buffers, keys: null, encoded: null };
}

function keysOf(name: string, attribute: StoredAttribute): readonly string[] {
  attribute.keys ??= attribute.values.map((value) => keyOf(name, value)).filter((key) => key !== null);
  return attribute.keys;
}

function refused(message: string): Failure {
  return new Failure(message, {
    code: 'lab-directory-entry',
    hint: 'correct the entry given to the embedded directory',
  });
}
