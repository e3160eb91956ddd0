/**
 * CORS preflights (Fetch standard, CORS-preflight fetch): browsers send them without certificates, so where a location wants one it is the
 * gateway that answers, from the location's list, before anybody is asked for anything. Nothing of them goes upstream, and nothing that they
 * allow lets a request in: what follows walks the whole flow.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { announcesBody } from './announced-body.ts';
import type { Exchange } from './exchange.ts';
import { writeOwnAnswer } from './own-answer.ts';
import type { PreflightSettings } from './settings.ts';
import type { Setup } from './setup.ts';
import type { Rule } from './stages.ts';

/** @returns null where the request is no preflight, or its location leaves them to the backend; else how it ended */
export function answerPreflight({ location }: Rule, exchange: Exchange, setup: Setup): Verdict | null {
  const { preflight } = location;
  if (preflight === null || exchange.method !== 'OPTIONS') return null;
  const { headers, rawHeaders } = exchange.request;
  const origin = headers.origin;
  const method = headers['access-control-request-method'];
  if (origin === undefined || method === undefined) return null;
  if (announcesBody(rawHeaders) || sendsBody(exchange)) return verdict('badRequest', 'a preflight has no body');
  const asked = wordsOf(headers['access-control-request-headers']);
  const fault = faultOf(preflight, origin, method, asked);
  if (fault !== null) return verdict('preflightRefused', fault);
  writeOwnAnswer(
    exchange,
    {
      status: 204,
      statusText: '204',
      contentType: 'text/plain',
      body: '',
      headers: allowing(preflight, origin),
      endsConnection: false,
    },
    setup,
  );
  exchange.answered = true;
  return verdict('anonymous', 'a preflight was answered');
}

/** Two fields of one name stand here with a comma between them, and so are in no list. */
function faultOf(
  { origins, methods, headers }: PreflightSettings,
  origin: string,
  method: string,
  asked: readonly string[],
): string | null {
  if (!origins.includes(origin)) return `pages of ${origin} may not ask here`;
  if (!methods.includes(method)) return `pages of ${origin} may not use ${method} here`;
  const unknown = asked.find((name) => !headers.includes(name));
  return unknown === undefined ? null : `pages of ${origin} may not send ${unknown} here`;
}

function wordsOf(list: string | readonly string[] | undefined): readonly string[] {
  return String(list ?? '')
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '');
}

function allowing({ methods, headers, credentials, maximumAge }: PreflightSettings, origin: string): readonly string[] {
  return [
    ...['Access-Control-Allow-Origin', origin],
    ...['Access-Control-Allow-Methods', methods.join(', ')],
    ...(headers.length === 0 ? [] : ['Access-Control-Allow-Headers', headers.join(', ')]),
    ...(credentials ? ['Access-Control-Allow-Credentials', 'true'] : []),
    ...['Access-Control-Max-Age', String(Math.floor(maximumAge / 1000))],
    ...['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
  ];
}

function sendsBody({ response }: Exchange): boolean {
  return 'stream' in response && !response.stream.endAfterHeaders;
}
