/**
 * HTTP/1 messages read octet by octet, with nothing added and nothing hidden: for the clients and the backend of the
 * conformance run, which must not see what they compare through a library's eyes. It judges no message.
 */
import { createCipheriv, createHash } from 'node:crypto';
import type { ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';

export type Field = readonly [name: string, value: string];

/** How the end of a body is found. */
export type Delimiter =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly octets: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'close' };

export interface BodySeen {
  readonly octets: number;
  /** Hex, of what arrived. */
  readonly sha256: string;
  /** Whether what arrived is the pattern's beginning. */
  readonly pattern: boolean;
  /** What stood behind the sizes of the chunks. */
  readonly extensions: readonly string[];
  readonly trailers: readonly Field[];
  readonly ending: 'complete' | 'broken';
}

export interface Head {
  readonly first: string;
  readonly fields: readonly Field[];
}

/** Octets held before a socket is stopped. */
const held = 262_144;

/** What arrives on a socket, taken in pieces by one reader; the socket stops while nobody takes. */
export class OctetReader {
  readonly #socket: Socket;
  #pieces: Buffer[] = [];
  #size = 0;
  #end: 'clean' | 'broken' | null = null;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (piece: Buffer) => {
      this.#pieces.push(piece);
      this.#size += piece.length;
      if (this.#size > held) socket.pause();
      this.#wake?.();
    });
    socket.on('end', () => this.#finish('clean'));
    socket.on('error', () => this.#finish('broken'));
    socket.on('close', () => this.#finish('broken'));
  }

  /** How the octets ended; null while they have not. */
  get end(): 'clean' | 'broken' | null {
    return this.#size > 0 ? null : this.#end;
  }

  /** Up to so many octets, at least one; null at the end. */
  async some(most: number): Promise<Buffer | null> {
    if (!(await this.#any())) return null;
    const [first = Buffer.alloc(0)] = this.#pieces;
    const taken = first.subarray(0, most);
    if (taken.length === first.length) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(most);
    this.#size -= taken.length;
    if (this.#size <= held && this.#socket.isPaused()) this.#socket.resume();
    return taken;
  }

  /** A line without its CRLF; null where the octets end before. */
  async line(): Promise<string | null> {
    let text = '';
    for (;;) {
      if (!(await this.#any())) return null;
      const at = this.#pieces[0]?.indexOf(10) ?? -1;
      const taken = await this.some(at < 0 ? held : at + 1);
      text += taken?.toString('latin1') ?? '';
      if (text.endsWith('\n')) return text.replace(/\r?\n$/, '');
    }
  }

  /** Resolves when the other side is gone. */
  async gone(): Promise<void> {
    while (this.#end === null) {
      this.#pieces = [];
      this.#size = 0;
      this.#socket.resume();
      await this.#more();
    }
  }

  /** @returns false at the end */
  async #any(): Promise<boolean> {
    while (this.#size === 0) {
      if (this.#end !== null) return false;
      await this.#more();
    }
    return true;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        resolve();
      };
    });
  }

  #finish(how: 'clean' | 'broken'): void {
    this.#end ??= how;
    this.#wake?.();
  }
}

/** The first line and the fields of a message; null where there is none any more. */
export async function readHead(reader: OctetReader): Promise<Head | null> {
  const first = await reader.line();
  const fields = first === null ? null : await readFields(reader);
  return first === null || fields === null ? null : { first, fields };
}

async function readFields(reader: OctetReader): Promise<Field[] | null> {
  const fields: Field[] = [];
  for (;;) {
    const line = await reader.line();
    if (line === null) return null;
    if (line === '') return fields;
    const colon = line.indexOf(':');
    fields.push([line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
  }
}

/** @param enough where it returns true the rest is left */
export async function readBody(
  reader: OctetReader,
  delimiter: Delimiter,
  enough: (octets: number) => boolean = () => false,
): Promise<BodySeen> {
  const tally = new Tally();
  const extensions: string[] = [];
  const seen = (ending: 'complete' | 'broken', trailers: readonly Field[] = []) =>
    ({ ...tally.result(), extensions, trailers, ending }) as const;
  const take = async (octets: number): Promise<boolean> => {
    for (let left = octets; left > 0;) {
      const piece = await reader.some(left);
      if (piece === null) return false;
      tally.add(piece);
      left -= piece.length;
      if (enough(tally.octets)) return false;
    }
    return true;
  };
  switch (delimiter.kind) {
    case 'none':
      return seen('complete');
    case 'length':
      return seen((await take(delimiter.octets)) ? 'complete' : 'broken');
    case 'close':
      await take(Number.POSITIVE_INFINITY);
      return seen(reader.end === 'clean' ? 'complete' : 'broken');
    case 'chunked':
      for (;;) {
        const line = await reader.line();
        if (line === null) return seen('broken');
        const [size = '', ...rest] = line.split(';');
        if (rest.length > 0) extensions.push(rest.join(';'));
        const octets = Number.parseInt(size, 16);
        if (octets === 0) {
          const trailers = await readFields(reader);
          return trailers === null ? seen('broken') : seen('complete', trailers);
        }
        if (!(await take(octets)) || (await reader.line()) !== '') return seen('broken');
      }
  }
}

/** Digest and length of a body, and whether it is the pattern. */
export class Tally {
  octets = 0;
  #pattern = true;
  readonly #hash = createHash('sha256');

  add(piece: Buffer): void {
    this.#hash.update(piece);
    for (let at = 0; at < piece.length && this.#pattern;) {
      const begin = (this.octets + at) % pattern.length;
      const length = Math.min(piece.length - at, pattern.length - begin);
      this.#pattern = pattern.compare(piece, at, at + length, begin, begin + length) === 0;
      at += length;
    }
    this.octets += piece.length;
  }

  result(): { readonly octets: number; readonly sha256: string; readonly pattern: boolean } {
    return { octets: this.octets, sha256: this.#hash.digest('hex'), pattern: this.#pattern };
  }
}

/** Pseudo-random; its length is no multiple of anything that a buffer is long. */
const pattern = createCipheriv('aes-128-ctr', 'dsmapper-pattern', Buffer.alloc(16)).update(Buffer.alloc(1_000_003));

/** The first octets of the endless pattern, in pieces. */
export function* patternPieces(octets: number, piece = 65_536): Generator<Buffer> {
  for (let at = 0; at < octets;) {
    const begin = at % pattern.length;
    const end = Math.min(begin + piece, pattern.length, begin + octets - at);
    yield pattern.subarray(begin, end);
    at += end - begin;
  }
}

export function fieldOf(fields: readonly Field[], name: string): string | null {
  return fields.find(([other]) => other.toLowerCase() === name)?.[1] ?? null;
}

/** @returns false where the socket is gone */
export function writeAll(socket: Socket, pieces: Iterable<Buffer | string>): Promise<boolean> {
  return writePieces(
    {
      write: (piece) => socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece),
      gone: () => socket.destroyed || !socket.writable,
      drained: onceEither(socket),
    },
    pieces,
  );
}

/** @returns what calls its listener once, when there is room again or the stream is closed */
export function onceEither(stream: Socket | ClientHttp2Stream): Sink['drained'] {
  return (listener) => {
    const call = () => {
      stream.off('drain', call).off('close', call);
      listener();
    };
    stream.on('drain', call).on('close', call);
  };
}

/** Whatever takes octets and says when it can take no more. */
export interface Sink {
  write(piece: Buffer | string): boolean;
  gone(): boolean;
  /** Calls it when there is room again, or never will be. */
  drained(listener: () => void): void;
}

export async function writePieces(sink: Sink, pieces: Iterable<Buffer | string>): Promise<boolean> {
  for (const piece of pieces) {
    if (sink.gone()) return false;
    if (sink.write(piece)) continue;
    await new Promise<void>((resolve) => sink.drained(resolve));
  }
  return !sink.gone();
}

/** A chunk with its size before it. @param extension with its semicolon */
export function chunkOf(piece: Buffer, extension = ''): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}${extension}\r\n`), piece, Buffer.from('\r\n')]);
}

export function fieldLines(fields: readonly Field[]): string {
  return fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
}
