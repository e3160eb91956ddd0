/**
 * An audit of every mapping in the directory: goes through the accounts of all forests once, as they come, and says what is wrong with
 * their values, by themselves and among each other. Asks through the interfaces of the directory alone; what the single findings
 * mean is decided in the files beside this one, how they are shown by the command.
 */
import type { Instant } from '../base/brand.ts';
import { digestOf } from '../base/bytes.ts';
import { isoText } from '../base/clock.ts';
import type { AccountScan, Forest, ScannedAccount } from '../directory/directory.ts';
import type { MappingSettings } from '../mapping/mapper-contract.ts';
import { judgeAccount, shownAccount } from './audit-account.ts';
import type { CertificateIndex } from './audit-certificates.ts';
import { createCollector } from './audit-collector.ts';
import {
  auditCodes,
  auditFinding,
  orderOfCodes,
  type AuditedDomain,
  type AuditFinding,
  type AuditReport,
} from './audit-contract.ts';
import { createDuplicateIndex } from './audit-duplicates.ts';
import { createCertificateHolders, type CertificateHolders } from './audit-holders.ts';
import type { NtAuthNames } from './audit-issuers.ts';

export interface AuditForest extends AccountScan, Pick<Forest, 'name' | 'domains' | 'locate'> {
  /** DNS names of the domains that the configuration names: a scan that never tells of one has not seen it. */
  readonly configured: readonly string[];
  /** Null: not known. */
  readonly ntAuth: NtAuthNames | null;
}

export interface AuditProgress {
  readonly domain: string;
  readonly accounts: number;
  readonly findings: number;
}

export interface AuditMeans {
  readonly source: string;
  readonly forests: readonly AuditForest[];
  readonly certificates: (NonNullable<AuditReport['certificates']> & { readonly index: CertificateIndex }) | null;
  readonly mapping: Pick<MappingSettings, 'openPoints' | 'deadline'>;
  readonly now: () => Instant;
  readonly signal: AbortSignal;
  /** Findings of one code that are kept for the report. */
  readonly maximumPerCode: number;
  /** Values that are compared with each other; see `createDuplicateIndex`. */
  readonly maximumValues?: number;
  /** Gets every finding as it comes; those on the way are not held up for it. */
  readonly onFinding: (finding: AuditFinding) => void;
  /** After every page of accounts; awaited, so that whoever writes findings somewhere is not overrun. */
  readonly onProgress: (progress: AuditProgress) => void | Promise<void>;
}

/** Rejects only where a listener does. */
export async function audit(means: AuditMeans): Promise<AuditReport> {
  const { source, forests, certificates, now, signal } = means;
  const startedAt = now();
  const collector = createCollector(means.maximumPerCode, means.onFinding);
  const duplicates = createDuplicateIndex(means.maximumValues);
  const holders = certificates === null ? null : createCertificateHolders(certificates.index, means.mapping.openPoints);
  const notes: string[] = [];
  const domains: AuditedDomain[] = [];
  const scanning = { means, now: startedAt, collector, duplicates, holders, seen: { accounts: 0 } };

  for (const forest of forests) {
    if (forest.ntAuth === null)
      notes.push(`whether issuers are in NTAuthCertificates of ${forest.name}, which was not read`);
    domains.push(...(await scanForest(forest, scanning)));
  }
  if (holders !== null) {
    const unknown = signal.aborted ? ['interrupted'] : await holders.askForNames(forests, means.mapping.deadline);
    notes.push(...unknown.map((reason) => `to whom the names in some certificates belong (${reason})`));
    const whole = !signal.aborted && domains.every(({ missing }) => missing === null);
    if (!whole) notes.push('which given certificates belong to nobody, since not all accounts were seen');
    for (const finding of holders.findings(whole)) collector.take(finding);
  }
  if (duplicates.unseen > 0)
    notes.push(`whether ${duplicates.unseen} values are on other accounts too: there are too many to compare`);

  const { counts, leftOut, findings } = collector.report();
  const complete = domains.every(({ missing }) => missing === null) && counts.notReadWhole === undefined;
  return {
    source,
    startedAt: isoText(startedAt),
    endedAt: isoText(now()),
    complete,
    domains,
    certificates:
      certificates === null
        ? null
        : { folder: certificates.folder, read: certificates.read, unreadable: certificates.unreadable },
    notLookedAt: [...notes, ...(certificates === null ? [withoutCertificates] : []), ...neverLookedAt],
    counts,
    leftOut,
    findings,
  };
}

