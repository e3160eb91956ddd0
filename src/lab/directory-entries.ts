/**
 * Objects as Active Directory would hold them: users, computers, groups with the attributes that a mapping reads.
 */
import { hash } from 'node:crypto';
import { sidBytes } from './directory-sid.ts';
import type { DirectoryEntry } from './directory-store.ts';
import { Failure } from '../base/failure.ts';

export interface PrincipalRecipe {
  /** DNS name of the domain. */
  readonly domain: string;
  readonly domainSid: string;
  readonly rid: number;
  /** The common name; also sAMAccountName (with `$` for computers) and the user part of the UPN unless given. */
  readonly name: string;
  readonly samAccountName?: string;
  /** Null: no explicit userPrincipalName. Computers have none unless given. */
  readonly upn?: string | null;
  /** DN of the parent; CN=Users or CN=Computers of the domain unless given. */
  readonly container?: string;
  /** 32 hex digits in wire order; made from the SID unless given. */
  readonly guid?: string;
  readonly userAccountControl?: number;
  /** Sets ACCOUNTDISABLE (2) in userAccountControl. */
  readonly disabled?: boolean;
  /** Locked out now and for ever: lockoutTime, and UF_LOCKOUT in the computed attribute. */
  readonly locked?: boolean;
  /** Null: never. */
  readonly accountExpires?: Date | null;
  /** The time of creation unless given; null: the password must be changed at the next logon. */
  readonly pwdLastSet?: Date | null;
  /** 21 octets, a bit an hour of the week from Sunday 0:00 UTC; absent: always. */
  readonly logonHours?: Buffer;
  /** 2020-01-01 unless given. */
  readonly whenCreated?: Date;
  readonly altSecurityIdentities?: readonly string[];
  readonly servicePrincipalNames?: readonly string[];
  readonly dnsHostName?: string;
  readonly mail?: string;
  readonly primaryGroupId?: number;
  /** Further attributes; they win over what is above, an empty list leaves one out. */
  readonly attributes?: Readonly<Record<string, readonly (string | Buffer)[]>>;
}

export interface GroupRecipe {
  readonly domain: string;
  readonly domainSid: string;
  readonly rid: number;
  readonly name: string;
  readonly container?: string;
  /** DNs of direct members. */
  readonly members?: readonly string[];
  /** Of account scope unless given (MS-ADTS 2.2.12). */
  readonly scope?: 'global' | 'domainLocal' | 'universal';
  /** Instead of a security group: one for mail, which gives no rights. */
  readonly distribution?: boolean;
}

export function adUser(recipe: PrincipalRecipe): DirectoryEntry {
  const upn = recipe.upn === undefined ? `${recipe.name}@${recipe.domain}` : recipe.upn;
  return principal(recipe, {
    classes: ['top', 'person', 'organizationalPerson', 'user'],
    category: 'Person',
    container: 'CN=Users',
    samAccountName: recipe.samAccountName ?? recipe.name,
    upn,
    control: 0x200,
    accountType: 805_306_368,
    primaryGroup: 513,
    hostName: recipe.dnsHostName ?? null,
    servicePrincipalNames: recipe.servicePrincipalNames ?? [],
  });
}

export function adComputer(recipe: PrincipalRecipe): DirectoryEntry {
  const hostName = recipe.dnsHostName ?? `${recipe.name.toLowerCase()}.${recipe.domain}`;
  return principal(recipe, {
    classes: ['top', 'person', 'organizationalPerson', 'user', 'computer'],
    category: 'Computer',
    container: 'CN=Computers',
    samAccountName: recipe.samAccountName ?? `${recipe.name.toUpperCase()}$`,
    upn: recipe.upn ?? null,
    control: 0x1000,
    accountType: 805_306_369,
    primaryGroup: 515,
    hostName,
    servicePrincipalNames: recipe.servicePrincipalNames ?? [`HOST/${recipe.name.toUpperCase()}`, `HOST/${hostName}`],
  });
}

export function adGroup(recipe: GroupRecipe): DirectoryEntry {
  const suffix = domainDn(recipe.domain);
  const sid = `${recipe.domainSid}-${recipe.rid}`;
  const scope = recipe.scope ?? 'global';
  const created = generalizedTime(new Date('2020-01-01T00:00:00Z'));
  return {
    dn: `CN=${escapeDnValue(recipe.name)},${recipe.container ?? `CN=Users,${suffix}`}`,
    attributes: {
      objectClass: ['top', 'group'],
      cn: [recipe.name],
      name: [recipe.name],
      sAMAccountName: [recipe.name],
      objectSid: [sidOf(sid)],
      objectGUID: [guidOf(sid)],
      objectCategory: [`CN=Group,CN=Schema,CN=Configuration,${suffix}`],
      groupType: [String(groupTypes[scope] | (recipe.distribution === true ? 0 : 0x8000_0000))],
      // SAM_GROUP_OBJECT or SAM_ALIAS_OBJECT, one more where it is not for security (MS-SAMR 2.2.1.9).
      sAMAccountType: [
        String((scope === 'domainLocal' ? 0x2000_0000 : 0x1000_0000) + Number(recipe.distribution === true)),
      ],
      whenCreated: [created],
      whenChanged: [created],
      member: recipe.members ?? [],
    },
  };
}

