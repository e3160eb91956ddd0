/**
 * Middleware for Express (4 and 5) and everything that calls `(request, response, next)`: lets through who comes with a valid assertion of the
 * gateway, as `request.client`, and answers 401 to everybody else. Needs `npm install jose`.
 */
import { createHash } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';

/**
 * @param {object} options
 * @param {string} options.jwks address of the key set: http://gateway.internal:9090/.well-known/jwks.json
 * @param {string} options.issuer `identity.assertion.issuer` of the gateway
 * @param {string} options.audience `audience` of the location: a name of this application alone
 */
export function requireAssertion({ jwks, issuer, audience }) {
  // A token with an unknown kid makes it fetch again, once a second at most; without one the set is kept for five minutes (less than `overlap`).
  const keys = createRemoteJWKSet(new URL(jwks), {
    cacheMaxAge: 300_000,
    cooldownDuration: 1000,
    timeoutDuration: 5000,
  });
  const rules = {
    issuer,
    audience,
    typ: 'dsmapper+jwt',
    // Never from the token, and nothing symmetric.
    algorithms: ['EdDSA', 'ES256'],
    requiredClaims: ['sub', 'name', 'iat', 'nbf', 'exp', 'jti', 'cnf'],
    clockTolerance: 5,
  };
  return async (request, response, next) => {
    try {
      const { payload } = await jwtVerify(request.headers['x-dsmapper-assertion'] ?? '', keys, rules);
      checkCertificate(payload, request.headers['client-cert']);
      request.client = payload;
    } catch (error) {
      console.error(`refused: ${error.message}`);
      response.statusCode = 401;
      response.end();
      return;
    }
    next();
  };
}

/** Where the location also has the dialect `rfc9440`: the certificate must be the one that the assertion is about (RFC 8705 section 3.1). */
function checkCertificate({ cnf }, header) {
  if (header === undefined) return;
  const [, base64] = /^:([A-Za-z0-9+/]+=*):$/.exec(header) ?? [];
  if (base64 === undefined) throw new Error('Client-Cert is not a byte sequence (RFC 9440)');
  const thumbprint = createHash('sha256').update(Buffer.from(base64, 'base64')).digest('base64url');
  if (cnf?.['x5t#S256'] !== thumbprint) throw new Error('the assertion is about another certificate');
}
