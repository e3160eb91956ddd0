/**
 * Revocation data over HTTP: one answer, redirects followed. Decides which redirects are followed: a few, each to a place that would be
 * allowed by itself, by HTTP, and never twice to the same one. What is fetched is signed, so http is good enough (RFC 5280 section 8).
 */
import { STATUS_CODES } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { FetchGate } from './fetch-gate.ts';
import type { FetchTarget, HttpTarget, Refusal } from './fetch-target.ts';
import { exchange, type HttpAnswer, type HttpFacilities } from './http-exchange.ts';
import { conditionsOf, fieldOf, maximumAgeOf, validatorsOf } from './http-freshness.ts';
import { RetrievalError, type Fetched, type Retrieval } from './retrieval.ts';
import type { FetchOptions } from './revocation-contract.ts';

export interface HttpFetchSettings extends HttpFacilities {
  readonly gate: FetchGate;
  readonly clock: Pick<Clock, 'now'>;
  /** What a redirect leads to. */
  readonly targetOf: (url: string) => FetchTarget | Refusal;
}

const maximumRedirects = 5;

/** @throws RetrievalError */
export async function fetchHttp(
  first: HttpTarget,
  options: FetchOptions,
  retrieval: Retrieval,
  settings: HttpFetchSettings,
): Promise<Fetched> {
  const conditions = options.validators === undefined ? {} : conditionsOf(options.validators);
  const seen = new Set<string>();
  for (let target = first; ;) {
    seen.add(target.url);
    const { origin } = target;
    const answer = await settings.gate.pass(origin, retrieval.signal, () =>
      exchange(target, options, conditions, retrieval, settings),
    );
    const { status, headers, bytes } = answer;
    if (bytes !== null) {
      const maximumAge = maximumAgeOf(headers, settings.clock.now());
      return { kind: 'fetched', bytes, from: target.url, validators: validatorsOf(headers), maximumAge };
    }
    if (status === 304 && Object.keys(conditions).length > 0 && options.body === undefined)
      return { kind: 'notModified' };
    if (!redirects(status, options))
      throw new RetrievalError('httpStatus', `${target.host} answered ${statusText(status)}`);
    const next = nextTarget(target, answer, settings);
    if (seen.has(next.url)) throw new RetrievalError('tooManyRedirects', `${next.url} redirects in a circle`);
    if (seen.size > maximumRedirects)
      throw new RetrievalError('tooManyRedirects', `more than ${maximumRedirects} redirects, the last to ${next.url}`);
    target = next;
  }
}

/** 303 and, by custom, 301 and 302 turn a POST into a GET (RFC 9110 section 15.4), which would not be the same question. */
function redirects(status: number, { body }: FetchOptions): boolean {
  return (
    status === 307 || status === 308 || (body === undefined && (status === 301 || status === 302 || status === 303))
  );
}

function nextTarget(from: HttpTarget, { status, headers }: HttpAnswer, settings: HttpFetchSettings): HttpTarget {
  const location = fieldOf(headers, 'location') ?? '';
  // An absolute URL is read as it stands, so that nothing is mended before it is checked.
  const absolute = /^[a-z][a-z0-9+.-]*:/i.test(location) ? location : URL.parse(location, from.url)?.href;
  if (location === '' || absolute === undefined || /[\\\s]/.test(location))
    throw new RetrievalError(
      'malformedAnswer',
      `${from.host} answered ${statusText(status)} without a usable Location`,
    );
  const next = settings.targetOf(absolute);
  if (next.kind === 'refused') throw new RetrievalError(next.code, `${from.host} redirects; ${next.why}`);
  if (next.kind !== 'http')
    throw new RetrievalError('unsupportedUrl', `${from.host} redirects to ${next.kind}: redirects stay within http`);
  return next;
}

function statusText(status: number): string {
  const name = STATUS_CODES[status];
  return name === undefined ? String(status) : `${status} ${name}`;
}
