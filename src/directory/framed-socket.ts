/**
 * What ldapts gets instead of the socket: the same bytes, but whole and well-formed messages only, one per `data` event, and no
 * more of them than memory allows. Decides when a connection has to end because of what came over it. It never emits
 * `error`: the reason of the end is a value, and `close` comes exactly once.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createFramer, type Framer } from './framing.ts';
import { outlineOf } from './message-shape.ts';

export interface FramingLimits {
  /** Octets of one message, which holds one entry. */
  readonly message: number;
  /** Octets received since the last finished answer: what a search without end may cost. */
  readonly unfinished: number;
}

export const framingLimits: FramingLimits = { message: 16 * 1024 * 1024, unfinished: 64 * 1024 * 1024 };

/** Why a connection ends over which more came than its limits allow. */
export const tooMuch = 'the server sent a message that is too long, or more than an answer may hold';

export class FramedSocket extends Duplex {
  /** ldapts takes a socket that is not connecting and `open` as it is, without a handshake of its own. */
  readonly connecting = false;
  readonly readyState = 'open';
  /** ldapts writes an identifier of its own here. */
  id?: string;

  readonly #socket: Socket;
  readonly #framer: Framer;
  readonly #limits: FramingLimits;
  readonly #heard: (message: Buffer) => void;
  #unfinished = 0;
  #reason = '';

  /** @param heard called for every message of the server */
  constructor(socket: Socket, limits: FramingLimits, heard: (message: Buffer) => void) {
    super({ readableObjectMode: true });
    this.#socket = socket;
    this.#framer = createFramer(limits.message);
    this.#limits = limits;
    this.#heard = heard;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.fail(`the connection failed: ${error.message}`));
    socket.on('end', () => this.fail(`the server closed the connection${this.#middle()}`));
    socket.on('close', () => this.fail(`the connection was closed${this.#middle()}`));
  }

  /** Why the connection ended; empty while it lives. */
  get reason(): string {
    return this.#reason;
  }

  /** Ends the connection at once. The first reason stays. */
  fail(reason: string): void {
    this.#reason ||= reason;
    this.destroy();
  }

  #receive(chunk: Buffer): void {
    const messages = this.#framer.push(chunk);
    for (const message of messages ?? []) {
      const head = outlineOf(message);
      if (head === null) return this.fail('the server sent a malformed message');
      if (head.id === 0) return this.fail('the server announced that it disconnects');
      this.#heard(message);
      this.#unfinished = head.operation === 'done' ? 0 : this.#unfinished + message.length;
      if (this.#unfinished > this.#limits.unfinished) return this.fail(tooMuch);
      this.push(message);
    }
    if (messages === null) this.fail(this.#framer.overlong ? tooMuch : 'the server sent something that is not LDAP');
  }

  #middle(): string {
    return this.#framer.held > 0 ? ' in the middle of a message' : '';
  }

  override _read(): void {
    // ldapts reads as fast as messages arrive; nothing is ever held back.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    this.#socket.write(chunk, written);
  }

  override _final(finished: () => void): void {
    this.#socket.end(finished);
  }

  override _destroy(_error: Error | null, destroyed: (error?: Error | null) => void): void {
    this.#reason ||= 'the connection was closed';
    this.#socket.destroy();
    destroyed(null);
  }
}
