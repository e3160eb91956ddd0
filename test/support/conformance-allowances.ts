/**
 * Every way in which an exchange through the gateway may differ from the same one without it, each with its reason. The conformance
 * run fails where a difference has no line here, and where a line explains nothing.
 */
import { METHODS } from 'node:http';
import type { Difference } from './conformance-differences.ts';

export interface Allowance {
  readonly name: string;
  /** Why the gateway does so, and what it goes by. */
  readonly reason: string;
  readonly explains: (difference: Difference) => boolean;
}

export const allowances: readonly Allowance[] = [
  ...ownAnswers(),
  ...fieldsOfAnswers(),
  ...partsOfAnswers(),
  ...requests(),
];

function ownAnswers(): readonly Allowance[] {
  return [
    {
      name: 'a method that node:http does not know is 400 over HTTP/1.1',
      reason: 'its parser has a list of methods and no way to add to it; over HTTP/2 every token passes',
      explains: ({ what, through, way, shape }) =>
        what === 'own' && through === '400 of the front' && way !== 'http2' && !METHODS.includes(shape.request.method),
    },
    {
      name: 'a target that can be read in two ways is 400',
      reason: 'the path chooses the rule, so there must be one reading of it (canonical-path.ts)',
      explains: ({ what, through, shape }) =>
        what === 'own' && through === '400' && ambiguous.has(shape.request.target),
    },
    {
      name: 'an octet above ASCII in a target is 400 of the parser',
      reason: 'RFC 3986 section 2: a URI is ASCII; node:http refuses it before there is a request',
      explains: ({ what, through, way, shape }) =>
        what === 'own' &&
        through === '400 of the front' &&
        way !== 'http2' &&
        shape.request.target === '/payroll/\u00e9',
    },
    {
      name: 'a :path that is neither a path nor the asterisk of OPTIONS resets the stream',
      reason: 'RFC 9113 section 8.3.1: such a request is malformed; nghttp2 sees to it',
      explains: ({ what, through, way, shape }) =>
        what === 'own' &&
        through === 'reset' &&
        way === 'http2' &&
        ['*', 'http://127.0.0.1'].includes(shape.request.target),
    },
    {
      name: 'more header fields or octets than allowed are refused',
      reason: 'limits.maximumHeaderCount and limits.maximumHeaderBytes: what a stranger may make us hold',
      explains: ({ what, shape }) => what === 'own' && shape.name.endsWith(' than allowed'),
    },
    {
      name: 'a body beyond uploadReadAheadSize is 413 where the certificate is asked for late',
      reason: 'it must be held during the renegotiation (as IIS)',
      explains: ({ what, through, way, shape }) =>
        what === 'own' && through === '413' && way === 'late' && (shape.request.body ?? 0) > 49_152,
    },
    {
      name: 'an expectation that nobody knows is 417',
      reason: 'RFC 9110 section 10.1.1: only 100-continue is defined, and a hop that cannot meet another one says so',
      explains: ({ what, through, shape }) =>
        what === 'own' && through === '417' && shape.name === 'Expect of something else',
    },
    {
      name: 'a backend that breaks off before its answer is 502',
      reason: 'RFC 9110 section 15.6.3: the connection of the client is not that of the backend',
      explains: ({ what, through, shape }) =>
        what === 'own' &&
        through === '502.3' &&
        (shape.answer.breaks === 'beforeHead' || shape.answer.breaks === 'inHead'),
    },
    {
      name: 'a status above 599 is 502 over HTTP/2',
      reason: 'RFC 9110 section 15: there is none; node:http2 refuses to send it',
      explains: ({ what, through, way, shape }) =>
        what === 'own' && through === '502.3' && way === 'http2' && shape.answer.status > 599,
    },
  ];
}

