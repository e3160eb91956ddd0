/**
 * Certificate policies (RFC 5280 sections 6.1.2 to 6.1.5): whether a path is valid under some policy where one is
 * demanded. The valid policy tree of the RFC is kept as one set of policies for each level with links to the level
 * above, because the tree itself grows exponentially with mappings (CVE-2023-0464) and the sets do not.
 *
 * A root's policy extensions count like those of any certificate; a root without them restricts nothing.
 */
import type { Certificate } from '../x509/certificate.ts';
import { oids } from '../x509/oid.ts';
import { isSelfIssued } from './authority-role.ts';

/** The inputs (c), (e), (f) and (g) of RFC 5280 section 6.1.1. */
export interface PolicyRequirements {
  readonly acceptable: ReadonlySet<string>;
  readonly explicitPolicy: boolean;
  readonly inhibitMapping: boolean;
  readonly inhibitAnyPolicy: boolean;
}

export interface PolicyFault {
  readonly depth: number;
  readonly detail: string;
}

export const anyPolicy: PolicyRequirements = {
  acceptable: new Set([oids.anyPolicy]),
  explicitPolicy: false,
  inhibitMapping: false,
  inhibitAnyPolicy: false,
};

/** What a path is valid for, in the terms of its anchor: the policies that remain when no authority objects any more. */
export interface PathPolicies {
  /** The path is valid for every policy: anyPolicy holds from its anchor to its leaf. */
  readonly any: boolean;
  readonly oids: ReadonlySet<string>;
}

/**
 * The authorities-constrained policy set of a path without a fault (X.509 section 10). A leaf that is its own anchor restricts nothing and
 * is restricted by nobody: it is valid for what it names itself. @param path leaf first, anchor last
 */
export function policiesOf(path: readonly Certificate[]): PathPolicies {
  const [leaf, ...above] = path;
  if (leaf === undefined || (above.length === 0 && leaf.extensions.certificatePolicies === null))
    return { any: false, oids: new Set() };
  const { levels } = walk(path, anyPolicy);
  return { any: levels.at(-1)?.any === true, oids: origins(levels) };
}

/** Whether a path is valid for one of the policies, as if RFC 5280 section 6.1.1 (c) and (e) had been given them. */
export function isValidFor({ any, oids: valid }: PathPolicies, acceptable: readonly string[]): boolean {
  if (any) return acceptable.length > 0;
  return acceptable.some((policy) => (policy === oids.anyPolicy ? valid.size > 0 : valid.has(policy)));
}

/** @param path leaf first, anchor last */
export function findPolicyFault(path: readonly Certificate[], required: PolicyRequirements): PolicyFault | null {
  const { fault, levels, demanded } = walk(path, required);
  if (fault !== null || !demanded) return fault;
  if (isAcceptable(levels, required.acceptable)) return null;
  return { depth: 0, detail: 'an explicit policy is required and none of the acceptable ones is valid for this path' };
}

interface Walk {
  readonly fault: PolicyFault | null;
  /** From the anchor to the leaf, or to where the fault is. */
  readonly levels: readonly Level[];
  /** Whether an explicit policy is demanded at the end. */
  readonly demanded: boolean;
}

function walk(path: readonly Certificate[], required: PolicyRequirements): Walk {
  const anchorDepth = path.length - 1;
  // 6.1.2 (d) to (f): what is counted down once for each certificate; this many never reaches zero.
  const never = path.length + 1;
  const counters: Counters = {
    explicitPolicy: required.explicitPolicy ? 0 : never,
    policyMapping: required.inhibitMapping ? 0 : never,
    inhibitAnyPolicy: required.inhibitAnyPolicy ? 0 : never,
  };
  const levels: Level[] = [];
  let level: Level = { policies: new Map(), any: true };

  for (let depth = anchorDepth; depth >= 0; depth -= 1) {
    const certificate = path[depth];
    if (certificate === undefined) break;
    const isAnchor = depth === anchorDepth;
    const isLeaf = depth === 0;
    if (!isAnchor || certificate.extensions.certificatePolicies !== null)
      restrict(level, certificate, counters.inhibitAnyPolicy > 0 || (!isLeaf && isSelfIssued(certificate)));
    levels.push(level);
    if (counters.explicitPolicy === 0 && isEmpty(level)) {
      const fault = { depth, detail: 'an explicit policy is required and none is valid up to here' };
      return { fault, levels, demanded: true };
    }
    if (isLeaf) {
      countLeaf(counters, certificate);
    } else {
      if (mapsAnyPolicy(certificate)) {
        const fault = { depth, detail: 'policyMappings maps anyPolicy, which is forbidden' };
        return { fault, levels, demanded: true };
      }
      level = mapped(level, certificate, counters.policyMapping > 0);
      count(counters, certificate, !isAnchor && !isSelfIssued(certificate));
    }
  }

  return { fault: null, levels, demanded: counters.explicitPolicy === 0 };
}

