/**
 * The explicit strings of a certificate once more, from the published descriptions alone (MS-PKCA 3.1.5.2.1.3, remarks of CertNameToStr,
 * KB831789, KB5014754), to be compared with what the product builds. It shares no line with it, not even the reader of DER: the
 * same mistake would have to be made twice.
 */
import { createHash } from 'node:crypto';

/** Every value that is looked for by default, in no particular order, none twice. */
export function explicitStrings(der: Uint8Array): readonly string[] {
  const [tbs] = inside(der, elementAt(der, 0));
  const fields = inside(der, tbs).filter(({ tag }) => tag !== 0xa0);
  const [serial, , issuer, , subject] = fields;
  const extensions = extensionsOf(der, fields);

  const found = new Set<string>();
  for (const backslash of [false, true]) {
    const i = nameOf(der, issuer, backslash);
    const s = nameOf(der, subject, backslash);
    if (i !== '') {
      for (const sr of serialTexts(bodyOf(der, serial))) found.add(`X509:<I>${i}<SR>${sr}`);
      for (const sid of sidsOf(extensions)) found.add(`X509:<I>${i}<SID>${sid}`);
      found.add(`X509:<I>${i}`);
    }
    if (s !== '') found.add(`X509:<S>${s}`);
    if (i !== '' && s !== '') found.add(`X509:<I>${i}<S>${s}`);
  }
  for (const content of extensions.get('2.5.29.14') ?? []) {
    const identifier = hex(bodyOf(content, elementAt(content, 0)));
    if (identifier !== '') found.add(`X509:<SKI>${identifier}`);
  }
  for (const content of extensions.get('2.5.29.17') ?? [])
    for (const name of inside(content, elementAt(content, 0)))
      if (name.tag === 0x81 && name.end > name.body)
        found.add(`X509:<RFC822>${Buffer.from(bodyOf(content, name)).toString('ascii')}`);
  found.add(`X509:<SHA1-PUKEY>${createHash('sha1').update(der).digest('hex')}`);
  return [...found];
}

// ---- names

/** KB831789 and the remarks of CertNameToStr; the first name of Windows' table for each type. */
const windowsNames =
  `CN 2.5.4.3, C 2.5.4.6, L 2.5.4.7, S 2.5.4.8, O 2.5.4.10, OU 2.5.4.11, DC 0.9.2342.19200300.100.1.25,
  E 1.2.840.113549.1.9.1, STREET 2.5.4.9, T 2.5.4.12, G 2.5.4.42, I 2.5.4.43, SN 2.5.4.4, SERIALNUMBER 2.5.4.5,
  Description 2.5.4.13, PostalCode 2.5.4.17, POBox 2.5.4.18, Phone 2.5.4.20, X21Address 2.5.4.24, dnQualifier 2.5.4.46`
    .split(',')
    .map((pair) => pair.trim().split(' '));

function nameOf(der: Uint8Array, name: Element | undefined, backslash: boolean): string {
  let text = '';
  for (const rdn of inside(der, name)) {
    let first = true;
    for (const attribute of inside(der, rdn)) {
      const [type, value] = inside(der, attribute);
      if (first && text !== '') text += ',';
      if (!first) text += ' ';
      first = false;
      const oid = dotted(bodyOf(der, type));
      text += `${windowsNames.find(([, known]) => known === oid)?.[0] ?? `OID.${oid}`}=`;
      text += printed(der, value, backslash);
    }
  }
  return text.split('\r\n').join('\n').split('\r').join('\n').split('\n').join(',');
}

function printed(der: Uint8Array, value: Element | undefined, backslash: boolean): string {
  if (value === undefined) throw new Error('an attribute has a value');
  const body = bodyOf(der, value);
  const text = characters(value.tag, body);
  if (text === null) return `#${hex(value.tag === 4 ? body : der.subarray(value.head, value.end))}`;
  const causes = [',', '+', '=', '"', '\n', '<', '>', '#', ';', ...(backslash ? ['\\'] : [])];
  const wrapped = text.length === 0 || text.trim().length !== text.length || causes.some((one) => text.includes(one));
  return wrapped ? `"${text.split('"').join('""')}"` : text;
}

