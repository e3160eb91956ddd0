/**
 * One request to one upstream and its answer back: both bodies as streams with back-pressure, each end able to stop the
 * other. Who may be forwarded and with which headers has been decided before; how a refusal is rendered is decided after.
 *
 * Request trailers are not passed on (undici has no way to send them). `100 Continue` is answered here, when the upstream
 * begins to take the body.
 */
import type { Dispatcher } from 'undici';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { admit } from './admission.ts';
import type { RawHeaders } from './answer-head.ts';
import { answerHead, hintsOf, trailersOf } from './answer-head.ts';
import {
  cutOff,
  endConnection,
  flushHead,
  isGone,
  isStream,
  noError,
  onceDrained,
  onClientClose,
  wasFlushed,
  writeHead,
  writeHints,
} from './client-answer.ts';
import type {
  BodyLength,
  ClientRequest,
  ClientResponse,
  FlatHeaders,
  ForwardLimits,
  ForwardResult,
} from './forward-contract.ts';
import { linger } from './linger.ts';
import { RequestBody } from './request-body.ts';
import { failureOf, isLostConnection } from './upstream-failure.ts';
import type { Slot, Upstream, Waiter } from './upstream.ts';

export { bodyLengthOf } from './request-body.ts';

export interface ForwardInput {
  readonly upstream: Upstream;
  readonly method: string;
  /** Canonical path and query. */
  readonly path: string;
  /** Sent as Host; null: the upstream's own. */
  readonly host: string | null;
  /** Clean, dressed, without Host and Content-Length. */
  readonly headers: FlatHeaders;
  readonly request: ClientRequest;
  /** What was read of the body already, in order. */
  readonly bodyPrefix: readonly Buffer[];
  /** Of the whole body, prefix included. */
  readonly bodyLength: BodyLength;
  /** The client waits for a 100 that nobody has sent yet. */
  readonly expectContinue: boolean;
  readonly response: ClientResponse;
  /** Added to the answer; the upstream's fields of these names go. */
  readonly answerHeaders: FlatHeaders;
  /** The answer depends on who asks: nobody may store it unless the upstream says so. */
  readonly noStore: boolean;
  readonly limits: ForwardLimits;
  /** Called with the final status just before the answer's head is written. */
  readonly onAnswer?: (status: number) => void;
}

/** Never rejects. */
export function forward(input: ForwardInput): Promise<ForwardResult> {
  const { bodyLength, limits } = input;
  const tooLarge = typeof bodyLength === 'number' && limits.maximumBody > 0 && bodyLength > limits.maximumBody;
  const refusal = tooLarge
    ? verdict('bodyTooLarge', `the body has ${bodyLength} octets, the limit is ${limits.maximumBody}`)
    : admit(input.method, input.path, input.host, input.headers);
  if (refusal !== null) return Promise.resolve({ kind: 'refused', verdict: refusal });
  return new Promise((resolve) => new Exchange(input, resolve).enter());
}

interface DispatchOptions extends Dispatcher.DispatchOptions {
  /** Not in undici's types: what it compares to decide whether a connection can be used again. */
  servername: string;
}

/** More interim answers than this to one request are the upstream's failure. */
const maximumInterim = 32;

class Exchange implements Dispatcher.DispatchHandler, Waiter {
  readonly #input: ForwardInput;
  readonly #resolve: (result: ForwardResult) => void;
  readonly #body: RequestBody | null;
  #slot: Slot | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  #stage: 'asking' | 'answering' | 'answered' | 'settled' = 'asking';
  #heard = false;
  #interim = 0;
  #status = 0;
  #octets = 0;

  constructor(input: ForwardInput, resolve: (result: ForwardResult) => void) {
    this.#input = input;
    this.#resolve = resolve;
    this.#body = this.#bodyOf(input);
  }

