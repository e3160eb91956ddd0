/**
 * A distinguished name as people write it, in whatever dialect: Windows' own, RFC 4514 with backslashes, the one with blanks
 * of certificate dialogs, OpenSSL's with slashes. Says what differs from the text that Windows prints, and how that
 * would read where there is only one way to understand what was written. Knows no certificate.
 */
import { closingQuote } from './stored-value.ts';
import type { Fault } from './value-fault.ts';
import { readType, type WrittenType } from './written-type.ts';

export interface WrittenPair {
  readonly type: WrittenType;
  /** Without quotes and escapes. */
  readonly text: string;
}

export interface WrittenNameText {
  /** In the order in which they were written; more than one pair is a multi-valued RDN. */
  readonly rdns: readonly (readonly WrittenPair[])[];
  readonly faults: readonly Fault[];
  /** False where the text can be understood in more than one way. */
  readonly certain: boolean;
  /** By what stands at its ends: country and domain belong to the front. */
  readonly order: 'rootFirst' | 'leafFirst' | 'unknown';
}

/** @param what the part of the value, for sentences: `issuer` or `subject` */
export function readWrittenName(text: string, what: string): WrittenNameText {
  const reading = new Reading(text, what);
  const rdns = reading.rdns();
  const order = orderOf(rdns);
  if (order === 'leafFirst')
    reading.add('ldapOrder', `the ${what} is in LDAP order, leaf first; Windows writes it root first, as encoded`);
  return { rdns, faults: reading.faults, certain: reading.certain, order };
}

/** What Windows would print (ad-name.ts says why). */
export function writeWindowsName(rdns: WrittenNameText['rdns']): string {
  return rdns.map((rdn) => rdn.map(({ type, text }) => `${type.windows}=${quote(text)}`).join(' ')).join(',');
}