function fieldsOfAnswers(): readonly Allowance[] {
  return [
    {
      name: 'Date is added',
      reason: 'RFC 9110 section 6.6.1: a recipient with a clock may add it where the origin has none',
      explains: added('answer', 'date', /^\["[A-Z][a-z]{2}, .* GMT"\]$/),
    },
    {
      name: 'Cache-Control: no-store is added where the backend says nothing',
      reason: 'the answer depends on the certificate (RFC 9440 section 3.1)',
      explains: added('answer', 'cache-control', /^\["no-store"\]$/),
    },
    {
      name: 'X-Request-Id is the gateway\u2019s',
      reason: 'it finds the line of the log',
      explains: ({ side, what, name, through }) =>
        side === 'answer' && what === 'field' && name === 'x-request-id' && /^\["[0-9a-z]+-[0-9a-z]+"\]$/.test(through),
    },
    {
      name: 'fields that begin with X-DSMapper- are the gateway\u2019s',
      reason: 'a backend must not speak for it',
      explains: ({ side, what, name, through }) =>
        side === 'answer' &&
        what === 'field' &&
        ((name === 'x-dsmapper-verdict' && through === '["200"]') ||
          (name.startsWith('x-dsmapper-') && through === '-')),
    },
    {
      name: 'Connection and Keep-Alive speak of the client\u2019s own connection',
      reason: 'RFC 9110 section 7.6.1',
      explains: ({ side, what, name }) =>
        side === 'answer' &&
        (what === 'field' || what === 'spelling') &&
        (name === 'connection' || name === 'keep-alive'),
    },
    {
      name: 'fields of the backend\u2019s own connection end with it',
      reason: 'RFC 9110 section 7.6.1: those, and what Connection lists',
      explains: ({ side, what, name, through }) =>
        side === 'answer' &&
        what === 'field' &&
        through === '-' &&
        ['upgrade', 'x-hop', 'proxy-authenticate'].includes(name),
    },
    {
      name: 'the framing of an answer is that of the client\u2019s connection',
      reason: 'RFC 9112 section 6.1 and RFC 9113 section 8.2.2: a Transfer-Encoding belongs to one hop',
      explains: ({ side, what, name }) => side === 'answer' && what === 'field' && name === 'transfer-encoding',
    },
    {
      name: 'no Content-Length in a 204',
      reason: 'RFC 9110 section 8.6',
      explains: ({ side, what, name, through, shape }) =>
        side === 'answer' &&
        what === 'field' &&
        name === 'content-length' &&
        through === '-' &&
        shape.answer.status === 204,
    },
    {
      name: 'no content and no length of it in a 205 over HTTP/2',
      reason: 'RFC 9110 section 15.3.6: a 205 has none; node:http2 ends the stream with the head',
      explains: ({ side, what, name, way, shape }) =>
        side === 'answer' &&
        way === 'http2' &&
        shape.answer.status === 205 &&
        (what === 'body' || (what === 'field' && name === 'content-length')),
    },
    {
      name: 'Trailer is not passed to who gets no trailers',
      reason: 'nothing of what it announces would come',
      explains: ({ side, what, name, through }) =>
        side === 'answer' && what === 'field' && name === 'trailer' && through === '-',
    },
  ];
}

function partsOfAnswers(): readonly Allowance[] {
  return [
    {
      name: 'HTTP/2 has no reason phrase',
      reason: 'RFC 9113 section 8.3.2',
      explains: ({ what, way, through }) => what === 'reason' && way === 'http2' && through === '',
    },
    {
      name: 'a reason phrase with octets above ASCII is the usual one of its status',
      reason: 'undici decodes it as UTF-8, so its octets are lost; RFC 9112 section 4: it says nothing to a program',
      explains: ({ what, shape, through }) =>
        what === 'reason' && /[\u0080-\u00ff]/.test(shape.answer.reason) && through === 'OK',
    },
    {
      name: 'an empty reason phrase is the usual one of its status',
      reason:
        'undici gives the last piece of a phrase that came in several, and that may be empty; it says nothing to a program',
      explains: ({ what, direct, way }) => what === 'reason' && way !== 'http2' && direct === '',
    },
    {
      name: 'chunk extensions end with their connection',
      reason: 'RFC 9112 section 7.1.1: they belong to one hop',
      explains: ({ what, direct, through }) => what === 'extensions' && direct === 'true' && through === 'false',
    },
    {
      name: 'trailers that must not be trailers are dropped',
      reason: 'RFC 9110 section 6.5.1',
      explains: ({ side, what, shape, through }) =>
        side === 'answer' &&
        what === 'trailers' &&
        shape.name === 'answer with trailers that may not be' &&
        through === '[["x-kept",["1"]]]',
    },
    {
      name: 'a length among the trailers breaks the answer off',
      reason: 'to the parser of undici it contradicts the chunks (RFC 9112 section 6.2)',
      explains: ({ side, shape }) => side === 'answer' && shape.name === 'answer with a length among the trailers',
    },
    {
      name: '100 is the gateway\u2019s, even if the backend refuses the body unseen',
      reason: 'undici cannot wait for a 100, so the gateway sends one when the backend begins to take the body',
      explains: ({ side, what, shape, direct, through }) =>
        side === 'answer' && what === 'interim' && shape.request.expect && direct === '' && through === '100 []',
    },
  ];
}

