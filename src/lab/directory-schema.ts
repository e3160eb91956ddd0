/**
 * What the embedded directory knows of Active Directory's schema: syntaxes, which attributes are indexed, which are computed, which
 * the global catalog carries (MS-ADA1 to MS-ADA3). An attribute that is not listed and that some entry carries is a
 * Unicode string.
 */
import { fold } from '../directory/sort-key.ts';
import { foldDn, foldRdns } from './directory-folding.ts';
import { sidBytes } from './directory-sid.ts';

export type Syntax = 'unicode' | 'octets' | 'sid' | 'integer' | 'time' | 'dn' | 'boolean';

interface AttributeFacts {
  readonly syntax: Syntax;
  /** Has a hash index: one equality costs one look-up. */
  readonly indexed?: true;
  /** In the partial attribute set: a global catalog answers it. */
  readonly partial?: true;
  /** Computed when asked for by name, only in a search of one object (MS-ADTS 3.1.1.4.5). */
  readonly baseOnly?: true;
  /** Computed when asked for by name; never part of `*`, never in a filter. */
  readonly constructed?: true;
}

const facts: Readonly<Record<string, AttributeFacts>> = {
  accountexpires: { syntax: 'integer' },
  altsecurityidentities: { syntax: 'unicode', indexed: true, partial: true },
  authorityrevocationlist: { syntax: 'octets' },
  cacertificate: { syntax: 'octets', partial: true },
  certificaterevocationlist: { syntax: 'octets' },
  cn: { syntax: 'unicode', indexed: true, partial: true },
  description: { syntax: 'unicode', partial: true },
  displayname: { syntax: 'unicode', partial: true },
  distinguishedname: { syntax: 'dn', partial: true },
  dnshostname: { syntax: 'unicode', indexed: true, partial: true },
  dnsroot: { syntax: 'unicode', partial: true },
  grouptype: { syntax: 'integer', partial: true },
  invocationid: { syntax: 'octets', indexed: true, partial: true },
  isdeleted: { syntax: 'boolean', partial: true },
  lastknownparent: { syntax: 'dn' },
  lockoutduration: { syntax: 'integer' },
  lockouttime: { syntax: 'integer' },
  logonhours: { syntax: 'octets' },
  mail: { syntax: 'unicode', indexed: true, partial: true },
  maxpwdage: { syntax: 'integer' },
  member: { syntax: 'dn', indexed: true },
  memberof: { syntax: 'dn', indexed: true, partial: true },
  'msds-principalname': { syntax: 'unicode', baseOnly: true, constructed: true },
  'msds-user-account-control-computed': { syntax: 'integer', constructed: true },
  name: { syntax: 'unicode', partial: true },
  ncname: { syntax: 'dn', indexed: true, partial: true },
  netbiosname: { syntax: 'unicode', partial: true },
  objectcategory: { syntax: 'dn', partial: true },
  objectclass: { syntax: 'unicode', partial: true },
  objectguid: { syntax: 'octets', indexed: true, partial: true },
  objectsid: { syntax: 'sid', indexed: true, partial: true },
  primarygroupid: { syntax: 'integer', partial: true },
  pwdlastset: { syntax: 'integer' },
  samaccountname: { syntax: 'unicode', indexed: true, partial: true },
  samaccounttype: { syntax: 'integer', partial: true },
  serviceprincipalname: { syntax: 'unicode', indexed: true, partial: true },
  systemflags: { syntax: 'integer', partial: true },
  tokengroups: { syntax: 'sid', baseOnly: true, constructed: true, partial: true },
  tokengroupsglobalanduniversal: { syntax: 'sid', baseOnly: true, constructed: true, partial: true },
  upnsuffixes: { syntax: 'unicode' },
  usnchanged: { syntax: 'integer', partial: true },
  usncreated: { syntax: 'integer', partial: true },
  useraccountcontrol: { syntax: 'integer', partial: true },
  usercertificate: { syntax: 'octets', partial: true },
  userprincipalname: { syntax: 'unicode', indexed: true, partial: true },
  whenchanged: { syntax: 'time', partial: true },
  whencreated: { syntax: 'time', partial: true },
};

/** Names are in lower case here and below. */
export function isListed(attribute: string): boolean {
  return Object.hasOwn(facts, attribute);
}

export function syntaxOf(attribute: string): Syntax {
  return factsOf(attribute)?.syntax ?? 'unicode';
}

export function isIndexed(attribute: string): boolean {
  return factsOf(attribute)?.indexed === true;
}

export function isPartial(attribute: string): boolean {
  return factsOf(attribute)?.partial === true;
}

export function isBaseOnly(attribute: string): boolean {
  return factsOf(attribute)?.baseOnly === true;
}

export function isConstructed(attribute: string): boolean {
  return factsOf(attribute)?.constructed === true;
}

function factsOf(attribute: string): AttributeFacts | undefined {
  return Object.hasOwn(facts, attribute) ? facts[attribute] : undefined;
}

/** The form in which two values of an attribute compare by `===`; null when the octets are no value of its syntax. */
export function keyOf(attribute: string, value: Buffer): string | null {
  if (attribute === 'objectcategory') return categoryKey(value.toString('utf8'));
  return keyMakers[syntaxOf(attribute)](value);
}

const keyMakers: Readonly<Record<Syntax, (value: Buffer) => string | null>> = {
  boolean: (value) => value.toString('latin1').toUpperCase(),
  dn: (value) => foldDn(value.toString('utf8')),
  integer: (value) => integerKey(value.toString('latin1')),
  octets: (value) => value.toString('latin1'),
  sid: (value) => (sidBytes(value.toString('latin1')) ?? value).toString('latin1'),
  time: (value) => timeKey(value.toString('latin1')),
  unicode: (value) => fold(value.toString('utf8')),
};

/**
 * objectCategory may be asserted by the name of a class (MS-ADTS 3.1.1.3.1.3.5): the class object's own RDN is enough to
 * compare, since all of them live in the one schema container.
 */
function categoryKey(text: string): string | null {
  const rdns = text.includes('=') ? foldRdns(text) : [`CN=${fold(text)}`];
  const category = rdns?.[0] ?? null;
  // Users are of the category Person, whichever of the two classes is named.
  return category === 'CN=USER' ? 'CN=PERSON' : category;
}

function integerKey(text: string): string | null {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text).toString() : null;
}

/** GeneralizedTime to the second, which is what Active Directory stores; the keys sort as the times do. */
function timeKey(text: string): string | null {
  return /^(\d{14})(?:\.\d+)?Z$/.exec(text)?.[1] ?? null;
}
