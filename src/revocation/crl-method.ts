/**
 * Revocation by CRL: where the lists about a certificate are, and what those that are held say. How they say it is decided in
 * `crl-status.ts`, what may be taken up in the store.
 *
 * A delta list that a certificate or its list names belongs to the answer, as in Windows: without it, what was revoked since the
 * complete list is not known.
 */
import { LRUCache } from 'lru-cache';
import type { Instant, Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { isoText } from '../base/clock.ts';
import type { DistributionPoint } from '../x509/crl-contract.ts';
import { nameKey } from '../x509/name-comparison.ts';
import { rfc4514Text } from '../x509/name.ts';
import { ageText } from './age-text.ts';
import { crlReasonName } from '../x509/crl-reason.ts';
import { signersFor } from './crl-signers.ts';
import { crlStatus } from './crl-status.ts';
import type { Finding, Method, Subject } from './method.ts';
import type { CrlAnswer, CrlStore, Fetcher, RevocationQuestion, StoredCrl } from './revocation-contract.ts';

export interface CrlMethodSettings {
  readonly store: CrlStore;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly refusalOf: Fetcher['refusalOf'];
  /** Sources of the configuration for whatever issuer they turn out to be of. */
  readonly configured: readonly string[];
}

/** Milliseconds between two lists that requests fetch from one source; those that fail have a back-off. */
const shortestInterval = 5000;
const maximumRemembered = 1000;

export function createCrlMethod({ store, clock, refusalOf, configured }: CrlMethodSettings): Method {
  /** When a source gave its list last, by the monotonic clock. */
  const gave = new LRUCache<string, number>({ max: maximumRemembered });

  /** A list that says nothing about a certificate still says nothing when the next request comes. */
  function gaveLately(url: string): boolean {
    return clock.monotonic() - (gave.get(url) ?? -Infinity) < shortestInterval && store.from(url) !== null;
  }

  /** Those that may be about the subject: of its issuer, or not known yet. */
  function configuredFor({ certificate }: Subject): readonly string[] {
    const issuer = configured.length === 0 ? '' : nameKey(certificate.issuer);
    return configured.filter((source) => {
      const held = store.from(source);
      return held === null || nameKey(held.crl.issuer) === issuer;
    });
  }

  /** Each is one list, with the places where it can be had. */
  function pointsOf(subject: Subject): readonly (readonly string[])[] {
    const { certificate, policy } = subject;
    const named = urlsOf(certificate.extensions.crlDistributionPoints);
    return [...[...policy.crls, ...configuredFor(subject)].map((source) => [source]), ...named];
  }

  function deltasOf({ certificate }: Subject, held: readonly StoredCrl[]): readonly (readonly string[])[] {
    const points = [certificate.extensions.freshestCrl, ...held.map(({ crl }) => crl.freshestCrl)].flat();
    return [...new Map(urlsOf(points).map((urls) => [urls.join(' '), urls])).values()];
  }

  function answerFor({ certificate, issuer }: Subject, question: RevocationQuestion, staleFor: Millis): CrlAnswer {
    const { path, presented, store: trust, settings, at } = question;
    const { rules } = settings;
    return crlStatus({ certificate, issuer, path, presented, store: trust, rules, at, staleFor, lists: store });
  }

  /** One place after the other until one gives the list; each with its share of the time that is left. */
  async function fetchOne(
    named: readonly string[],
    question: RevocationQuestion,
    deadline: number,
  ): Promise<readonly string[]> {
    const { path, presented, store: trust, settings, at } = question;
    const { rules } = settings;
    const allowed = named.filter((url) => refusalOf(url) === null);
    // Operators need not hear of places that are not allowed where another one is.
    const urls = allowed.length === 0 ? named : allowed;
    const failures: string[] = [];
    for (const [index, url] of urls.entries()) {
      if (gaveLately(url)) return [];
      const timeout = ((deadline - clock.monotonic()) / (urls.length - index)) as Millis;
      if (timeout <= 0) return [...failures, `${url}: no time was left to ask it`];
      const refreshed = await store.refresh(
        url,
        (header) => signersFor(header, { path, presented, store: trust, rules, at }),
        { timeout, allowSha1: rules.allowSha1, clockSkew: rules.clockSkew },
      );
      if (refreshed.kind !== 'failed') {
        gave.set(url, clock.monotonic());
        return [];
      }
      failures.push(`${url}: ${refreshed.detail}`);
    }
    return failures;
  }

  function look(subject: Subject, question: RevocationQuestion, staleFor: Millis): Finding {
    const answer = answerFor(subject, question, staleFor);
    if (answer.status === 'unknown') return { status: 'unknown', why: answer.why };
    // Counts as use: what nobody uses is dropped one day.
    store.from(answer.by.source);
    if (answer.status === 'revoked') return revokedBy(answer, question.at);
    const wanted = answer.delta === null ? deltasOf(subject, [answer.by]) : [];
    if (wanted.length > 0)
      return { status: 'unknown', why: `the delta CRL from ${wanted.flat().join(', ')} is not held` };
    return goodBy(answer, question.at);
  }

  return {
    name: 'crl',
    names: (subject) => pointsOf(subject).length > 0,
    look,
    async fetch(subject, question, timeout) {
      const deadline = clock.monotonic() + timeout;
      const asked = new Set<string>();
      const fetchAll = (points: readonly (readonly string[])[]) => {
        const fresh = points.filter((urls) => !asked.has(urls.join(' ')));
        for (const urls of fresh) asked.add(urls.join(' '));
        return Promise.all(fresh.map((urls) => fetchOne(urls, question, deadline)));
      };
      const held = answerFor(subject, question, 0 as Millis);
      const lacking = held.status === 'good' && held.delta === null ? deltasOf(subject, [held.by]) : [];
      const first = await fetchAll(lacking);
      const came = first.some((failures) => failures.length === 0);
      // A delta that came and does not fit builds on a newer list than the one held.
      const unfit = came && look(subject, question, 0 as Millis).status === 'unknown';
      if (lacking.length > 0 && !unfit) return first.flat();
      const complete = await fetchAll(pointsOf(subject));
      const deltas = deltasOf(subject, store.issuedBy(nameKey(subject.certificate.issuer)));
      return [...first, ...complete, ...(await fetchAll(deltas))].flat();
    },
  };
}

/** Only full names can be fetched from; each point's are alternatives. */
function urlsOf(points: readonly DistributionPoint[]): readonly (readonly string[])[] {
  return points.map(({ fullName }) => fullName?.uris ?? []).filter((uris) => uris.length > 0);
}

function goodBy({ by, delta, until }: CrlAnswer & { readonly status: 'good' }, at: Instant): Finding {
  const latest = delta ?? by;
  const change = delta === null ? '' : `, with delta${numberOf(delta)}`;
  return {
    status: 'good',
    ...provenance(latest),
    until,
    detail: `not on the CRL of ${issuerOf(by)}${numberOf(by)}${change} from ${by.source}, ${ageText(latest.crl.thisUpdate, latest.crl.nextUpdate, at)}`,
  };
}

function revokedBy(answer: CrlAnswer & { readonly status: 'revoked' }, at: Instant): Finding {
  const { by, reason, revocationDate } = answer;
  const { thisUpdate, nextUpdate } = by.crl;
  return {
    status: 'revoked',
    ...provenance(by),
    detail: `revoked on ${isoText(revocationDate)} (${crlReasonName(reason)}), by the CRL of ${issuerOf(by)}${numberOf(by)} from ${by.source}, ${ageText(thisUpdate, nextUpdate, at)}`,
  };
}

function provenance({ source, crl, fetchedAt }: StoredCrl) {
  return { source, thisUpdate: crl.thisUpdate, nextUpdate: crl.nextUpdate, fetchedAt };
}

function issuerOf({ crl }: StoredCrl): string {
  return rfc4514Text(crl.issuer);
}

function numberOf({ crl }: StoredCrl): string {
  return crl.crlNumber === null ? '' : ` number ${crl.crlNumber}`;
}
