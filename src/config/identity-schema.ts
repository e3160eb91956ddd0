/**
 * How backends hear of the client: which headers, with which names, and signed statements. Whether the values fit each other is looked at in
 * `identity.ts`.
 */
import { z } from 'zod';
import { parseAddressRange, type AddressRange } from '../forward/address-range.ts';
import { defaultHeaderNames } from '../forward/dialects.ts';
import { isUriText } from '../forward/dialects/xfcc.ts';
import { dialectNames, type HeaderNames } from '../forward/forward-contract.ts';
import { xfccKeys } from '../forward/identity-settings.ts';
import { group, maybe, needed, standard } from './keys.ts';
import { assertion } from './assertion-schema.ts';
import { quoted } from './complaint.ts';
import { secretReference } from './references.ts';
import { choice, count, size, text, type Scalar } from './scalars.ts';

const headerName: Scalar<string> = text('a header name', (raw) => ({ value: raw }));
const word: Scalar<string> = text('a name', (raw) => ({ value: raw }));

const uri: Scalar<string> = text('a URI', (raw) =>
  isUriText(raw) && /^[a-z][a-z0-9+.-]*:/i.test(raw)
    ? { value: raw }
    : { wrong: `${quoted(raw)} is not a URI`, hint: 'for example spiffe://lab.example.test/gateway' },
);

const addressRange: Scalar<AddressRange> = text('an IP address or a network', (raw) => {
  const value = parseAddressRange(raw);
  return value === null
    ? { wrong: `${quoted(raw)} is neither an IP address nor a network`, hint: 'for example 192.0.2.7 or 192.0.2.0/24' }
    : { value };
});

const dialects = z.array(choice([...dialectNames]));
const forwarded = z.array(choice(['x-forwarded', 'forwarded']));
const groups = choice(['none', 'sids', 'names']);

export const locationIdentity = group(
  {
    dialects: dialects.optional().describe('in place of the global ones'),
    groups: maybe(groups, 'in place of the global one'),
    audience: maybe(word, '`aud` of signed assertions; default: the name of the upstream'),
    forwarded: forwarded.optional().describe('in place of the global ones'),
  },
  'headers for the backend',
);

export const identity = group(
  {
    dialects: dialects.prefault(['remote-user']).describe('which headers the backend gets'),
    groups: standard(groups, 'none', 'whether headers tell groups: by SID, or by name and SID'),
    forwarded: forwarded.prefault(['x-forwarded']).describe("which headers tell the client's address"),
    headers: group(
      headerKeys((key) =>
        maybe(
          headerName,
          `in place of ${defaultHeaderNames[key]}${key === 'iisPrefix' ? ' before server variables' : ''}`,
        ),
      ),
      'other names for headers; the standard names stay protected',
    ).prefault({}),
    maximumBytes: standard(size(1024), '16KiB', 'all identity headers of a request together; who has more is refused'),
    groupLimits: group(
      {
        maximum: standard(count(1, 10_000), 1000, 'groups of one account'),
        whenTooMany: standard(
          choice(['refuse', 'omit']),
          'refuse',
          'whether an account in more groups, or in more than fit into `maximumBytes`, is refused or served without any',
        ),
      },
      'how many groups headers tell',
    ).prefault({}),
    xfcc: group(
      {
        keys: z
          .array(choice([...xfccKeys]))
          .min(1)
          .prefault(['Hash', 'Subject', 'URI', 'DNS'])
          .describe('what an element tells'),
        by: maybe(uri, '`By`: a URI for this gateway; none is written otherwise'),
        mode: standard(
          choice(['sanitize-set', 'append']),
          'sanitize-set',
          'whether what proxies under `from` have sent stays in front of our own element',
        ),
        from: z.array(addressRange).min(1).optional().describe('addresses and networks of those proxies'),
      },
      'X-Forwarded-Client-Cert',
    ).prefault({}),
    ancm: group(
      {
        token: needed(
          secretReference('ASPNETCORE_TOKEN', 'secrets/aspnetcore-token'),
          'what the application has in ASPNETCORE_TOKEN',
        ),
      },
      'the ASP.NET Core module',
    ).optional(),
    assertion: assertion.optional(),
  },
  'how the backend hears of the client',
);

/** One key for each header that can be renamed. */
function headerKeys<T>(make: (key: keyof HeaderNames) => T): { readonly [K in keyof HeaderNames]: T } {
  const keys = Object.keys(defaultHeaderNames) as (keyof HeaderNames)[];
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as { [K in keyof HeaderNames]: T };
}
