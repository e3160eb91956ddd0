/**
 * Signed assertions in the configuration language.
 */
import { group, maybe, standard } from './keys.ts';
import { choice, duration, size, text, type Scalar } from './scalars.ts';

const word: Scalar<string> = text('a name', (raw) => ({ value: raw }));

export const assertion = group(
  {
    algorithm: standard(choice(['EdDSA', 'ES256']), 'EdDSA', 'signature algorithm (RFC 8037, RFC 7518)'),
    issuer: standard(word, 'dsmapper', '`iss`'),
    lifetime: standard(duration(1000), '60s', 'how long an assertion may be believed'),
    rotation: standard(duration(60_000), '7d', 'how long a key signs'),
    overlap: standard(duration(1000), '1h', 'how long a key is published before it signs, and after'),
    maximumBytes: standard(size(1024), 8000, 'longest assertion; an account with more groups than fit is refused'),
    keyDirectory: maybe(word, 'where keys are kept between restarts; none: in memory alone'),
  },
  'a signed statement (JWT) for the backend',
);
