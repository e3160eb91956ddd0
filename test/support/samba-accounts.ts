/**
 * Accounts of the Samba fixture as LDIF for ldbmodify, which applies it with the rights of the system: over LDAP nobody may say
 * when an account was created or that it is locked.
 */
import { domainDn, escapeDnValue, fileTime, generalizedTime } from '../../src/lab/directory-entries.ts';
import { ldifLine, ldifLines } from './ldif.ts';

export const domain = 'lab.example.test';
export const suffix = domainDn(domain);

export interface SambaUser {
  /** Common name and sAMAccountName. */
  readonly name: string;
  readonly kind?: 'user' | 'computer';
  /** Null: none. */
  readonly upn?: string | null;
  readonly altSecurityIdentities?: readonly string[];
  readonly disabled?: boolean;
  /** Locked out from now on, for as long as the policy of the domain says. */
  readonly locked?: boolean;
  readonly expires?: Date;
  readonly whenCreated?: Date;
  readonly password?: string;
  /** Relative to the domain; CN=Users or CN=Computers unless given. */
  readonly container?: string;
  /** Further attributes, text or octets. */
  readonly attributes?: Readonly<Record<string, readonly (string | Buffer)[]>>;
}

export function userDn(user: SambaUser): string {
  const container = user.container ?? (user.kind === 'computer' ? 'CN=Computers' : 'CN=Users');
  return `CN=${escapeDnValue(user.name)},${container},${suffix}`;
}

export function userLdif(user: SambaUser): string {
  const computer = user.kind === 'computer';
  const control = (computer ? 4096 : 512) | (user.disabled === true ? 2 : 0) | (user.password === undefined ? 0x20 : 0);
  const upn = user.upn === undefined && !computer ? `${user.name}@${domain}` : (user.upn ?? null);
  const dn = userDn(user);
  const attributes: Record<string, readonly (string | Buffer)[]> = {
    objectClass: [computer ? 'computer' : 'user'],
    sAMAccountName: [computer ? `${user.name}$` : user.name],
    userAccountControl: [String(control)],
    userPrincipalName: upn === null ? [] : [upn],
    altSecurityIdentities: user.altSecurityIdentities ?? [],
    accountExpires: user.expires === undefined ? [] : [fileTime(user.expires)],
    unicodePwd: user.password === undefined ? [] : [Buffer.from(`"${user.password}"`, 'utf16le')],
    ...user.attributes,
  };
  const changes: Record<string, string> = {};
  if (user.whenCreated !== undefined) changes['whenCreated'] = generalizedTime(user.whenCreated);
  if (user.locked === true) changes['lockoutTime'] = fileTime(new Date());
  return [
    `${ldifLine('dn', dn)}\nchangetype: add\n${ldifLines(attributes)}`,
    ...Object.entries(changes).map(
      ([name, value]) => `${ldifLine('dn', dn)}\nchangetype: modify\nreplace: ${name}\n${ldifLine(name, value)}\n`,
    ),
  ].join('\n');
}

export function ntAuthLdif(certificates: readonly Buffer[]): string {
  return `dn: CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,${suffix}\nchangetype: add\n${ldifLines(
    {
      objectClass: ['certificationAuthority'],
      cACertificate: certificates.length === 0 ? [Buffer.alloc(1)] : certificates,
      authorityRevocationList: [Buffer.alloc(1)],
      certificateRevocationList: [Buffer.alloc(1)],
    },
  )}`;
}

/** @param id 16 octets: the database that the controller's change numbers belong to (MS-ADTS 3.1.1.1.9) */
export function invocationLdif(id: Buffer): string {
  const settings = `CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,${suffix}`;
  return `dn: ${settings}\nchangetype: modify\nreplace: invocationId\n${ldifLine('invocationId', id)}\n`;
}

/** @param lines as LDIF writes them behind `changetype: modify` */
export function changeLdif(dn: string, lines: string): string {
  return `${ldifLine('dn', dn)}\nchangetype: modify\n${lines}\n`;
}

/** @param members distinguished names; @param groupType MS-ADTS 2.2.12, a security group of account scope unless given */
export function groupLdif(name: string, members: readonly string[], groupType = -2147483646): string {
  return `${ldifLine('dn', `CN=${escapeDnValue(name)},CN=Users,${suffix}`)}\nchangetype: add\n${ldifLines({
    objectClass: ['group'],
    sAMAccountName: [name],
    groupType: [String(groupType)],
    member: members,
  })}`;
}
