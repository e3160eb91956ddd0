/**
 * Whether one name lies within one constraint, for the name forms that are text or octets (RFC 5280 section 4.2.1.10):
 * DNS names, mail addresses, URIs, IP addresses, and user principal names as Windows reads them. Directory names are
 * compared in `x509/`; which certificate's names meet which constraints is decided in `name-constraints.ts`.
 *
 * Where two readings exist, an excluded subtree is read widely and a permitted one narrowly.
 */

export type Side = 'permitted' | 'excluded';

/** A host name of at least one label; a wildcard only as the whole leftmost label of several. */
export function isDnsName(text: string): boolean {
  if (text.length > 253) return false;
  const labels = text.split('.');
  return labels.every((label, index) => (label === '*' ? index === 0 && labels.length > 1 : isLabel(label)));
}

/** Empty means every name; a leading dot, which RFC 5280 does not know for DNS, means names strictly below. */
export function isDnsConstraint(text: string): boolean {
  return text === '' || isHost(text.startsWith('.') ? text.slice(1) : text);
}

export function isDnsWithin(name: string, constraint: string, side: Side): boolean {
  const host = name.toLowerCase();
  const base = constraint.toLowerCase();
  if (base === '') return true;
  const strictlyBelow = base.startsWith('.');
  const suffix = strictlyBelow ? base : `.${base}`;
  const apex = strictlyBelow ? base.slice(1) : base;
  if (!host.startsWith('*.')) return host.endsWith(suffix) || (!strictlyBelow && host === apex);
  // A wildcard stands for every single label in its place (RFC 9525 section 6.3). Permitted when all of these are
  // within; excluded when any of them is: `*.example.com` is excluded by `host.example.com`, too.
  const parent = host.slice(2);
  if (`.${parent}`.endsWith(suffix)) return true;
  if (side === 'permitted' || strictlyBelow || !apex.endsWith(`.${parent}`)) return false;
  return !apex.slice(0, -parent.length - 1).includes('.');
}

/** `local@host` with exactly one at sign; quoted local parts do not occur in certificates of ours and are refused. */
export function isMailbox(text: string): boolean {
  const parts = text.split('@');
  const [local = '', host = ''] = parts;
  return parts.length === 2 && local !== '' && !/[\s<>()"\\,;:]/.test(local) && isHost(host);
}

/** A mailbox, a host, `.domain`, or `@host` as AD CS writes it. Empty excludes all; it cannot permit (see below). */
export function isMailConstraint(text: string, side: Side): boolean {
  return isAddressConstraint(text, side, isMailbox);
}

/** RFC 5280 section 4.2.1.6: the local part is compared exactly, the host without case; excluding ignores case in both. */
export function isMailWithin(mailbox: string, constraint: string, side: Side): boolean {
  return isAddressWithin(mailbox, constraint, side === 'excluded' ? lowerCase : (local) => local);
}

/** Neither side need be DNS syntax; but with a second at sign two readers could disagree where the suffix begins. */
export function isUpn(text: string): boolean {
  return /^[^@\p{Cc}]+@[^@\p{Cc}]+$/u.test(text);
}

/** The forms of a mail constraint: AD CS documents `UPN = @example.com`, `.example.com` and `user@example.com`. */
export function isUpnConstraint(text: string, side: Side): boolean {
  return isAddressConstraint(text, side, isUpn);
}

/** Active Directory compares UPNs without case, width and accents, so excluding must fold them as well. */
export function isUpnWithin(upn: string, constraint: string, side: Side): boolean {
  return isAddressWithin(upn, constraint, side === 'excluded' ? foldWidely : lowerCase);
}

/** The host of an absolute URI with an authority; null for others and for IP addresses, which no constraint covers. */
export function hostOfUri(uri: string): string | null {
  const [, host = ''] = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@[\]]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri) ?? [];
  return isHost(host) && !/^[\d.]+$/.test(host) ? host : null;
}

export function isUriConstraint(text: string, side: Side): boolean {
  return text === '' ? side === 'excluded' : isHost(text.startsWith('.') ? text.slice(1) : text);
}

/** RFC 5280: a host is that host alone, a leading dot is everything below it. */
export function isUriWithin(uri: string, constraint: string): boolean {
  return constraint === '' || isHostWithin(hostOfUri(uri) ?? '', constraint);
}

/** @param constraint address and mask, twice as long as the address */
export function isIpWithin(address: Buffer, constraint: Buffer): boolean {
  const { length } = address;
  return (
    constraint.length === 2 * length &&
    address.every((octet, at) => ((octet ^ (constraint[at] ?? 0)) & (constraint[length + at] ?? 0)) === 0)
  );
}

/** 8 or 32 octets whose second half is a mask without holes (RFC 4632). */
export function isIpConstraint(constraint: Buffer): boolean {
  if (constraint.length !== 8 && constraint.length !== 32) return false;
  const mask = [...constraint.subarray(constraint.length / 2)].map((octet) => octet.toString(2).padStart(8, '0'));
  return !mask.join('').includes('01');
}

/**
 * An empty base is no form of RFC 5280. AD CS writes it to exclude every name of its kind and reads it so; OpenSSL lets it
 * match nothing. Excluded it is honoured; permitted it is refused, so that neither reading widens a CA's rights.
 */
function isAddressConstraint(text: string, side: Side, isAddress: (text: string) => boolean): boolean {
  if (text === '') return side === 'excluded';
  if (text.startsWith('@') || text.startsWith('.')) return isHost(text.slice(1));
  return text.includes('@') ? isAddress(text) : isHost(text);
}

function isAddressWithin(address: string, constraint: string, fold: (text: string) => string): boolean {
  if (constraint === '') return true;
  const at = address.lastIndexOf('@');
  const baseAt = constraint.lastIndexOf('@');
  const host = address.slice(at + 1);
  if (baseAt < 1) return isHostWithin(foldHost(host, fold), foldHost(constraint.slice(baseAt + 1), fold));
  return (
    fold(address.slice(0, at)) === fold(constraint.slice(0, baseAt)) &&
    foldHost(host, fold) === foldHost(constraint.slice(baseAt + 1), fold)
  );
}

function foldHost(host: string, fold: (text: string) => string): string {
  return fold(host).toLowerCase();
}

function isHostWithin(host: string, constraint: string): boolean {
  const name = host.toLowerCase();
  const base = constraint.toLowerCase();
  return base.startsWith('.') ? name.endsWith(base) && name.length > base.length : name === base;
}

function isHost(text: string): boolean {
  return text.length <= 253 && text.split('.').every(isLabel);
}

/** Letters, digits and hyphens inside; the underscore is not a host's but is in use. */
function isLabel(label: string): boolean {
  return label.length <= 63 && /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/i.test(label);
}

function lowerCase(text: string): string {
  return text.toLowerCase();
}

function foldWidely(text: string): string {
  return text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
}
