/**
 * The configuration language: every key, its kind, its default and what it means. Names follow `netsh http show sslcert`
 * and applicationHost.config. What the parts must be to each other is decided where they are put together: `bindings.ts`,
 * `sites.ts`, `weaknesses.ts`. Keys may be added, never renamed.
 */
import { z } from 'zod';
import { accessFlagBits, type AccessFlag } from '../iis/access-flags.ts';
import { endpoint, hostName, ipAddress, listener } from './addresses.ts';
import { authEndpoints } from './auth-endpoint-schema.ts';
import { authorize } from './authorize-schema.ts';
import { directory } from './directory-schema.ts';
import { identity, locationIdentity } from './identity-schema.ts';
import { group, maybe, needed, standard } from './keys.ts';
import { log } from './log-schema.ts';
import { mapping } from './mapping-schema.ts';
import { certificatesReference, fileReference, secretReference } from './references.ts';
import { revocation } from './revocation-schema.ts';
import { locationTraffic, probes, proxyProtocol } from './traffic-schema.ts';
import { ownUpstreamLimits, upstreamLimits, upstreamReference, upstreams } from './upstreams-schema.ts';
import {
  choice,
  count,
  duration,
  flag,
  orNull,
  retrievalTimeout,
  size,
  text,
  usage,
  workers,
  type Scalar,
} from './scalars.ts';

const name: Scalar<string> = text('a name', (raw) => ({ value: raw }));
const path: Scalar<string> = text('a path', (raw) => ({ value: raw }));

const certificate = group(
  {
    cert: maybe(fileReference, 'PEM or DER: the server certificate first, then its intermediates'),
    key: maybe(secretReference('TLS_KEY', 'tls/server.key'), 'PEM or DER private key of `cert`'),
    pfx: maybe(fileReference, 'PKCS#12 with certificate and key, in place of `cert` and `key`'),
    passphrase: maybe(secretReference('TLS_PASSPHRASE', 'secrets/passphrase'), 'opens `pfx` or an encrypted `key`'),
  },
  'what the server shows',
);

const certificates = z.array(certificatesReference);

export const binding = group(
  {
    endpoint: needed(endpoint, 'ip:port, or host:port chosen by SNI; the name of the binding'),
    listen: maybe(ipAddress, 'where a host endpoint listens when its port has no address endpoint; default 0.0.0.0'),
    certificate: certificate.optional(),
    dsMapperUsage: standard(usage, 'disabled', 'whether certificates of this binding are mapped to accounts'),
    negotiateClientCertificate: standard(
      usage,
      'disabled',
      'enabled: asked for in the first handshake; disabled: by renegotiation when a location wants it',
    ),
    verifyClientCertificateRevocation: standard(
      usage,
      'enabled',
      'whether revocation of client certificates is checked; how is said under `revocation`',
    ),
    verifyRevocationWithCachedClientCertificateOnly: standard(
      usage,
      'disabled',
      'revocation from what is cached; no request waits for a download',
    ),
    usageCheck: standard(usage, 'enabled', 'demand that client certificates are for client authentication'),
    revocationFreshnessTime: standard(
      duration(),
      '0s',
      'how often a newer CRL is looked for; 0s: when nextUpdate has passed',
    ),
    urlRetrievalTimeout: standard(
      retrievalTimeout,
      '15s',
      'longest wait of a request for downloads of revocation data',
    ),
    ctlStoreName: standard(orNull(name), null, 'a store of `trust.stores` that narrows whose clients are let in'),
    clientAuthTrustMode: standard(
      choice([0, 1, 2, 'machineTrust', 'exclusiveRoot', 'exclusiveCa']),
      0,
      'with ctlStoreName: 0 machineTrust, an issuer of the store on each path to a root; 1 exclusiveRoot, the roots of the store alone; 2 exclusiveCa, its CAs alone',
    ),
    sendTrustedIssuerList: standard(
      usage,
      'disabled',
      'send clients the names of the CAs of the store, or of the roots; clients then hide their other certificates',
    ),
    disableHttp2: standard(flag, false, 'HTTP/1.1 only'),
    disableTls13: standard(flag, false, 'no TLS 1.3; a binding that may ask late never has it'),
    disableTls12: standard(flag, false, 'no TLS 1.2'),
    enableSessionTicket: standard(flag, false, 'resumption by ticket'),
    disableOcspStapling: standard(
      flag,
      false,
      'no OCSP answer with the server certificate; without this one is sent where `revocation.hosts` has its responder',
    ),
    proxyProtocol: proxyProtocol.optional(),
    trust: group(
      {
        roots: certificates.min(1).describe('trust anchors of this binding alone'),
        intermediates: certificates.prefault([]).describe('intermediates of this binding alone'),
      },
      'in place of the global `trust`',
    ).optional(),
  },
  'an endpoint, its certificate and what it asks of clients',
);

