/**
 * Readers of header values, written from the documents that define them and from nothing else: the product has no part in how anything
 * is read here. Each throws where a value does not follow its grammar.
 */

/** An attribute of a distinguished name; `value` is text, or octets that are none of it (`#`). */
export interface ReadAttribute {
  readonly type: string;
  readonly value: string | { readonly hex: string };
}

export type ReadName = readonly (readonly ReadAttribute[])[];

/** RFC 8941 section 4.2: a list whose members are byte sequences without parameters. An item is a list of one. */
export function readByteSequences(text: string): readonly Buffer[] {
  const members: Buffer[] = [];
  let rest = text.replace(/^ +| +$/g, '');
  while (rest !== '') {
    const found = /^:([A-Za-z0-9+/]*={0,2}):/.exec(rest);
    if (found === null) throw new Error(`no byte sequence at ${rest.slice(0, 20)}`);
    members.push(readBase64(found[1] ?? ''));
    rest = rest.slice(found[0].length).replace(/^[ \t]+/, '');
    if (rest === '') return members;
    if (!rest.startsWith(',')) throw new Error('no comma between members');
    rest = rest.slice(1).replace(/^[ \t]+/, '');
    if (rest === '') throw new Error('a comma at the end');
  }
  return members;
}

/** RFC 4648 section 4, with padding, canonical, on one line. */
export function readBase64(text: string): Buffer {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) throw new Error('not base64');
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new Error('bits left over');
  return bytes;
}

/** RFC 3986 section 2.1 over UTF-8, octet by octet. */
export function readPercent(text: string, plain: RegExp = /[\u0020-\u007e]/): string {
  const octets: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character !== '%') {
      if (!plain.test(character)) throw new Error(`${JSON.stringify(character)} stands for itself`);
      octets.push(character.charCodeAt(0));
      continue;
    }
    const digits = text.slice(at + 1, at + 3);
    if (!/^[0-9A-F]{2}$/.test(digits)) throw new Error(`% without its digits: ${digits}`);
    octets.push(Number.parseInt(digits, 16));
    at += 2;
  }
  return utf8(octets);
}

/** PEM (RFC 7468 section 3, strict) in percent escapes: only unreserved characters stand for themselves. */
export function readEscapedPem(text: string): readonly Buffer[] {
  const pem = readPercent(text, /[\w.~-]/);
  const blocks =
    /^(?:-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/=]{1,64}\n-----END CERTIFICATE-----\n)+$/;
  if (!blocks.test(pem)) throw new Error('not PEM');
  return pem
    .split('-----BEGIN CERTIFICATE-----\n')
    .slice(1)
    .map((block) => readBase64(block.split('-----END')[0]?.replaceAll('\n', '') ?? ''));
}

