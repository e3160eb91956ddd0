/**
 * The way of one request: which server, a connection there, and what happens when that fails. The next server of the group may have it where
 * no connection could be made; what else may be sent again is decided in `second-attempt.ts`. An answer that has begun is never asked for
 * twice. How the answer gets to the client is decided in `answer-relay.ts`.
 */
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import type { RawHeaders } from './answer-head.ts';
import { AnswerRelay } from './answer-relay.ts';
import { isGone, onClientClose, wasFlushed } from './client-answer.ts';
import type { SlotOptions } from './alpn-client.ts';
import { asksForConnection, bringsConnection } from './client-pins.ts';
import type { ConnectBudget } from './connect-budget.ts';
import { startConnectBudget } from './connect-budget.ts';
import type { ForwardInput } from './dispatch.ts';
import type { ForwardClient, ForwardResult } from './forward-contract.ts';
import { type RequestBody, requestBodyOf } from './request-body.ts';
import { type SecondAttempt, secondAttempt } from './second-attempt.ts';
import type { Slot } from './slot.ts';
import { switchProtocols } from './switch-protocols.ts';
import { failureOf, isUnreachable } from './upstream-failure.ts';
import type { Upstream, Waiter } from './upstream.ts';

interface DispatchOptions extends SlotOptions {
  /** Not in undici's types: what it compares to decide whether a connection can be used again. */
  servername: string;
}

export class Forwarding implements Dispatcher.DispatchHandler, Waiter {
  readonly client: ForwardClient;
  /** From the answer on that asks for it, also where the request did not bring it. */
  binds: boolean;
  readonly #input: ForwardInput;
  readonly #resolve: (result: ForwardResult) => void;
  readonly #body: RequestBody | null;
  readonly #relay: AnswerRelay;
  #server: Upstream | null = null;
  /** Servers that have failed this request. */
  #tried: Set<Upstream> | null = null;
  #budget: ConnectBudget | null = null;
  #slot: Slot | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  #stage: 'asking' | 'answering' | 'answered' | 'tunnel' | 'settled' = 'asking';
  #heard = false;
  /** A server said that it did not process this, or not over HTTP/2. That is believed once. */
  #refused = false;
  #http1 = false;

  constructor(input: ForwardInput, resolve: (result: ForwardResult) => void) {
    this.client = input.client;
    this.binds = bringsConnection(input.headers);
    this.#input = input;
    this.#resolve = resolve;
    this.#body = requestBodyOf(input);
    this.#relay = new AnswerRelay(input, () => this.#stop('the answer stopped in the middle'));
  }

