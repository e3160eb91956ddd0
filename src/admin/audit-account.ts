/**
 * What is wrong with the mappings of one account, seen by itself and beside the given certificates. What other accounts have is not
 * looked at here.
 */
import type { Instant } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import { stateRefusal, timeRefusal } from '../mapping/account-state.ts';
import { foldText } from '../mapping/ad-text.ts';
import type { CertificateIndex, CertificateMatch } from './audit-certificates.ts';
import { auditFinding, type AuditAccount, type AuditFinding } from './audit-contract.ts';
import type { NtAuthNames } from './audit-issuers.ts';
import { opinionOf, type ValueOpinion } from './audit-value.ts';

export interface AccountMeans {
  readonly now: Instant;
  /** Null: none were given. */
  readonly certificates: CertificateIndex | null;
  /** Null: not known. */
  readonly ntAuth: NtAuthNames | null;
}

export interface JudgedAccount {
  readonly findings: readonly AuditFinding[];
  /** Values that a certificate can match: those that may be duplicates. */
  readonly values: readonly string[];
  /** Certificates that would be found by a value of the account. */
  readonly matches: readonly CertificateMatch[];
}

export function judgeAccount(account: Account, means: AccountMeans): JudgedAccount {
  const shown = shownAccount(account);
  const judged = account.altSecurityIdentities.map((value) => judgeValue(value, account, shown, means));
  const matches = judged.flatMap((one) => one.matches);
  const meant = judged.some(({ opinion }) => opinion.kind !== 'kerberos' && opinion.kind !== 'foreign');
  const findings = judged.flatMap((one) => one.findings);
  if (meant) findings.push(...strengthFindings(judged, account, shown), ...stateFindings(account, shown, means.now));
  const values = judged.filter(({ opinion }) => opinion.kind === 'mapping').map(({ value }) => value);
  return { findings, values, matches };
}

export function shownAccount({ name, sid, dn }: Account): AuditAccount {
  return { name, sid, dn };
}

/** The null SID stands where none was read. */
const unread = 'S-1-0-0';

interface JudgedValue {
  readonly value: string;
  readonly opinion: ValueOpinion;
  readonly matches: readonly CertificateMatch[];
  readonly findings: readonly AuditFinding[];
}

function judgeValue(value: string, account: Account, shown: AuditAccount, means: AccountMeans): JudgedValue {
  const matches = means.certificates?.matches(value) ?? [];
  const near = matches.length > 0 ? [] : (means.certificates?.near(value) ?? []);
  const opinion = opinionOf(value, near);
  const facts = { account: shown, value };
  const found = (...findings: readonly AuditFinding[]): JudgedValue => ({ value, opinion, matches, findings });
  const { text, problem, corrected } = opinion;
  if (opinion.kind === 'kerberos') return found(auditFinding('kerberosValue', text, facts));
  if (opinion.kind === 'foreign') return found(auditFinding('foreignValue', text, facts));
  if (opinion.kind === 'emptyPart') return found(auditFinding('emptyPart', text, { ...facts, problem }));
  if (opinion.kind === 'malformed')
    return found(auditFinding('malformedValue', text, { ...facts, problem, corrected, certificate: opinion.meant }));
  if (opinion.kind === 'issuerOnly') return found(auditFinding('issuerOnly', text, { ...facts, problem }));

  const findings: AuditFinding[] = [];
  const sid = opinion.method === 'X509IssuerSid' ? /<sid>(.*)$/i.exec(value)?.[1] : undefined;
  if (sid !== undefined && account.sid !== unread && foldText(sid) !== foldText(account.sid))
    findings.push(
      auditFinding(
        'sidMismatch',
        `the value names ${sid} and the account is ${account.sid}: certificates of another account would log on as this one`,
        facts,
      ),
    );
  if (means.ntAuth?.has(value) === false)
    findings.push(
      auditFinding(
        'issuerNotInNtAuth',
        `no certificate in NTAuthCertificates (${means.ntAuth.server}) is of the issuer that the value names: certificates of it are refused`,
        facts,
      ),
    );
  if (means.certificates !== null && matches.length === 0)
    findings.push(
      auditFinding(
        'matchesNoCertificate',
        `none of the ${means.certificates.all.length} given certificates has this value`,
        facts,
      ),
    );
  return found(...findings);
}

/** KB5014754: a weak value needs the SID in the certificate, or a name-based rule, under enforcement 2. */
function strengthFindings(
  judged: readonly JudgedValue[],
  account: Account,
  shown: AuditAccount,
): readonly AuditFinding[] {
  const good = judged.filter(({ opinion }) => opinion.kind === 'mapping' || opinion.kind === 'issuerOnly');
  if (good.length === 0 || good.some(({ opinion }) => opinion.strength === 'strong')) return [];
  const methods = [...new Set(good.map(({ opinion }) => opinion.method))].join(', ');
  const leaves = good.flatMap(({ matches }) => matches.map(({ given }) => given));
  const [first] = leaves;
  if (first !== undefined && leaves.every(({ leaf }) => leaf.extensions.sid === account.sid))
    return [
      auditFinding(
        'weakButConfirmed',
        `the account has only weak values (${methods}); every given certificate of it carries its SID, so enforcement 2 lets them in`,
        { account: shown, certificate: first.file },
      ),
    ];
  const spoiled = judged.some(({ opinion }) => opinion.kind === 'malformed' && opinion.strength === 'strong');
  return [
    auditFinding(
      'weakOnly',
      `the account has only weak values (${methods})${spoiled ? ', its strong one being malformed' : ''}: under enforcement 2 it is refused unless its certificates carry ${account.sid} or a name-based rule holds`,
      { account: shown },
    ),
  ];
}

/** What passes by itself is no finding: hours, and passwords that are changed. */
const lasting = { logonHours: false, refuseExpiredPassword: false };

function stateFindings(account: Account, shown: AuditAccount, now: Instant): readonly AuditFinding[] {
  const facts = { account: shown };
  const refusal = stateRefusal(account, now, lasting);
  if (refusal?.code === 'accountRefused') return [auditFinding('accountNeverLogsOn', refusal.detail, facts)];
  const state = account.disabled
    ? [auditFinding('accountDisabled', `${account.name} is disabled and keeps its mappings`, facts)]
    : [];
  const expired = timeRefusal(account, now, lasting);
  if (expired !== null) state.push(auditFinding('accountExpired', `${expired.detail} and keeps its mappings`, facts));
  return state;
}
