/**
 * Everything a certificate could be found by, strongest first, and which of it the settings in force look up. Needs no
 * directory, and says of no account that it exists.
 */
import type { Certificate } from '../x509/certificate.ts';
import { foldText } from './ad-text.ts';
import { explicitForms, type ExplicitForm } from './alt-security-identities.ts';
import type { Candidate, MappingSettings } from './mapper-contract.ts';

/** More e-mail names than this in one certificate are shown but not looked up: each costs a part of a search. */
export const maximumMailNames = 8;

export function candidatesOf(leaf: Certificate, settings: MappingSettings): readonly Candidate[] {
  const forms = explicitForms(leaf);
  return withoutRepeats([
    ...forms.filter(({ strength }) => strength === 'strong').map(explicitCandidate),
    ...upnCandidates(leaf, settings),
    ...dnsCandidates(leaf, settings),
    ...limitMailNames(forms.filter(({ strength }) => strength === 'weak').map(explicitCandidate)),
  ]);
}

function explicitCandidate({ method, value, strength, from }: ExplicitForm): Candidate {
  const shown = { method, value, strength };
  return method === 'X509IssuerOnly'
    ? { ...shown, used: false, why: `${from}: every certificate of that CA would match, and the KDC never uses it` }
    : { ...shown, used: true, why: from };
}

/** MS-PKCA 3.1.5.2.1.2. Nothing says which of several names Windows takes, so none is taken. */
function upnCandidates(leaf: Certificate, settings: MappingSettings): readonly Candidate[] {
  const upns = leaf.extensions.subjectAltName?.upns ?? [];
  const reason = !settings.useSubjectAltName
    ? 'useSubjectAltName is off'
    : upns.length > 1
      ? `the certificate has ${upns.length} user principal names and none is preferred to the others`
      : null;
  return upns
    .filter((upn) => upn !== '')
    .map((value) => nameCandidate('UPN', value, 'the user principal name of the subjectAltName', reason));
}

/** MS-PKCA 3.1.5.2.1.1: the name of a computer, its first label the account and the rest the domain. */
function dnsCandidates(leaf: Certificate, settings: MappingSettings): readonly Candidate[] {
  const names = leaf.extensions.subjectAltName;
  const dnsNames = names?.dnsNames ?? [];
  const reason = !settings.useSubjectAltName
    ? 'useSubjectAltName is off'
    : (names?.upns.length ?? 0) > 0
      ? 'the certificate has a user principal name, which goes first'
      : dnsNames.length > 1
        ? `the certificate has ${dnsNames.length} DNS names and none is preferred to the others`
        : null;
  return dnsNames
    .filter((name) => name !== '')
    .map((value) =>
      nameCandidate('DNS', value, 'the DNS name of the subjectAltName', reason ?? dnsShapeComplaint(value)),
    );
}

function nameCandidate(method: 'UPN' | 'DNS', value: string, from: string, reason: string | null): Candidate {
  return { method, value, strength: 'weak', used: reason === null, why: reason === null ? from : `${from}: ${reason}` };
}

function dnsShapeComplaint(name: string): string | null {
  return /^[^.]+\.[^.]/.test(name) ? null : 'it has no first label and domain behind it';
}

function limitMailNames(candidates: readonly Candidate[]): readonly Candidate[] {
  let mailNames = 0;
  return candidates.map((candidate) => {
    if (candidate.method !== 'X509RFC822') return candidate;
    mailNames += 1;
    return mailNames <= maximumMailNames
      ? candidate
      : { ...candidate, used: false, why: `${candidate.why}: only the first ${maximumMailNames} are looked up` };
  });
}

function withoutRepeats(candidates: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ method, value }) => {
    const key = `${method} ${foldText(value)}`;
    return !seen.has(key) && seen.add(key) !== null;
  });
}
