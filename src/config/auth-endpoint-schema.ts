/**
 * Listeners where other proxies ask, in the configuration language. What their keys must be to each other is decided in `auth-endpoints.ts`.
 */
import { z } from 'zod';
import { certificateForms } from '../gateway/auth-endpoint-settings.ts';
import { dnsName, listener } from './addresses.ts';
import { quoted } from './complaint.ts';
import { group, maybe, needed, standard } from './keys.ts';
import { certificatesReference, fileReference, secretReference } from './references.ts';
import { choice, count, duration, scalar, shown, size, text, type Scalar } from './scalars.ts';

const word: Scalar<string> = text('a name', (raw) => ({ value: raw }));
const path: Scalar<string> = text('a path', (raw) => ({ value: raw }));

/** Of a certificate: SHA-256, as `openssl x509 -fingerprint -sha256` prints it or without colons. */
const thumbprint: Scalar<string> = text('a SHA-256 thumbprint of 64 hexadecimal digits', (raw) => {
  const digits = raw.replaceAll(/[: ]/g, '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return { value: digits };
  const sha1 = /^[0-9a-f]{40}$/.test(digits);
  return {
    wrong: `${quoted(raw)} is not a SHA-256 thumbprint`,
    hint: sha1
      ? 'that is one of SHA-1; `openssl x509 -fingerprint -sha256` prints the other'
      : 'write 64 hexadecimal digits',
  };
});

const pathPrefix: Scalar<string> = text('a path such as /auth', (raw) =>
  /^(?:\/[A-Za-z0-9_-]+)+$/.test(raw)
    ? { value: raw }
    : {
        wrong: `${quoted(raw)} is not a prefix`,
        hint: 'write /auth: letters, digits, - and _ between slashes, none at the end',
      },
);

/** A name is looked up in /etc/group. */
const unixGroup = scalar<string | number>('the name or number of a group', (raw) => {
  if (typeof raw === 'number' && Number.isInteger(raw) && raw >= 0 && raw < 2 ** 32 - 1) return { value: raw };
  if (typeof raw === 'string' && /^[A-Za-z_][\w.-]{0,63}\$?$/.test(raw)) return { value: raw };
  return { wrong: `${shown(raw)} is not a group`, hint: 'write its name, or its number' };
});

const caller = group(
  {
    name: needed(word, 'for logs, metrics and messages'),
    form: needed(choice(certificateForms), 'how it writes the certificate and where it tells of the request'),
    bindings: z.array(word).min(1).describe('endpoints, as written under `bindings`, whose trust judges the clients'),
    sites: z.array(word).min(1).describe('names of the sites it may ask about'),
    location: maybe(
      path,
      'path of the one location of its one site whose rule holds whatever it says; by host and path when left out',
    ),
    pathPrefix: maybe(pathPrefix, 'form envoy over http: what stands before the path of the request'),
    secret: maybe(secretReference('AUTH_SECRET', 'secrets/auth'), 'a shared secret of at least 32 bytes'),
    dnsNames: z.array(dnsName).prefault([]).describe('dNSNames of its TLS certificate, one of which it must have'),
    thumbprints: z
      .array(thumbprint)
      .prefault([])
      .describe('SHA-256 thumbprints of certificates that are its own as well'),
  },
  'a proxy that may ask',
);

const limits = group(
  {
    maximumConnections: standard(count(1, 100_000), 1000, 'connections at once'),
    maximumQuestions: standard(count(1, 100_000), 1000, 'questions without an answer at once; beyond: 503'),
    maximumHeaderBytes: standard(size(4096), '64KiB', 'header section of a question'),
    questionTimeout: standard(duration(100), '30s', 'for a whole question to arrive'),
    maximumChain: standard(count(1, 32), 10, 'certificates of one client'),
    maximumClients: standard(count(1, 10_000_000), 10_000, 'clients of a caller whose answers are remembered'),
  },
  'bounds of the listener; counts are per process',
);

export const authEndpoint = group(
  {
    name: needed(word, 'for logs and messages'),
    listen: maybe(listener, 'ip:port; without `tls` a loopback address'),
    socket: maybe(path, 'a Unix socket, in place of `listen`'),
    socketAccess: standard(
      choice(['owner', 'group']),
      'owner',
      'who may connect to the socket: the account that serves (mode 0600), or its group as well (0660)',
    ),
    socketGroup: maybe(unixGroup, 'the group that the socket is given to; that of the process when left out'),
    protocol: standard(
      choice(['http', 'grpc']),
      'http',
      'http: HTTP/1.1 requests; grpc: envoy.service.auth.v3.Authorization over HTTP/2',
    ),
    tls: group(
      {
        cert: needed(fileReference, 'PEM or DER: the certificate first, then its intermediates'),
        key: needed(secretReference('AUTH_KEY', 'tls/auth.key'), 'PEM or DER private key of `cert`, not encrypted'),
        ca: z
          .array(certificatesReference)
          .prefault([])
          .describe('CAs that certificates of callers must chain to; none: callers are not asked for one'),
      },
      'TLS on the listener',
    ).optional(),
    callers: z.array(caller).min(1).describe('who may ask'),
    limits: limits.prefault({}),
  },
  'a listener where other proxies ask',
);

export const authEndpoints = z.array(authEndpoint).describe('listeners where other proxies ask');
