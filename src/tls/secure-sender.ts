/**
 * Sends pieces of bytes to one server over verified TLS, for logs: connects when there is something to send, again after a loss, with
 * back-off; what waits is bounded and the newest is given up when it is full. The sender never blocks or throws. A piece that was handed to
 * the system when the connection broke may be lost: the protocol has no acknowledgement.
 */
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { SetAlarm } from '../base/alarm.ts';
import type { Millis } from '../base/brand.ts';

export interface SecureSenderSettings {
  readonly server: { readonly host: string; readonly port: number };
  /** PEM texts; empty: Node's default roots. */
  readonly certificateAuthorities: readonly string[];
  /** Ours, PEM; null: none is shown. */
  readonly certificate: { readonly cert: string; readonly key: string } | null;
}

export interface SecureSenderMeans {
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
  readonly setAlarm: SetAlarm;
  /** Told why a connection ended or could not be made. */
  readonly onTrouble?: (reason: string) => void;
  /** Bytes that may wait, 1 MiB by default. */
  readonly maximumWaiting?: number;
}

export interface SecureSender {
  /** Queues the piece, or gives it up. Never throws. */
  send(piece: Buffer): void;
  /** Pieces given up. */
  readonly dropped: number;
  /** Sends what waits within a second, then ends. Idempotent. */
  close(): Promise<void>;
}

/** Milliseconds. `stuck`: a server that takes nothing for so long is left. */
const patience = { connect: 10_000, stuck: 30_000, first: 500, longest: 60_000, closing: 1000 };

const keepAliveDelay = 30_000;
const defaultMaximum = 1024 * 1024;

export function createSecureSender(settings: SecureSenderSettings, means: SecureSenderMeans): SecureSender {
  return new Sender(settings, means);
}

class Sender implements SecureSender {
  dropped = 0;
  readonly #settings: SecureSenderSettings;
  readonly #means: SecureSenderMeans;
  /** Oldest first; the first `#handed` of them are with the socket. */
  readonly #waiting: Buffer[] = [];
  #bytes = 0;
  #handed = 0;
  #socket: TLSSocket | null = null;
  /** The handshake is done and the server is the right one. */
  #ready = false;
  #pause = patience.first;
  #callOffRest: (() => void) | null = null;
  #callOffWatch = () => {};
  #closing: Promise<void> | null = null;
  #onIdle = () => {};

  constructor(settings: SecureSenderSettings, means: SecureSenderMeans) {
    this.#settings = settings;
    this.#means = means;
  }

  send(piece: Buffer): void {
    if (this.#closing !== null || this.#bytes + piece.length > (this.#means.maximumWaiting ?? defaultMaximum)) {
      this.dropped += 1;
      return;
    }
    this.#waiting.push(piece);
    this.#bytes += piece.length;
    if (this.#socket !== null) this.#pump();
    else if (this.#callOffRest === null) this.#open();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#end());
  }

  #open(): void {
    const socket = connectTo(this.#settings);
    let reason = 'the server closed the connection';
    this.#socket = socket;
    this.#watch(socket, patience.connect, 'the server did not answer in time');
    socket.on('error', (error) => (reason = error.message));
    // What the server says is of no interest, but only who listens hears its end.
    socket.on('data', () => {}).on('end', () => socket.destroy());
    socket.once('secureConnect', () => {
      if (!socket.authorized) {
        socket.destroy(socket.authorizationError ?? new Error('the certificate of the server is not verified'));
        return;
      }
      this.#ready = true;
      this.#callOffWatch();
      this.#pump();
    });
    socket.once('close', () => this.#lost(reason));
  }

  /** Hands on everything: what waits is bounded, so what the socket holds of it is. */
  #pump(): void {
    const socket = this.#socket;
    if (socket === null || !this.#ready) return;
    for (const piece of this.#waiting.slice(this.#handed)) {
      if (this.#handed === 0) this.#watch(socket, patience.stuck, 'the server takes nothing');
      this.#handed += 1;
      socket.write(piece, (error) => {
        if ((error === null || error === undefined) && this.#socket === socket) this.#sent(socket, piece);
      });
    }
  }

  #sent(socket: TLSSocket, piece: Buffer): void {
    this.#pause = patience.first;
    this.#waiting.shift();
    this.#handed -= 1;
    this.#bytes -= piece.length;
    if (this.#handed === 0) this.#callOffWatch();
    else this.#watch(socket, patience.stuck, 'the server takes nothing');
    if (this.#waiting.length === 0) this.#onIdle();
  }

  #watch(socket: TLSSocket, milliseconds: number, reason: string): void {
    this.#callOffWatch();
    this.#callOffWatch = this.#means.setAlarm(() => socket.destroy(new Error(reason)), milliseconds as Millis);
  }

  #lost(reason: string): void {
    this.#callOffWatch();
    this.#socket = null;
    this.#ready = false;
    // Half a frame goes with its connection; the whole one is sent again on the next.
    this.#handed = 0;
    this.#means.onTrouble?.(reason);
    if (this.#closing !== null) {
      this.#onIdle();
      return;
    }
    const rest = this.#pause * (0.75 + this.#means.random() / 2);
    this.#pause = Math.min(this.#pause * 2, patience.longest);
    this.#callOffRest = this.#means.setAlarm(() => {
      this.#callOffRest = null;
      if (this.#waiting.length > 0) this.#open();
    }, rest as Millis);
  }

  async #end(): Promise<void> {
    this.#callOffRest?.();
    const socket = this.#socket;
    if (this.#waiting.length > 0 && socket !== null)
      await within(patience.closing, (done) => {
        this.#onIdle = done;
      });
    this.dropped += this.#waiting.length;
    this.#waiting.length = 0;
    this.#callOffWatch();
    if (socket === null || socket.destroyed) return;
    await within(patience.closing, (done) => {
      socket.once('close', done);
      socket.destroySoon();
    });
    socket.destroy();
  }
}

/** Waits until it is done, but no longer than so many milliseconds. */
async function within(milliseconds: number, begin: (done: () => void) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  begin(resolve);
  await promise;
  clearTimeout(timer);
}

function connectTo({ server, certificateAuthorities, certificate }: SecureSenderSettings): TLSSocket {
  const socket = connect({
    host: server.host,
    port: server.port,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    checkServerIdentity: identityFault,
    ...(isIP(server.host) === 0 ? { servername: server.host } : {}),
    ...(certificateAuthorities.length === 0 ? {} : { ca: [...certificateAuthorities] }),
    ...certificate,
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveDelay);
  // A process that has nothing else to do may end.
  socket.unref();
  return socket;
}

/** RFC 9525 section 2: a name in the subject alone is nobody's proof, though Node takes it where there is no DNS name. */
function identityFault(host: string, certificate: PeerCertificate): Error | undefined {
  const names = certificate.subjectaltname ?? '';
  if (isIP(host) !== 0 || /(?:^|, )DNS:/.test(names)) return checkServerIdentity(host, certificate);
  return new Error(`the certificate of the server has no DNS name, ${host} neither`);
}
