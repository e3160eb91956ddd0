/**
 * Everything a certificate could be found by, strongest first, and which of it the settings in force look up, by whose rules. Needs no
 * directory, and says of no account that it exists.
 */
import type { Certificate } from '../x509/certificate.ts';
import { foldText } from './ad-text.ts';
import { explicitForms, type ExplicitForm } from './alt-security-identities.ts';
import type { Candidate, MappingSettings } from './mapper-contract.ts';
import { methodBits } from './method-bits.ts';

/** More e-mail names than this in one certificate are shown but not looked up: each costs a part of a search. */
export const maximumMailNames = 8;

/** A candidate and by whose rules it is looked up; both at once where the settings imitate both. */
export interface Claim {
  readonly candidate: Candidate;
  /** By those of the KDC, which asks how strong it is. */
  readonly kdc: boolean;
  /** By those of MS-RCMP, which does not. */
  readonly rcmp: boolean;
  /** How far up the path the issuer of an issuer-only form is; else 0. */
  readonly depth: number;
}

/** @param path the validated path, leaf first, for issuers above the leaf's own */
export function candidatesOf(
  leaf: Certificate,
  settings: MappingSettings,
  path?: readonly Certificate[],
): readonly Candidate[] {
  return claimsOf(leaf, settings, path).map(({ candidate }) => candidate);
}

export function claimsOf(
  leaf: Certificate,
  settings: MappingSettings,
  path: readonly Certificate[] = [leaf],
): readonly Claim[] {
  const forms = explicitForms(leaf, settings.openPoints, path);
  const explicit = (strength: Candidate['strength']) =>
    forms
      .filter((form) => form.strength === strength)
      .map((form) => explicitClaim(form, settings.certificateMappingMethods));
  return limitMailNames(
    withoutRepeats([
      ...explicit('strong'),
      ...upnClaims(leaf, settings),
      ...dnsClaims(leaf, settings),
      ...explicit('weak'),
    ]),
  );
}

function explicitClaim({ method, value, strength, from, depth }: ExplicitForm, bits: number): Claim {
  const kdc = method !== 'X509IssuerOnly' && (bits & methodBits.s4u2SelfExplicit) !== 0;
  const rcmp =
    (method === 'X509IssuerSubject' && (bits & methodBits.subjectIssuer) !== 0) ||
    (method === 'X509IssuerOnly' && (bits & methodBits.issuer) !== 0);
  const missing =
    method === 'X509IssuerOnly'
      ? 'every certificate of that CA would match; the KDC never uses it, and bit 0x2 (issuer) of CertificateMappingMethods is not set'
      : method === 'X509IssuerSubject'
        ? 'neither bit 0x10 (S4U2Self explicit) nor 0x1 (subject and issuer) of CertificateMappingMethods is set'
        : 'bit 0x10 (S4U2Self explicit) of CertificateMappingMethods is not set';
  return claim({ method, value, strength }, from, { kdc, rcmp, depth }, missing);
}

/** MS-PKCA 3.1.5.2.1.2. Nothing says which of several names Windows takes, so none is taken unless somebody decides. */
function upnClaims(leaf: Certificate, settings: MappingSettings): readonly Claim[] {
  const upns = leaf.extensions.subjectAltName?.upns ?? [];
  const several = `the certificate has ${upns.length} user principal names and none is preferred to the others`;
  const first = settings.openPoints.severalUpns === 'first';
  return upns.flatMap((upn, index) => {
    const notThis = first ? (index > 0 ? 'only the first user principal name is taken' : null) : several;
    const obstacle = upns.length > 1 ? notThis : null;
    return upn === ''
      ? []
      : [
          nameClaim(
            'UPN',
            upn,
            'the user principal name of the subjectAltName',
            { any: obstacle, kdc: null },
            settings,
          ),
        ];
  });
}

/**
 * MS-PKCA 3.1.5.2.1.1: the name of a computer, its first label the account and the rest the domain. For RCMP it is one
 * that `host/` stands before, whatever its shape, and a user principal name does not keep it back.
 */
function dnsClaims(leaf: Certificate, settings: MappingSettings): readonly Claim[] {
  const { upns = [], dnsNames = [] } = leaf.extensions.subjectAltName ?? {};
  const several =
    dnsNames.length > 1 ? `the certificate has ${dnsNames.length} DNS names and none is preferred to the others` : null;
  const behindUpn =
    upns.length > 0 && !settings.firstMatch ? 'the certificate has a user principal name, which goes first' : null;
  return dnsNames
    .filter((name) => name !== '')
    .map((name) => {
      const obstacles = { any: several, kdc: behindUpn ?? dnsShapeComplaint(name) };
      return nameClaim('DNS', name, 'the DNS name of the subjectAltName', obstacles, settings);
    });
}

interface Obstacles {
  /** Why nobody looks the name up. */
  readonly any: string | null;
  /** Why the KDC does not. */
  readonly kdc: string | null;
}

function nameClaim(
  method: 'UPN' | 'DNS',
  value: string,
  from: string,
  obstacles: Obstacles,
  { useSubjectAltName, certificateMappingMethods: bits }: MappingSettings,
): Claim {
  const any = useSubjectAltName ? obstacles.any : 'useSubjectAltName is off';
  const byKdc = (bits & methodBits.s4u2Self) !== 0;
  const kdc = byKdc && any === null && obstacles.kdc === null;
  const rcmp = (bits & methodBits.upn) !== 0 && any === null;
  const missing =
    any ??
    (byKdc ? obstacles.kdc : null) ??
    'neither bit 0x8 (S4U2Self) nor 0x4 (UPN) of CertificateMappingMethods is set';
  return claim({ method, value, strength: 'weak' }, from, { kdc, rcmp, depth: 0 }, missing);
}

/** @param missing why it is not looked up, where it is not */
function claim(
  shown: Pick<Candidate, 'method' | 'value' | 'strength'>,
  from: string,
  { kdc, rcmp, depth }: Omit<Claim, 'candidate'>,
  missing: string,
): Claim {
  const used = kdc || rcmp;
  const why = !used ? `${from}: ${missing}` : !rcmp ? from : kdc ? `${from}, by KDC and RCMP` : `${from}, by RCMP`;
  return { candidate: { ...shown, used, why }, kdc, rcmp, depth };
}

function dnsShapeComplaint(name: string): string | null {
  return /^[^.]+\.[^.]/.test(name) ? null : 'it has no first label and domain behind it';
}

function limitMailNames(claims: readonly Claim[]): readonly Claim[] {
  const mails = new Set<string>();
  return claims.map((one) => {
    const { method, value, used, why } = one.candidate;
    if (method !== 'X509RFC822' || !used) return one;
    mails.add(foldText(value.slice(value.indexOf('>'))));
    if (mails.size <= maximumMailNames) return one;
    const candidate = {
      ...one.candidate,
      used: false,
      why: `${why}: only the first ${maximumMailNames} are looked up`,
    };
    return { ...one, candidate, kdc: false, rcmp: false };
  });
}

function withoutRepeats(claims: readonly Claim[]): readonly Claim[] {
  const seen = new Set<string>();
  return claims.filter(({ candidate: { method, value } }) => {
    const key = `${method} ${foldText(value)}`;
    return !seen.has(key) && seen.add(key) !== null;
  });
}