interface Counters {
  explicitPolicy: number;
  policyMapping: number;
  inhibitAnyPolicy: number;
}

/** The policies valid at one depth: for each the policies one level up it stems from; none when it stems from anyPolicy. */
interface Level {
  readonly policies: Map<string, Set<string>>;
  any: boolean;
}

function isEmpty({ policies, any }: Level): boolean {
  return policies.size === 0 && !any;
}

/** 6.1.3 (d) and (e). */
function restrict(level: Level, { extensions }: Certificate, anyAllowed: boolean): void {
  const asserted = new Set((extensions.certificatePolicies ?? []).map(({ oid }) => oid));
  const stemsFromAny = level.any;
  if (!(asserted.has(oids.anyPolicy) && anyAllowed)) {
    level.any = false;
    for (const policy of level.policies.keys()) if (!asserted.has(policy)) level.policies.delete(policy);
  }
  if (!stemsFromAny) return;
  for (const policy of asserted)
    if (policy !== oids.anyPolicy && !level.policies.has(policy)) level.policies.set(policy, new Set());
}

/** 6.1.4 (a). */
function mapsAnyPolicy({ extensions }: Certificate): boolean {
  const maps = extensions.policyMappings ?? [];
  return maps.some((map) => map.issuerDomain === oids.anyPolicy || map.subjectDomain === oids.anyPolicy);
}

/** 6.1.4 (b): the level that the next certificate is held against. */
function mapped(level: Level, { extensions }: Certificate, mappingAllowed: boolean): Level {
  const maps = extensions.policyMappings ?? [];
  const next: Level = { policies: new Map(), any: level.any };
  const stem = (policy: string, parent: string) => {
    const parents = next.policies.get(policy);
    if (parents === undefined) next.policies.set(policy, new Set([parent]));
    else parents.add(parent);
  };
  const translated = new Set(maps.map(({ issuerDomain }) => issuerDomain));
  for (const policy of translated) {
    if (!mappingAllowed) level.policies.delete(policy);
    else if (level.any && !level.policies.has(policy)) level.policies.set(policy, new Set());
  }
  for (const { issuerDomain, subjectDomain } of maps)
    if (level.policies.has(issuerDomain)) stem(subjectDomain, issuerDomain);
  for (const policy of level.policies.keys()) if (!translated.has(policy)) stem(policy, policy);
  return next;
}

/** 6.1.4 (h) to (j). An anchor counts nothing down: it is no certificate of the path in the sense of section 6.1. */
function count(counters: Counters, { extensions }: Certificate, countsDown: boolean): void {
  if (countsDown) {
    counters.explicitPolicy = Math.max(0, counters.explicitPolicy - 1);
    counters.policyMapping = Math.max(0, counters.policyMapping - 1);
    counters.inhibitAnyPolicy = Math.max(0, counters.inhibitAnyPolicy - 1);
  }
  const { policyConstraints, inhibitAnyPolicy } = extensions;
  counters.explicitPolicy = Math.min(counters.explicitPolicy, policyConstraints?.requireExplicitPolicy ?? Infinity);
  counters.policyMapping = Math.min(counters.policyMapping, policyConstraints?.inhibitPolicyMapping ?? Infinity);
  counters.inhibitAnyPolicy = Math.min(counters.inhibitAnyPolicy, inhibitAnyPolicy ?? Infinity);
}

/** 6.1.5 (a) and (b). */
function countLeaf(counters: Counters, { extensions }: Certificate): void {
  counters.explicitPolicy = Math.max(0, counters.explicitPolicy - 1);
  if (extensions.policyConstraints?.requireExplicitPolicy === 0) counters.explicitPolicy = 0;
}

/** 6.1.5 (g): whether a policy of the leaf goes back to one that the caller accepts, in the terms of the anchor. */
function isAcceptable(levels: readonly Level[], acceptable: ReadonlySet<string>): boolean {
  const last = levels.at(-1);
  if (last === undefined || isEmpty(last)) return false;
  if (last.any || acceptable.has(oids.anyPolicy)) return true;
  const valid = origins(levels);
  return [...acceptable].some((policy) => valid.has(policy));
}

/** The policies at the top from which one of the leaf's stems. */
function origins(levels: readonly Level[]): ReadonlySet<string> {
  const found = new Set<string>();
  let reached = new Set(levels.at(-1)?.policies.keys());
  for (const { policies } of levels.toReversed()) {
    const above = new Set<string>();
    for (const policy of reached) {
      const parents = policies.get(policy);
      if (parents === undefined) continue;
      if (parents.size === 0) found.add(policy);
      for (const parent of parents) above.add(parent);
    }
    reached = above;
  }
  return found;
}