  enter(): void {
    const { request, response, upstream } = this.#input;
    if (isGone(request, response)) {
      this.#abort('client', 'the client left before its request was forwarded');
      return;
    }
    onClientClose(response, this.#onClientClose);
    const entry = upstream.acquire(this);
    if (entry === 'full') this.#refuse(verdict('overloaded', `the queue of ${upstream.origin} is full`));
    if (entry === 'closed') this.#refuse(verdict('overloaded', `${upstream.origin} is being closed`));
  }

  begin(slot: Slot): void {
    this.#slot = slot;
    this.#dispatch(slot);
  }

  giveUp(reason: 'timeout' | 'closed'): void {
    const { origin } = this.#input.upstream;
    const text = reason === 'timeout' ? `no connection to ${origin} became free in time` : `${origin} is being closed`;
    this.#refuse(verdict('overloaded', text));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#stage === 'settled') controller.abort(new Error('the client left'));
  }

  onResponseStarted(): void {
    this.#heard = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, reason = ''): void {
    const { request, response, method, answerHeaders, noStore, onAnswer } = this.#input;
    const raw = (controller.rawHeaders ?? []) as RawHeaders;
    if (status < 200) {
      this.#pass(controller, status, raw);
      return;
    }
    const trailers = takesInterim(request, response) && method !== 'HEAD' && status !== 204 && status !== 304;
    const head = answerHead(raw, { status, trailers, ours: answerHeaders, noStore });
    onAnswer?.(status);
    try {
      writeHead(response, status, reason, head);
    } catch (error) {
      controller.abort(error as Error);
      return;
    }
    this.#status = status;
    this.#stage = 'answering';
    if (!isStream(response)) process.nextTick(flushUnlessBegun, this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#octets += chunk.length;
    if (this.#input.response.write(chunk)) return;
    controller.pause();
    onceDrained(this.#input.response, () => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const { response } = this.#input;
    const raw = (controller.rawTrailers ?? []) as RawHeaders;
    if (this.#slot !== null) this.#slot.served += 1;
    this.#stage = 'answered';
    this.#release();
    if (raw.length > 0) response.addTrailers(trailersOf(raw));
    this.#end();
  }

  onResponseError(_: unknown, error: Error): void {
    if (this.#mayTryAgain(error)) {
      this.#controller = null;
      // Not at once: undici is in the middle of its own bookkeeping.
      queueMicrotask(() => this.#slot !== null && this.#dispatch(this.#slot));
      return;
    }
    const started = this.#controller !== null;
    this.#release();
    this.#body?.destroy();
    if (this.#stage === 'answering') {
      cutOff(this.#input.response);
      this.#abort('upstream', error.message);
    } else {
      this.#refuse(this.#body?.refusal ?? failureOf(error, started, this.#input.upstream.origin));
    }
  }

  /** Sends the head of an answer whose body does not follow at once. */
  flushHead(): void {
    if (this.#stage === 'answering' && this.#octets === 0) flushHead(this.#input.response);
  }

  #bodyOf({ request, response, bodyPrefix, bodyLength, expectContinue, limits }: ForwardInput): RequestBody | null {
    if (bodyLength === 'none' || bodyLength === 0) return null;
    return new RequestBody({
      request,
      prefix: bodyPrefix,
      length: bodyLength,
      maximum: limits.maximumBody,
      onFirstRead() {
        if (expectContinue && takesInterim(request, response) && !response.headersSent) response.writeContinue();
      },
    });
  }

  #dispatch(slot: Slot): void {
    const { method, path, host, headers, bodyLength, upstream } = this.#input;
    const list = headers.slice();
    if (host !== null) list.push('Host', host);
    if (this.#body !== null && typeof bodyLength === 'number') list.push('Content-Length', String(bodyLength));
    const options: DispatchOptions = {
      path,
      method,
      headers: list,
      body: this.#body,
      servername: upstream.serverName,
    };
    // A backend that does not expect a body may read it as the next request. Told to close (RFC 9112 section 9.6), it must not.
    if (this.#body !== null && !methodsWithBody.has(method)) options.reset = true;
    slot.client.dispatch(options, this);
  }

  /** 103 goes on to the client; other interim answers speak of the upstream's connection, and HTTP/1.0 knows none. */
  #pass(controller: Dispatcher.DispatchController, status: number, raw: RawHeaders): void {
    const { request, response } = this.#input;
    this.#interim += 1;
    if (this.#interim > maximumInterim) {
      controller.abort(new Error(`more than ${maximumInterim} interim answers`));
      return;
    }
    if (status !== 103 || !takesInterim(request, response)) return;
    try {
      writeHints(response, hintsOf(raw));
    } catch (error) {
      controller.abort(error as Error);
    }
  }

  /**
   * A kept connection may be closed by the upstream in the moment it is used again. What changes nothing and has no body
   * may be sent once more then (RFC 9110 section 9.2.2); the connection it gets is fresh, so that is the last time.
   */
  #mayTryAgain(error: Error): boolean {
    return (
      !this.#heard &&
      this.#stage === 'asking' &&
      this.#body === null &&
      this.#controller !== null &&
      safeMethods.has(this.#input.method) &&
      (this.#slot?.served ?? 0) > 0 &&
      isLostConnection(error)
    );
  }

  readonly #onClientClose = (): void => {
    if (this.#stage === 'settled') return;
    if (this.#stage === 'answered' && wasFlushed(this.#input.response)) {
      this.#settle({ kind: 'answered', status: this.#status, bytes: this.#octets });
      return;
    }
    this.#input.upstream.leave(this);
    this.#abort('client', 'the client left');
    // Before the connection is made there is no controller: `onRequestStart` comes later and finds the exchange settled.
    if (this.#slot !== null) this.#controller?.abort(new Error('the client left'));
  };

  /** The upstream has said everything. */
  #end(): void {
    const { request, response, limits } = this.#input;
    if (this.#body === null || request.readableEnded) {
      response.end();
    } else if (isStream(response)) {
      response.end();
      // RFC 9113 section 8.1: the answer is complete, the rest of the body is not wanted.
      response.stream.close(noError);
    } else {
      this.#body.destroy();
      // A connection that ends with this answer must not end before the client has stopped sending.
      if (response.shouldKeepAlive) response.end();
      linger(request, limits, (drained) => {
        if (drained) response.end();
        else endConnection(request, response);
      });
    }
  }

  #release(): void {
    const slot = this.#slot;
    this.#slot = null;
    if (slot !== null) this.#input.upstream.release(slot);
  }

  #refuse(refusal: Verdict): void {
    this.#settle({ kind: 'refused', verdict: refusal });
  }

  #abort(by: 'client' | 'upstream', reason: string): void {
    this.#settle({ kind: 'aborted', by, status: this.#status, bytes: this.#octets, reason });
  }

  #settle(result: ForwardResult): void {
    if (this.#stage === 'settled') return;
    this.#stage = 'settled';
    this.#resolve(result);
  }
}

/** HTTP/1.0 knows neither interim answers nor chunks, and so no trailers (RFC 9110 section 15.2, RFC 9112 section 7.1). */
function takesInterim(request: ClientRequest, response: ClientResponse): boolean {
  return isStream(response) || request.httpVersionMinor > 0;
}

function flushUnlessBegun(exchange: Exchange): void {
  exchange.flushHead();
}

/** RFC 9110 section 9.2.1; PROPFIND, REPORT and SEARCH come with a body and are not sent twice anyway. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
/** The methods after which undici itself keeps a connection. */
const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']);
