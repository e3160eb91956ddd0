/**
 * One connection to the embedded directory: who is bound, which requests are under way. Nothing that a peer sends ends more than
 * its own connection.
 */
import type { Socket } from 'node:net';
import { reasonOf } from '../base/failure.ts';
import { encode } from './directory-ber.ts';
import type { DirectoryFaults } from './directory-faults.ts';
import { fold } from '../directory/sort-key.ts';
import {
  createMessageReader,
  encodeDisconnection,
  encodeResult,
  readRequest,
  type Request,
  responseTag,
  resultCode,
  type SearchRequest,
} from './directory-messages.ts';
import type { Pages } from './directory-paging.ts';
import { answerSearch, type SearchSettings } from './directory-search.ts';

export interface SessionHost {
  readonly search: SearchSettings;
  readonly credentials: readonly { readonly dn: string; readonly password: string }[];
  readonly faults: DirectoryFaults;
  /** Whether the connection is encrypted. */
  readonly secure: boolean;
  /** Calls back when `hold` is lifted; at once when it is off. */
  readonly released: (resume: () => void) => void;
  readonly counted: (what: 'bind' | 'search') => void;
}

/** MaxReceiveBuffer is 10 MiB in Active Directory; a tenth does for a laboratory. */
const maximumMessage = 1 << 20;
/** Searches of one connection that may be under way. */
const maximumSearches = 1000;
const authMessage = '80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error';

export function serveSession(socket: Socket, host: SessionHost): void {
  const reader = createMessageReader(maximumMessage);
  const pages: Pages = new Map();
  const underWay = new Set<number>();
  const timers = new Set<NodeJS.Timeout>();
  const queue: Buffer[] = [];
  let bound: string | null = null;

  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    for (const timer of timers) clearTimeout(timer);
  });
  socket.on('drain', pump);
  socket.on('data', (chunk: Buffer) => {
    try {
      queue.push(...reader.read(chunk));
      pump();
    } catch (error) {
      end(error);
    }
  });

  /** A peer that does not read its answers is not served further, so that they do not pile up. */
  function pump(): void {
    try {
      while (!socket.writableNeedDrain) {
        const message = queue.shift();
        if (message === undefined) break;
        take(readRequest(message));
      }
    } catch (error) {
      end(error);
    }
    if (queue.length > 0) socket.pause();
    else socket.resume();
  }

  function take(request: Request): void {
    if (socket.destroyed || socket.writableEnded) return;
    switch (request.kind) {
      case 'unbind':
        return void socket.end();
      case 'abandon':
        return void underWay.delete(request.target);
      case 'write':
        return send(encodeResult(request.id, request.answer, { code: resultCode.unwillingToPerform }));
      case 'bind':
        return bind(request.id, request.name, request.password);
      case 'extended':
        return extended(request.id, request.oid);
      case 'search':
        return search(request);
    }
  }

  function bind(id: number, name: string, password: string | null): void {
    host.counted('bind');
    bound = null;
    if (host.faults.silent) return;
    const answer = (code: number, message = '') => send(encodeResult(id, responseTag.bind, { code, message }));
    if (password === null) return answer(resultCode.authMethodNotSupported, 'only simple binds are served');
    // A name without password is the unauthenticated bind of RFC 4513 section 5.1.2: it succeeds as nobody.
    if (password === '' && !host.faults.refuseBind) return answer(resultCode.success);
    if (!host.secure)
      return answer(
        resultCode.strongerAuthRequired,
        '00002028: LdapErr: DSID-0C090202, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v4563',
      );
    const known = host.credentials.find(({ dn }) => fold(dn) === fold(name));
    if (known === undefined || known.password !== password || host.faults.refuseBind)
      return answer(resultCode.invalidCredentials, `${authMessage}, data 52e, v4563`);
    bound = name;
    answer(resultCode.success);
  }

  function extended(id: number, oid: string): void {
    const whoAmI = '1.3.6.1.4.1.4203.1.11.3';
    if (oid !== whoAmI)
      return send(encodeResult(id, responseTag.extended, { code: resultCode.protocolError, message: 'unknown' }));
    const tail = [encode(0x8b, bound === null ? '' : `u:${bound}`)];
    send(encodeResult(id, responseTag.extended, { code: resultCode.success, tail }));
  }

  function search(request: SearchRequest): void {
    host.counted('search');
    const { faults } = host;
    if (faults.silent) return;
    if (faults.dropNext > 0) {
      faults.dropNext -= 1;
      return void socket.destroy();
    }
    if (underWay.size >= maximumSearches) return finish(request, resultCode.busy, '');
    underWay.add(request.id);
    const answer = () => {
      if (socket.destroyed || !underWay.delete(request.id)) return;
      try {
        answerNow(request);
      } catch (error) {
        end(error);
      }
    };
    host.released(() => {
      if (faults.delay === 0) return answer();
      const timer = setTimeout(() => {
        timers.delete(timer);
        answer();
      }, faults.delay);
      timers.add(timer);
    });
  }

  function answerNow(request: SearchRequest): void {
    const code = host.faults.resultCode ?? host.faults.judge?.(request) ?? null;
    if (code !== null) return finish(request, code, 'asked for by a test');
    if (bound === null && !(request.base === '' && request.scope === 'base')) {
      const message =
        '000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563';
      return finish(request, resultCode.operationsError, message);
    }
    const messages = Buffer.concat(answerSearch(host.search, request, pages));
    if (!host.faults.halfMessage) return send(messages);
    send(messages.subarray(0, messages.length >> 1));
    socket.end();
  }

  function finish(request: SearchRequest, code: number, message: string): void {
    send(encodeResult(request.id, responseTag.searchDone, { code, message }));
  }

  function send(bytes: Buffer): void {
    if (socket.writable) socket.write(bytes);
  }

  function end(error: unknown): void {
    queue.length = 0;
    if (socket.writable) socket.end(encodeDisconnection(resultCode.protocolError, reasonOf(error)));
    else socket.destroy();
  }
}
