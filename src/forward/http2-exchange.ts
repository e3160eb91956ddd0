/**
 * One request over HTTP/2 and its answer: undici's callbacks over one stream of node:http2, with back-pressure both ways. An answer is whole
 * when END_STREAM has come and everything before it was handed on; every other end is a failure. Which connection carries it, and what a
 * failure leads to, is decided elsewhere (`http2-client.ts`, `forwarding.ts`).
 */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { Readable } from 'node:stream';
import { type Dispatcher, errors } from 'undici';
import { watchEnding, type Ending } from './http2-ending.ts';
import { answerFields, requestFields } from './http2-fields.ts';
import type { FlatHeaders } from './forward-contract.ts';

export interface ExchangeFacts {
  readonly session: ClientHttp2Session;
  /** Host and port of the server. */
  readonly authority: string;
  /** Milliseconds from the last octet of the request to the answer's head. */
  readonly headersTimeout: number;
  readonly options: Dispatcher.DispatchOptions;
  readonly handler: Dispatcher.DispatchHandler;
  /** Why a stream ended before its answer was whole. */
  readonly explain: (stream: ClientHttp2Stream) => Error;
  /** The stream is done with: called once, before the handler hears of the end. */
  readonly onEnd: (error: Error | null) => void;
}

export class Http2Exchange implements Dispatcher.DispatchController {
  rawHeaders: Buffer[] | null = null;
  rawTrailers: Buffer[] | null = null;
  aborted = false;
  paused = false;
  reason: Error | null = null;
  readonly #facts: ExchangeFacts;
  readonly #body: Readable | null;
  /** Ends the stream with CANCEL. `close` would send END_STREAM first, and half a request would look whole. */
  readonly #cancel = new AbortController();
  #stream: ClientHttp2Stream | null = null;
  #ending: Ending = { whole: false, octets: 0 };
  #timer: NodeJS.Timeout | null = null;
  #bodySent = false;
  #delivered = 0;
  #closed = false;
  #ended = false;

  constructor(facts: ExchangeFacts) {
    this.#facts = facts;
    this.#body = (facts.options.body as Readable | null | undefined) ?? null;
  }

  start(): void {
    const { session, authority, headersTimeout, options, handler } = this.#facts;
    handler.onRequestStart?.(this, null);
    if (this.#ended) return;
    const { method, path } = options;
    const headers = (options.headers ?? []) as FlatHeaders;
    const fields = requestFields({ method, path, authority, headers, hasBody: this.#body !== null });
    try {
      const { signal } = this.#cancel;
      this.#stream = session.request(fields, { endStream: this.#body === null, signal });
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#listen(this.#stream);
    if (headersTimeout > 0) this.#timer = setTimeout(this.#onSilence, headersTimeout);
  }

  abort(reason: Error): void {
    this.aborted = true;
    this.reason ??= reason;
    this.fail(reason);
  }

  pause(): void {
    this.paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.paused = false;
    if (this.#closed) this.#readRest();
    else this.#stream?.resume();
  }

  /** Ends it from our side. */
  fail(error: Error): void {
    if (!this.#end(error)) return;
    this.#facts.handler.onResponseError?.(this, error);
    this.#body?.destroy();
  }

  #listen(stream: ClientHttp2Stream): void {
    this.#ending = watchEnding(stream);
    stream.on('error', () => {}); // `close` follows and says more
    stream.on('headers', (head: IncomingHttpHeaders, _: number, raw?: string[]) => this.#onHead(head, raw));
    stream.on('response', (head: IncomingHttpHeaders, _: number, raw?: string[]) => {
      if (!this.#onHead(head, raw)) return;
      this.#clearTimer();
      stream.on('data', (piece: Buffer) => this.#deliver(piece));
      if (this.paused) stream.pause();
    });
    stream.on('trailers', (_head: IncomingHttpHeaders, _flags: number, raw?: string[]) => {
      this.rawTrailers = answerFields(raw ?? []);
    });
    stream.on('end', () => this.#endIfWhole());
    stream.on('close', () => {
      this.#closed = true;
      if (this.#ended) return;
      if (this.#ending.whole && this.rawHeaders !== null) this.#readRest();
      else this.fail(this.#facts.explain(stream));
    });
    if (this.#body !== null) this.#sendBody(stream, this.#body);
  }

  /** @returns false where nobody wants to hear more */
  #onHead(head: IncomingHttpHeaders, raw: string[] = []): boolean {
    if (this.#ended) return false;
    const { handler } = this.#facts;
    this.#timer?.refresh();
    this.rawHeaders = answerFields(raw);
    handler.onResponseStarted?.();
    handler.onResponseStart?.(this, Number(head[':status'] ?? 0), {}, '');
    return !this.#ended;
  }

  #deliver(piece: Buffer): void {
    if (this.#ended) return;
    this.#delivered += piece.length;
    this.#facts.handler.onResponseData?.(this, piece);
  }

  /** The connection may end before a slow client has taken what came: what is there is still handed on. */
  #readRest(): void {
    while (!this.paused && !this.#ended) {
      const piece = this.#stream?.read() as Buffer | null | undefined;
      if (piece === null || piece === undefined) break;
      this.#deliver(piece);
    }
    if (!this.paused) this.#endIfWhole();
  }

  #endIfWhole(): void {
    if (this.#ended) return;
    const { whole, octets } = this.#ending;
    if (whole && octets === this.#delivered && this.rawHeaders !== null) {
      if (!this.#end(null)) return;
      this.#facts.handler.onResponseEnd?.(this, {});
      this.#body?.destroy();
    } else if (this.#closed && this.#stream !== null) {
      this.fail(this.#facts.explain(this.#stream));
    }
  }

  /** @returns false where it had ended before */
  #end(error: Error | null): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#clearTimer();
    // A whole answer may come before the end of the request: the rest is not wanted (RFC 9113 section 8.1).
    const unfinished = this.#body !== null && this.#stream?.writableFinished !== true;
    if (error !== null || unfinished) this.#cancel.abort();
    this.#facts.onEnd(error);
    return true;
  }

  #sendBody(stream: ClientHttp2Stream, body: Readable): void {
    body.on('error', (error: Error) => this.fail(error));
    body.on('data', (piece: Buffer) => {
      if (this.#ended) return;
      this.#timer?.refresh();
      if (!stream.write(piece)) body.pause();
    });
    stream.on('drain', () => {
      this.#timer?.refresh();
      body.resume();
    });
    body.on('end', () => {
      if (this.#ended) return;
      this.#bodySent = true;
      this.#timer?.refresh();
      stream.end();
    });
  }

  /** While the client itself is slow with its body nobody waits for the server. */
  readonly #onSilence = (): void => {
    const stream = this.#stream;
    const sending = this.#body !== null && !this.#bodySent && stream?.writableNeedDrain === false;
    if (!sending) this.fail(new errors.HeadersTimeoutError());
  };

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