/** Exit code of the command. Findings of severity `info` call for nothing. */
export function exitCodeOfAudit({ complete, counts }: AuditReport): 0 | 1 | 3 {
  if (!complete) return 3;
  return orderOfCodes.some((code) => counts[code] !== undefined && auditCodes[code].severity !== 'info') ? 1 : 0;
}

const withoutCertificates =
  'whether serial numbers are reversed and values belong to certificates that are in use: give certificates with --certificates';
const neverLookedAt = [
  'groups, contacts and other objects than users and computers, which may carry the attribute and are never mapped to',
  'accounts without altSecurityIdentities, which a UPN or a DNS name may still map to',
  'msDS-KeyCredentialLink (Windows Hello for Business), which is no certificate mapping',
  'how privileged an account is, and who may write its values (ESC14)',
];

interface Scanning {
  readonly means: AuditMeans;
  readonly now: Instant;
  readonly collector: ReturnType<typeof createCollector>;
  readonly duplicates: ReturnType<typeof createDuplicateIndex>;
  readonly holders: CertificateHolders | null;
  readonly seen: { accounts: number };
}

interface Tally {
  accounts: number;
  values: number;
  missing: string | null;
}

async function scanForest(forest: AuditForest, scanning: Scanning): Promise<readonly AuditedDomain[]> {
  const { means, collector, seen } = scanning;
  const tallies = new Map<string, Tally>(
    forest.configured.map((name) => [name, { accounts: 0, values: 0, missing: null }]),
  );
  const tallyOf = (domain: string): Tally => {
    const tally = tallies.get(domain) ?? { accounts: 0, values: 0, missing: null };
    tallies.set(domain, tally);
    return tally;
  };
  for await (const piece of forest.scan(means.signal)) {
    const tally = tallyOf(piece.domain);
    if (piece.kind === 'failed') {
      tally.missing = piece.reason;
      continue;
    }
    for (const scanned of piece.accounts) judgeScanned(scanned, tally, forest, scanning);
    seen.accounts += piece.accounts.length;
    await means.onProgress({ domain: piece.domain, accounts: seen.accounts, findings: collector.total });
  }
  const broken = means.signal.aborted ? 'the audit was interrupted' : null;
  return [...tallies].map(([domain, { accounts, values, missing }]) => ({
    forest: forest.name,
    domain,
    accounts,
    values,
    missing: missing ?? broken,
  }));
}

function judgeScanned({ account, gaps }: ScannedAccount, tally: Tally, forest: AuditForest, scanning: Scanning): void {
  const { collector, duplicates, holders, means } = scanning;
  const index = means.certificates?.index ?? null;
  const judged = judgeAccount(account, { now: scanning.now, certificates: index, ntAuth: forest.ntAuth });
  tally.accounts += 1;
  tally.values += account.altSecurityIdentities.length;
  const shown = shownAccount(account);
  const owner = { name: account.name, guid: gaps.length === 0 ? account.guid : guidOfName(account.dn) };
  for (const value of judged.values) {
    const before = duplicates.note(value, owner);
    if (before === null) continue;
    const facts = { account: shown, others: [before.name], value };
    collector.take(
      before.kind === 'exact'
        ? auditFinding(
            'duplicateValue',
            `${before.name} has the same value: a certificate of it belongs to both and is refused`,
            facts,
          )
        : auditFinding(
            'duplicateInDirectory',
            `${before.name} has a value that the directory takes for equal (accents, width, kana and marks do not count there): Windows finds both accounts`,
            facts,
          ),
    );
  }
  for (const finding of judged.findings) if (gaps.length === 0 || finding.value !== null) collector.take(finding);
  if (gaps.length > 0)
    collector.take(
      auditFinding('notReadWhole', `the account was not read whole: ${gaps.join('; ')}`, { account: shown }),
    );
  holders?.note(judged.matches, account);
}

/** What was not read is zeros, which would make all such accounts one. */
function guidOfName(dn: string): string {
  return digestOf(Buffer.from(dn)).slice(0, 32);
}
