/**
 * What the CRLs that are held say about a certificate (RFC 5280 section 6.3.3): every list that is about it and signed by somebody who may, the newest of
 * each scope with its delta. A revocation in any of them counts, whatever the others say; good is only what all reasons are covered for.
 *
 * A revocation is for ever, so it counts also after its list has expired; only a hold may have been lifted since. Nothing is fetched here, and
 * what unknown means is not decided here.
 */
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import { findWeakSignature } from '../trust/algorithm-strength.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { CrlEntry } from '../x509/crl-contract.ts';
import { rfc4514Text } from '../x509/name.ts';
import { authorityOf, type Inquiry } from './crl-authority.ts';
import { currencyOf, type Currency } from './crl-currency.ts';
import { compareAge, deltaFor } from './crl-delta.ts';
import { listKeyOf } from './crl-lists.ts';
import type { CrlQuestion } from './crl-question.ts';
import { allReasons, coverageOf, crlIssuersOf, type CrlCoverage } from './crl-scope.ts';
import type { CrlAnswer, StoredCrl } from './revocation-contract.ts';

export function crlStatus(question: CrlQuestion): CrlAnswer {
  return statusOf(question, { signers: [], statusOf });
}

function statusOf(question: CrlQuestion, inquiry: Inquiry): CrlAnswer {
  const { certificate, lists } = question;
  const excuse = createExcuse(certificate);
  let good: (CrlAnswer & { status: 'good' }) | null = null;
  let covered = 0;
  for (const name of crlIssuersOf(certificate)) {
    const usable = lists.issuedBy(name).filter((list) => isUsable(list, question, excuse));
    for (const { coverage, newestFirst } of scopesOf(usable, certificate, excuse)) {
      const [newest] = newestFirst;
      const authority = authorityOf(newest, coverage, question, inquiry);
      if (authority.extent === 'none') {
        excuse.offer('authority', newest, authority.why);
        continue;
      }
      const answer = consult(newestFirst, usable, question, excuse);
      if (answer?.status === 'revoked') return answer;
      if (answer === null) continue;
      if (authority.extent === 'revocations') {
        excuse.offer(
          'authority',
          newest,
          "it does not list this certificate, but is signed with another key than its issuer's",
        );
        continue;
      }
      covered |= coverage.reasons;
      good = good === null ? answer : both(good, answer);
    }
  }
  if (good !== null && covered === allReasons) return good;
  if (good !== null) excuse.offer('reasons', good.by, 'it is only about some reasons of revocation');
  return { status: 'unknown', why: excuse.text };
}

type Good = CrlAnswer & { readonly status: 'good' };

/** For a certificate that needs several lists: the first is shown, and the earliest end counts. */
function both(first: Good, second: Good): Good {
  return {
    ...first,
    until: Math.min(first.until, second.until) as Instant,
    stale: first.stale || second.stale,
  };
}

/** Sections 5.2 and 5.3: what a list says is not known as long as a critical part of it is not understood. */
function isUsable(list: StoredCrl, question: CrlQuestion, excuse: Excuse): boolean {
  const { crl } = list;
  const critical = crl.unknownCritical ?? crl.entries.unknownCritical;
  const why =
    critical === null
      ? (findWeakSignature(crl, question.rules) ?? futureText(crl, question))
      : `its critical extension ${critical} is not understood`;
  if (why === null) return true;
  excuse.offer('unusable', list, why);
  return false;
}

function futureText(crl: StoredCrl['crl'], question: CrlQuestion): string | null {
  return currencyOf(crl, question).state === 'future' ? `it is not valid before ${isoText(crl.thisUpdate)}` : null;
}

/** Complete lists of which only the newest counts. */
interface Scope {
  readonly coverage: CrlCoverage;
  readonly newestFirst: readonly [StoredCrl, ...StoredCrl[]];
}

