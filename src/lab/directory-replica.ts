/**
 * What a domain controller says of its own changes: the update sequence number of each object, the highest of them, and the invocation
 * that they belong to (MS-ADTS 3.1.1.1.9). Every change of the embedded directory goes through here; what objects are is decided in
 * `directory-store.ts`.
 */
import { hash } from 'node:crypto';
import { Failure } from '../base/failure.ts';
import { domainDn, escapeDnValue, generalizedTime } from './directory-entries.ts';
import { foldDn, splitRdns, unescapeValue } from './directory-folding.ts';
import type { DirectoryEntry, Store, StoredAttribute, StoredEntry } from './directory-store.ts';
import { settingsDn } from './directory-tree.ts';

export interface Replica {
  readonly highestCommittedUsn: number;
  /** 16 octets. */
  readonly invocationId: Buffer;
  add(entry: DirectoryEntry, contextHead?: boolean): void;
  /** Sets an attribute; no values take it away. Of uSNChanged itself: nothing else moves but, where it is higher, the highest. */
  replace(dn: string, attribute: string, values: readonly (string | Buffer)[]): void;
  /** Gives an object and what is below it another name; groups name it by that one from now on. */
  move(dn: string, to: string): void;
  /** Makes a tombstone of it (MS-ADTS 3.1.1.5.5.1.1): groups forget it, and only a search that asks for deleted objects finds it. */
  delete(dn: string): void;
  /** Takes it away without a trace, as no controller does. */
  remove(dn: string): void;
  snapshot(): Snapshot;
  /** The older state under a new invocation, as after a restore from a backup. */
  restore(snapshot: Snapshot): void;
}

/** A state of the directory, to come back to. */
export interface Snapshot {
  readonly usn: number;
  readonly objects: readonly { readonly entry: DirectoryEntry; readonly contextHead: boolean }[];
}