function requests(): readonly Allowance[] {
  return [
    {
      name: 'the backend is told who the client is and where it comes from',
      reason: 'what the gateway is for; whatever the client says of it is removed',
      explains: ({ side, what, name, through }) =>
        side === 'request' && what === 'field' && (ours.test(name) || (forged.includes(name) && through === '-')),
    },
    {
      name: 'fields of the client\u2019s own connection end with it',
      reason: 'RFC 9110 section 7.6.1: those, and what Connection lists; also Proxy-*, which is for us if for anybody',
      explains: ({ side, what, name, through }) =>
        side === 'request' &&
        what === 'field' &&
        ((through === '-' && connectionFields.includes(name)) ||
          (name === 'connection' && /"keep-alive"|"close"/.test(through))),
    },
    {
      name: 'other spellings of the fields that frame a message are removed',
      reason: 'to a CGI backend they are the same variable',
      explains: ({ side, what, name, through }) =>
        side === 'request' &&
        what === 'field' &&
        through === '-' &&
        ['content_length', 'transfer_encoding'].includes(name),
    },
    {
      name: 'Expect is not passed on',
      reason: 'undici cannot wait for a 100',
      explains: ({ side, what, name, direct }) =>
        side === 'request' && what === 'field' && name === 'expect' && direct === '["100-continue"]',
    },
    {
      name: 'a backend that would have refused the body unseen gets it',
      reason: 'as before: nobody told the client to wait',
      explains: ({ side, what, shape }) =>
        side === 'request' && (what === 'body' || what === 'ending') && shape.request.expect && shape.answer.early,
    },
    {
      name: 'what is left of a body after its answer is not passed on',
      reason: 'RFC 9112 section 9.3, RFC 9113 section 8.1: the answer is complete, and nobody asked for the rest',
      explains: ({ side, what, shape }) =>
        side === 'request' &&
        (what === 'body' || what === 'ending') &&
        shape.answer.early &&
        (shape.request.body ?? 0) > 10,
    },
    {
      name: 'a body of no octets has no length for methods that mean nothing by one',
      reason: 'RFC 9110 section 8.6: to the backend it is the same',
      explains: ({ side, what, name, shape, through }) =>
        side === 'request' &&
        what === 'field' &&
        (name === 'content-length' || name === 'transfer-encoding') &&
        through === '-' &&
        shape.request.body === 0,
    },
    {
      name: 'no body is a length of 0 for methods that mean something by one',
      reason: 'RFC 9110 section 8.6: what a client should send; undici does',
      explains: ({ side, what, name, shape, through }) =>
        side === 'request' &&
        what === 'field' &&
        name === 'content-length' &&
        through === '["0"]' &&
        (shape.request.body ?? 0) === 0,
    },
    {
      name: 'a body that came in chunks before a late certificate has a length',
      reason: 'it is held as a whole, so the length is known',
      explains: ({ side, what, name, way, shape }) =>
        side === 'request' &&
        what === 'field' &&
        way === 'late' &&
        shape.request.framing !== 'length' &&
        (name === 'content-length' || name === 'transfer-encoding'),
    },
    {
      name: 'request trailers are dropped',
      reason: 'undici cannot send them',
      explains: ({ side, what, through }) => side === 'request' && what === 'trailers' && through === '[]',
    },
    {
      name: 'cookies in crumbs are one field',
      reason: 'RFC 9113 section 8.2.3, RFC 6265 section 5.4',
      explains: ({ side, what, name, through }) =>
        side === 'request' && what === 'field' && name === 'cookie' && through === '["a=1; b=2; c=3"]',
    },
    {
      name: 'Host, Connection and what frames the body are spelled as undici does',
      reason: 'it writes these itself',
      explains: ({ side, what, name }) =>
        side === 'request' &&
        what === 'spelling' &&
        ['host', 'connection', 'content-length', 'transfer-encoding'].includes(name),
    },
    {
      name: 'a path is sent in the one spelling that its rule was chosen by',
      reason: 'canonical-path.ts: RFC 3986 section 6.2.2, and empty segments go',
      explains: ({ side, what, shape, through }) =>
        side === 'request' && what === 'target' && respelled.get(shape.request.target) === through,
    },
  ];
}

function added(side: Difference['side'], name: string, value: RegExp) {
  return (difference: Difference): boolean =>
    difference.side === side &&
    difference.what === 'field' &&
    difference.name === name &&
    difference.direct === '-' &&
    value.test(difference.through);
}

const ours =
  /^(?:x-forwarded-(?:for|proto|host)|x-request-id|x-remote-(?:user|upn|sid)|x-client-verify|x-arr-clientcert)$/;
const forged = ['forwarded', 'x_remote_user'];

const connectionFields = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'x-hop',
];

const ambiguous: ReadonlySet<string> = new Set([
  '/payroll/a%2fb',
  '/payroll/a%5cb',
  '/payroll/a\\b',
  '/payroll/%00',
  '/payroll/a%',
  '/payroll/%252e',
  '/payroll/a./b',
  '/..',
  '/payroll/\u00e9',
  '/payroll/%C3',
  '*',
]);

const respelled: ReadonlyMap<string, string> = new Map([
  ['/payroll/%7euser', '/payroll/~user'],
  ['/payroll/%e4%bd%a0', '/payroll/%E4%BD%A0'],
  ['/payroll//a', '/payroll/a'],
  ['/payroll/./a', '/payroll/a'],
  ['/payroll/b/../a', '/payroll/a'],
  ['/payroll/%2e%2e/a', '/a'],
  ['/payroll/{x}', '/payroll/%7Bx%7D'],
  ['/payroll/x|y', '/payroll/x%7Cy'],
  ['http://127.0.0.1/payroll/a?b', '/payroll/a?b'],
  ['http://127.0.0.1', '/'],
  ['https://127.0.0.1/payroll/a', '/payroll/a'],
]);