function quote(text: string): string {
  return needsQuotes(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function needsQuotes(text: string): boolean {
  if (/^#(?:[0-9a-f]{2})+$/i.test(text)) return false;
  return text === '' || /^\s|\s$|[,+="\n<>#;]/.test(text);
}

const rootTypes = new Set(['C', 'DC']);

function orderOf(rdns: WrittenNameText['rdns']): WrittenNameText['order'] {
  const isRoot = (rdn: readonly WrittenPair[] | undefined) => rootTypes.has(rdn?.[0]?.type.windows ?? '');
  if (rdns.length < 2 || isRoot(rdns[0])) return 'rootFirst';
  return isRoot(rdns.at(-1)) ? 'leafFirst' : 'unknown';
}

const pairStart = /[ \t]*([a-z][a-z0-9-]*|(?:oid\.)?\d+(?:\.\d+)+)([ \t]*=[ \t]*)/iy;

/** A class only for the position that everything moves. */
class Reading {
  readonly faults: Fault[] = [];
  certain = true;
  readonly #text: string;
  readonly #what: string;
  readonly #slashes: boolean;
  readonly #escapes: boolean;
  #at = 0;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
    this.#slashes = /^\s*\/[a-z0-9.]+=/i.test(text);
    this.#escapes = hasEscapes(text);
    if (this.#escapes) this.add('escapes', `the ${what} has backslash escapes; Windows puts such values in quotes`);
    else if (/\\(?:2c|2b|22|3b|3c|3d|3e)/i.test(text)) {
      this.add('escapes', `the ${what} has what may be a backslash escape; Windows never writes one`);
      this.certain = false;
    }
    if (this.#slashes) {
      this.#at = text.indexOf('/') + 1;
      this.add('separator', `the parts of the ${what} are separated by slashes; Windows writes commas`);
    }
  }

  rdns(): WrittenNameText['rdns'] {
    const rdns: (readonly WrittenPair[])[] = [];
    let rdn: WrittenPair[] = [];
    while (this.#at < this.#text.length) {
      const type = this.#type();
      if (type === null) {
        this.#unreadable();
        return rdns;
      }
      rdn.push({ type, text: this.#text[this.#at] === '"' ? this.#quoted() : this.#plain() });
      if (this.#separator() === 'rdn') {
        rdns.push(rdn);
        rdn = [];
        if (this.#at >= this.#text.length) this.#unreadable();
      }
    }
    if (rdn.length > 0) rdns.push(rdn);
    return rdns;
  }

  add(code: Fault['code'], text: string): void {
    if (!this.faults.some((fault) => fault.code === code && fault.text === text)) this.faults.push({ code, text });
  }

  #type(): WrittenType | null {
    const found = this.#pairAt(this.#at);
    if (found === null) return null;
    this.#at += found.length;
    if (found.blanks) this.#blanks();
    const type = readType(found.name);
    if (type.oid === null) {
      this.add('attributeName', `${found.name} in the ${this.#what} is not a name that Windows writes`);
      this.certain = false;
    } else if (!type.right)
      this.add('attributeName', `${found.name}= in the ${this.#what} is ${type.windows}= on Windows`);
    return type;
  }

  #pairAt(at: number): { readonly name: string; readonly length: number; readonly blanks: boolean } | null {
    pairStart.lastIndex = at;
    const found = pairStart.exec(this.#text);
    if (found === null) return null;
    const [whole, name = '', equals] = found;
    return { name, length: whole.length, blanks: equals !== '=' || !whole.startsWith(name) };
  }

  #unreadable(): void {
    this.add('unreadableName', `the ${this.#what} has a part that is no attribute and its value`);
    this.certain = false;
  }

  #blanks(): void {
    this.add('blanks', `the ${this.#what} has blanks around a separator; Windows writes a comma and nothing else`);
  }

  #quoted(): string {
    const end = closingQuote(this.#text, this.#at);
    if (end === -1) {
      this.add('quoting', `the ${this.#what} has a quote that is not closed`);
      this.certain = false;
      const rest = this.#text.slice(this.#at);
      this.#at = this.#text.length;
      return rest;
    }
    const text = this.#text.slice(this.#at + 1, end).replaceAll('""', '"');
    this.#at = end + 1;
    // a backslash is the one thing of which it is not known whether it calls for quotes
    if (!needsQuotes(text) && !text.includes('\\'))
      this.add('quoting', `"${text}" in the ${this.#what} has quotes that Windows does not write`);
    return text;
  }

  #plain(): string {
    const pieces: string[] = [];
    const start = this.#at;
    let length = 0;
    let escapedEnd = 0;
    let bareComma = false;
    while (this.#at < this.#text.length && !this.#endsHere()) {
      const piece = this.#escapes ? escapeAt(this.#text, this.#at) : null;
      const character = this.#text[this.#at] ?? '';
      if (piece === null && character === ',') bareComma = true;
      pieces.push(piece?.text ?? character);
      this.#at += piece?.length ?? 1;
      length += piece?.text.length ?? 1;
      if (piece !== null) escapedEnd = length;
    }
    const raw = pieces.join('');
    const text = raw.slice(0, escapedEnd) + raw.slice(escapedEnd).trimEnd();
    if (text !== raw) this.#blanks();
    if (bareComma) {
      this.add('quoting', `the ${this.#what} has a comma inside a value that is not in quotes`);
      this.certain = false;
    } else if (needsQuotes(text) && !this.#text.slice(start, this.#at).includes('\\'))
      this.add('quoting', `${text === '' ? 'an empty value' : text} in the ${this.#what} needs quotes on Windows`);
    if (text === '') this.certain = false;
    return text;
  }

  /** Whether what stands here ends a value: a separator, and behind it the beginning of another pair. */
  #endsHere(): boolean {
    const character = this.#text[this.#at] ?? '';
    if (this.#slashes ? character === '/' : character === ',' || character === ';' || character === '+')
      return this.#pairAt(this.#at + 1) !== null;
    if (character !== ' ') return false;
    const ahead = /^ +([+,;])/.exec(this.#text.slice(this.#at, this.#at + 20));
    if (ahead !== null) return this.#pairAt(this.#at + ahead[0].length) !== null;
    const pair = this.#pairAt(this.#at);
    // one blank joins the attributes of one RDN; an unknown word before `=` is part of the value
    return pair !== null && readType(pair.name).oid !== null;
  }

  #separator(): 'rdn' | 'attribute' | 'end' {
    const found = /^([ \t]*)([,;+/]?)([ \t]*)/.exec(this.#text.slice(this.#at));
    const [whole = '', before = '', mark = '', after = ''] = found ?? [];
    if (this.#at + whole.length >= this.#text.length && mark === '') {
      if (whole !== '') this.#blanks();
      this.#at = this.#text.length;
      return 'end';
    }
    if (mark === '') {
      // a blank, or rubbish behind a closing quote, which then is no attribute
      this.#at += whole.length;
      if (whole !== ' ') this.#blanks();
      return 'attribute';
    }
    this.#at += whole.length;
    if (mark === '+') {
      this.add(
        'plusSign',
        `the attributes of one RDN of the ${this.#what} are joined by +; Windows looks for one blank`,
      );
      return 'attribute';
    }
    if (before !== '' || after !== '') this.#blanks();
    if (mark === ';')
      this.add('separator', `the ${this.#what} has a semicolon between its parts; Windows writes commas`);
    return 'rdn';
  }
}

/**
 * Whether the text can only have been written with RFC 4514 escapes. Windows writes a backslash as it is, but never one of
 * `, + " < > ; = #` outside quotes, save a comma that begins another pair.
 */
function hasEscapes(text: string): boolean {
  const bare = text.replaceAll(/="(?:[^"]|"")*"/g, '=');
  if (/\\[+"<>;=#]/.test(bare)) return true;
  if (/\\[c-f][0-9a-f]\\[89ab][0-9a-f]/i.test(bare)) return true;
  return /\\,(?![ \t]*(?:[a-z][a-z0-9-]*|(?:oid\.)?\d+(?:\.\d+)+)[ \t]*=)/i.test(bare);
}

function escapeAt(text: string, at: number): { readonly text: string; readonly length: number } | null {
  if (text[at] !== '\\') return null;
  const pairs = /^(?:\\[0-9a-f]{2})+/i.exec(text.slice(at, at + 400))?.[0];
  if (pairs !== undefined)
    return { text: Buffer.from(pairs.replaceAll('\\', ''), 'hex').toString('utf8'), length: pairs.length };
  const next = text[at + 1];
  return next === undefined ? null : { text: next, length: 2 };
}