export interface ReplicaFacts {
  /** DNS name. */
  readonly domain: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What of an account a tombstone keeps; all else is gone. */
const kept: ReadonlySet<string> = new Set([
  'objectclass',
  'objectguid',
  'objectsid',
  'samaccountname',
  'useraccountcontrol',
  'usncreated',
  'whencreated',
]);

export function createReplica(store: Store, { domain, now }: ReplicaFacts): Replica {
  const deletedObjects = `CN=Deleted Objects,${domainDn(domain)}`;
  let usn = 0;
  let invocations = 0;
  let invocationId = nextInvocation();

  const replica: Replica = {
    get highestCommittedUsn() {
      return usn;
    },
    get invocationId() {
      return invocationId;
    },
    add(entry, contextHead) {
      const given = new Set(Object.keys(entry.attributes).map((name) => name.toLowerCase()));
      const number = [String(usn + 1)];
      const attributes = {
        uSNCreated: number,
        ...(given.has('usnchanged') ? {} : { uSNChanged: number }),
        ...(given.has('whenchanged') ? {} : { whenChanged: [generalizedTime(new Date(now()))] }),
        ...entry.attributes,
      };
      store.add({ dn: entry.dn, attributes }, contextHead);
      usn = Math.max(usn + 1, usnOf(store.find(entry.dn)));
    },
    replace(dn, attribute, values) {
      const name = attribute.toLowerCase();
      store.replace(dn, attribute, values);
      if (name === 'usnchanged') usn = Math.max(usn, usnOf(store.find(dn)));
      else touch(dn, name === 'whenchanged');
    },
    move(dn, to) {
      rename(dn, to);
      touch(to);
    },
    delete(dn) {
      const object = existing(dn);
      for (const child of [...object.children]) replica.delete(child.dn);
      for (const group of store.groupsOf(object)) relink(group, object, null);
      const id = object.attributes.get('objectguid')?.values[0]?.toString('hex') ?? '';
      const name = object.attributes.get('name')?.values[0]?.toString('utf8') ?? '';
      const tombstone = {
        ...Object.fromEntries([...object.attributes].filter(([key]) => kept.has(key)).map(asGiven)),
        cn: [`${name}\nDEL:${id}`],
        name: [`${name}\nDEL:${id}`],
        isDeleted: ['TRUE'],
        lastKnownParent: object.parent === null ? [] : [object.parent.dn],
      };
      store.remove(dn);
      replica.add({ dn: `CN=${escapeDnValue(name)}\\0ADEL:${id},${deletedObjects}`, attributes: tombstone });
    },
    remove(dn) {
      store.remove(dn);
      usn += 1;
    },
    snapshot: () => ({
      usn,
      objects: [...store.all()].map((object) => ({ entry: entryOf(object), contextHead: object.context === object })),
    }),
    restore(snapshot) {
      store.clear();
      for (const { entry, contextHead } of snapshot.objects) store.add(entry, contextHead);
      usn = snapshot.usn;
      invocationId = nextInvocation();
      const settings = settingsDn(domain);
      if (store.find(settings) !== null) replica.replace(settings, 'invocationId', [invocationId]);
    },
  };
  return replica;

  function nextInvocation(): Buffer {
    invocations += 1;
    return hash('sha256', `invocation ${invocations} of ${domain}`, 'buffer').subarray(0, 16);
  }

  function touch(dn: string, timed = false): void {
    usn += 1;
    store.replace(dn, 'uSNChanged', [String(usn)]);
    if (!timed) store.replace(dn, 'whenChanged', [generalizedTime(new Date(now()))]);
  }

  function existing(dn: string): StoredEntry {
    const object = store.find(dn);
    if (object !== null && object !== 'invalid') return object;
    throw new Failure(`there is no ${dn}`, { code: 'lab-directory-entry', hint: 'name an object that there is' });
  }

  /** Links follow their objects and are no change of the group (MS-ADTS 3.1.1.5.4). */
  function relink(group: StoredEntry, from: StoredEntry, to: string | null): void {
    const values = group.attributes.get('member')?.values ?? [];
    const others = values.map((value) => (foldDn(value.toString('utf8')) === from.key ? to : value));
    store.replace(
      group.dn,
      'member',
      others.filter((value) => value !== null),
    );
  }

  function rename(dn: string, to: string): void {
    const object = existing(dn);
    const subtree: { object: StoredEntry; dn: string }[] = [];
    const collect = (object: StoredEntry, dn: string): void => {
      subtree.push({ object, dn });
      for (const child of object.children) collect(child, `${splitRdns(child.dn)[0] ?? ''},${dn}`);
    };
    collect(object, to);
    if (store.find(to) !== null && store.find(to) !== object)
      throw new Failure(`${to} exists already`, { code: 'lab-directory-entry', hint: 'give another name' });
    for (const { object, dn } of subtree) for (const group of store.groupsOf(object)) relink(group, object, dn);
    // Read only now: a group that is moved itself has the new links.
    const entries = subtree.map(({ object, dn }) => ({ dn, attributes: entryOf(object).attributes }));
    store.remove(dn);
    for (const entry of entries) store.add(entry);
    const [, type = 'CN', value = ''] = /^\s*([A-Za-z]+)\s*=\s*(.*)$/.exec(splitRdns(to)[0] ?? '') ?? [];
    for (const attribute of [type, 'name']) store.replace(to, attribute, [unescapeValue(value) ?? value]);
  }
}

function entryOf(object: StoredEntry): DirectoryEntry {
  return {
    dn: object.dn,
    attributes: Object.fromEntries([...object.attributes].map(asGiven)),
  };
}

function asGiven([, { name, values }]: readonly [string, StoredAttribute]): [string, readonly Buffer[]] {
  return [name, values];
}

function usnOf(object: StoredEntry | null | 'invalid'): number {
  if (object === null || object === 'invalid') return 0;
  return Number(object.attributes.get('usnchanged')?.values[0]?.toString('latin1') ?? 0);
}
