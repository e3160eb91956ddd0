/**
 * The policy extensions (RFC 5280 sections 4.2.1.4, 4.2.1.5, 4.2.1.11, 4.2.1.14) and Microsoft's Application Policies, as
 * values. What they permit is decided in `trust/`.
 */
import type { Extensions, PolicyInformation } from './certificate.ts';
import { DerError, tags, type DerReader } from './der.ts';
import { countOf, oidOf } from './der-values.ts';

export function parsePolicies(reader: DerReader, what: string): readonly PolicyInformation[] {
  const list = reader.enter(tags.sequence, what);
  if (list.done) throw new DerError(list.offset, `${what}: no policy inside`);
  const policies: PolicyInformation[] = [];
  const seen = new Set<string>();
  while (!list.done) {
    const at = list.offset;
    const policy = list.enter(tags.sequence, what);
    const oid = oidOf(policy, policy.take(tags.oid, what), what);
    const qualifiers = policy.done ? [] : parseQualifiers(policy, what);
    policy.finish(what);
    if (seen.has(oid)) throw new DerError(at, `${what}: policy ${oid} appears twice`);
    seen.add(oid);
    policies.push({ oid, qualifiers });
  }
  return policies;
}

function parseQualifiers(policy: DerReader, what: string): readonly string[] {
  const list = policy.enter(tags.sequence, what);
  if (list.done) throw new DerError(list.offset, `${what}: no qualifier inside`);
  const qualifiers: string[] = [];
  while (!list.done) {
    const qualifier = list.enter(tags.sequence, what);
    qualifiers.push(oidOf(qualifier, qualifier.take(tags.oid, what), what));
    qualifier.checkNested(qualifier.any(what), what);
    qualifier.finish(what);
  }
  return qualifiers;
}

export function parsePolicyMappings(reader: DerReader, what: string): Extensions['policyMappings'] {
  const list = reader.enter(tags.sequence, what);
  if (list.done) throw new DerError(list.offset, `${what}: no mapping inside`);
  const mappings: { issuerDomain: string; subjectDomain: string }[] = [];
  while (!list.done) {
    const pair = list.enter(tags.sequence, what);
    const issuerDomain = oidOf(pair, pair.take(tags.oid, what), what);
    const subjectDomain = oidOf(pair, pair.take(tags.oid, what), what);
    pair.finish(what);
    mappings.push({ issuerDomain, subjectDomain });
  }
  return mappings;
}

export function parsePolicyConstraints(reader: DerReader, what: string): Extensions['policyConstraints'] {
  const inner = reader.enter(tags.sequence, what);
  const explicit = inner.optional(0x80, what);
  const mapping = inner.optional(0x81, what);
  inner.finish(what);
  if (explicit === null && mapping === null) throw new DerError(inner.offset, `${what}: nothing inside`);
  return {
    requireExplicitPolicy: explicit === null ? null : countOf(inner, explicit, what),
    inhibitPolicyMapping: mapping === null ? null : countOf(inner, mapping, what),
  };
}

/** SkipCerts: how many certificates further down the path anyPolicy still counts. */
export function parseInhibitAnyPolicy(reader: DerReader, what: string): number {
  return countOf(reader, reader.take(tags.integer, what), what);
}
