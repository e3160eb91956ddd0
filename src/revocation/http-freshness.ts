/**
 * What an HTTP answer says about keeping it: how long it is fresh (RFC 9111 section 4.2), and what to send so that it need not be sent
 * again (RFC 9110 section 13). Decides nothing about the revocation data inside, which has dates of its own, and signed ones.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { Validators } from './revocation-contract.ts';

/** Of an answer; names in lower case. */
export type HttpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** All values of a field as one, null when it is not there. */
export function fieldOf(headers: HttpHeaders, name: string): string | null {
  const value = headers[name];
  return value === undefined ? null : typeof value === 'string' ? value : value.join(', ');
}

/** Null: nothing was said. A sentence that cannot be read says that the answer is stale (RFC 9111 section 4.2.1). */
export function maximumAgeOf(headers: HttpHeaders, at: Instant): Millis | null {
  const control = fieldOf(headers, 'cache-control');
  if (control !== null && /(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])/i.test(control)) return 0 as Millis;
  const ages = [...(control ?? '').matchAll(/(?:^|[\s,])max-age\s*=\s*("?)([^\s,"]*)\1/gi)].map(([, , text]) =>
    seconds(text),
  );
  if (ages.length > 0) return lifetime(Math.min(...ages) * 1000, headers);
  const expires = fieldOf(headers, 'expires');
  if (expires === null) return null;
  const date = Date.parse(fieldOf(headers, 'date') ?? '');
  return lifetime(Date.parse(expires) - (Number.isNaN(date) ? at : date), headers);
}

/** Only what can be sent back as it came: one line of printable ASCII. */
export function validatorsOf(headers: HttpHeaders): Validators {
  const etag = fieldOf(headers, 'etag');
  const lastModified = fieldOf(headers, 'last-modified');
  return {
    etag: etag !== null && /^(?:W\/)?"[!#-~]{0,256}"$/.test(etag) ? etag : null,
    lastModified: lastModified !== null && /^[\w ,:+-]{1,64}$/.test(lastModified) ? lastModified : null,
  };
}

/** Fields of a conditional request. */
export function conditionsOf({ etag, lastModified }: Validators): Record<string, string> {
  return {
    ...(etag === null ? {} : { 'if-none-match': etag }),
    ...(lastModified === null ? {} : { 'if-modified-since': lastModified }),
  };
}

/** What is left of it: caches on the way have used some (RFC 9111 section 4.2.3). */
function lifetime(ms: number, headers: HttpHeaders): Millis {
  const age = fieldOf(headers, 'age');
  const left = ms - (age === null ? 0 : seconds(age) * 1000);
  return (left > 0 ? Math.min(left, longest) : 0) as Millis;
}

const longest = 365 * 86_400_000;

function seconds(text: string | undefined): number {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 0;
}
