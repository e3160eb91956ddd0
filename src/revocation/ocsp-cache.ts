/**
 * OCSP answers that were verified, and when they are asked for again.
 *
 * Key: name and key of the issuer, serial number. Holds: the newest answer that counted when it came. Ends: bounded LRU; that an
 * answer is past its end is for `ocspStanding` to say. Replaced only by one that is no older, so that a replayed answer cannot undo a
 * revocation. What was looked at since it came is renewed before it ends, a few at a time; the rest is forgotten.
 */
import { LRUCache } from 'lru-cache';
import type { Instant, Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { settlesWithin } from '../directory/patience.ts';
import type { Certificate } from '../x509/certificate.ts';
import { nameKey } from '../x509/name-comparison.ts';
import { refreshDelay, retryDelay } from './crl-schedule.ts';
import { ocspStanding } from './ocsp-answer.ts';
import { askResponder } from './ocsp-exchange.ts';
import { createOcspResponders, type OcspFailure } from './ocsp-responders.ts';
import type {
  Fetcher,
  OcspQuestion,
  OcspRefreshed,
  OcspRefreshOptions,
  OcspStore,
  StoredOcsp,
} from './revocation-contract.ts';

export interface OcspFacilities {
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
  /** For nonces. */
  readonly randomBytes: (octets: number) => Buffer;
  /** Told whenever an answer came or went. */
  readonly onChange?: () => void;
  /** Answers held. */
  readonly maximum?: number;
  /** Octets of them and of their certificates. */
  readonly maximumOctets?: number;
  /** How often the store looks for what has to be renewed; null: only when `renewDue` is called. */
  readonly renewInterval?: Millis | null;
}

export interface OcspCache extends OcspStore {
  /** Renews what is due. Resolves when that has been tried; at once while it is being tried. Never rejects. */
  renewDue(): Promise<void>;
}

const defaults = { maximum: 10_000, maximumOctets: 67_108_864, renewInterval: 15_000 as Millis } as const;
/** What an answer takes beside its octets, roughly. */
const overhead = 4096;
const renewalsAtOnce = 4;
/** A certificate that its responder does not know yet is known soon, so this is shorter than for a list. */
const longestRest = 300_000;

interface Wish {
  readonly question: OcspQuestion;
  readonly options: OcspRefreshOptions;
}

interface Held extends Wish {
  readonly stored: StoredOcsp;
  readonly renewAt: Instant;
  /** Since it came. */
  seen: boolean;
}

/** A question that failed, or brought nothing new: nobody asks it again before its rest is over. */
interface Rest {
  readonly outcome: OcspRefreshed;
  /** In a row. */
  readonly failures: number;
  /** Monotonic milliseconds. */
  readonly until: number;
}

export function createOcspCache(facilities: OcspFacilities): OcspCache {
  const { fetcher, clock, random, randomBytes, onChange = () => {} } = facilities;
  const { maximum, maximumOctets, renewInterval } = { ...defaults, ...facilities };
  const answers = new LRUCache<string, Held>({
    max: maximum,
    maxSize: maximumOctets,
    sizeCalculation: ({ stored }) => stored.der.length + stored.certificate.der.length + overhead,
  });
  const rests = new LRUCache<string, Rest>({ max: maximum });
  const flights = new Map<string, Promise<OcspRefreshed>>();
  const watched = new Set<Wish>();
  const responders = createOcspResponders(clock, random);
  const closing = new AbortController();

  function restOf(wish: Wish): Rest | null {
    const rest = rests.get(flightKey(wish));
    return rest === undefined || clock.monotonic() >= rest.until ? null : rest;
  }

  async function refresh(question: OcspQuestion, options: OcspRefreshOptions): Promise<OcspRefreshed> {
    const wish = { question, options };
    if (closing.signal.aborted) return failure('aborted', 'the store of OCSP answers is closed');
    const key = flightKey(wish);
    const known = flights.get(key);
    if (known !== undefined)
      return (await settlesWithin(known, options.timeout)) ? known : failure('timeout', 'no OCSP answer in time');
    const rest = options.force === true ? null : restOf(wish);
    if (rest !== null) return rest.outcome;
    const flight = find(wish).finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  }

  /** One that was refused for what it asked, or is answered from an old copy; responders that are down rest by themselves. */
  function leaveAlone(wish: Wish, outcome: OcspRefreshed): void {
    const key = flightKey(wish);
    const failures = (rests.get(key)?.failures ?? 0) + 1;
    const delay = Math.min(longestRest, retryDelay(failures, random));
    rests.set(key, { outcome, failures, until: clock.monotonic() + delay });
  }

  /** One responder after the other, each with its share of the time that is left. */
  async function find(wish: Wish): Promise<OcspRefreshed> {
    const { question, options } = wish;
    const deadline = clock.monotonic() + options.timeout;
    const failures: OcspFailure[] = [];
    let refused = false;
    for (const [index, url] of question.responders.entries()) {
      const resting = options.force === true ? null : responders.resting(url);
      if (resting !== null) {
        failures.push(resting);
        continue;
      }
      const left = deadline - clock.monotonic();
      if (left <= 0) {
        failures.push(failure('timeout', `OCSP responder ${url}: no time was left to ask it`));
        break;
      }
      const timeout = (left / (question.responders.length - index)) as Millis;
      const reply = await askResponder(url, {
        question,
        rules: options.rules,
        timeout,
        fetcher,
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        randomBytes,
        signal: closing.signal,
      });
      if (reply.kind === 'answered') {
        responders.answered(url, reply.stored);
        const outcome = takeUp(reply.stored, wish);
        if (outcome.kind === 'taken') rests.delete(flightKey(wish));
        else leaveAlone(wish, outcome);
        return outcome;
      }
      const failed = failure(reply.code, reply.detail);
      failures.push(failed);
      if (reply.code === 'aborted') break;
      responders.failed(url, failed, reply.down);
      refused ||= !reply.down;
      if (reply.stored !== null) disown(reply.stored, question);
    }
    const [first] = failures;
    if (first === undefined) return failure('notFound', 'there is no OCSP responder to ask');
    const all = failure(first.code, failures.map(({ detail }) => detail).join('; '));
    if (refused) leaveAlone(wish, all);
    return all;
  }

  function takeUp(stored: StoredOcsp, wish: Wish): OcspRefreshed {
    const held = answers.get(answerKey(wish.question));
    if (held === undefined || supersedes(stored, held.stored)) {
      keep(stored, wish);
      return { kind: 'taken', stored };
    }
    keep(held.stored, held);
    if (standingOf(held.stored, wish).status !== 'unknown') return { kind: 'unchanged', stored: held.stored };
    return failure('older', `OCSP responder ${stored.source}: its answer is older than the one held`);
  }

  function keep(stored: StoredOcsp, wish: Wish): void {
    const now = clock.now();
    const standing = standingOf(stored, wish);
    const nextUpdate = standing.status === 'good' ? standing.until : null;
    const renewAt = now + refreshDelay({ ...datesOf(stored), nextUpdate, nextPublish: null }, now, random);
    const { question, options } = wish;
    answers.set(answerKey(question), { question, options, stored, renewAt: renewAt as Instant, seen: false });
    onChange();
  }

  /** The responder does not know the certificate (any more): what it once said of it is not worth more than that. */
  function disown(word: StoredOcsp, question: OcspQuestion): void {
    const key = answerKey(question);
    const held = answers.peek(key);
    if (held === undefined || saysRevoked(held.stored) || !supersedes(word, held.stored)) return;
    answers.delete(key);
    onChange();
  }

  function standingOf(stored: StoredOcsp, { question, options }: Wish) {
    return ocspStanding(stored, { rules: options.rules, at: clock.now(), signers: question.signers });
  }

  function dueNow(): readonly Wish[] {
    const now = clock.now();
    const missing = [...watched].filter(({ question }) => {
      const held = answers.peek(answerKey(question));
      return held === undefined || held.renewAt <= now;
    });
    const aging = [...answers.values()]
      .filter(({ seen, renewAt }) => seen && renewAt <= now)
      .sort((a, b) => a.renewAt - b.renewAt);
    return [...missing, ...aging];
  }

  let renewing = false;
  async function renewDue(): Promise<void> {
    if (renewing || closing.signal.aborted) return;
    renewing = true;
    const due = dueNow().values();
    const work = async () => {
      for (const { question, options } of due) await refresh(question, options);
    };
    await Promise.all(Array.from({ length: renewalsAtOnce }, work));
    renewing = false;
  }

  const timer = renewInterval === null ? null : setInterval(() => void renewDue(), renewInterval).unref();

  return {
    answerFor(certificate, issuer) {
      const held = answers.get(answerKey({ certificate, issuer }));
      if (held === undefined) return null;
      held.seen = true;
      return held.stored;
    },
    refresh,
    watch(question, options) {
      const wish = { question, options: { ...options, force: false } };
      watched.add(wish);
      void refresh(question, options);
      return () => void watched.delete(wish);
    },
    states: () => responders.states(),
    renewDue,
    async close() {
      closing.abort();
      if (timer !== null) clearInterval(timer);
      watched.clear();
      await Promise.all(flights.values());
    },
  };
}

/** An issuer is its name and its key. */
function answerKey({
  certificate,
  issuer,
}: {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
}): string {
  return `${issuer.publicKey.digest}${certificate.serial.toString('hex')} ${nameKey(issuer.subject)}`;
}

/** Questions are one only when they would be answered alike: what counts differs between bindings. */
function flightKey({ question, options }: Wish): string {
  const { clockSkew, maximumAge, allowSha1, minimumRsaBits, nonce } = options.rules;
  const rules = [clockSkew, maximumAge, allowSha1, minimumRsaBits, nonce].join(' ');
  const signers = question.signers.map(({ digest }) => digest).join(' ');
  return [answerKey(question), rules, signers, ...question.responders].join('\n');
}

/** Whether `next` may take the place of `held`: it is newer, or as new and does not take a revocation back. */
function supersedes(next: StoredOcsp, held: StoredOcsp): boolean {
  const [a, b] = [datesOf(next), datesOf(held)];
  if (a.thisUpdate !== b.thisUpdate) return a.thisUpdate > b.thisUpdate;
  if (saysRevoked(held) && !saysRevoked(next)) return false;
  return a.producedAt >= b.producedAt;
}

function datesOf({ singles, basic }: StoredOcsp): { readonly thisUpdate: Instant; readonly producedAt: Instant } {
  const thisUpdate = Math.max(...singles.map((single) => single.thisUpdate)) as Instant;
  return { thisUpdate, producedAt: basic.producedAt };
}

function saysRevoked({ singles }: StoredOcsp): boolean {
  return singles.some(({ status }) => status.kind === 'revoked');
}

function failure(code: OcspFailure['code'], detail: string): OcspFailure {
  return { kind: 'failed', code, detail };
}
