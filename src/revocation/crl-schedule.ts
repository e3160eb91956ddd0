/**
 * When a source of CRLs is asked again. Decides delays only; who asks, and how many at once, is decided by the store.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { CrlHeader } from '../x509/crl-contract.ts';

const second = 1000;
const hour = 3600 * second;
const day = 24 * hour;

/** Nothing is asked more often than this, however short-lived its lists are. */
const shortestDelay = 5 * second;
/** A list that is good for ten years may still be replaced tomorrow. */
const longestDelay = 30 * day;
/** For a list that does not say when the next one comes (version 1 may not: RFC 5280 section 5.1.2.5). */
const unannouncedDelay = hour;

/**
 * Well before nextUpdate, so that there is time for several failures, and at random, so that gateways that fetched together do not fetch
 * together for ever: in the ninth tenth of the validity, or shortly after the moment that a Microsoft CA announces for publishing. When
 * that has passed and the CA has published nothing new, after a share of the time that is left.
 * @param longest what the configuration allows at most; null: the list decides alone
 * @param random 0 inclusive to 1 exclusive
 */
export function refreshDelay(
  list: Pick<CrlHeader, 'thisUpdate' | 'nextUpdate' | 'nextPublish'>,
  now: Instant,
  random: () => number,
  longest: Millis | null = null,
): Millis {
  const share = random();
  const delay = list.nextUpdate === null ? unannouncedDelay * (0.75 + share / 2) : untilNext(list, now, share);
  return Math.round(Math.max(shortestDelay, Math.min(delay, longest ?? longestDelay, longestDelay))) as Millis;
}

function untilNext(
  { thisUpdate, nextUpdate, nextPublish }: Pick<CrlHeader, 'thisUpdate' | 'nextUpdate' | 'nextPublish'>,
  now: Instant,
  share: number,
): number {
  const end = nextUpdate ?? now;
  const planned =
    nextPublish !== null && nextPublish > thisUpdate && nextPublish < end
      ? nextPublish + ((end - nextPublish) * share) / 10
      : end - ((end - thisUpdate) * (1 + share)) / 10;
  return planned > now ? planned - now : ((end - now) * (1 + share)) / 4;
}

const firstRetry = 30 * second;
const longestRetry = hour;

/**
 * Doubles from 30 seconds to an hour, half of it random.
 * @param failures in a row, 1 or more
 * @param random 0 inclusive to 1 exclusive
 */
export function retryDelay(failures: number, random: () => number): Millis {
  const doubled = firstRetry * 2 ** Math.min(failures - 1, 20);
  return Math.round(Math.min(longestRetry, doubled) * (1 - random() / 2)) as Millis;
}
