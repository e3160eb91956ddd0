/**
 * A request with `Upgrade` between its arrival and the moment when it is known what becomes of it. Node has taken its parser off the connection by then,
 * but the request is answered like any other unless it is given away as a tunnel: with a response of our own making. Meanwhile the
 * connection is read all the time, because a renegotiation could not go on otherwise, and what an impatient client sends is kept in order, up to a
 * bound. Who may have a tunnel is not decided here.
 */
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { lastWords } from './last-words.ts';

export interface HeldUpgrade {
  /**
   * Takes the connection away from HTTP, for good; from then on the response must not be used. The caller reads and bounds it.
   * @returns `closed`: the client has gone; `early`: it has sent more than is kept
   */
  take(): { readonly socket: Duplex; readonly early: readonly Buffer[] } | 'closed' | 'early';
}

/** Octets behind the request that are kept for the tunnel, and those at which a client that goes on sending is cut off. */
const maximumEarly = 65_536;
const maximumDropped = 1_048_576;

const held: unique symbol = Symbol('dsmapper.held-upgrade');
interface Holder {
  [held]?: HeldUpgrade;
}

/** Null where the request came without `Upgrade`, or cannot become a tunnel: behind a body, or while earlier answers are due. */
export function heldUpgradeOf(request: object): HeldUpgrade | null {
  return (request as Holder)[held] ?? null;
}

/**
 * @param head what came with the request, as Node's `upgrade` event has it
 * @returns what the request is answered with; the connection ends with it
 */
export function holdUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): ServerResponse {
  const early: Buffer[] = [];
  let octets = 0;
  const onData = (piece: Buffer) => {
    octets += piece.length;
    if (octets <= maximumEarly) early.push(piece);
    else if (octets > maximumDropped) socket.destroy();
  };
  const response = new ServerResponse(request);
  const onDrain = () => void response.emit('drain');
  // As Node's servers have it: before it has its answer, a client that ends its half has left.
  const onEnd = () => void socket.destroy();
  const onFinish = () => lastWords(socket, '');

  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', onFinish);
  socket.on('error', () => socket.destroy());
  socket.on('drain', onDrain).on('end', onEnd).on('data', onData);
  if (head.length > 0) onData(head);

  (request as Holder)[held] = {
    take() {
      if (socket.destroyed) return 'closed';
      if (octets > maximumEarly) return 'early';
      socket.off('drain', onDrain).off('end', onEnd).off('data', onData);
      socket.pause();
      socket.setTimeout(0);
      response.off('finish', onFinish);
      response.detachSocket(socket);
      return { socket, early };
    },
  };
  return response;
}
