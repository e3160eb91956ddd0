/**
 * One connection to the embedded directory: which requests are under way, and whether it becomes an encrypted one. Nothing that a
 * peer sends ends more than its own connection.
 */
import type { Socket } from 'node:net';
import { reasonOf } from '../base/failure.ts';
import { encode } from './directory-ber.ts';
import {
  answerBind,
  type Authentication,
  authorizationId,
  boundByCertificate,
  type Channel,
} from './directory-authentication.ts';
import type { DirectoryFaults } from './directory-faults.ts';
import {
  type BindRequest,
  createMessageReader,
  encodeDisconnection,
  encodeResult,
  readRequest,
  type Request,
  responseTag,
  resultCode,
  type ResultFacts,
  type SearchRequest,
} from './directory-messages.ts';
import type { Pages } from './directory-paging.ts';
import { answerSearch, type SearchSettings } from './directory-search.ts';
import { extensionOid } from './directory-tree.ts';

export interface SessionHost {
  readonly search: SearchSettings;
  readonly authentication: Authentication;
  readonly faults: DirectoryFaults;
  readonly channel: Channel;
  /** Encrypts the connection and serves it anew, as nobody's; null where StartTLS is not to be had. */
  readonly encrypt: (() => void) | null;
  /** Calls back when `hold` is lifted; at once when it is off. */
  readonly released: (resume: () => void) => void;
  readonly counted: (what: 'bind' | 'search') => void;
}

/** MaxReceiveBuffer is 10 MiB in Active Directory; a tenth does for a laboratory. */
const maximumMessage = 1 << 20;
/** Searches of one connection that may be under way. */
const maximumSearches = 1000;

export function serveSession(socket: Socket, host: SessionHost): void {
  const reader = createMessageReader(maximumMessage);
  const pages: Pages = new Map();
  const underWay = new Set<number>();
  const timers = new Set<NodeJS.Timeout>();
  const queue: Buffer[] = [];
  let bound = boundByCertificate(host.authentication, host.channel);

  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    for (const timer of timers) clearTimeout(timer);
  });
  socket.on('drain', pump);
  socket.on('data', receive);

  function receive(chunk: Buffer): void {
    try {
      queue.push(...reader.read(chunk));
      pump();
    } catch (error) {
      end(error);
    }
  }

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
        return bind(request);
      case 'extended':
        return extended(request.id, request.oid);
      case 'search':
        return search(request);
    }
  }

  function bind(request: BindRequest): void {
    host.counted('bind');
    bound = null;
    if (host.faults.silent) return;
    const answer = answerBind(host.authentication, host.channel, request, host.faults.refuseBind);
    ({ bound } = answer);
    send(encodeResult(request.id, responseTag.bind, answer.result));
  }

  function extended(id: number, oid: string): void {
    const answer = (facts: ResultFacts) => send(encodeResult(id, responseTag.extended, facts));
    if (oid === extensionOid.startTls) return startTls(answer);
    if (oid !== extensionOid.whoAmI) return answer({ code: resultCode.protocolError, message: 'unknown' });
    const { store, facts } = host.search;
    const tail = [encode(0x8b, authorizationId(store, facts.netbiosName, bound))];
    answer({ code: resultCode.success, tail });
  }

  /** RFC 4511 section 4.14. */
  function startTls(answer: (facts: ResultFacts) => void): void {
    const { encrypt, faults } = host;
    const tail = [encode(0x8a, extensionOid.startTls)];
    // Whatever came along with the request came in clear and must not be taken for what the encrypted peer says.
    const busy = underWay.size > 0 || queue.length > 0 || reader.held > 0;
    const code = faults.startTlsCode ?? (host.channel.encrypted || busy ? resultCode.operationsError : null);
    if (code !== null) return answer({ code, message: 'StartTLS is not to be had now', tail });
    if (encrypt === null) return answer({ code: resultCode.unavailable, message: 'there is no certificate', tail });
    socket.off('data', receive);
    socket.off('drain', pump);
    answer({ code: resultCode.success, tail });
    if (faults.injection !== null) socket.write(faults.injection);
    encrypt();
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
    const { resultCode: fixed, judge, referral, halfMessage } = host.faults;
    const code = fixed ?? judge?.(request) ?? null;
    if (code !== null) return finish(request, code, 'asked for by a test');
    const ofRoot = request.base === '' && request.scope === 'base';
    if (referral.length > 0 && !ofRoot)
      return send(encodeResult(request.id, responseTag.searchDone, { code: resultCode.referral, referrals: referral }));
    if (bound === null && !ofRoot) {
      const message =
        '000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563';
      return finish(request, resultCode.operationsError, message);
    }
    const messages = Buffer.concat(answerSearch(host.search, request, pages));
    if (!halfMessage) return send(messages);
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
