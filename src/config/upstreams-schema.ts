/**
 * Backends in the configuration language: by origin where one is used, or by the name of an entry of `upstreams`.
 */
import { z } from 'zod';
import { dnsName } from './addresses.ts';
import { quoted } from './complaint.ts';
import { group, maybe, needed, standard } from './keys.ts';
import { certificatesReference, fileReference, secretReference } from './references.ts';
import { choice, count, duration, scalar, shown, text, usage, type Scalar } from './scalars.ts';
import { upstreamServer } from './upstream-reference.ts';

export { upstreamReference } from './upstream-reference.ts';

const limits = {
  maximumConnections: count(1, 10_000).describe('connections to one backend'),
  maximumQueue: count(0, 1_000_000).describe('requests that wait for one; beyond: 503'),
  connectTimeout: duration(1).describe('for a connection to a backend'),
  headersTimeout: duration(1).describe('from the end of the request to the headers of the answer'),
  bodyTimeout: duration().describe(
    'between two pieces of an answer; 0s: no limit. limits.idleTimeout ends it in any case, streams of events excepted',
  ),
  queueTimeout: duration(1).describe('for a connection to become free; beyond: 503'),
  tunnelTimeout: duration().describe('silence of an upgraded connection (WebSocket) that ends it; 0s: no limit'),
};

export const upstreamLimits = group(
  {
    maximumConnections: limits.maximumConnections.prefault(100),
    maximumQueue: limits.maximumQueue.prefault(1000),
    connectTimeout: limits.connectTimeout.prefault('5s'),
    headersTimeout: limits.headersTimeout.prefault('60s'),
    bodyTimeout: limits.bodyTimeout.prefault('90s'),
    queueTimeout: limits.queueTimeout.prefault('5s'),
    tunnelTimeout: limits.tunnelTimeout.prefault('5m'),
  },
  'backends',
);

export const ownUpstreamLimits = group(optionals(limits), 'in place of limits.upstream, key by key');

/** Origin form (RFC 9112 section 3.2.1), as a request has it. */
const requestTarget: Scalar<string> = text('a path such as /healthz', (raw) =>
  /^\/[\u0021\u0022\u0024-\u007e]*$/.test(raw)
    ? { value: raw }
    : {
        wrong: `${quoted(raw)} is not a path`,
        hint: 'it begins with a slash and has no blanks, #, or letters that need encoding',
      },
);

const statusHint = 'write 200, or 200-399';

/** Lowest and highest; interim answers (1xx) are never the last word. */
const statusRange: Scalar<{ readonly from: number; readonly to: number }> = scalar(
  'a status such as 200, or a range such as 200-399',
  (raw) => {
    const written = typeof raw === 'number' || typeof raw === 'string' ? String(raw) : '';
    const [, from = '', to = from] = /^(\d{3})(?:-(\d{3}))?$/.exec(written) ?? [];
    const range = { from: Number(from), to: Number(to) };
    if (from === '' || range.from < 200 || range.to > 599)
      return { wrong: `${shown(raw)} is neither a status nor a range of them`, hint: `${statusHint}; 200 to 599` };
    if (range.from > range.to) return { wrong: `${quoted(raw)} is empty: nothing is in it`, hint: statusHint };
    return { value: range };
  },
);

const healthCheck = group(
  {
    path: needed(requestTarget, 'what is asked for, with GET'),
    interval: standard(duration(100), '10s', 'from one answer to the next question, give or take a tenth'),
    timeout: standard(duration(1), '5s', 'for the whole of a check, connection and answer'),
    status: standard(statusRange, '200-399', 'status of the answer of a healthy server'),
    unhealthyAfter: standard(count(1, 1000), 3, 'failed checks in a row that take a server out'),
    healthyAfter: standard(count(1, 1000), 2, 'good ones in a row that bring it back'),
  },
  'asks each server how it is; without this a server is out while no connection to it can be made',
);

const tls = group(
  {
    roots: z
      .array(certificatesReference)
      .min(1)
      .optional()
      .describe("CAs that the servers' certificates must chain to; left out: the public roots of Node"),
    serverName: maybe(
      dnsName,
      "name that the servers' certificates must have, and SNI; left out: the host of each server",
    ),
    certificate: group(
      {
        cert: needed(fileReference, 'PEM or DER: the certificate first, then its intermediates'),
        key: needed(secretReference('UPSTREAM_KEY', 'tls/upstream.key'), 'PEM or DER private key of `cert`'),
        passphrase: maybe(secretReference('UPSTREAM_PASSPHRASE', 'secrets/passphrase'), 'opens an encrypted `key`'),
      },
      'what the gateway shows the servers; nothing when left out',
    ).optional(),
  },
  'how servers with https are trusted; without it like public ones',
);

const upstream = group(
  {
    servers: z.array(upstreamServer).min(1).describe('where they are; unix:path is http over a Unix socket'),
    tls: tls.optional(),
    http2: standard(
      usage,
      'disabled',
      'offer HTTP/2 to servers with https, for requests and health checks; upgrades, NTLM, Negotiate and proxyProtocol stay on HTTP/1.1',
    ),
    proxyProtocol: maybe(
      choice(['v1', 'v2']),
      "begin connections with the client's address (PROXY protocol); each then belongs to one client. None when left out",
    ),
    hostHeader: standard(
      choice(['client', 'server']),
      'client',
      'the Host that servers see: what the client asked for, or their own',
    ),
    healthCheck: healthCheck.optional(),
    limits: ownUpstreamLimits.optional(),
  },
  'servers that do the same',
);

export const upstreams = z
  .record(z.string(), upstream)
  .describe('backends by name, for `upstream` of sites and locations');

function optionals<S extends Record<string, z.ZodType>>(shape: S): { [K in keyof S]: z.ZodOptional<S[K]> } {
  return Object.fromEntries(Object.entries(shape).map(([key, type]) => [key, type.optional()])) as {
    [K in keyof S]: z.ZodOptional<S[K]>;
  };
}