/** RFC 2253 section 3, one character after the other; RDNs in the order of the text. */
export function readRfc2253(text: string): ReadName {
  const rdns: ReadAttribute[][] = [];
  let at = 0;
  if (text === '') return rdns;
  for (let within: ReadAttribute[] = []; ;) {
    const equals = text.indexOf('=', at);
    const type = text.slice(at, equals);
    if (equals < 0 || !/^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)$/.test(type)) throw new Error(`type ${type}`);
    at = equals + 1;
    within.push({ type, value: text[at] === '#' ? readHexValue() : readValue() });
    const separator = text[at];
    if (separator !== '+') {
      rdns.push(within);
      within = [];
    }
    if (separator === undefined) return rdns;
    at += 1;
  }

  function readHexValue() {
    const digits = /^(?:[0-9A-Fa-f]{2})+/.exec(text.slice(at + 1))?.[0] ?? '';
    at += 1 + digits.length;
    if (digits === '' || !['+', ',', undefined].includes(text[at])) throw new Error('hex value');
    return { hex: digits.toLowerCase() };
  }

  function readValue(): string {
    const octets: number[] = [];
    for (; at < text.length; at += 1) {
      const character = text.charAt(at);
      if (character === ',' || character === '+') break;
      if (/["<>;=]/.test(character) && character !== '=') throw new Error(`bare ${character}`);
      if (character < ' ' || character > '~') throw new Error('not visible ASCII');
      if (character !== '\\') {
        octets.push(character.charCodeAt(0));
        continue;
      }
      const pair = text.slice(at + 1, at + 3);
      if (/^[0-9A-Fa-f]{2}$/.test(pair)) octets.push(Number.parseInt(pair, 16));
      else if (/^[,=+<>#; "\\]/.test(pair)) octets.push(pair.charCodeAt(0));
      else throw new Error(`escape ${pair}`);
      at += /^[0-9A-Fa-f]{2}$/.test(pair) ? 2 : 1;
    }
    return utf8(octets);
  }
}

/** Envoy's documentation of x-forwarded-client-cert: elements with commas, pairs with semicolons, quotes around what has any of `,;=`. */
export function readXfcc(text: string): readonly (readonly (readonly [key: string, value: string])[])[] {
  const elements: [string, string][][] = [[]];
  let at = 0;
  for (;;) {
    const equals = text.indexOf('=', at);
    const key = text.slice(at, equals);
    if (!['By', 'Hash', 'Cert', 'Chain', 'Subject', 'URI', 'DNS'].includes(key)) throw new Error(`key ${key}`);
    at = equals + 1;
    elements.at(-1)?.push([key, text[at] === '"' ? quotedValue() : bareValue()]);
    if (at === text.length) return elements;
    if (text[at] === ',') elements.push([]);
    else if (text[at] !== ';') throw new Error(`after a value: ${text[at]}`);
    at += 1;
  }

  /** The only escape that the document knows is `\"`. */
  function quotedValue(): string {
    let value = '';
    for (at += 1; at < text.length; at += 1) {
      if (text[at] === '"') {
        at += 1;
        return value;
      }
      if (text[at] === '\\' && text[at + 1] === '"') at += 1;
      value += text[at];
    }
    throw new Error('no end of quotes');
  }

  function bareValue(): string {
    const value = /^[^,;="]*/.exec(text.slice(at))?.[0] ?? '';
    at += value.length;
    return value;
  }
}

export interface ReadInfo {
  readonly [field: string]: string;
}

/** Traefik's X-Forwarded-Tls-Client-Cert-Info: a query escape around certificates with commas, fields with semicolons, values in quotes. */
export function readTraefikInfo(text: string): readonly ReadInfo[] {
  const plain = readPercent(text.replaceAll('+', ' '), /[\w.~ -]/);
  const certificates: Record<string, string>[] = [{}];
  let rest = plain;
  for (;;) {
    const found = /^([A-Za-z]+)="([^"]*)"/.exec(rest);
    if (found === null) throw new Error(`no field at ${rest.slice(0, 30)}`);
    const [whole, key = '', value = ''] = found;
    const last = certificates.at(-1) ?? {};
    if (key in last) throw new Error(`${key} twice`);
    last[key] = value;
    rest = rest.slice(whole.length);
    if (rest === '') return certificates;
    if (rest.startsWith(',')) certificates.push({});
    else if (!rest.startsWith(';')) throw new Error('no separator');
    rest = rest.slice(1);
  }
}

/** What stands in a field: parts with commas, in each of which `%`, `"`, `,` and `;` are escaped; the documentation of the dialect. */
export function readTraefikParts(value: string): readonly string[] {
  return value
    .split(',')
    .map((part) =>
      part.replaceAll(/%(25|22|2C|3B)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    );
}

/** CertNameToStr with CERT_X500_NAME_STR: `, ` between RDNs, ` + ` within, quotes doubled inside of quotes. */
export function readX500(text: string): ReadName {
  const rdns: ReadAttribute[][] = text === '' ? [] : [[]];
  let rest = text;
  while (rest !== '') {
    const found = /^((?:OID\.)?[\w.]+)=(?:"((?:[^"]|"")*)"|#([0-9a-f]+)|([^,+="\r\n<>#;]*?))(?=$|, | \+ )/s.exec(rest);
    if (found === null) throw new Error(`no attribute at ${rest.slice(0, 30)}`);
    const [whole, type = '', quoted, hex, bare] = found;
    rdns.at(-1)?.push({ type, value: hex === undefined ? (quoted?.replaceAll('""', '"') ?? bare ?? '') : { hex } });
    rest = rest.slice(whole.length);
    if (rest.startsWith(', ')) rdns.push([]);
    rest = rest.slice(rest.startsWith(', ') ? 2 : 3);
  }
  return rdns;
}

function utf8(octets: readonly number[]): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(octets));
}
