/**
 * The lab's accounts as plain data, for loading them into a real directory (deploy/samba).
 */
import type { DirectoryEntry } from './directory-store.ts';
import { labBind, labDomain, labEntries, labNtAuth } from './accounts.ts';
import type { Pki } from './pki.ts';
import { sidText } from './directory-sid.ts';

export interface ExportedAccount {
  readonly name: string;
  readonly kind: 'user' | 'computer';
  readonly samAccountName: string;
  readonly sid: string;
  readonly userAccountControl: number;
  /** 100 ns since 1601, as text; 0: never. */
  readonly accountExpires: string;
  readonly userPrincipalName: string | null;
  readonly dNSHostName: string | null;
  readonly altSecurityIdentities: readonly string[];
  /** Only the account that the gateway binds with has one. */
  readonly password: string | null;
}

export interface ExportedDomain {
  readonly domain: string;
  readonly netbiosName: string;
  readonly domainSid: string;
  /** DER in base64. */
  readonly ntAuth: readonly string[];
  readonly accounts: readonly ExportedAccount[];
  readonly groups: readonly ExportedGroup[];
}

export interface ExportedGroup {
  readonly name: string;
  readonly sid: string;
  /** Names of accounts and groups, all of them in CN=Users. */
  readonly members: readonly string[];
}

/** Being locked out is a state that only a directory itself can bring about: that account is exported unlocked. */
export function exportAccounts(pki: Pki): ExportedDomain {
  const entries = labEntries(pki);
  return {
    ...labDomain,
    ntAuth: labNtAuth(pki).map((der) => der.toString('base64')),
    accounts: entries.filter(isPrincipal).map(exportAccount),
    groups: entries.filter((entry) => all(entry, 'objectClass').includes('group')).map(exportGroup),
  };
}

function isPrincipal(entry: DirectoryEntry): boolean {
  return all(entry, 'objectClass').includes('user');
}

function exportAccount(entry: DirectoryEntry): ExportedAccount {
  const first = (name: string) => all(entry, name)[0] ?? null;
  return {
    name: first('cn') ?? '',
    kind: all(entry, 'objectClass').includes('computer') ? 'computer' : 'user',
    samAccountName: first('sAMAccountName') ?? '',
    sid: sidOf(entry),
    userAccountControl: Number(first('userAccountControl') ?? 512),
    accountExpires: first('accountExpires') ?? '0',
    userPrincipalName: first('userPrincipalName'),
    dNSHostName: first('dNSHostName'),
    altSecurityIdentities: all(entry, 'altSecurityIdentities'),
    password: entry.dn.toLowerCase() === labBind.dn.toLowerCase() ? labBind.password : null,
  };
}

function exportGroup(entry: DirectoryEntry): ExportedGroup {
  const members = all(entry, 'member').map((dn) => /^CN=([^,]*)/.exec(dn)?.[1] ?? '');
  return { name: all(entry, 'cn')[0] ?? '', sid: sidOf(entry), members };
}

function sidOf(entry: DirectoryEntry): string {
  const sid = entry.attributes['objectSid']?.[0];
  return Buffer.isBuffer(sid) ? (sidText(sid) ?? '') : '';
}

function all(entry: DirectoryEntry, name: string): readonly string[] {
  return (entry.attributes[name] ?? []).map((value) => (typeof value === 'string' ? value : value.toString('utf8')));
}
