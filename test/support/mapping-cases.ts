/**
 * Reads the case folders of `test/cases/mapping`: a certificate by description and as PEM, the candidates it must
 * yield, and what becomes of it against given accounts. Says nothing about how a case is run.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Digest, Millis, Thumbprint } from '../../src/base/brand.ts';
import type { Assertion, DomainNames } from '../../src/directory/directory.ts';
import {
  defaultMappingSettings,
  type MappedIdentity,
  type MappingMethod,
  type MappingProfile,
  type MappingSettings,
  type MappingSubject,
  type NameBasedRule,
  type OpenPoints,
} from '../../src/mapping/mapper-contract.ts';
import { mappingProfiles } from '../../src/mapping/profiles.ts';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { writeCertificate, type WrittenCertificate, type WrittenName } from './certificate-writer.ts';
import type { AccountFacts } from './fake-directory.ts';

export interface MappingCase {
  readonly name: string;
  readonly claim: string;
  /** Ids of what this case is: published vectors (`V24`), open points (`D-02`), rows of tables (`3.9 row 1`). */
  readonly vectors: readonly string[];
  readonly source: string;
  readonly certificate: WrittenCertificate;
  /** Issuers above the leaf's own, in order; the last one signs itself. Without any the leaf's issuer does. */
  readonly above?: readonly WrittenName[];
  /** `certificate.pem` of the folder: the same certificate for whoever wants a file. */
  readonly pem: string;
  /** All values of each method named here, in order; methods not named are not looked at. */
  readonly candidates?: Partial<Record<MappingMethod, readonly string[]>>;
  /** Values that are shown but not looked up. */
  readonly unused?: readonly string[];
  /** The same under other settings. */
  readonly alternatives?: readonly CandidatesUnder[];
  /** How a value looks in the text of a search filter. */
  readonly filters?: readonly { readonly attribute: string; readonly value: string; readonly text: string }[];
  readonly domains?: readonly DomainNames[];
  readonly runs?: readonly MappingRun[];
}

export interface CandidatesUnder extends ChosenSettings {
  readonly title: string;
  readonly candidates?: MappingCase['candidates'];
  /** Values that are shown but not looked up, each with a text that its reason must have. */
  readonly unused?: Readonly<Record<string, string>>;
  /** Values that are looked up. */
  readonly used?: readonly string[];
}

/** What a case says about settings; the rest is as in `strictSettings`. */
export interface ChosenSettings {
  readonly profile?: MappingProfile;
  readonly settings?: Partial<Omit<MappingSettings, 'openPoints' | 'nameBasedRules'>>;
  readonly openPoints?: Partial<OpenPoints>;
  /** `issuer` stands for the thumbprint of the leaf's issuer, any other text for itself. */
  readonly rules?: readonly (Omit<NameBasedRule, 'issuer'> & { readonly issuer: string })[];
}

export interface MappingRun extends ChosenSettings {
  readonly title: string;
  /** Of the one forest, where there are not several. */
  readonly accounts?: readonly AccountFacts[];
  readonly ntAuth?: NtAuthState;
  readonly forests?: readonly ForestRun[];
  /** Instant of the request, ISO 8601. */
  readonly at?: string;
  /** Must be among what the directory is asked. */
  readonly asked?: readonly Assertion[];
  /** Must not be. */
  readonly notAsked?: readonly Assertion[];
  readonly expect: ExpectedIdentity | ExpectedRefusal;
}

/** Whether NTAuthCertificates has the issuer, has nothing, or was not read. */
export type NtAuthState = 'holds' | 'empty' | 'unread';

export interface ForestRun {
  readonly domains: readonly DomainNames[];
  readonly accounts: readonly AccountFacts[];
  readonly ntAuth?: NtAuthState;
  /** `silent`: does not answer; `unread`: its domains are not known. */
  readonly mood?: 'silent' | 'unread';
  /** Whether it is to be asked at all. */
  readonly asked: boolean;
}

export interface ExpectedIdentity extends Partial<Omit<MappedIdentity, 'account'>> {
  readonly account: string;
  readonly event?: ExpectedEvent;
}

export interface ExpectedRefusal {
  readonly code: string;
  readonly account?: string;
  /** Texts that the verdict's detail must have. */
  readonly detail?: readonly string[];
  readonly event?: ExpectedEvent;
}

/** `39 warning`, and behind it the SID that the event names where it names one. None where it is not said. */
export type ExpectedEvent = string;

const folder = new URL('../cases/mapping/', import.meta.url);

/** @param filter part of a name; empty: all */
export function readMappingCases(filter: string): readonly MappingCase[] {
  return readdirSync(folder)
    .filter((name) => name.includes(filter))
    .map((name) => ({
      name,
      ...(JSON.parse(readFileSync(new URL(`${name}/case.json`, folder), 'utf8')) as Omit<MappingCase, 'name' | 'pem'>),
      pem: readFileSync(new URL(`${name}/certificate.pem`, folder), 'utf8'),
    }));
}

const zero = 0 as Millis;

/** What Windows does in 2026, and no cache. */
export const strictSettings: MappingSettings = {
  ...defaultMappingSettings,
  cache: { positive: zero, negative: zero, stale: zero, maximum: 0 },
};

export function settingsOf(
  { profile, settings, openPoints, rules = [] }: ChosenSettings,
  { issuer }: Pick<MappingSubject, 'issuer'>,
): MappingSettings {
  return {
    ...strictSettings,
    ...(profile === undefined ? {} : mappingProfiles[profile]),
    ...settings,
    openPoints: { ...strictSettings.openPoints, ...openPoints },
    nameBasedRules: rules.map((rule) => ({
      ...rule,
      issuer: rule.issuer === 'issuer' ? issuer.thumbprint : (rule.issuer as Thumbprint),
    })),
  };
}

/** A leaf together with the certificates above it, as judging a chain would hand them over. */
export function subjectFor(leaf: Certificate, issuer: WrittenName, above: readonly WrittenName[] = []): MappingSubject {
  const names = [issuer, ...above];
  const authorities = names.map((subject, index) =>
    parsed(writeCertificate({ issuer: names[index + 1] ?? subject, subject, subjectKeyIdentifier: '01' })),
  );
  const [authority] = authorities;
  if (authority === undefined) throw new Error('a leaf has an issuer');
  return { leaf, issuer: authority, path: [leaf, ...authorities], trustDigest: '00' as Digest };
}

export function parsed(der: Buffer): Certificate {
  const result = parseCertificate(der);
  if (result.kind === 'malformed') throw new Error(`${result.reason} at ${result.offset}`);
  return result.certificate;
}
