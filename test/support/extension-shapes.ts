/**
 * Extensions that `src/lab/authority.ts` has no word for, ready for the `extensions` of a recipe.
 */
import { extensionOids } from '../../src/x509/oid.ts';
import { element, hex, name, oid, sequence, text, type ShapedAttribute } from './der-shapes.ts';

export interface ShapedExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** One GeneralName, as it stands in a subjectAltName and in a subtree. */
export const generalName = {
  dns: (value: string): Buffer => text(0x82, value),
  mail: (value: string): Buffer => text(0x81, value),
  uri: (value: string): Buffer => text(0x86, value),
  /** Hex: the address, in a constraint followed by the mask. */
  ip: (octets: string): Buffer => element(0x87, hex(octets)),
  upn: (value: string): Buffer => generalName.other('1.3.6.1.4.1.311.20.2.3', text(0x0c, value)),
  directory: (...attributes: readonly ShapedAttribute[]): Buffer => element(0xa4, name(...attributes)),
  other: (type: string, value: Uint8Array): Buffer => element(0xa0, oid(type), element(0xa0, value)),
  registeredId: (type: string): Buffer => element(0x88, oid(type).subarray(2)),
};

export function nameConstraints(limits: {
  readonly permitted?: readonly Uint8Array[];
  readonly excluded?: readonly Uint8Array[];
}): ShapedExtension {
  const list = (tag: number, bases: readonly Uint8Array[] | undefined) =>
    bases === undefined ? Buffer.alloc(0) : element(tag, ...bases.map((base) => sequence(base)));
  return {
    oid: extensionOids.nameConstraints,
    critical: true,
    value: sequence(list(0xa0, limits.permitted), list(0xa1, limits.excluded)),
  };
}

export function subjectAltName(critical: boolean, ...names: readonly Uint8Array[]): ShapedExtension {
  return { oid: extensionOids.subjectAltName, critical, value: sequence(...names) };
}

export function applicationPolicies(...usages: readonly string[]): ShapedExtension {
  return {
    oid: extensionOids.microsoftApplicationPolicies,
    critical: false,
    value: sequence(...usages.map((usage) => sequence(oid(usage)))),
  };
}

export function policyMappings(...pairs: readonly (readonly [issuer: string, subject: string])[]): ShapedExtension {
  return {
    oid: extensionOids.policyMappings,
    critical: true,
    value: sequence(...pairs.map(([issuer, subject]) => sequence(oid(issuer), oid(subject)))),
  };
}

/** Counts of certificates, below 128; absent ones are left out. */
export function policyConstraints(counts: { readonly explicit?: number; readonly mapping?: number }): ShapedExtension {
  const count = (tag: number, value: number | undefined) =>
    value === undefined ? Buffer.alloc(0) : element(tag, Buffer.of(value));
  return {
    oid: extensionOids.policyConstraints,
    critical: true,
    value: sequence(count(0x80, counts.explicit), count(0x81, counts.mapping)),
  };
}

export function inhibitAnyPolicy(count: number): ShapedExtension {
  return { oid: extensionOids.inhibitAnyPolicy, critical: true, value: element(0x02, Buffer.of(count)) };
}
