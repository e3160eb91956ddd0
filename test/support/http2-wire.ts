/**
 * HTTP/2 frames written by hand, with header blocks that no library would send (HPACK literals without indexing, RFC 7541 section 6.2.2), and
 * as much reading as it takes to know how each stream ended.
 */
import tls from 'node:tls';
import { inTime } from './front.ts';
import type { TestGateway } from './gateway.ts';

export type Fields = readonly (readonly [name: string, value: string])[];

export interface StreamEnd {
  /** Of the last head; 0 where there was none. */
  status: number;
  body: string;
  /** `whole`, `reset` or, for the session as a whole, `gone`. */
  how: 'open' | 'whole' | 'reset' | 'gone';
}

export interface Http2Wire {
  readonly socket: tls.TLSSocket;
  send(...frames: readonly Buffer[]): void;
  /** Resolves when the stream, or the session with it, has ended. */
  ended(stream: number): Promise<Readonly<StreamEnd>>;
}

const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8, continuation: 9 } as const;

export function frame(type: keyof typeof types, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(types[type], 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const endStream = 1;
export const endHeaders = 4;

/** A whole head in one frame; with `more` a body or trailers follow. */
export function headers(stream: number, fields: Fields, more = false): Buffer {
  return frame('headers', endHeaders | (more ? 0 : endStream), stream, block(fields));
}

export function data(stream: number, text: string, more = false): Buffer {
  return frame('data', more ? 0 : endStream, stream, Buffer.from(text, 'latin1'));
}

export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const octets = Buffer.from(text, 'latin1');
  const length: number[] = [];
  let rest = octets.length;
  if (rest < 127) length.push(rest);
  else {
    length.push(127);
    for (rest -= 127; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), octets]);
}

export async function openHttp2(to: TestGateway, as?: string): Promise<Http2Wire> {
  const identity = as === undefined ? {} : to.identity(as);
  const socket = tls.connect({
    port: to.ports.upFront,
    host: '127.0.0.1',
    ca: to.ca,
    ...identity,
    ALPNProtocols: ['h2'],
  });
  const streams = new Map<number, StreamEnd>();
  let wake = () => {};
  let unread = Buffer.alloc(0);
  const of = (stream: number) => {
    const known = streams.get(stream) ?? { status: 0, body: '', how: 'open' };
    streams.set(stream, known);
    return known;
  };
  socket.on('error', () => {});
  socket.once('close', () => wake());
  socket.on('data', (piece: Buffer) => {
    unread = Buffer.concat([unread, piece]);
    while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
      const size = unread.readUIntBE(0, 3);
      const [type, flags, stream] = [unread.readUInt8(3), unread.readUInt8(4), unread.readUInt32BE(5)];
      const payload = unread.subarray(9, 9 + size);
      unread = unread.subarray(9 + size);
      if (type === types.settings && (flags & 1) === 0) socket.write(frame('settings', 1, 0, Buffer.alloc(0)));
      if (type === types.headers) of(stream).status = statusIn(payload) || of(stream).status;
      if (type === types.data) of(stream).body += payload.toString('latin1');
      if (type === types.reset) of(stream).how = 'reset';
      else if ((type === types.headers || type === types.data) && (flags & endStream) !== 0) of(stream).how = 'whole';
    }
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  // No memory for the server's header compression: every status is spelled out or in the static table.
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame('settings', 0, 0, Buffer.from([0, 1, 0, 0, 0, 0])),
    ]),
  );
  return {
    socket,
    send: (...frames) => void socket.write(Buffer.concat(frames)),
    async ended(stream) {
      while (of(stream).how === 'open' && !socket.closed && !socket.readableEnded)
        await inTime(`the end of stream ${stream}`, new Promise<void>((resolve) => (wake = resolve)));
      if (of(stream).how === 'open') of(stream).how = 'gone';
      return of(stream);
    },
  };
}

const staticStatus = [200, 204, 206, 304, 400, 404, 500];

/** RFC 7541: the status comes first, whole from the static table or as a literal, whose digits may be coded by Huffman. */
function statusIn(payload: Buffer): number {
  let at = 0;
  // A change of the table's size, in one octet or more.
  while (((payload[at] ?? 0) & 0xe0) === 0x20) {
    const more = ((payload[at] ?? 0) & 0x1f) === 0x1f;
    at += 1;
    if (more) while (((payload[at++] ?? 0) & 0x80) !== 0);
  }
  const first = payload[at] ?? 0;
  if ((first & 0x80) !== 0) return staticStatus[(first & 0x7f) - 8] ?? 0;
  const length = payload[at + 1] ?? 0;
  const value = payload.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number((length & 0x80) === 0 ? value.toString('latin1') : digitsOf(value));
}

/** Appendix B for `0` to `9`: five bits for the first three, six for the others. */
function digitsOf(octets: Buffer): string {
  const bits = [...octets].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  let text = '';
  for (let at = 0; text.length < 3;) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2);
    const six = Number.parseInt(bits.slice(at, at + 6), 2);
    text += five <= 2 ? String(five) : String(six - 0x19 + 3);
    at += five <= 2 ? 5 : 6;
  }
  return text;
}
