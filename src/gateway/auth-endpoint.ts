/**
 * Listeners where other proxies ask who a client is and whether it may pass. Says who may ask, bounds what is asked at once, and tells log and
 * metrics; what is asked and answered is read and written by the other `auth-` files.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Clock } from '../base/clock.ts';
import { isoText } from '../base/clock.ts';
import { reasonOf } from '../base/failure.ts';
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { callerCertificate, startCallerServer, type CallerHandler, type CallerServer } from '../tls/caller-server.ts';
import type { AccessLog } from './access-log.ts';
import { answerFor } from './auth-answer.ts';
import { callerOf, callersAt, secretIn } from './auth-callers.ts';
import { createAuthClients, type AuthClient } from './auth-clients.ts';
import { answerQuestion, AuthWay, type AskingCaller } from './auth-decision.ts';
import type { AuthCallerSettings, AuthEndpointSettings } from './auth-endpoint-settings.ts';
import { serveGrpc } from './auth-grpc.ts';
import { serveHttp } from './auth-http.ts';
import type { AuthQuestion } from './auth-question.ts';
import { authRecord, type AuthFacts } from './auth-record.ts';
import { pinsOf } from './auth-rule.ts';
import type { AuthAnswer } from './auth-answer.ts';
import type { Metrics } from './metrics.ts';
import { stages } from './metrics.ts';
import type { Setup } from './setup.ts';
import type { Outgoing } from './stages.ts';
import { isVerdict } from './stages.ts';

export interface AuthEndpointFacilities<Held extends { readonly setup: Setup }> {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Pick<AccessLog, 'write'>;
  readonly nextId: () => string;
  readonly newest: () => Setup;
  /** For a question that begins now; given back exactly once. */
  enter(): Held;
  leave(held: Held): void;
}

export interface AuthEndpoints {
  addresses(): readonly { readonly endpoint: string; readonly address: string }[];
  /** Clients that somebody asks about, for recheck. */
  connections(): Iterable<AuthClient>;
  readonly inFlight: number;
  /** Takes no more questions; those in hand have `timeout` milliseconds. Idempotent. */
  close(timeout: number): Promise<void>;
}

/** What serves one protocol. */
export interface AuthDesk {
  readonly settings: AuthEndpointSettings;
  /** Who asks; null after it was counted that nobody knows. */
  recognise(rawHeaders: readonly string[], request: Parameters<CallerHandler>[0]): AuthCallerSettings | null;
  /** Never rejects. */
  answer(asked: Asked): AuthAnswer | Promise<AuthAnswer>;
  nextId(): string;
}

export interface Asked {
  readonly id: string;
  readonly caller: AuthCallerSettings;
  readonly question: AuthQuestion | Verdict;
  readonly via: string;
  /** Address of the client, where the caller tells it. */
  readonly client: string | null;
  /** Name, value, name, value: what the client sent, as far as the caller passes it on and can take any of it away. */
  readonly clientHeaders: readonly string[];
}

