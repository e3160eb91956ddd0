/**
 * Origins of web pages as browsers send them (RFC 6454 section 6.2, HTML "ASCII serialisation of an origin"), and what pages may ask for:
 * methods and request headers. They are compared to the letter, so only one spelling is taken.
 */
import { quoted } from './complaint.ts';
import { text, type Scalar } from './scalars.ts';

export const pageOrigin: Scalar<string> = text('an origin such as https://app.example.test', (raw) => {
  if (raw === '*') return { wrong: 'any page of the world could ask', hint: 'name the origins, one by one' };
  if (raw.includes('*')) return { wrong: `${quoted(raw)} is not one origin`, hint: 'name the origins, one by one' };
  if (raw === 'null') return { wrong: 'every page can make its origin `null`', hint: 'name the origins, one by one' };
  const url = URL.parse(raw);
  const own = url !== null && /^https?:$/.test(url.protocol) ? url.origin : ownScheme.exec(raw)?.[0].toLowerCase();
  if (own === undefined)
    return { wrong: `${quoted(raw)} is not an origin`, hint: 'write scheme, host and port if it is not the usual one' };
  return own === raw ? { value: raw } : { wrong: `browsers never send ${quoted(raw)}`, hint: `write \`${own}\`` };
});

/** Applications have schemes of their own: `capacitor://localhost`. */
const ownScheme = /^(?!https?:)[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(?::\d{1,5})?(?=\/?$)/i;

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const refusedMethods = ['CONNECT', 'TRACE', 'TRACK'];

export const pageMethod: Scalar<string> = text('a method such as PUT', (raw) => {
  if (raw === '*' || !token.test(raw)) return { wrong: `${quoted(raw)} is not a method`, hint: 'name each: GET, PUT' };
  const upper = raw.toUpperCase();
  if (refusedMethods.includes(upper)) return { wrong: `${upper} is never forwarded`, hint: 'leave it out' };
  if (upper !== raw) return { wrong: `${quoted(raw)} is not the same as ${upper}`, hint: `write \`${upper}\`` };
  return { value: raw };
});

/** Lower case. */
export const pageHeader: Scalar<string> = text('a header name such as Content-Type', (raw) =>
  raw !== '*' && token.test(raw)
    ? { value: raw.toLowerCase() }
    : { wrong: `${quoted(raw)} is not a header name`, hint: 'name each: Content-Type, X-Requested-With' },
);