export const location = group(
  {
    access: group(
      {
        sslFlags: z
          .array(choice(Object.keys(accessFlagBits) as AccessFlag[]))
          .optional()
          .describe('replace those of the parent as a whole'),
      },
      'system.webServer/security/access',
    ).optional(),
    authentication: group(
      {
        anonymous: maybe(
          choice(['disabled', 'fallback', 'suppressesMapping']),
          'disabled; fallback: where no certificate was shown; suppressesMapping: always. / has disabled',
        ),
        clientCertificateMapping: maybe(usage, 'whether certificates are mapped to accounts here. / has disabled'),
      },
      'who is let in',
    ).optional(),
    authorize: authorize.optional(),
    whoami: maybe(
      flag,
      'answer /.dsmapper/whoami below this location: who the gateway takes the client for. / has false',
    ),
    maximumAge: maybe(
      orNull(duration(1)),
      'how long ago the account may have been read from a directory; null: no bound but the cache',
    ),
    identity: locationIdentity.optional(),
    upstream: maybe(upstreamReference, 'backend of this location'),
    upstreamLimits: ownUpstreamLimits.optional(),
    ...locationTraffic,
  },
  'a rule for a path and what lies below; inherits key by key from the nearest path above',
);

export const site = group(
  {
    name: needed(name, 'for logs and messages'),
    bindings: z.array(name).min(1).describe('endpoints, as written under `bindings`'),
    hosts: z.array(hostName).prefault([]).describe('names it answers to; none: every name that no other site claims'),
    pathCase: standard(choice(['ignore', 'exact']), 'ignore', 'how location paths are compared'),
    encodedSlash: standard(choice(['refuse', 'keep']), 'refuse', 'what %2F in a path means: 400, or part of a name'),
    upstream: maybe(upstreamReference, 'backend of all locations that name none'),
    upstreamLimits: ownUpstreamLimits.optional(),
    probes,
    locations: z.record(z.string(), location).prefault({}).describe('path to rule; / is always there'),
  },
  'what the host names of some bindings serve',
);

export const trust = group(
  {
    roots: certificates.prefault([]).describe('trust anchors for client certificates'),
    intermediates: certificates.prefault([]).describe('certificates that may complete chains'),
    ntAuth: standard(
      choice(['directory', 'off']),
      'directory',
      'whether issuers must be in the NTAuth store; off needs labOnly',
    ),
    minimumRsaBits: standard(count(1024, 16_384), 2048, 'shortest RSA key in a chain; below 2048 needs labOnly'),
    allowSha1: standard(flag, false, 'take signatures with SHA-1; needs labOnly'),
    allowCaAsClient: standard(flag, false, 'let CA certificates log on; needs labOnly'),
    stores: z
      .record(z.string(), certificates.min(1).describe('its certificates'))
      .prefault({})
      .describe('stores of CAs by name, for ctlStoreName of bindings; none gives trust by itself'),
    aia: standard(
      usage,
      'disabled',
      'fetch intermediates that nobody presented from where certificates say, at `revocation.hosts`',
    ),
  },
  'who vouches for clients',
);

