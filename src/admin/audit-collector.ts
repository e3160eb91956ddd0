/**
 * Keeps findings for a report: all are counted, and of each code only so many are kept, so that a directory with a million weak
 * accounts does not fill the memory. What is left out is counted too. A listener gets every finding, kept or not.
 */
import { orderOfCodes, type AuditCode, type AuditFinding, type AuditReport } from './audit-contract.ts';

export interface AuditCollector {
  take(finding: AuditFinding): void;
  readonly total: number;
  /** Findings in the order of codes, and within one as they came. */
  report(): Pick<AuditReport, 'counts' | 'leftOut' | 'findings'>;
}

export function createCollector(maximumPerCode: number, listener: (finding: AuditFinding) => void): AuditCollector {
  const kept = new Map<AuditCode, AuditFinding[]>();
  const counts = new Map<AuditCode, number>();
  let total = 0;
  return {
    take(finding) {
      const { code } = finding;
      total += 1;
      counts.set(code, (counts.get(code) ?? 0) + 1);
      const list = kept.get(code) ?? [];
      if (list.length < maximumPerCode) list.push(finding);
      kept.set(code, list);
      listener(finding);
    },
    get total() {
      return total;
    },
    report() {
      const found = orderOfCodes.filter((code) => counts.has(code));
      const left = found.map((code) => [code, (counts.get(code) ?? 0) - (kept.get(code)?.length ?? 0)] as const);
      return {
        counts: Object.fromEntries(found.map((code) => [code, counts.get(code) ?? 0])),
        leftOut: Object.fromEntries(left.filter(([, count]) => count > 0)),
        findings: found.flatMap((code) => kept.get(code) ?? []),
      };
    },
  };
}
