/**
 * Identifiers that certificates and the registry of Windows are full of, as the configuration language writes them: OIDs,
 * thumbprints, extended key usages by name, and the flags of CertificateMappingMethods.
 */
import type { Thumbprint } from '../base/brand.ts';
import { oids, usageOids } from '../x509/oid.ts';
import { quoted } from './complaint.ts';
import { scalar, shown, text, wrongOf, type Read, type Scalar } from './scalars.ts';
import { nearest } from './suggestion.ts';

/** Dotted decimal without leading zeros, three arcs at least: two are never the OID of a policy or usage. */
const oidPattern = /^[0-2](?:\.(?:0|[1-9]\d{0,38})){2,31}$/;
const oidHint = 'digits and dots, for example 1.3.6.1.4.1.311.21.8.1';

/** An issuance policy, as certificatePolicies has it; anyPolicy demands nothing. */
export const policyOid: Scalar<string> = text('an OID such as 1.3.6.1.4.1.311.21.8.1', (raw) => {
  if (!oidPattern.test(raw)) return { wrong: `${quoted(raw)} is not an OID`, hint: oidHint };
  if (raw === oids.anyPolicy)
    return { wrong: `${quoted(raw)} is anyPolicy, which asks for no policy at all`, hint: 'name the policies' };
  return { value: raw };
});

const usageNames = { smartCardLogon: usageOids.smartCardLogon, clientAuth: usageOids.clientAuth } as const;

/** Dotted decimal of an extended key usage. */
export const extendedKeyUsage: Scalar<string> = text('smartCardLogon, clientAuth or an OID', (raw) => {
  if (Object.hasOwn(usageNames, raw)) return { value: usageNames[raw as keyof typeof usageNames] };
  if (raw === usageOids.any)
    return {
      wrong: `${quoted(raw)} is anyExtendedKeyUsage, which asks for no usage in particular`,
      hint: 'name the usages',
    };
  if (oidPattern.test(raw)) return { value: raw };
  const guess = nearest(raw, Object.keys(usageNames));
  return {
    wrong: `${quoted(raw)} is not an extended key usage`,
    hint: guess === null ? 'write smartCardLogon, clientAuth or an OID' : `did you mean \`${guess}\`?`,
  };
});

/** In any case, with or without the blanks and colons that tools print, and the mark of direction that the certificate dialog of Windows copies along. */
export const thumbprint: Scalar<Thumbprint> = scalar('a thumbprint (SHA-1, 40 hex digits)', (raw): Read<Thumbprint> => {
  if (typeof raw === 'number') return { wrong: 'a thumbprint of digits alone is a number', hint: 'put it in quotes' };
  if (typeof raw !== 'string') return { wrong: `${shown(raw)} is not a thumbprint`, hint: thumbprintHint };
  const digits = raw.replaceAll(/[\s:\u200e]/g, '').toLowerCase();
  if (/^[0-9a-f]{40}$/.test(digits)) return { value: digits as Thumbprint };
  return {
    wrong: `${quoted(raw)} is not a thumbprint`,
    hint: /^[0-9a-f]{64}$/.test(digits) ? `that is SHA-256; ${thumbprintHint}` : thumbprintHint,
  };
});

const thumbprintHint = 'write SHA-1 of the certificate of the CA, 40 hex digits, as Windows shows it';

/** Bits by the names that Microsoft's table of CertificateMappingMethods gives them (KB5014754). */
export const mappingMethodBits = {
  SubjectIssuer: 0x1,
  Issuer: 0x2,
  UPN: 0x4,
  S4U2Self: 0x8,
  S4U2SelfExplicit: 0x10,
} as const;

const bitNames = Object.keys(mappingMethodBits) as readonly (keyof typeof mappingMethodBits)[];
const allBits = 0x1f;

/** The number of the registry, or names in place of its bits. */
export const certificateMappingMethods: Scalar<number> = scalar(
  `a number such as 0x18, or a list of ${bitNames.join(', ')}`,
  (raw): Read<number> => {
    if (Array.isArray(raw)) return bitsOf(raw);
    const written = typeof raw === 'string' && /^0x[0-9a-f]{1,8}$/i.test(raw) ? Number(raw) : raw;
    const hint = `write the number of the registry, such as 0x18, or a list such as [S4U2Self, S4U2SelfExplicit]`;
    if (typeof written !== 'number' || !Number.isInteger(written) || written < 0)
      return { wrong: `${shown(raw)} is neither a number nor a list of methods`, hint };
    if (written > allBits)
      return { wrong: `${quoted(raw)} has bits that stand for no method`, hint: `the bits are 0x1 to 0x10` };
    return written === 0 ? noMethod : { value: written };
  },
);

const noMethod = { wrong: 'leaves no method: nobody would be mapped', hint: 'leave it out for that of the profile' };

function bitsOf(names: readonly unknown[]): Read<number> {
  let bits = 0;
  for (const name of names) {
    const found = bitNames.find((known) => known === name);
    if (found === undefined) {
      const guess = typeof name === 'string' ? nearest(name, bitNames) : null;
      const hint = guess === null ? `the methods are ${bitNames.join(', ')}` : `did you mean \`${guess}\`?`;
      return { wrong: `${shown(name)} is not a method`, hint };
    }
    bits |= mappingMethodBits[found];
  }
  return bits === 0 ? noMethod : { value: bits };
}

/** `S4U2Self, S4U2SelfExplicit`. */
export function bitsText(bits: number): string {
  return bitNames.filter((name) => (bits & mappingMethodBits[name]) !== 0).join(', ');
}

/** What another kind of value makes of a part of a text. */
export function readPart<T>(kind: Scalar<T>, part: string): Read<T> {
  const result = kind.safeParse(part);
  return result.success ? { value: result.data } : wrongOf(result.error.issues[0]);
}