  enter(): void {
    const { request, response } = this.#input;
    if (isGone(request, response)) {
      this.#abort('client', 'the client left before its request was forwarded');
      return;
    }
    onClientClose(response, this.#onClientClose);
    this.#seek(null);
  }

  begin(slot: Slot): void {
    this.#slot = slot;
    if (this.#stage === 'settled') this.#release();
    else this.#dispatch(slot);
  }

  giveUp(reason: 'timeout' | 'closed'): void {
    const { label } = this.#at;
    const text = reason === 'timeout' ? `no connection to ${label} became free in time` : `${label} is being closed`;
    this.#refuse(verdict('overloaded', text));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#budget?.connected();
    if (this.#stage === 'settled') this.#stop('the client left');
  }

  onResponseStarted(): void {
    this.#heard = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, reason = ''): void {
    const raw = (controller.rawHeaders ?? []) as RawHeaders;
    if (status === 101) {
      this.#stop('a 101 without Upgrade');
      return;
    }
    if ((status === 401 || status === 407) && !this.binds) this.binds = asksForConnection(raw);
    const fault =
      status < 200
        ? this.#relay.interim(status, raw)
        : this.#relay.begin(status, reason, raw, this.#at.settings.bodyTimeout);
    if (fault !== null) controller.abort(fault);
    else if (status >= 200) this.#stage = 'answering';
  }

  /** undici has let go of the socket; so has this request of everything but its slot, which counts the tunnel until it ends. */
  onRequestUpgrade(controller: Dispatcher.DispatchController, status: number, _: unknown, socket: Duplex): void {
    const { upgrade, answerHeaders, onAnswer } = this.#input;
    if (upgrade === undefined) throw new Error('an upgrade that nobody asked for');
    const raw = (controller.rawHeaders ?? []) as RawHeaders;
    this.#stage = 'tunnel';
    const { label, settings } = this.#at;
    const onEnd = () => {
      this.#release();
      this.#settle({ kind: 'tunnelled' });
    };
    const facts = { request: upgrade, status, raw, upstream: socket, origin: label, settings, answerHeaders, onEnd };
    const refusal = switchProtocols(facts);
    if (refusal === null) {
      onAnswer?.(status, true);
      return;
    }
    this.#release();
    this.#refuse(refusal);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#relay.write(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    // To undici a reset ends an answer that only the end of its connection delimits; half an answer must not look whole.
    const reset = this.#slot?.failure ?? null;
    if (reset !== null) {
      this.onResponseError(controller, reset);
      return;
    }
    if (this.#slot !== null) this.#slot.served += 1;
    this.#stage = 'answered';
    this.#release();
    this.#relay.end((controller.rawTrailers ?? []) as RawHeaders, this.#body);
  }

  onResponseError(_: unknown, error: Error): void {
    const started = this.#controller !== null;
    const next = this.#nextAttempt(error, started);
    if (next === 'again' || next === 'http1') {
      if (next === 'http1') this.#refused = this.#http1 = true;
      this.#controller = null;
      // Not at once: undici is in the middle of its own bookkeeping.
      queueMicrotask(() => this.#slot !== null && this.#dispatch(this.#slot));
      return;
    }
    const failure = failureOf(error, started, this.#at.label);
    if (started) this.#slot?.failed();
    this.#release();
    if (next === 'elsewhere') {
      this.#onUnprocessed(failure);
      return;
    }
    if (isUnreachable(error, started)) {
      this.#onUnreachable(failure);
      return;
    }
    this.#body?.destroy();
    if (this.#stage === 'answering') {
      this.#relay.breakOff();
      this.#abort('upstream', failure.detail);
    } else {
      this.#refuse(this.#body?.refusal ?? failure);
    }
  }

  get #at(): Upstream {
    if (this.#server === null) throw new TypeError('no server has been chosen yet');
    return this.#server;
  }

  /** @param failure of the server before; null: there was none */
  #seek(failure: Verdict | null): void {
    const { group } = this.#input;
    let last = failure;
    for (;;) {
      const server = group.choose(this.#tried ?? undefined);
      if (server === null) {
        this.#refuse(last ?? verdict('upstreamUnavailable', `upstream ${group.name} has no server`));
        return;
      }
      this.#server = server;
      const entry = server.acquire(this);
      if (entry === 'accepted') return;
      const text = entry === 'full' ? `the queue of ${server.label} is full` : `${server.label} is being closed`;
      last = verdict('overloaded', text);
      (this.#tried ??= new Set()).add(server);
    }
  }

  /** Nothing was sent and nothing of the body was read: the next server may have the request, whatever its method. */
  #onUnreachable(failure: Verdict): void {
    const { group } = this.#input;
    group.failed(this.#at, failure.detail);
    (this.#tried ??= new Set()).add(this.#at);
    this.#budget?.failed();
    if (this.#stage === 'settled' || this.#budget?.spent === true) this.#refuse(failure);
    else queueMicrotask(() => this.#stage === 'asking' && this.#seek(failure));
  }

  /** The server is there, so it is asked again where there is no other. */
  #onUnprocessed(failure: Verdict): void {
    this.#refused = true;
    this.#controller = null;
    const tried = (this.#tried ??= new Set());
    tried.add(this.#at);
    if (this.#input.group.servers.every((server) => tried.has(server))) tried.delete(this.#at);
    queueMicrotask(() => this.#stage === 'asking' && this.#seek(failure));
  }

  #dispatch(slot: Slot): void {
    const { method, path, host, headers, bodyLength, upgrade, group } = this.#input;
    const list = headers.slice();
    if (host !== null && group.settings.hostHeader === 'client') list.push('Host', host);
    if (this.#body !== null && typeof bodyLength === 'number') list.push('Content-Length', String(bodyLength));
    const options: DispatchOptions = {
      path,
      method,
      headers: list,
      body: this.#body,
      servername: this.#at.serverName,
      bodyTimeout: 0,
    };
    if (upgrade !== undefined) options.upgrade = upgrade.offer.protocol;
    if (this.#http1) options.http1 = true;
    // A backend that does not expect a body may read it as the next request. Told to close (RFC 9112 section 9.6), it must not.
    if (this.#body !== null && !methodsWithBody.has(method)) options.reset = true;
    if (!slot.open && group.servers.length > 1) this.#allow(slot);
    slot.client.dispatch(options, this);
  }

  /** How long the connection may take, where there are servers to go to after it. */
  #allow(slot: Slot): void {
    this.#budget ??= startConnectBudget(this.#at.settings.connectTimeout);
    const left = this.#input.group.servers.length - (this.#tried?.size ?? 0);
    slot.patience = this.#budget.share(left > 1);
  }

  #nextAttempt(error: Error, started: boolean): SecondAttempt {
    if (this.#heard || this.#stage !== 'asking') return 'none';
    const { method } = this.#input;
    const body = this.#body === null ? 'none' : this.#body.begun ? 'begun' : 'unread';
    const served = this.#slot?.served ?? 0;
    return secondAttempt({ error, method, started, body, served, refused: this.#refused });
  }

  readonly #onClientClose = (): void => {
    if (this.#stage === 'settled' || this.#stage === 'tunnel') return;
    const { status, octets } = this.#relay;
    if (this.#stage === 'answered' && wasFlushed(this.#input.response)) {
      this.#settle({ kind: 'answered', status, bytes: octets });
      return;
    }
    this.#server?.leave(this);
    this.#abort('client', 'the client left');
    // Before the connection is made there is no controller: `onRequestStart` comes later and finds the request settled.
    if (this.#slot !== null) this.#stop('the client left');
  };

  /** Ends the request at the upstream. */
  #stop(reason: string): void {
    this.#controller?.abort(new Error(reason));
  }

  #release(): void {
    const slot = this.#slot;
    this.#slot = null;
    if (slot !== null) this.#at.release(slot, this.binds ? this.client : null);
  }

  #refuse(refusal: Verdict): void {
    this.#settle({ kind: 'refused', verdict: refusal });
  }

  #abort(by: 'client' | 'upstream', reason: string): void {
    const { status, octets } = this.#relay;
    this.#settle({ kind: 'aborted', by, status, bytes: octets, reason });
  }

  #settle(result: ForwardResult): void {
    if (this.#stage === 'settled') return;
    this.#stage = 'settled';
    this.#relay.stop();
    this.#resolve(result);
  }
}

/** The methods after which undici itself keeps a connection. */
const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']);
