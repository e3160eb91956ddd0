/**
 * The lab's accounts: which entry of the directory belongs to which certificate of the lab's PKI. The altSecurityIdentities values
 * are put together here from the recipes' own text, not by the code that the gateway maps with, so that a lab logon says something.
 */
import { hash } from 'node:crypto';
import { hexOf } from '../base/bytes.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { adComputer, adGroup, adUser, domainDn } from './directory-entries.ts';
import type { PrincipalRecipe } from './directory-entries.ts';
import type { DirectoryEntry } from './directory-store.ts';
import type { Pki, PkiCertificate } from './pki.ts';

export const labDomain = {
  domain: 'lab.example.test',
  netbiosName: 'LAB',
  domainSid: 'S-1-5-21-1004336348-1177238915-682003330',
} as const;

/** The account that the gateway binds with; an ordinary user, as it would be in a real domain. */
export const labBind = {
  dn: 'CN=svc-dsmapper,CN=Users,DC=lab,DC=example,DC=test',
  password: 'lab-only-not-a-secret',
} as const;

export function labEntries(pki: Pki): readonly DirectoryEntry[] {
  const user = (rid: number, name: string, more: Partial<PrincipalRecipe> = {}) =>
    adUser({ ...labDomain, rid, name, ...more });
  const group = (rid: number, name: string, members: readonly string[]) =>
    adGroup({
      ...labDomain,
      rid,
      name,
      members: members.map((cn) => `CN=${cn},CN=Users,${domainDn(labDomain.domain)}`),
    });
  const named = (name: string) => certificateOf(pki, name);
  return [
    user(2100, 'svc-dsmapper'),
    user(2101, 'alice', { altSecurityIdentities: [issuerAndSerial(named('alice'), pki)] }),
    user(2102, 'bob'),
    user(2103, 'carol', { altSecurityIdentities: [subjectKey(named('carol'))] }),
    user(2104, 'wanda', { altSecurityIdentities: [issuerAndSubject(named('weak'), pki)] }),
    user(2105, 'dora', { altSecurityIdentities: [issuerAndSerial(named('disabled'), pki)], disabled: true }),
    user(2106, 'lou', { altSecurityIdentities: [issuerAndSerial(named('locked'), pki)], locked: true }),
    user(2107, 'eve', {
      altSecurityIdentities: [issuerAndSerial(named('account-expired'), pki)],
      accountExpires: new Date('2024-01-01T00:00:00Z'),
    }),
    user(2108, 'tina', { altSecurityIdentities: [issuerAndSerial(named('twice'), pki)] }),
    user(2109, 'tina2', { altSecurityIdentities: [issuerAndSerial(named('twice'), pki)] }),
    user(2110, 'rita', { altSecurityIdentities: [issuerAndSerial(named('revoked'), pki)] }),
    user(2111, 'rene', { altSecurityIdentities: [issuerAndSerial(named('renewed'), pki)] }),
    user(2112, 'sally', { altSecurityIdentities: [`X509:<SHA1-PUKEY>${thumbprintOf(named('smartcard'))}`] }),
    adComputer({ ...labDomain, rid: 2201, name: 'ws1' }),
    group(2301, 'Payroll', ['alice']),
    group(2302, 'Staff', ['Payroll', 'sally']),
  ];
}

/** DER of the CAs whose certificates may name accounts: a renewal adds one and takes none away. */
export function labNtAuth(pki: Pki): readonly Buffer[] {
  return ['issuing', 'issuing-renewed'].map((name) => certificateOf(pki, name).der);
}

export function certificateOf(pki: Pki, name: string): PkiCertificate {
  const found = pki.certificates.get(name);
  if (found === undefined) throw new TypeError(`the lab has no certificate ${name}`);
  return found;
}

function issuerAndSerial(certificate: PkiCertificate, pki: Pki): string {
  const reversed = hexOf(Buffer.from(parsed(certificate).serial).reverse());
  return `X509:<I>${issuerOf(certificate, pki)}<SR>${reversed}`;
}

function issuerAndSubject(certificate: PkiCertificate, pki: Pki): string {
  return `X509:<I>${issuerOf(certificate, pki)}<S>${certificate.recipe.subject}`;
}

function subjectKey(certificate: PkiCertificate): string {
  const identifier = parsed(certificate).extensions.subjectKeyIdentifier;
  if (identifier === null) throw new TypeError(`certificate ${certificate.name} has no subject key identifier`);
  return `X509:<SKI>${hexOf(identifier)}`;
}

/** SHA-1 of the whole certificate, which is what the form means whatever its name says. */
function thumbprintOf({ der }: PkiCertificate): string {
  return hash('sha1', der, 'hex');
}

function issuerOf(certificate: PkiCertificate, pki: Pki): string {
  return certificateOf(pki, certificate.recipe.issuer ?? certificate.name).recipe.subject;
}

function parsed(certificate: PkiCertificate) {
  const result = parseCertificate(certificate.der);
  if (result.kind !== 'parsed') throw new TypeError(`certificate ${certificate.name}: ${result.reason}`);
  return result.certificate;
}
