/**
 * Everything that a complete path must satisfy besides its signatures, which the search has verified: RFC 5280 section 6.1 from
 * the anchor to the leaf, and the settings. All faults are reported, not the first alone, so that the verdict can be
 * the gravest and an explanation complete.
 *
 * A trusted root is a certificate with all its limits, as in Windows: dates, basicConstraints, usages, names and policies
 * hold for it as well (RFC 5937 calls this enforcing trust anchor constraints). Only its signature does not matter.
 */
import type { Instant } from '../base/brand.ts';
import type { Certificate } from '../x509/certificate.ts';
import { findWeakKey, findWeakSignature } from './algorithm-strength.ts';
import { findCriticalFault } from './critical-extensions.ts';
import { findUsageFault } from './extended-usage.ts';
import type { Finding, RefusalCode } from './finding.ts';
import { findIssuingFaults } from './issuing-right.ts';
import { findListFault } from './issuer-list.ts';
import type { IssuerList, JudgeSettings, Purpose } from './judgement.ts';
import { findLeafFaults } from './leaf-role.ts';
import { findNameFault } from './name-constraints.ts';
import { findPolicyFault, type PolicyRequirements } from './policy-graph.ts';
import type { SearchBudget } from './search-budget.ts';
import { findValidityFault } from './validity.ts';

export interface PathDemands {
  readonly at: Instant;
  readonly settings: JudgeSettings;
  readonly purpose: Purpose;
  readonly policies: PolicyRequirements;
  /** Whose clients are let in; null: those of all anchors. */
  readonly list: IssuerList | null;
}

/** @param path leaf first, anchor last, every signature but the anchor's verified */
export function findFaults(
  path: readonly Certificate[],
  demands: PathDemands,
  budget: SearchBudget,
): readonly Finding[] {
  const { at, settings, purpose, policies, list } = demands;
  const findings: Finding[] = [];
  const refuse = (depth: number, code: RefusalCode, detail: string | null | undefined) => {
    const certificate = path[depth];
    if (certificate !== undefined && detail !== null && detail !== undefined)
      findings.push({ depth, certificate, code, detail });
  };

  for (const [depth, certificate] of [...path.entries()].toReversed()) {
    const isAnchor = depth === path.length - 1;
    const validity = findValidityFault(certificate, at);
    if (validity !== null) refuse(depth, validity.code, validity.detail);
    refuse(depth, 'weakAlgorithm', findWeakKey(certificate, settings));
    if (!isAnchor) refuse(depth, 'weakAlgorithm', findWeakSignature(certificate, settings));
    refuse(depth, 'criticalExtension', findCriticalFault(certificate));
    for (const detail of depth === 0 ? [] : findIssuingFaults(path, depth)) refuse(depth, 'basicConstraints', detail);
    for (const { code, detail } of depth === 0 ? findLeafFaults(certificate, settings, purpose) : [])
      refuse(depth, code, detail);
  }

  const name = findNameFault(path, budget);
  if (name !== null) refuse(name.depth, name.code, name.detail);
  const policy = findPolicyFault(path, policies);
  if (policy !== null) refuse(policy.depth, 'policyInvalid', policy.detail);
  const unlisted = findListFault(path, list);
  if (unlisted !== null) refuse(unlisted.depth, 'untrustedIssuer', unlisted.detail);
  const usage = settings.usageCheck ? findUsageFault(path, purpose) : null;
  if (usage !== null) refuse(usage.depth, 'wrongUsage', usage.detail);
  return findings;
}
