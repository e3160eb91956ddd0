/**
 * The part of the configuration language that says where accounts are looked up: one forest, or several. What its keys must be
 * to each other is decided in `directory-section.ts`.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { directoryUrl, dnsName, parseEndpoint } from './addresses.ts';
import { quoted } from './complaint.ts';
import { group, maybe, needed, standard } from './keys.ts';
import { certificatesReference, fileReference, secretReference } from './references.ts';
import { count, duration, flag, text, type Scalar } from './scalars.ts';

const resolver: Scalar<string> = text('an IP address, or ip:port', (raw) => {
  const parsed = isIP(raw) === 0 ? parseEndpoint(raw) : null;
  if (parsed === null || (typeof parsed === 'object' && parsed.kind === 'address')) return { value: raw };
  return { wrong: `${quoted(raw)} is not a DNS server`, hint: 'write its address: 192.0.2.53, or "[2001:db8::53]:53"' };
});

const siteName: Scalar<string> = text('the name of an Active Directory site', (raw) =>
  /^[\w-]{1,63}$/.test(raw)
    ? { value: raw }
    : { wrong: `${quoted(raw)} is not the name of a site`, hint: 'letters, digits, hyphens; 63 at most' },
);

const authorizationId: Scalar<string> = text('dn:... or u:...', (raw) =>
  /^(?:dn|u):./.test(raw)
    ? { value: raw }
    : { wrong: `${quoted(raw)} is not an authorization identity`, hint: 'write dn:CN=... or u:NAME' },
);

const discover = group(
  {
    site: maybe(siteName, 'the Active Directory site whose servers come first'),
    names: z
      .array(dnsName)
      .prefault([])
      .describe('DNS suffixes that servers may have beside that of the domain; any other is not contacted'),
    refresh: standard(duration(1000), '10m', 'how often DNS is asked again'),
    resolvers: z.array(resolver).prefault([]).describe('DNS servers; none: those of the system'),
  },
  'servers by DNS SRV records; who answers is proved by TLS, not by DNS',
);

const bind = group(
  {
    dn: maybe(
      text('a DN or user principal name', (raw) => ({ value: raw })),
      'account that reads the directory',
    ),
    password: maybe(
      secretReference('LDAP_PASSWORD', 'secrets/ldap'),
      'its password; read again when a server no longer takes it',
    ),
    external: group(
      {
        certificate: needed(fileReference, 'PEM or DER: the certificate first, then its intermediates'),
        key: needed(
          secretReference('LDAP_KEY', 'secrets/ldap.key'),
          'PEM or DER private key of `certificate`, not encrypted',
        ),
        authorizationId: maybe(authorizationId, 'who to be; that of the certificate when left out'),
      },
      'in place of `dn` and `password`: the client certificate of the connection logs on (SASL EXTERNAL)',
    ).optional(),
  },
  'how the gateway logs on there',
);

const controllers = z
  .array(directoryUrl)
  .min(1)
  .optional()
  .describe(
    'domain controllers in order of preference; ldap:// means StartTLS. Those that `discover` finds come after',
  );

const domains = z
  .array(
    group(
      {
        name: needed(dnsName, 'DNS name of the domain'),
        controllers,
        discover: discover.optional(),
        bind,
      },
      'an Active Directory domain',
    ),
  )
  .min(1);

const others = {
  globalCatalog: z
    .array(directoryUrl)
    .prefault([])
    .describe('global catalogs, port 3269, or 3268 with ldap://; none: each domain at its controllers'),
  discoverGlobalCatalog: discover.optional(),
  ca: z.array(certificatesReference).prefault([]).describe('CAs of the controllers; none: the public roots of Node'),
};

const forest = group(
  {
    name: maybe(
      text('a name', (raw) => ({ value: raw })),
      'for messages; the name of its first domain when left out',
    ),
    domains: domains.describe('domains of this forest'),
    ...others,
  },
  'a forest, with its own NTAuth store',
);

export const directory = group(
  {
    domains: domains.optional().describe('domains whose accounts are mapped, all of one forest'),
    ...others,
    forests: z
      .array(forest)
      .min(1)
      .optional()
      .describe('several forests, in place of `domains`, `globalCatalog`, `discoverGlobalCatalog` and `ca`'),
    connectTimeout: standard(duration(1), '3s', 'bound on connect, TLS and bind'),
    searchTimeout: standard(duration(1), '3s', 'bound on one search'),
    refresh: standard(duration(1000), '10m', 'how often NTAuth and the domains of the forest are read again'),
    connections: standard(count(2, 64), 4, 'connections to each server'),
    maximumQueue: standard(
      count(1, 1_000_000),
      1000,
      'searches that wait for a server; beyond, the answer is unknown at once',
    ),
    batching: standard(flag, true, 'lookups that arrive together travel in one search'),
    pollInterval: standard(
      duration(),
      '5s',
      'how often the directory is asked what has changed, at least 1s; 0s: never, and changes are seen when answers grow old',
    ),
  },
  'where accounts are looked up',
);
