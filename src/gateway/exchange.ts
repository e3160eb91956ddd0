/**
 * One request and its answer, with what is known about them on the way: id, rule, timings, body read ahead. It does what
 * the flow asks of HTTP, and decides nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Millis } from '../base/brand.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { bodyLengthOf, forward } from '../forward/dispatch.ts';
import { withInboundXfcc } from '../forward/dialects/xfcc-inbound.ts';
import type { BodyLength } from '../forward/forward-contract.ts';
import { forwardedHeaders } from '../forward/forwarded.ts';
import type { CleanHeaders } from '../forward/sanitize.ts';
import type { UpgradeRequest } from '../forward/switch-protocols.ts';
import type { Tunnel } from '../forward/tunnel.ts';
import type { UpgradeOffer } from '../forward/upgrade-offer.ts';
import { answerOf, statusText } from '../iis/verdict-table.ts';
import type { CacheOutcome } from '../mapping/mapper-contract.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { AskFailure, Connection, Presented } from '../tls/connection.ts';
import { allowSilence } from '../tls/live-connection.ts';
import type { Metrics, Stage } from './metrics.ts';
import { stages } from './metrics.ts';
import { readAhead } from './read-ahead.ts';
import { looksAtCertificates } from './rule.ts';
import type { Setup } from './setup.ts';
import type { Outgoing, Rule, Trusted } from './stages.ts';
import { isVerdict } from './stages.ts';
import { takeClient } from './upgrade.ts';

export type ClientRequest = IncomingMessage | Http2ServerRequest;
export type ClientResponse = ServerResponse | Http2ServerResponse;

/** What a walk through the flow needs besides the values: a connection to remember on, and a stop-watch. */
export interface Way {
  /** Null when nobody is connected (explain). */
  readonly connection: Connection | null;
  /** Nobody waits: who the client is, is asked for again where the answer is out of date. */
  readonly current?: boolean;
  /** The stage that has just ended. */
  mark(stage: Stage): void;
  /** The certificate is trusted; whatever comes after may still refuse. */
  judged(trusted: Trusted): void;
  /** What answered the question who this is. */
  answeredBy(cache: CacheOutcome | 'connection'): void;
}

/** For those whom nobody waits for. */
export const unwatched = { mark: () => {}, judged: () => {}, answeredBy: () => {} };

export interface ExchangeFacts {
  readonly id: string;
  readonly connection: Connection;
  readonly request: ClientRequest;
  readonly response: ClientResponse;
  readonly bindingFor: (connection: Connection, host: string) => BindingSettings | null;
  readonly monotonic: () => number;
  /** The client has answered a renegotiation. */
  readonly renegotiated: () => void;
  /** The request has become a tunnel. */
  readonly tunnelled: (tunnel: Tunnel) => void;
}

export class Exchange implements Way {
  readonly id: string;
  readonly connection: Connection;
  readonly request: ClientRequest;
  readonly response: ClientResponse;
  rule: Rule | null = null;
  /** What the client offers to switch to and may; null: nothing. */
  upgrade: UpgradeOffer | null = null;
  /** What became of that, open or ended. */
  tunnel: Tunnel | null = null;
  outgoing: Outgoing | null = null;
  /** Null until the certificate has been judged for this very request. */
  trusted: Trusted | null = null;
  /** What the client was answered with; 0 when nothing was sent. */
  status = 0;
  /** Which memory said who this is; null when that was not asked. */
  cache: CacheOutcome | 'connection' | null = null;
  /** Whether the upstream gave the answer, or began to. */
  answered = false;
  readonly #facts: ExchangeFacts;
  /** Milliseconds by position in `stages`; -1 where the request did not get. */
  readonly #timings: number[] = stages.map(() => -1);
  #last: number;
  #prefix: readonly Buffer[] | null = null;

  constructor(facts: ExchangeFacts) {
    this.id = facts.id;
    this.connection = facts.connection;
    this.request = facts.request;
    this.response = facts.response;
    this.#facts = facts;
    this.#last = facts.monotonic();
  }

  /** Request target as received. */
  get url(): string {
    return this.request.url ?? '';
  }

  get method(): string {
    return this.request.method ?? '';
  }

  get rawHeaders(): readonly string[] {
    return this.request.rawHeaders;
  }

  mark(stage: Stage): void {
    // What follows the opening of a tunnel is not the way there.
    if (this.tunnel !== null) return;
    const now = this.#facts.monotonic();
    this.#timings[stages.indexOf(stage)] = now - this.#last;
    this.#last = now;
  }

  judged(trusted: Trusted): void {
    this.trusted = trusted;
  }

  answeredBy(cache: CacheOutcome | 'connection'): void {
    this.cache = cache;
  }

  bindingFor(host: string): BindingSettings | null {
    return this.#facts.bindingFor(this.connection, host);
  }