export const admin = group(
  {
    listen: maybe(listener, 'health and metrics over TCP; none when left out'),
    socket: maybe(path, 'everything else, on a Unix socket of mode 0600; none when left out'),
  },
  'the way in for operators',
);

export const limits = group(
  {
    maximumConnections: standard(count(1, 1_000_000), 10_000, 'connections at once'),
    maximumConnectionsPerAddress: standard(count(1, 1_000_000), 1000, 'connections at once from one address'),
    maximumHandshakes: standard(count(1, 100_000), 512, 'connections at once before the end of their handshake'),
    handshakeTimeout: standard(duration(1), '10s', 'from accept to the end of the handshake'),
    maximumClientHello: standard(size(512), '16KiB', 'bytes of a ClientHello'),
    headersTimeout: standard(duration(1), '30s', 'for the header section of a request'),
    requestTimeout: standard(duration(1), '5m', 'for a whole request'),
    keepAliveTimeout: standard(duration(1), '65s', 'between two requests of a connection'),
    idleTimeout: standard(duration(1), '2m', 'without a byte in either direction'),
    maximumHeaderBytes: standard(size(1024), '32KiB', 'header section of a request'),
    maximumHeaderCount: standard(count(8, 10_000), 200, 'header fields of a request'),
    maximumStreams: standard(count(1, 10_000), 100, 'HTTP/2 streams at once on a connection'),
    maximumRequestsPerConnection: standard(count(1, 10_000_000), 100_000, 'requests before a connection is closed'),
    uploadReadAheadSize: standard(
      size(0),
      49_152,
      'bytes of a body read before a certificate is asked for late; beyond: 413',
    ),
    uploadReadAheadTotal: standard(size(0), '64MiB', 'such bytes at once, all connections; beyond: 503'),
    renegotiationTimeout: standard(duration(1), '60s', 'for the client to send its certificate late'),
    maximumBody: standard(size(0), '1GiB', 'largest body forwarded; 0: no limit'),
    lingerTimeout: standard(
      duration(),
      '5s',
      'how long a refused body is still read, so that the client sees the answer',
    ),
    lingerBytes: standard(size(0), '16MiB', 'how much of it'),
    recheck: standard(duration(1000), '60s', 'how often live connections are judged, mapped and authorised again'),
    drainTimeout: standard(duration(), '30s', 'how long requests in flight may take when the gateway stops'),
    maximumCertificates: standard(count(1, 10_000_000), 10_000, 'client certificates kept with their verdict'),
    upstream: upstreamLimits.prefault({}),
  },
  'what strangers can make the gateway hold, and how long; counts are per process',
);

/** The keys of the whole file. Those without a default here are read with `{}` where that is a valid value. */
export const language = {
  labOnly: standard(flag, false, 'this is a lab: settings that weaken are allowed and loudly reported'),
  verdictHeader: standard(flag, false, 'adds X-DSMapper-Verdict to every answer; needs labOnly'),
  clientCertificateMapping: standard(
    usage,
    'enabled',
    'the server-level switch: disabled turns mapping off everywhere',
  ),
  workers: standard(workers, 'auto', 'worker processes; one in this version'),
  bindings: z.array(binding).min(1).describe('where the gateway listens'),
  sites: z.array(site).min(1).describe('what it serves'),
  trust: trust.prefault({}),
  revocation: revocation.prefault({}),
  directory: directory.optional(),
  mapping: mapping.prefault({}),
  upstreams: upstreams.prefault({}),
  identity: identity.prefault({}),
  authEndpoints: authEndpoints.prefault([]),
  log: log.prefault({}),
  admin: admin.prefault({}),
  limits: limits.prefault({}),
};

export type Language = { readonly [Key in keyof typeof language]: z.output<(typeof language)[Key]> };