/** Null where the octets are no text of their type. */
function characters(tag: number, octets: Uint8Array): string | null {
  const decode = (label: string) => {
    try {
      return new TextDecoder(label, { fatal: true, ignoreBOM: true }).decode(octets);
    } catch {
      return null;
    }
  };
  const each = () => Array.from(octets, (octet) => String.fromCodePoint(octet)).join('');
  if (tag === 12) return decode('utf-8');
  if ([18, 19, 22, 26].includes(tag)) return octets.some((octet) => octet > 127) ? null : each();
  if (tag === 20) return decode('utf-8') ?? each();
  if (tag === 30) return decode('utf-16be');
  return tag === 28 ? wide(octets) : null;
}

function wide(octets: Uint8Array): string | null {
  if (octets.length % 4 > 0) return null;
  const points: number[] = [];
  for (let at = 0; at < octets.length; at += 4) points.push(Number(`0x${hex(octets.subarray(at, at + 4))}`));
  return points.some((point) => point > 1114111 || (point > 55295 && point < 57344))
    ? null
    : String.fromCodePoint(...points);
}

// ---- the rest

/** Octets from the last to the first; one that only says "positive" may be printed or not. */
function serialTexts(octets: Uint8Array): readonly string[] {
  let text = '';
  for (const octet of octets) text = hex(Uint8Array.of(octet)) + text;
  return octets.length > 1 && octets[0] === 0 ? [text, text.substring(0, text.length - 2)] : [text];
}

function sidsOf(extensions: ReadonlyMap<string, readonly Uint8Array[]>): readonly string[] {
  return (extensions.get('1.3.6.1.4.1.311.25.2') ?? []).map((content) => {
    const text = Buffer.from(content).toString('latin1');
    return text.substring(text.indexOf('S-1-5-21-'));
  });
}

function extensionsOf(der: Uint8Array, fields: readonly Element[]): ReadonlyMap<string, readonly Uint8Array[]> {
  const wrapper = fields.find(({ tag }) => tag === 0xa3);
  const [list] = wrapper === undefined ? [] : inside(der, wrapper);
  const found = new Map<string, Uint8Array[]>();
  for (const extension of list === undefined ? [] : inside(der, list)) {
    const parts = inside(der, extension);
    const oid = dotted(bodyOf(der, parts[0]));
    found.set(oid, [...(found.get(oid) ?? []), bodyOf(der, parts.at(-1))]);
  }
  return found;
}

// ---- X.690

interface Element {
  readonly tag: number;
  readonly head: number;
  readonly body: number;
  readonly end: number;
}

function elementAt(der: Uint8Array, head: number): Element {
  const size = der[head + 1] ?? 0;
  const more = size > 127 ? size - 128 : 0;
  let length = more === 0 ? size : 0;
  for (let at = 0; at < more; at += 1) length = length * 256 + (der[head + 2 + at] ?? 0);
  const body = head + 2 + more;
  return { tag: der[head] ?? 0, head, body, end: body + length };
}

function inside(der: Uint8Array, outer: Element | undefined): readonly Element[] {
  const found: Element[] = [];
  for (let at = outer?.body ?? 0; at < (outer?.end ?? 0); at = found.at(-1)?.end ?? Infinity)
    found.push(elementAt(der, at));
  return found;
}

function bodyOf(der: Uint8Array, element: Element | undefined): Uint8Array {
  return der.subarray(element?.body ?? 0, element?.end ?? 0);
}

function dotted(octets: Uint8Array): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const octet of octets) {
    arc = arc * 128n + BigInt(octet % 128);
    if (octet > 127) continue;
    if (arcs.length > 0) arcs.push(arc);
    else arcs.push(...(arc < 80n ? [arc / 40n, arc % 40n] : [2n, arc - 80n]));
    arc = 0n;
  }
  return arcs.join('.');
}

function hex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join('');
}
