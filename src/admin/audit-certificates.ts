/**
 * Which of the given certificates a stored value means: to the letter, or nearly. Decides what is near: the same words and numbers in
 * another order or spelling, so that a value of somebody else is never near. Who may log on with a certificate is decided by mapping.
 */
import { foldText } from '../mapping/ad-text.ts';
import type { Claim } from '../mapping/candidates.ts';
import type { Candidate } from '../mapping/mapper-contract.ts';
import type { Certificate } from '../x509/certificate.ts';

export interface GivenCertificate {
  /** Where it was read from, for people. */
  readonly file: string;
  readonly leaf: Certificate;
  /** Everything it could be found by, and by whose rules. */
  readonly claims: readonly Claim[];
}

export interface CertificateMatch {
  readonly given: GivenCertificate;
  readonly candidate: Candidate;
}

export interface CertificateIndex {
  readonly all: readonly GivenCertificate[];
  /** Certificates that would be found by this very value. */
  matches(value: string): readonly CertificateMatch[];
  /** Certificates that this value may have been meant for. */
  near(value: string): readonly GivenCertificate[];
}

/** Of one value; many certificates may have one subject. */
const maximumMatches = 1000;
const maximumNear = 8;

export function createCertificateIndex(all: readonly GivenCertificate[]): CertificateIndex {
  const exact = new Map<string, CertificateMatch[]>();
  const loose = new Map<string, Set<GivenCertificate>>();
  for (const given of all)
    for (const { candidate } of given.claims) {
      const { method, value } = candidate;
      if (method === 'UPN' || method === 'DNS') continue;
      const match = { given, candidate };
      // Whether a form is looked for is a matter of the settings; what every certificate of an authority has says nothing of one.
      if (method !== 'X509IssuerOnly') add(exact, foldText(value), match);
      const key = looseKey(value);
      const known = loose.get(key) ?? new Set();
      if (known.size < maximumMatches) known.add(given);
      loose.set(key, known);
    }
  return {
    all,
    matches: (value) => exact.get(foldText(value)) ?? [],
    near: (value) => [...(loose.get(looseKey(value)) ?? [])].slice(0, maximumNear),
  };
}

function add(map: Map<string, CertificateMatch[]>, key: string, match: CertificateMatch): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [match]);
  else if (known.length < maximumMatches) known.push(match);
}

/**
 * The words of a value without regard to the order of attributes, blanks, punctuation, other names of attribute types and the
 * direction of a serial number. The tags stay in their order: another form is another value.
 */
export function looseKey(value: string): string {
  const parts = foldText(value)
    .split(/(<[a-z0-9-]+>)/)
    .map((part, index, all) => (index % 2 === 1 ? part : looseText(part, all[index - 1] ?? '')));
  return parts.join('');
}

function looseText(text: string, tag: string): string {
  if (tag === '<sr>') return looseSerial(text);
  if (tag === '<ski>' || tag === '<sha1-pukey>') return hexDigits(text);
  // Quotes and blanks around the `=` stand where they like; the words of a value stay with their attribute.
  const [before = '', ...pairs] = text.split(/(?:^|[,;+\s])([a-z0-9.-]+)\s*=/);
  const attributes = [`=${wordsOf(before)}`];
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const type = pairs[at] ?? '';
    attributes.push(`${otherNames.get(type) ?? type}=${wordsOf(pairs[at + 1] ?? '')}`);
  }
  return attributes.toSorted().join();
}

function wordsOf(text: string): string {
  return (text.match(/[\p{L}\p{N}]+/gu) ?? []).join(' ');
}

/** What other tools call an attribute, and what Windows does. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ['st', 's'],
  ['sp', 's'],
  ['emailaddress', 'e'],
  ['email', 'e'],
  ['uid', 'oid.0.9.2342.19200300.100.1.1'],
  ['mail', 'oid.0.9.2342.19200300.100.1.3'],
  ['organizationidentifier', 'oid.2.5.4.97'],
  ['title', 't'],
  ['gn', 'g'],
  ['givenname', 'g'],
  ['surname', 'sn'],
  ['initials', 'i'],
]);

/** A number and the same read from its other end are one. */
function looseSerial(text: string): string {
  const digits = hexDigits(text);
  const forward = digits.length % 2 === 0 ? digits : `0${digits}`;
  const backward = (forward.match(/../g) ?? []).toReversed().join('');
  const [first = ''] = [forward, backward].map((hex) => hex.replace(/^(?:00)+|(?:00)+$/g, '')).toSorted();
  return first;
}

function hexDigits(text: string): string {
  return text.replace(/^\s*0x/, '').replaceAll(/[\s:-]/g, '');
}
