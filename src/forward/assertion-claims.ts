/**
 * What an assertion says. Names that are registered for JWT where there are any (RFC 7519 section 4.1, OpenID Connect Core 5.1 `name`, RFC 9068
 * `groups`); ours begin with `dsmapper_`, so that no other meaning can meet them (RFC 7519 section 4.3).
 *
 * There is no `amr`: no value of RFC 8176 means "a certificate", and whether its key lies in a smart card or in a file nobody told us.
 */
import type { Instant, Millis } from '../base/brand.ts';
import type { AssertionFacts } from './assertion-contract.ts';

export interface ClaimTerms {
  readonly issuer: string;
  readonly lifetime: Millis;
  /** `jti`: different for every assertion. */
  readonly id: string;
}

/** Null: it would end before it begins. */
export function claimsOf(
  facts: AssertionFacts,
  terms: ClaimTerms,
  now: Instant,
): Readonly<Record<string, unknown>> | null {
  const { identity, leaf, groups, audience, notAfter } = facts;
  const { account, method, strength, strengthBy } = identity;
  const begins = Math.floor(now / 1000);
  const ends = Math.floor(Math.min(now + terms.lifetime, notAfter) / 1000);
  if (ends <= begins) return null;
  const names = groups?.flatMap(({ name }) => name ?? []) ?? [];
  return {
    iss: terms.issuer,
    sub: account.sid,
    aud: audience,
    iat: begins,
    nbf: begins,
    exp: ends,
    jti: terms.id,
    name: account.name,
    ...(account.upn !== null && { upn: account.upn }),
    ...(groups !== null && { groups: groups.map(({ sid }) => sid) }),
    ...(names.length > 0 && { dsmapper_group_names: names }),
    dsmapper_method: method,
    dsmapper_strength: strength,
    dsmapper_strength_by: strengthBy,
    cnf: { 'x5t#S256': Buffer.from(leaf.digest, 'hex').toString('base64url') },
  };
}
