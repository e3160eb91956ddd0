/**
 * Writes certificates byte by byte for tests that care about how a name is encoded: any string type, any order of RDNs,
 * any content of the serial. The same description always gives the same bytes (Ed25519 signatures are deterministic, keys
 * come from names). Nothing is checked: a wrong description makes a wrong certificate.
 */
import { createPrivateKey, createPublicKey, hash, sign, type KeyObject } from 'node:crypto';

export type StringType = 'utf8' | 'printable' | 'ia5' | 'teletex' | 'bmp' | 'universal' | 'octets';

export interface TypedAttribute {
  readonly type: string;
  readonly as: StringType;
  readonly text?: string;
  /** Content octets, instead of `text`. */
  readonly hex?: string;
}

/** `CN=alice` (UTF8String; everything behind the first `=` is the value), or an attribute of another string type. */
export type WrittenAttribute = string | TypedAttribute;

/** An RDN, or several attributes that form one, in the order in which they are to be encoded. */
export type WrittenName = readonly (WrittenAttribute | readonly WrittenAttribute[])[];

export interface WrittenCertificate {
  readonly issuer: WrittenName;
  readonly subject: WrittenName;
  /** Hex of the content octets; an odd number of digits is padded on the left. */
  readonly serial?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Hex; no extension when absent. */
  readonly subjectKeyIdentifier?: string;
  readonly upns?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly rfc822Names?: readonly string[];
  readonly uris?: readonly string[];
  /** Hex of the octets: 8 or 32 digits. */
  readonly ipAddresses?: readonly string[];
  /** Dotted decimal; no certificatePolicies when absent. */
  readonly policies?: readonly string[];
  /** Text of Microsoft's security extension. */
  readonly sid?: string;
  /** With basicConstraints and keyUsage of a CA. */
  readonly ca?: boolean;
  /** Names the keys, so that two issuers of one name can differ. */
  readonly keyLabel?: string;
}

/** @returns DER; signed with the key that belongs to the issuer's name */
export function writeCertificate(what: WrittenCertificate): Buffer {
  const issuer = writeName(what.issuer);
  const subject = writeName(what.subject);
  const label = what.keyLabel ?? '';
  const tbs = sequence(
    tlv(0xa0, integer('02')),
    integer(what.serial ?? '01'),
    ed25519,
    issuer,
    sequence(time(what.notBefore ?? '2024-01-01T00:00:00Z'), time(what.notAfter ?? '2034-01-01T00:00:00Z')),
    subject,
    createPublicKey(keyOf(label, subject)).export({ type: 'spki', format: 'der' }),
    ...extensionsOf(what),
  );
  return sequence(tbs, ed25519, bitString(sign(null, tbs, keyOf(label, issuer))));
}

export function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** PEM of the key that belongs to a subject's name. */
export function keyPemOf(subject: WrittenName, label = ''): string {
  return keyOf(label, writeName(subject)).export({ type: 'pkcs8', format: 'pem' });
}

export function writeName(name: WrittenName): Buffer {
  return sequence(
    ...name.map((rdn) => tlv(0x31, ...(isTogether(rdn) ? rdn.map(writeAttribute) : [writeAttribute(rdn)]))),
  );
}

function isTogether(rdn: WrittenName[number]): rdn is readonly WrittenAttribute[] {
  return Array.isArray(rdn);
}

function writeAttribute(attribute: WrittenAttribute): Buffer {
  const { type, as, text = '', hex } = typeof attribute === 'string' ? splitAttribute(attribute) : attribute;
  const [tag, encode] = stringTypes[as];
  return sequence(
    oid(attributeOids[type] ?? type),
    tlv(tag, hex === undefined ? encode(text) : Buffer.from(hex, 'hex')),
  );
}

function splitAttribute(attribute: string): TypedAttribute {
  const equals = attribute.indexOf('=');
  return { type: attribute.slice(0, equals), as: 'utf8', text: attribute.slice(equals + 1) };
}