const groupTypes = { global: 2, domainLocal: 4, universal: 8 } as const;

interface Kind {
  readonly classes: readonly string[];
  readonly category: string;
  readonly container: string;
  readonly samAccountName: string;
  readonly upn: string | null;
  readonly control: number;
  readonly accountType: number;
  readonly primaryGroup: number;
  readonly hostName: string | null;
  readonly servicePrincipalNames: readonly string[];
}

function principal(recipe: PrincipalRecipe, kind: Kind): DirectoryEntry {
  const suffix = domainDn(recipe.domain);
  const dn = `CN=${escapeDnValue(recipe.name)},${recipe.container ?? `${kind.container},${suffix}`}`;
  const sid = `${recipe.domainSid}-${recipe.rid}`;
  const control = recipe.userAccountControl ?? kind.control | (recipe.disabled === true ? 2 : 0);
  const creation = recipe.whenCreated ?? new Date('2020-01-01T00:00:00Z');
  const created = generalizedTime(creation);
  const expires = recipe.accountExpires ?? null;
  const passwordSet = recipe.pwdLastSet === undefined ? creation : recipe.pwdLastSet;
  return {
    dn,
    attributes: {
      objectClass: kind.classes,
      cn: [recipe.name],
      name: [recipe.name],
      sAMAccountName: [kind.samAccountName],
      userPrincipalName: kind.upn === null ? [] : [kind.upn],
      objectSid: [sidOf(sid)],
      objectGUID: [recipe.guid === undefined ? guidOf(sid) : Buffer.from(recipe.guid, 'hex')],
      objectCategory: [`CN=${kind.category},CN=Schema,CN=Configuration,${suffix}`],
      userAccountControl: [String(control)],
      'msDS-User-Account-Control-Computed': recipe.locked === true ? ['16'] : [],
      lockoutTime: recipe.locked === true ? [fileTime(new Date('2020-01-01T00:00:00Z'))] : [],
      sAMAccountType: [String(kind.accountType)],
      primaryGroupID: [String(recipe.primaryGroupId ?? kind.primaryGroup)],
      pwdLastSet: [passwordSet === null ? '0' : fileTime(passwordSet)],
      logonHours: recipe.logonHours === undefined ? [] : [recipe.logonHours],
      accountExpires: [expires === null ? '9223372036854775807' : fileTime(expires)],
      whenCreated: [created],
      whenChanged: [created],
      altSecurityIdentities: recipe.altSecurityIdentities ?? [],
      servicePrincipalName: kind.servicePrincipalNames,
      dNSHostName: kind.hostName === null ? [] : [kind.hostName],
      mail: recipe.mail === undefined ? [] : [recipe.mail],
      ...recipe.attributes,
    },
  };
}

/** `lab.example.test` becomes `DC=lab,DC=example,DC=test`. */
export function domainDn(domain: string): string {
  return domain
    .split('.')
    .map((label) => `DC=${label}`)
    .join(',');
}

/** A text as the value of an RDN (RFC 4514 section 2.4). */
export function escapeDnValue(text: string): string {
  const escaped = text
    .replaceAll(/[\\,+"<>;=]/g, String.raw`\$&`)
    .replaceAll('\0', String.raw`\00`)
    .replace(/^[ #]/, String.raw`\$&`);
  return text.length > 1 && text.endsWith(' ') ? `${escaped.slice(0, -1)}\\ ` : escaped;
}

/** `20200101000000.0Z`, as Active Directory writes whenCreated. */
export function generalizedTime(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}.0Z`;
}

/** 100-nanosecond steps since 1601, in decimal (accountExpires, lockoutTime). */
export function fileTime(date: Date): string {
  return (BigInt(date.getTime()) * 10_000n + 116_444_736_000_000_000n).toString();
}

function sidOf(text: string): Buffer {
  const bytes = sidBytes(text);
  if (bytes === null)
    throw new Failure(`${text} is not a SID`, { code: 'lab-directory-entry', hint: 'give S-1-5-21-x-y-z and a RID' });
  return bytes;
}

function guidOf(sid: string): Buffer {
  return Buffer.from(hash('sha256', `guid of ${sid}`, 'hex').slice(0, 32), 'hex');
}
