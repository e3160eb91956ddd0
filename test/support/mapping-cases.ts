/**
 * Reads the case folders of `test/cases/mapping`: a certificate by description and as PEM, the candidates it must
 * yield, and what becomes of it against given accounts. Says nothing about how a case is run.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Digest, Millis } from '../../src/base/brand.ts';
import type { Assertion, DomainNames } from '../../src/directory/directory.ts';
import {
  defaultMappingSettings,
  type MappedIdentity,
  type MappingMethod,
  type MappingSettings,
  type MappingSubject,
} from '../../src/mapping/mapper-contract.ts';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { writeCertificate, type WrittenCertificate, type WrittenName } from './certificate-writer.ts';
import type { AccountFacts } from './fake-directory.ts';

export interface MappingCase {
  readonly name: string;
  readonly claim: string;
  /** Ids of published vectors that this case is. */
  readonly vectors: readonly string[];
  readonly source: string;
  readonly certificate: WrittenCertificate;
  /** `certificate.pem` of the folder: the same certificate for whoever wants a file. */
  readonly pem: string;
  /** All values of each method named here, in order; methods not named are not looked at. */
  readonly candidates?: Partial<Record<MappingMethod, readonly string[]>>;
  /** Values that are shown but not looked up. */
  readonly unused?: readonly string[];
  readonly domains?: readonly DomainNames[];
  readonly runs?: readonly MappingRun[];
}

export interface MappingRun {
  readonly title: string;
  readonly settings?: Partial<MappingSettings>;
  readonly accounts: readonly AccountFacts[];
  /** Must be among what the directory is asked. */
  readonly asked?: readonly Assertion[];
  readonly expect: ExpectedIdentity | ExpectedRefusal;
}

export interface ExpectedIdentity extends Partial<Omit<MappedIdentity, 'account'>> {
  readonly account: string;
}

export interface ExpectedRefusal {
  readonly code: string;
  readonly account?: string;
  /** Texts that the verdict's detail must have. */
  readonly detail?: readonly string[];
}

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

/** A leaf together with a certificate of its issuer, as judging a chain would hand them over. */
export function subjectFor(leaf: Certificate, issuer: WrittenName): MappingSubject {
  const authority = parsed(writeCertificate({ issuer, subject: issuer, subjectKeyIdentifier: '01' }));
  return {
    leaf,
    issuer: authority,
    path: [leaf, authority],
    trustDigest: '00' as Digest,
  };
}

export function parsed(der: Buffer): Certificate {
  const result = parseCertificate(der);
  if (result.kind === 'malformed') throw new Error(`${result.reason} at ${result.offset}`);
  return result.certificate;
}