function scopesOf(usable: readonly StoredCrl[], certificate: Certificate, excuse: Excuse): readonly Scope[] {
  const scopes = new Map<string, Scope>();
  const complete = usable.filter(({ crl }) => crl.baseCrlNumber === null);
  for (const list of complete.length < 2 ? complete : complete.toSorted(compareAge)) {
    const coverage = coverageOf(list.crl, certificate);
    if (coverage === null) {
      excuse.offer('scope', list, 'it is not about this certificate');
      continue;
    }
    const key = complete.length < 2 ? '' : listKeyOf(list.crl, list.signerKey);
    const newer = scopes.get(key)?.newestFirst;
    scopes.set(key, { coverage, newestFirst: newer === undefined ? [list] : [...newer, list] });
  }
  return [...scopes.values()];
}

/** The lists of one scope with their deltas; null when none of them decides. */
function consult(
  newestFirst: readonly StoredCrl[],
  usable: readonly StoredCrl[],
  question: CrlQuestion,
  excuse: Excuse,
): (CrlAnswer & { readonly status: 'good' | 'revoked' }) | null {
  const { serial, issuer } = question.certificate;
  for (const base of newestFirst) {
    const delta = deltaFor(base, usable);
    const { currency, deltaCounts } = currencyTogether(base, delta, question);
    const change = delta?.crl.entries.find(serial, issuer) ?? null;
    if (delta !== null && change !== null && (deltaCounts || isPermanent(change)) && change.reason !== removed)
      return revokedBy(delta, change);
    if (delta !== null && change?.reason === hold) {
      excuse.offer('expired', delta, 'it puts this certificate on hold, but has expired');
      return null;
    }
    const lifted = deltaCounts && change?.reason === removed;
    const entry = lifted ? null : base.crl.entries.find(serial, issuer);
    const expired = currency.state === 'expired';
    if (entry !== null && (!expired || isPermanent(entry))) return revokedBy(base, entry);
    if (!expired)
      return {
        status: 'good',
        by: base,
        delta: deltaCounts ? delta : null,
        until: currency.until,
        stale: currency.state === 'stale',
      };
    excuse.offer(
      'expired',
      base,
      `it has expired, nextUpdate ${base.crl.nextUpdate === null ? 'is absent' : isoText(base.crl.nextUpdate)}`,
    );
  }
  return null;
}

/** A complete list that has ended is as good as new with a delta that has not (section 5.2.4). */
function currencyTogether(
  base: StoredCrl,
  delta: StoredCrl | null,
  question: CrlQuestion,
): { readonly currency: Currency; readonly deltaCounts: boolean } {
  const own = currencyOf(base.crl, question);
  if (delta === null) return { currency: own, deltaCounts: false };
  const newer = currencyOf(delta.crl, question);
  if (newer.state === 'current' || (newer.state === 'stale' && own.state !== 'current'))
    return { currency: newer, deltaCounts: true };
  return { currency: own, deltaCounts: newer.state === 'stale' };
}

const hold = 6;
const removed = 8;

function isPermanent({ reason }: CrlEntry): boolean {
  return reason !== hold && reason !== removed;
}

function revokedBy(by: StoredCrl, { reason, revocationDate }: CrlEntry): CrlAnswer & { readonly status: 'revoked' } {
  return { status: 'revoked', by, reason, revocationDate };
}

/** From the least to the most telling: what came nearest to an answer is said. */
const excuses = ['scope', 'unusable', 'authority', 'expired', 'reasons'] as const;

interface Excuse {
  offer(kind: (typeof excuses)[number], list: StoredCrl, why: string): void;
  readonly text: string;
}

/** The sentence is made when it is asked for: most questions end well. */
function createExcuse({ issuer }: Certificate): Excuse {
  let best: { readonly rank: number; readonly list: StoredCrl; readonly why: string } | null = null;
  return {
    offer(kind, list, why) {
      const rank = excuses.indexOf(kind);
      if (best === null || rank > best.rank) best = { rank, list, why };
    },
    get text() {
      if (best === null) return `no CRL of ${rfc4514Text(issuer)} is held`;
      return `the CRL of ${rfc4514Text(best.list.crl.issuer)} from ${best.list.source}: ${best.why}`;
    },
  };
}
