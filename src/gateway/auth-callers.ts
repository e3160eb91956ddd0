/**
 * Which caller asks: by a shared secret, by its TLS certificate, or because nobody else can open the socket. What a caller may ask about is
 * decided in `auth-rule.ts`.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { CallerCertificate } from '../tls/caller-server.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { AuthCallerSettings, AuthEndpointSettings, CallerProof } from './auth-endpoint-settings.ts';

/** What came with a question. */
export interface ShownByCaller {
  /** From `X-DSMapper-Secret`, else from `Authorization: Bearer`; null: none. */
  readonly secret: string | null;
  readonly certificate: CallerCertificate | null;
}

/** @returns the one caller whose proof this is, or why there is none */
export function callerOf(
  callers: readonly AuthCallerSettings[],
  shown: ShownByCaller,
  now: number,
): AuthCallerSettings | string {
  const secret = shown.secret === null ? null : hash('sha256', shown.secret, 'buffer');
  const names = shown.certificate === null ? null : namesOf(shown.certificate, now);
  let found: AuthCallerSettings | null = null;
  let count = 0;
  // All of them are gone through: how long it takes says nothing of which secret was near.
  for (const caller of callers) {
    if (!proves(caller.proof, secret, names)) continue;
    found = caller;
    count += 1;
  }
  if (found !== null && count === 1) return found;
  if (count > 1) return 'what it shows belongs to more than one caller';
  return secret === null && shown.certificate === null ? 'shows nothing' : 'shows nothing that belongs to a caller';
}

/**
 * Who may ask at a listener today. It stays as it was made until a restart, so that a proof counts only where the listener shows what the proof
 * rests on now: its place for who shows nothing, its CAs for certificates.
 * @param made the endpoint as the listener was made for it
 */
export function callersAt(
  made: AuthEndpointSettings,
  endpoints: readonly AuthEndpointSettings[],
): readonly AuthCallerSettings[] {
  const now = endpoints.find(({ name }) => name === made.name);
  if (now === undefined || now.protocol !== made.protocol) return [];
  const samePlace = isDeepStrictEqual(now.listen, made.listen);
  const sameAuthorities = isDeepStrictEqual(now.tls?.authorities, made.tls?.authorities);
  return now.callers.filter(({ proof: { secret, certificate } }) =>
    certificate === null ? secret !== null || samePlace : sameAuthorities,
  );
}

/**
 * The secret that came with a question.
 * @param flat name, value, name, value
 * @returns undefined where there are two of the kind that counts
 */
export function secretIn(flat: readonly string[]): string | null | undefined {
  let own: string | null = null;
  let bearer: string | null | undefined = null;
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = flat[index] ?? '';
    const value = flat[index + 1] ?? '';
    if (name.length === secretHeader.length && name.toLowerCase() === secretHeader) {
      if (own !== null) return undefined;
      own = value;
    } else if (name.length === 13 && name.toLowerCase() === 'authorization' && /^bearer +/i.test(value)) {
      // Clients of the proxy send theirs as well: of two nobody knows which is the caller's.
      bearer = bearer === null ? value.replace(/^bearer +/i, '') : undefined;
    }
  }
  return own ?? bearer;
}

const secretHeader = 'x-dsmapper-secret';

interface Names {
  readonly dnsNames: readonly string[];
  readonly thumbprint: string;
}

function proves({ secret, certificate }: CallerProof, given: Buffer | null, names: Names | null): boolean {
  const secretHolds = secret === null || (given !== null && timingSafeEqual(secret, given));
  return secretHolds && (certificate === null || (names !== null && isNamed(certificate, names)));
}

function isNamed(wanted: NonNullable<CallerProof['certificate']>, { dnsNames, thumbprint }: Names): boolean {
  return wanted.thumbprints.includes(thumbprint) || dnsNames.some((name) => wanted.dnsNames.includes(name));
}

const known = new WeakMap<Buffer, Names | null>();

/** Null where the certificate proves nothing: not of the CAs, out of date, not readable. */
function namesOf({ der, authorised, validUntil }: CallerCertificate, now: number): Names | null {
  if (!authorised || now > validUntil) return null;
  const before = known.get(der);
  if (before !== undefined) return before;
  const parsed = parseCertificate(der);
  const names =
    parsed.kind === 'parsed'
      ? {
          dnsNames: (parsed.certificate.extensions.subjectAltName?.dnsNames ?? []).map((name) => name.toLowerCase()),
          thumbprint: hash('sha256', der, 'hex'),
        }
      : null;
  known.set(der, names);
  return names;
}