/** @throws Failure when an address cannot be had; nothing stays open then */
export async function startAuthEndpoints<Held extends { readonly setup: Setup }>(
  endpoints: readonly AuthEndpointSettings[],
  facilities: AuthEndpointFacilities<Held>,
): Promise<AuthEndpoints> {
  const { clock, metrics, log, newest } = facilities;
  const askers = new WeakMap<Setup, Map<string, AskingCaller | null>>();
  const servers: { readonly endpoint: string; readonly server: CallerServer }[] = [];
  let inFlight = 0;
  let saidAt = -Infinity;

  /** Null where the setup has not what the caller is pinned to. */
  function asking(endpoint: AuthEndpointSettings, caller: AuthCallerSettings, setup: Setup): AskingCaller | null {
    const all = askers.get(setup) ?? new Map<string, AskingCaller | null>();
    askers.set(setup, all);
    const key = `${endpoint.name}\n${caller.name}`;
    const known = all.get(key);
    if (known !== undefined) return known;
    const pins = pinsOf(caller, setup);
    const limits = { ...endpoint.limits, idle: 2 * setup.settings.limits.recheck };
    // Over gRPC Envoy tells the certificate in a field of its own, as nginx writes it.
    const form = endpoint.protocol === 'grpc' ? 'nginx' : caller.form;
    const made = pins === null ? null : { pins, clients: createAuthClients(caller, form, limits, clock) };
    all.set(key, made);
    return made;
  }

  function deskOf(settings: AuthEndpointSettings): AuthDesk {
    let here = 0;
    let known: { readonly setup: Setup; readonly callers: readonly AuthCallerSettings[] } | null = null;
    return {
      settings,
      nextId: facilities.nextId,
      recognise(rawHeaders, request) {
        const secret = secretIn(rawHeaders);
        // The newest setup knows who may ask today; without the endpoint in it nobody may.
        const setup = newest();
        if (known?.setup !== setup) known = { setup, callers: callersAt(settings, setup.settings.authEndpoints) };
        const shown = { secret: secret ?? null, certificate: callerCertificate(request) };
        const caller = secret === undefined ? 'shows two secrets' : callerOf(known.callers, shown, clock.now());
        if (typeof caller !== 'string') return caller;
        metrics.countAuthStranger(settings.name);
        sayOf(settings, caller);
        return null;
      },
      answer(asked) {
        if (here >= settings.limits.maximumQuestions)
          return settle(asked, overloaded, new AuthWay(() => clock.monotonic()), newest());
        here += 1;
        inFlight += 1;
        const held = facilities.enter();
        const done = (): void => {
          here -= 1;
          inFlight -= 1;
          facilities.leave(held);
        };
        return decided(asked, held.setup, done);
      },
    };

    function decided(asked: Asked, setup: Setup, done: () => void): AuthAnswer | Promise<AuthAnswer> {
      const way = new AuthWay(() => clock.monotonic());
      const broken = (error: unknown) => verdict('internalError', `unexpected: ${reasonOf(error)}`);
      const finish = (outcome: Outgoing | Verdict) => {
        done();
        try {
          return settle(asked, outcome, way, setup);
        } catch (error) {
          // Nobody waits for this: what is thrown here would end the process.
          metrics.countAuthDecision(asked.caller.name, 'internalError');
          log.write({ requestId: asked.id, code: 'internalError', detail: `while answering: ${reasonOf(error)}` });
          return withoutAnswer;
        }
      };
      let outcome: ReturnType<typeof outcomeOf>;
      try {
        outcome = outcomeOf(asked, setup, way);
      } catch (error) {
        outcome = broken(error);
      }
      return outcome instanceof Promise ? outcome.catch(broken).then(finish) : finish(outcome);
    }

    function outcomeOf({ question, caller }: Asked, setup: Setup, way: AuthWay): ReturnType<typeof answerQuestion> {
      if (isVerdict(question)) return question;
      const known = asking(settings, caller, setup);
      if (known !== null) return answerQuestion(question, known, setup, way);
      return verdict('internalError', `what caller ${caller.name} is pinned to is not there any more`);
    }

    function settle(
      { id, caller, question, via, client, clientHeaders }: Asked,
      outcome: Outgoing | Verdict,
      way: AuthWay,
      setup: Setup,
    ): AuthAnswer {
      const told = isVerdict(question) ? { method: null, uri: null, accept: undefined } : question;
      const answer = answerFor(outcome, { id, form: caller.form, accept: told.accept, clientHeaders }, setup);
      const outgoing = isVerdict(outcome) ? null : outcome;
      const { method, uri } = told;
      const facts: AuthFacts = { id, endpoint: settings.name, caller: caller.name, via, method, uri, client };
      metrics.countAuthDecision(caller.name, answer.ending.code);
      const wouldRefuse = outgoing?.authorised.wouldRefuse ?? null;
      if (wouldRefuse !== null) metrics.countReportOnly(wouldRefuse.code);
      if (way.cache !== null) metrics.countMapping(way.cache);
      for (const [index, milliseconds] of way.timings.entries())
        if (milliseconds >= 0) metrics.observeStage(stages[index] ?? 'rule', milliseconds);
      log.write(authRecord(facts, answer, way, outgoing, setup));
      return answer;
    }
  }

  /** Once a second at most: whoever can reach the listener could fill the log. */
  function sayOf({ name }: AuthEndpointSettings, why: string): void {
    if (clock.monotonic() - saidAt < 1000) return;
    saidAt = clock.monotonic();
    log.write({
      time: isoText(clock.now()),
      event: 'authEndpoint.stranger',
      endpoint: name,
      detail: `the caller ${why}`,
    });
  }

  let closing: Promise<void> | null = null;
  const closeAll = async (timeout: number) => {
    await Promise.all(servers.map(({ server }) => server.close(timeout)));
  };
  try {
    for (const settings of endpoints) {
      const desk = deskOf(settings);
      const key = `the address of auth endpoint ${settings.name}`;
      const { listen, tls, protocol, limits } = settings;
      const server = await startCallerServer(
        {
          ...{ key, listen, tls, http2: protocol === 'grpc', maximumConnections: limits.maximumConnections },
          ...{ maximumHeaderBytes: limits.maximumHeaderBytes, maximumStreams: limits.maximumQuestions },
          requestTimeout: limits.questionTimeout,
        },
        (request, response) => {
          try {
            if (protocol === 'grpc') serveGrpc(desk, request as Http2ServerRequest, response as Http2ServerResponse);
            else serveHttp(desk, request as IncomingMessage, response as ServerResponse);
          } catch {
            // A connection that has gone in the meantime has no socket to be asked. No answer is a no.
            response.destroy();
          }
        },
      );
      servers.push({ endpoint: settings.name, server });
    }
  } catch (error) {
    await closeAll(0);
    throw error;
  }
  return {
    addresses: () => servers.map(({ endpoint, server }) => ({ endpoint, address: server.address })),
    *connections() {
      for (const caller of askers.get(newest())?.values() ?? []) yield* caller?.clients.live() ?? [];
    },
    get inFlight() {
      return inFlight;
    },
    close: (timeout) => (closing ??= closeAll(timeout)),
  };
}

/** When there is not even a page. */
const withoutAnswer: AuthAnswer = {
  ...{ status: 500, told: 500, ending: verdict('internalError', 'no answer could be made') },
  ...{ identity: [], clear: [], facts: ['X-DSMapper-Status', '500'], page: null },
};

const overloaded = verdict('overloaded', 'as many questions as are allowed at once are being answered');
