/**
 * One question to one OCSP responder over HTTP (RFC 6960 appendix A): by GET where the URL stays short, so that the caches on the way
 * can answer (RFC 5019 section 5), else by POST. Its reply comes back verified or as a refusal; nothing is kept.
 */
import type { Instant, Millis } from '../base/brand.ts';
import { encodeOcspRequest } from '../x509/ocsp-request.ts';
import { maximumOcspResponse, parseOcspResponse } from '../x509/ocsp-response.ts';
import { authenticateOcsp, ocspStanding } from './ocsp-answer.ts';
import type {
  AnswerRules,
  Fetcher,
  FetchFailure,
  FetchOutcome,
  OcspQuestion,
  OcspRefusal,
  StoredOcsp,
} from './revocation-contract.ts';

export interface OcspExchange {
  readonly question: OcspQuestion;
  readonly rules: AnswerRules;
  readonly timeout: Millis;
  readonly fetcher: Fetcher;
  readonly now: () => Instant;
  /** Milliseconds that never step back. */
  readonly monotonic: () => number;
  readonly randomBytes: (octets: number) => Buffer;
  readonly signal: AbortSignal;
}

export type OcspReply =
  /** It counts now, as good or as revoked. */
  | { readonly kind: 'answered'; readonly stored: StoredOcsp }
  | {
      readonly kind: 'failed';
      readonly code: OcspRefusal | FetchFailure;
      readonly detail: string;
      /** Whether the responder as a whole is to blame, and not what was asked. */
      readonly down: boolean;
      /** When the responder does not know the certificate: its authentic word. */
      readonly stored: StoredOcsp | null;
    };

/** Never rejects, and never takes longer than `timeout`. @param url of the responder */
export async function askResponder(url: string, exchange: OcspExchange): Promise<OcspReply> {
  const { question, rules, now } = exchange;
  const nonce = rules.nonce === 'never' ? null : exchange.randomBytes(nonceLength);
  const outcome = await send(url, encodeOcspRequest({ ...question, nonce }), nonce === null, exchange);
  if (outcome.kind === 'notModified') return failed(url, 'malformed', 'nothing new, although nothing was held', true);
  if (outcome.kind === 'failed') return failed(url, outcome.code, outcome.detail, true);
  // A copy of its own: what came may be shared memory, and is as large as the sender liked.
  const parsed = parseOcspResponse(Buffer.from(outcome.bytes));
  if (parsed.kind === 'malformed') return failed(url, 'malformed', `no OCSP response: ${parsed.reason}`, true);
  const { status } = parsed.response;
  const authenticated = authenticateOcsp(parsed.response, { ...question, nonce });
  if (authenticated.kind === 'refused')
    return failed(url, authenticated.code, authenticated.why, status === 'tryLater' || status === 'internalError');
  const at = now();
  const stored: StoredOcsp = { ...authenticated.answer, source: url, fetchedAt: at };
  const standing = ocspStanding(stored, { rules, at, signers: question.signers });
  if (standing.status !== 'unknown') return { kind: 'answered', stored };
  return failed(url, standing.code, standing.why, false, standing.code === 'unknownCertificate' ? stored : null);
}

/** Octets; the length that RFC 9654 section 2.1 recommends and RFC 8954 allows at most. */
const nonceLength = 32;

async function send(url: string, request: Buffer, cacheable: boolean, exchange: OcspExchange): Promise<FetchOutcome> {
  const { fetcher, monotonic, timeout, signal } = exchange;
  if (!/^https?:/i.test(url))
    return { kind: 'failed', code: 'unsupportedUrl', detail: 'OCSP responders are asked by http' };
  const deadline = monotonic() + timeout;
  const options = { timeout, maximumBytes: maximumOcspResponse, signal };
  const short = cacheable ? getUrl(url, request) : null;
  if (short !== null) {
    const got = await fetcher.fetch(short, options);
    // Some responders know POST alone.
    if (got.kind !== 'failed' || got.code !== 'httpStatus') return got;
  }
  const left = Math.max(0, deadline - monotonic()) as Millis;
  const body = { bytes: request, contentType: 'application/ocsp-request' };
  return fetcher.fetch(url, { ...options, timeout: left, body });
}

/** Octets of a URL that has to be short enough for every cache (RFC 5019 section 5). */
const longestGetUrl = 255;

/** Null when it would be too long, or end inside a query. */
function getUrl(url: string, request: Buffer): string | null {
  if (/[?#]/.test(url)) return null;
  const full = `${url}${url.endsWith('/') ? '' : '/'}${encodeURIComponent(request.toString('base64'))}`;
  return full.length <= longestGetUrl ? full : null;
}

function failed(
  url: string,
  code: OcspRefusal | FetchFailure,
  detail: string,
  down: boolean,
  stored: StoredOcsp | null = null,
): OcspReply {
  return { kind: 'failed', code, detail: `OCSP responder ${url}: ${detail}`, down, stored };
}
