/**
 * An upstream's answer on its way to the client: interim answers, head, body with back-pressure, trailers, and the end of an exchange whose
 * request has not ended. Whether there is an answer, and what happens when it breaks, is decided in `forwarding.ts`.
 */
import type { Dispatcher } from 'undici';
import type { RawHeaders } from './answer-head.ts';
import { answerHead, hintsOf, trailersOf } from './answer-head.ts';
import {
  cutOff,
  endConnection,
  endStream,
  flushHead,
  isStream,
  onceDrained,
  writeHead,
  writeHints,
} from './client-answer.ts';
import type { ForwardInput } from './dispatch.ts';
import type { ClientRequest, ClientResponse } from './forward-contract.ts';
import { linger } from './linger.ts';
import type { RequestBody } from './request-body.ts';
import { isEventStream, Silence } from './silence.ts';

/** More interim answers than this to one request are the upstream's failure. */
const maximumInterim = 32;

export class AnswerRelay {
  /** 0 before the head is written. */
  status = 0;
  /** Of the body, so far. */
  octets = 0;
  readonly #input: ForwardInput;
  readonly #silence: Silence;
  #interim = 0;
  /** Milliseconds between two pieces of the answer; 0: for ever. */
  #patience = 0;
  #ended = false;

  /** @param onSilence the upstream has stopped in the middle of its answer */
  constructor(input: ForwardInput, onSilence: () => void) {
    this.#input = input;
    this.#silence = new Silence(onSilence);
  }

  /**
   * 103 goes on to the client; other interim answers speak of the upstream's connection, and HTTP/1.0 knows none.
   * @returns why the upstream is to be cut off; null: it is not
   */
  interim(status: number, raw: RawHeaders): Error | null {
    const { request, response } = this.#input;
    this.#interim += 1;
    if (this.#interim > maximumInterim) return new Error(`more than ${maximumInterim} interim answers`);
    if (status !== 103 || !takesInterim(request, response)) return null;
    return attempt(() => writeHints(response, hintsOf(raw)));
  }

  /** @returns as `interim` */
  begin(status: number, reason: string, raw: RawHeaders, bodyTimeout: number): Error | null {
    const { request, response, method, answerHeaders, noStore, onAnswer } = this.#input;
    const trailers = takesInterim(request, response) && method !== 'HEAD' && status !== 204 && status !== 304;
    const head = answerHead(raw, { status, trailers, ours: answerHeaders, noStore });
    const endless = isEventStream(head.headers);
    onAnswer?.(status, endless);
    this.#patience = endless ? 0 : bodyTimeout;
    const fault = attempt(() => writeHead(response, status, reason, head));
    if (fault !== null) return fault;
    this.status = status;
    process.nextTick(waitUnlessAnswered, this);
    return null;
  }

  write(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.#input;
    this.octets += chunk.length;
    this.#silence.heard();
    if (response.write(chunk)) return;
    controller.pause();
    this.#silence.pause();
    onceDrained(response, () => {
      if (!this.#ended) this.#silence.resume();
      controller.resume();
    });
  }

  /** The upstream has said everything. */
  end(trailers: RawHeaders, body: RequestBody | null): void {
    const { request, response, limits } = this.#input;
    this.stop();
    if (trailers.length > 0) response.addTrailers(trailersOf(trailers));
    if (body === null || request.readableEnded) {
      response.end();
    } else if (isStream(response)) {
      body.destroy();
      endStream(response);
    } else {
      body.destroy();
      // A connection that ends with this answer must not end before the client has stopped sending.
      if (response.shouldKeepAlive) response.end();
      linger(request, limits, (drained) => {
        if (drained) response.end();
        else endConnection(request, response);
      });
    }
  }

  /** It breaks off in the middle, and must look so. */
  breakOff(): void {
    this.stop();
    cutOff(this.#input.response);
  }

  /** Nothing more is waited for. */
  stop(): void {
    this.#ended = true;
    this.#silence.end();
  }

  /** Sends the head of an answer whose body does not follow at once, and waits for the rest. */
  wait(): void {
    if (this.#ended) return;
    if (this.octets === 0) flushHead(this.#input.response);
    this.#silence.begin(this.#patience);
  }
}

/** HTTP/1.0 knows neither interim answers nor chunks, and so no trailers (RFC 9110 section 15.2, RFC 9112 section 7.1). */
export function takesInterim(request: ClientRequest, response: ClientResponse): boolean {
  return isStream(response) || request.httpVersionMinor > 0;
}

function waitUnlessAnswered(relay: AnswerRelay): void {
  relay.wait();
}

/** What node:http and node:http2 do not accept of an upstream, they throw at. */
function attempt(write: () => void): Error | null {
  try {
    write();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
