/**
 * A WebSocket that says back what it is told (RFC 6455), for the lab's echo backend: no extensions, messages as they come, pings answered,
 * closing handshake. It is strict with clients, because what arrives here has come through a gateway.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Octets of one frame; a longer one ends the connection (1009). */
const maximumFrame = 1_048_576;

export interface WebSocketEvents {
  /** Sent to the client as a first message; null: nothing. */
  readonly greeting: string | null;
  /** Whether the connection is closed after that. Default: no. */
  readonly once?: boolean;
}

/** Answers an opening handshake and serves the connection. @param head what came behind the request */
export function echoWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer, events: WebSocketEvents): void {
  const key = request.headers['sec-websocket-key'];
  if (key === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket') {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  const [subprotocol] = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Accept: ${acceptOf(key)}`,
      ...(subprotocol ? [`Sec-WebSocket-Protocol: ${subprotocol}`] : []),
      '\r\n',
    ].join('\r\n'),
  );
  if (events.greeting !== null) socket.write(frameOf(opcodes.text, Buffer.from(events.greeting)));
  const reader = createFrameReader();
  let open = events.once !== true;
  if (!open) socket.end(closing(1000));
  const read = (chunk: Buffer) => {
    if (!open) return;
    const frames = reader.read(chunk);
    if (frames === null) socket.end(closing(1009));
    open = frames !== null && frames.every((frame) => answerFrame(socket, frame));
  };
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
  socket.on('data', read);
  read(head);
}

/** RFC 6455 section 5.2. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  /** RFC 6455 section 5.1: clients mask, servers do not. */
  readonly masked: boolean;
}

/** @param mask four octets, for a client's frames */
export function frameOf(opcode: number, payload: Buffer, mask?: Buffer, final = true): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = (mask === undefined ? 0 : 0x80) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return mask === undefined ? Buffer.concat([head, payload]) : Buffer.concat([head, mask, masked(payload, mask)]);
}

/** Cuts octets into frames; null from a frame on that is too long. */
export function createFrameReader(): { read(chunk: Buffer): Frame[] | null } {
  let rest = Buffer.alloc(0);
  return {
    read(chunk) {
      rest = Buffer.concat([rest, chunk]);
      const frames: Frame[] = [];
      for (;;) {
        const found = firstFrame(rest);
        if (found === 'tooLong') return null;
        if (found === null) return frames;
        frames.push(found.frame);
        rest = rest.subarray(found.size);
      }
    },
  };
}

function firstFrame(octets: Buffer): { readonly frame: Frame; readonly size: number } | 'tooLong' | null {
  if (octets.length < 2) return null;
  const [first = 0, second = 0] = octets;
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const hasMask = (second & 0x80) !== 0;
  const start = 2 + extended + (hasMask ? 4 : 0);
  if (octets.length < start) return null;
  const length = extended === 0 ? short : extended === 2 ? octets.readUInt16BE(2) : Number(octets.readBigUInt64BE(2));
  if (length > maximumFrame) return 'tooLong';
  if (octets.length < start + length) return null;
  const body = octets.subarray(start, start + length);
  const payload = hasMask ? masked(body, octets.subarray(start - 4, start)) : Buffer.from(body);
  const frame = { final: (first & 0x80) !== 0, opcode: first & 0x0f, payload, masked: hasMask };
  return { frame, size: start + length };
}

function masked(payload: Buffer, mask: Buffer): Buffer {
  const result = Buffer.from(payload);
  for (let i = 0; i < result.length; i += 1) result[i] = (result[i] ?? 0) ^ (mask[i % 4] ?? 0);
  return result;
}

/** @returns false when the connection is over */
function answerFrame(socket: Duplex, { opcode, payload, final, masked }: Frame): boolean {
  if (!masked) {
    socket.end(closing(1002));
    return false;
  }
  switch (opcode) {
    case opcodes.continuation:
    case opcodes.text:
    case opcodes.binary:
      socket.write(frameOf(opcode, payload, undefined, final));
      return true;
    case opcodes.ping:
      socket.write(frameOf(opcodes.pong, payload));
      return true;
    case opcodes.pong:
      return true;
    default:
      socket.end(opcode === opcodes.close ? frameOf(opcodes.close, payload) : closing(1002));
      return false;
  }
}

/** RFC 6455 section 7.4. */
function closing(code: number): Buffer {
  return frameOf(opcodes.close, Buffer.from([code >> 8, code & 0xff]));
}

function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