  /** As `Connection.ask`. Several requests may wait for one renegotiation; the first of them counts it. */
  async ask(timeout: Millis): Promise<Presented | AskFailure> {
    const answer = await this.connection.ask(timeout);
    if (typeof answer !== 'string' && !counted.has(answer)) {
      counted.add(answer);
      this.#facts.renegotiated();
    }
    return answer;
  }

  /** @returns why the body could not be read; null when it is held and will be replayed */
  async readAhead(setup: Setup): Promise<Verdict | null> {
    const result = await readAhead(this.request, this.response, setup.settings.limits);
    if (isVerdict(result)) return result;
    this.#prefix = result;
    return null;
  }

  /** @returns a good verdict when the upstream's answer was passed on, else why there is none */
  async forward(outgoing: Outgoing, setup: Setup): Promise<Verdict> {
    const { mapped } = outgoing.authorised;
    // What a connection earned is remembered with the path of the request that earned it: the path that goes upstream is this request's own.
    const rule = this.rule ?? mapped.trusted.presented.rule;
    const clean = setup.sanitizer.request(this.request.rawHeaders);
    if (isVerdict(clean)) return clean;
    const group = setup.upstreamOf(rule.location);
    const good = mapped.identity === null ? 'anonymous' : 'authorised';
    const result = await forward({
      group,
      client: this.connection,
      method: this.method,
      path: rule.path.path + rule.path.query,
      host: clean.host,
      headers: this.#dressed(clean, outgoing, setup),
      request: this.request,
      bodyPrefix: this.#prefix ?? [],
      bodyLength: this.#bodyLength(clean),
      expectContinue: clean.expectContinue && this.#prefix === null,
      response: this.response,
      answerHeaders: this.answerHeaders(setup, statusText(answerOf(good, setup.settings.outcomes))),
      noStore: looksAtCertificates(rule),
      limits: setup.settings.limits,
      onAnswer: (status, endless) => {
        this.status = status;
        if (endless) allowSilence(this.request, this.response);
      },
      ...(this.upgrade === null ? {} : { upgrade: this.#upgradeRequest(this.upgrade) }),
    });
    if (result.kind === 'refused') return result.verdict;
    this.answered = true;
    if (result.kind !== 'aborted') return mapped.identity === null ? anonymous : authorised;
    return verdict(result.by === 'client' ? 'clientClosed' : 'upstreamFailed', result.reason, mapped.identity?.account);
  }

  /** Headers that every answer carries, whoever gives it. */
  answerHeaders(setup: Setup, status: string): readonly string[] {
    const id = ['X-Request-Id', this.id];
    return setup.settings.verdictHeader ? [...id, 'X-DSMapper-Verdict', status] : id;
  }

  observe(metrics: Metrics): void {
    if (this.cache !== null) metrics.countMapping(this.cache);
    for (const [index, milliseconds] of this.#timings.entries()) {
      if (milliseconds >= 0) metrics.observeStage(stages[index] ?? 'rule', milliseconds);
    }
  }

  /** Milliseconds of each stage that the request went through, to the microsecond. */
  timings(): Readonly<Record<string, number>> {
    const result: Record<string, number> = {};
    for (const [index, milliseconds] of this.#timings.entries()) {
      if (milliseconds >= 0) result[stages[index] ?? ''] = Math.round(milliseconds * 1000) / 1000;
    }
    return result;
  }

  #dressed(clean: CleanHeaders, outgoing: Outgoing, setup: Setup): readonly string[] {
    const { headers, host } = clean;
    const { location } = outgoing.authorised.mapped.trusted.presented.rule;
    const { remoteAddress, encrypted } = this.connection;
    headers.push(
      ...forwardedHeaders(location.forwarded, { remoteAddress, encrypted, host }),
      'X-Request-Id',
      this.id,
      ...withInboundXfcc(outgoing.identityHeaders, this.request.rawHeaders, remoteAddress, setup.settings.identity),
    );
    return headers;
  }

  #upgradeRequest(offer: UpgradeOffer): UpgradeRequest {
    return {
      offer,
      take: () => takeClient(this.request),
      onOpen: (tunnel) => {
        this.mark('forward');
        this.tunnel = tunnel;
        this.#facts.tunnelled(tunnel);
      },
    };
  }

  #bodyLength(clean: CleanHeaders): BodyLength {
    if (this.#prefix === null) return bodyLengthOf(clean, this.response);
    return clean.chunked || clean.contentLength !== null
      ? this.#prefix.reduce((sum, piece) => sum + piece.length, 0)
      : 'none';
  }
}

/** Renegotiations that have been counted. */
const counted = new WeakSet<Presented>();

const anonymous = verdict('anonymous', 'served without an identity');
const authorised = verdict('authorised', 'served with the identity of the account');
