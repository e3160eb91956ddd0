/**
 * A request's body on its way upstream: first what was read before the renegotiation, then what still arrives. It is a
 * stream of its own, because undici destroys the body it is given, and destroying a client's request ends the client's
 * connection. Counts, and stops a body that is longer than allowed or not as long as announced. A client that leaves is
 * noticed by the exchange, which then destroys this.
 */
import { Readable } from 'node:stream';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { takesInterim } from './answer-relay.ts';
import { isStream } from './client-answer.ts';
import type { ForwardInput } from './dispatch.ts';
import type { BodyLength, ClientRequest, ClientResponse } from './forward-contract.ts';
import type { CleanHeaders } from './sanitize.ts';

export interface RequestBodyFacts {
  readonly request: ClientRequest;
  readonly prefix: readonly Buffer[];
  readonly length: BodyLength;
  /** Octets; 0: no limit. */
  readonly maximum: number;
  /** Called once, when the upstream begins to take the body. */
  readonly onFirstRead: () => void;
}

/** How the body of a request is delimited, from what `Sanitizer.request` found and, in HTTP/2, END_STREAM. */
export function bodyLengthOf(clean: CleanHeaders, response: ClientResponse): BodyLength {
  if (isStream(response)) return response.stream.endAfterHeaders ? 'none' : (clean.contentLength ?? 'chunked');
  return clean.chunked ? 'chunked' : (clean.contentLength ?? 'none');
}

/** Null where there is none. The client is told to go on when the upstream begins to take it. */
export function requestBodyOf(input: ForwardInput): RequestBody | null {
  const { request, response, bodyPrefix, bodyLength, expectContinue, limits } = input;
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

export class RequestBody extends Readable {
  /** Why it was broken off by us; null while it was not. */
  refusal: Verdict | null = null;
  readonly #facts: RequestBodyFacts;
  #replayed = 0;
  #octets = 0;
  #reading = false;

  constructor(facts: RequestBodyFacts) {
    super();
    this.#facts = facts;
    // Whoever reads it may have gone when it breaks; the exchange learns of it otherwise.
    this.on('error', () => {});
  }

  /** Something of it may have gone upstream. */
  get begun(): boolean {
    return this.#reading;
  }

  override _read(): void {
    const { prefix, request, onFirstRead } = this.#facts;
    if (!this.#reading) {
      this.#reading = true;
      onFirstRead();
    }
    const piece = prefix[this.#replayed];
    if (piece !== undefined) {
      this.#replayed += 1;
      this.#take(piece);
    } else if (request.readableEnded) {
      this.#onEnd();
    } else {
      if (request.listenerCount('data', this.#onData) === 0) this.#attach();
      request.resume();
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { request } = this.#facts;
    request.pause();
    request.removeListener('data', this.#onData);
    request.removeListener('end', this.#onEnd);
    callback(error);
  }

  #attach(): void {
    const { request } = this.#facts;
    request.on('data', this.#onData);
    request.on('end', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.#take(chunk)) this.#facts.request.pause();
  };

  /** @returns false when nothing more is wanted for the moment */
  #take(chunk: Buffer): boolean {
    const { length, maximum } = this.#facts;
    this.#octets += chunk.length;
    if (maximum > 0 && this.#octets > maximum) {
      return this.#breakOff(verdict('bodyTooLarge', `the body is longer than ${maximum} octets`));
    }
    if (typeof length === 'number' && this.#octets > length) {
      return this.#breakOff(verdict('badRequest', `the body is longer than its Content-Length ${length}`));
    }
    return this.push(chunk);
  }

  readonly #onEnd = (): void => {
    const { length, request } = this.#facts;
    // A stream that is reset with NO_ERROR ends as if it were complete.
    if (request.aborted) {
      this.#breakOff(verdict('badRequest', 'the body ended in the middle'));
    } else if (typeof length === 'number' && this.#octets !== length) {
      this.#breakOff(verdict('badRequest', `the body has ${this.#octets} octets, its Content-Length says ${length}`));
    } else {
      this.push(null);
    }
  };

  #breakOff(refusal: Verdict): false {
    if (this.destroyed || this.readableEnded) return false;
    this.refusal = refusal;
    this.destroy(new Error(refusal.detail));
    return false;
  }
}
