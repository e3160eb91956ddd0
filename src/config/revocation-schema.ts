/**
 * The part of the configuration language that says how revocation is found out. What its keys must be to each other is
 * decided in `revocation.ts` and `revocation-checks.ts`.
 */
import { z } from 'zod';
import { crlSource, responderUrl } from './crl-sources.ts';
import { group, maybe, standard } from './keys.ts';
import { certificatesReference, fileReference } from './references.ts';
import { sourceHost } from './source-hosts.ts';
import { choice, duration, orNull, size, text, type Scalar } from './scalars.ts';

const path: Scalar<string> = text('a path', (raw) => ({ value: raw }));
const distinguishedName: Scalar<string> = text('a distinguished name', (raw) => ({ value: raw }));

/** Nothing waits that long: it is only compared with the age of an answer, and roots publish once a year. */
const tenYears = 3650 * 86_400_000;

const issuerPolicy = group(
  {
    certificate: maybe(fileReference, 'the issuer: certificates with this name and key'),
    name: maybe(distinguishedName, 'the issuer: a CA of `trust` by the name of its subject, whatever its key'),
    policy: standard(
      choice(['required', 'ifAvailable', 'never']),
      'required',
      'for what it issued; ifAvailable: unknown is accepted; never: not looked at',
    ),
    crls: z.array(crlSource).prefault([]).describe('its CRLs, beside those that certificates name'),
    ocsp: z.array(responderUrl).prefault([]).describe('its OCSP responders, beside those that certificates name'),
    ocspSigners: z
      .array(certificatesReference)
      .prefault([])
      .describe('certificates that may sign OCSP answers about what it issued, whoever issued them'),
  },
  'what holds for the certificates of one issuer',
);

export const revocation = group(
  {
    mode: standard(
      choice(['online', 'cachedOnly', 'disabled']),
      'online',
      'online; cachedOnly: no request waits for a download; disabled: not checked on any binding',
    ),
    scope: standard(
      choice(['chain', 'leaf']),
      'chain',
      'what is checked: all certificates below the anchor, or the client certificate alone',
    ),
    prefer: standard(choice(['crl', 'ocsp']), 'crl', 'what is asked first where a certificate names both'),
    whenUnknown: standard(
      choice(['refuse', 'accept', 'acceptStale']),
      'refuse',
      'when nothing usable can be had; acceptStale: an answer past its nextUpdate by up to maximumStale serves',
    ),
    maximumStale: standard(duration(1000, tenYears), '24h', 'with whenUnknown acceptStale'),
    noDistributionPoint: standard(
      choice(['accept', 'refuse']),
      'accept',
      'a certificate that names no source, and none is configured for its issuer',
    ),
    clockSkew: standard(duration(), '5m', 'by how much the clocks of others may differ'),
    maximumAge: standard(
      orNull(duration(1000, tenYears)),
      null,
      'how old an answer may be; null: until its nextUpdate',
    ),
    nonce: standard(
      choice(['never', 'send', 'require']),
      'send',
      'in OCSP requests; a wrong one in the answer is always refused, a missing one only with require',
    ),
    hosts: z
      .array(sourceHost)
      .prefault([])
      .describe('where revocation data and intermediates may be fetched from; certificates alone decide nothing'),
    crls: z
      .array(crlSource)
      .prefault([])
      .describe('CRLs beside those that certificates name; the hosts of URLs count as allowed'),
    cacheDirectory: maybe(path, 'where CRLs are kept between restarts; none when left out'),
    maximumCrlSize: standard(size(1024), '64MiB', 'longest CRL that is taken'),
    issuers: z.array(issuerPolicy).prefault([]).describe('policies of issuers; the first that fits holds'),
  },
  'how it is found out whether client certificates have been revoked',
);