const stringTypes: Readonly<Record<StringType, readonly [tag: number, encode: (text: string) => Buffer]>> = {
  utf8: [12, (text) => Buffer.from(text, 'utf8')],
  printable: [19, (text) => Buffer.from(text, 'latin1')],
  teletex: [20, (text) => Buffer.from(text, 'latin1')],
  ia5: [22, (text) => Buffer.from(text, 'latin1')],
  bmp: [30, (text) => Buffer.from(text, 'utf16le').swap16()],
  universal: [28, (text) => Buffer.concat(Array.from(text, (one) => uint32(one.codePointAt(0) ?? 0)))],
  octets: [4, (text) => Buffer.from(text, 'latin1')],
};

const attributeOids: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  SN: '2.5.4.4',
  SERIALNUMBER: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  STREET: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  T: '2.5.4.12',
  G: '2.5.4.42',
  I: '2.5.4.43',
  DC: '0.9.2342.19200300.100.1.25',
  UID: '0.9.2342.19200300.100.1.1',
  E: '1.2.840.113549.1.9.1',
};

function extensionsOf(what: WrittenCertificate): readonly Buffer[] {
  const names = [
    ...(what.upns ?? []).map((upn) => otherName('1.3.6.1.4.1.311.20.2.3', tlv(12, Buffer.from(upn, 'utf8')))),
    ...(what.rfc822Names ?? []).map((mail) => tlv(0x81, Buffer.from(mail, 'latin1'))),
    ...(what.dnsNames ?? []).map((name) => tlv(0x82, Buffer.from(name, 'latin1'))),
    ...(what.uris ?? []).map((uri) => tlv(0x86, Buffer.from(uri, 'latin1'))),
    ...(what.ipAddresses ?? []).map((address) => tlv(0x87, Buffer.from(address, 'hex'))),
  ];
  const list = [
    ...(what.subjectKeyIdentifier === undefined
      ? []
      : [extension('2.5.29.14', tlv(4, Buffer.from(what.subjectKeyIdentifier, 'hex')))]),
    // critical where the subject is empty, RFC 5280 section 4.2.1.6
    ...(names.length === 0 ? [] : [extension('2.5.29.17', sequence(...names), what.subject.length === 0)]),
    ...(what.ca === true
      ? [
          extension('2.5.29.19', sequence(Buffer.from('0101ff', 'hex')), true),
          extension('2.5.29.15', Buffer.from('03020106', 'hex'), true),
        ]
      : []),
    extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.2'))),
    ...(what.policies === undefined
      ? []
      : [extension('2.5.29.32', sequence(...what.policies.map((policy) => sequence(oid(policy)))))]),
    ...(what.sid === undefined
      ? []
      : [
          extension(
            '1.3.6.1.4.1.311.25.2',
            sequence(otherName('1.3.6.1.4.1.311.25.2.1', tlv(4, Buffer.from(what.sid, 'latin1')))),
          ),
        ]),
  ];
  return [tlv(0xa3, sequence(...list))];
}

function otherName(type: string, value: Buffer): Buffer {
  return tlv(0xa0, oid(type), tlv(0xa0, value));
}

function extension(type: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(type), ...(critical ? [Buffer.from('0101ff', 'hex')] : []), tlv(4, value));
}

/** An Ed25519 key that belongs to a label and a name (RFC 8410 section 7). */
function keyOf(label: string, name: Buffer): KeyObject {
  const seed = hash('sha256', Buffer.concat([Buffer.from(label), name]), 'buffer');
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
}

function time(iso: string): Buffer {
  const digits = new Date(iso).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const late = Number(digits.slice(0, 4)) >= 2050;
  return tlv(late ? 24 : 23, Buffer.from(late ? digits : digits.slice(2), 'latin1'));
}

function integer(hex: string): Buffer {
  return tlv(2, Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
}

function bitString(bits: Buffer): Buffer {
  return tlv(3, Buffer.from([0]), bits);
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tlv(6, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(arc: number): readonly number[] {
  const octets = [arc % 128];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) octets.unshift(0x80 | (left % 128));
  return octets;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const header = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...header]), content]);
}

const ed25519 = sequence(oid('1.3.101.112'));
