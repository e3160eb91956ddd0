/**
 * Attributes that Active Directory computes when they are asked for (MS-ADTS 3.1.1.4.5), from what the store holds.
 */
import { sidBytes, sidText } from './directory-sid.ts';
import type { Store, StoredEntry } from './directory-store.ts';

/**
 * @param attribute lower case
 * @param now milliseconds since 1970
 * @returns the spelling of the schema and the values; null where the attribute is not computed or the object has none
 */
export function constructed(
  store: Store,
  entry: StoredEntry,
  attribute: string,
  netbiosName: string,
  now: number,
): { readonly name: string; readonly values: readonly Buffer[] } | null {
  switch (attribute) {
    case 'memberof': {
      const values = store.groupsOf(entry).map(({ dn }) => Buffer.from(dn, 'utf8'));
      return values.length === 0 ? null : { name: 'memberOf', values };
    }
    case 'tokengroups':
      return named(
        'tokenGroups',
        groupSids(store, entry, () => true),
      );
    case 'tokengroupsglobalanduniversal':
      return named('tokenGroupsGlobalAndUniversal', groupSids(store, entry, isForestWide));
    case 'msds-principalname': {
      const name = textOf(entry, 'samaccountname');
      return name === null ? null : named('msDS-PrincipalName', [Buffer.from(`${netbiosName}\\${name}`, 'utf8')]);
    }
    case 'msds-user-account-control-computed':
      if (textOf(entry, 'useraccountcontrol') === null) return null;
      return named('msDS-User-Account-Control-Computed', [
        Buffer.from(String((isLocked(entry, now) ? 0x10 : 0) | (isPasswordExpired(entry, now) ? 0x80_0000 : 0))),
      ]);
    default:
      return null;
  }
}

function named(name: string, values: readonly Buffer[]): { name: string; values: readonly Buffer[] } | null {
  return values.length === 0 ? null : { name, values };
}

/**
 * The transitive closure of memberships with the primary group, without the object itself (MS-ADTS 3.1.1.4.5.19). Distribution groups
 * neither count nor lead on.
 */
function groupSids(store: Store, entry: StoredEntry, counts: (group: StoredEntry) => boolean): Buffer[] {
  const own = entry.attributes.get('objectsid')?.values[0];
  if (own === undefined) return [];
  const start: StoredEntry[] = [...store.groupsOf(entry)];
  const sids = new Map<string, Buffer>();
  const primary = sidBytes(`${sidText(own)?.replace(/-\d+$/, '') ?? ''}-${textOf(entry, 'primarygroupid') ?? ''}`);
  if (primary !== null) {
    sids.set(primary.toString('latin1'), primary);
    const group = store.findBy('objectsid', primary);
    if (group !== null) start.push(group);
  }
  const visited = new Set<StoredEntry>();
  for (let group = start.pop(); group !== undefined; group = start.pop()) {
    if (visited.has(group) || !isSecurityGroup(group)) continue;
    visited.add(group);
    const sid = group.attributes.get('objectsid')?.values[0];
    if (sid !== undefined && counts(group)) sids.set(sid.toString('latin1'), sid);
    start.push(...store.groupsOf(group));
  }
  return [...sids.values()];
}

/** GROUP_TYPE_SECURITY_ENABLED (MS-ADTS 2.2.12). */
function isSecurityGroup(group: StoredEntry): boolean {
  return (integerOf(group, 'grouptype') & 0x8000_0000n) !== 0n;
}

/** Whether it is of account or universal scope (MS-ADTS 2.2.12), not one that only its own domain knows. */
function isForestWide(group: StoredEntry): boolean {
  return (integerOf(group, 'grouptype') & 0xan) !== 0n;
}

/** UF_LOCKOUT of msDS-User-Account-Control-Computed (MS-ADTS 3.1.1.4.5.17). */
function isLocked(entry: StoredEntry, now: number): boolean {
  const lockoutTime = integerOf(entry, 'lockouttime');
  const trustBits = 0x800n | 0x1000n | 0x2000n;
  if (lockoutTime === 0n || (integerOf(entry, 'useraccountcontrol') & trustBits) !== 0n) return false;
  // A negative count of 100 ns; not negative means until an administrator unlocks.
  const duration = integerOf(entry.context, 'lockoutduration');
  return duration >= 0n || fileTimeOf(now) + duration <= lockoutTime;
}

/** UF_PASSWORD_EXPIRED of the same attribute. */
function isPasswordExpired(entry: StoredEntry, now: number): boolean {
  // DONT_EXPIRE_PASSWD, SMARTCARD_REQUIRED and the three kinds of trust accounts are exempt.
  const exempt = 0x1_0000n | 0x4_0000n | 0x800n | 0x1000n | 0x2000n;
  if ((integerOf(entry, 'useraccountcontrol') & exempt) !== 0n) return false;
  const set = integerOf(entry, 'pwdlastset');
  // A negative count of 100 ns; the lowest number there is means never.
  const age = integerOf(entry.context, 'maxpwdage');
  if (set === 0n) return true;
  return age !== -0x8000_0000_0000_0000n && age !== 0n && fileTimeOf(now) - set > -age;
}

function fileTimeOf(now: number): bigint {
  return BigInt(now) * 10_000n + 116_444_736_000_000_000n;
}

function integerOf(entry: StoredEntry, attribute: string): bigint {
  const text = textOf(entry, attribute);
  return text !== null && /^-?\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}

function textOf(entry: StoredEntry, attribute: string): string | null {
  return entry.attributes.get(attribute)?.values[0]?.toString('utf8') ?? null;
}
