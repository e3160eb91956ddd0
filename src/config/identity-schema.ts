/**
 * How backends hear of the client: which headers, with which names, and signed statements. Whether the values fit each other is looked at in
 * `identity.ts`.
 */
import { z } from 'zod';
import { dialectNames } from '../forward/forward-contract.ts';
import { group, maybe, standard } from './keys.ts';
import { assertion } from './assertion-schema.ts';
import { choice, text, type Scalar } from './scalars.ts';

const headerName: Scalar<string> = text('a header name', (raw) => ({ value: raw }));
const word: Scalar<string> = text('a name', (raw) => ({ value: raw }));

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
      {
        user: maybe(headerName, 'in place of X-Remote-User'),
        upn: maybe(headerName, 'in place of X-Remote-Upn'),
        sid: maybe(headerName, 'in place of X-Remote-Sid'),
        verify: maybe(headerName, 'in place of X-Client-Verify'),
        arr: maybe(headerName, 'in place of X-ARR-ClientCert'),
      },
      'other names for headers; the standard names stay protected',
    ).prefault({}),
    assertion: assertion.optional(),
  },
  'how the backend hears of the client',
);
