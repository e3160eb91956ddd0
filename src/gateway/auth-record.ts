/**
 * The log line of one question: the shape of `access-record.ts`, with who asked and in which form. Never a secret, never a header's value.
 */
import { isoText } from '../base/clock.ts';
import { answerOf } from '../iis/verdict-table.ts';
import { certaintyOf } from './access-record.ts';
import type { AuthAnswer } from './auth-answer.ts';
import type { AuthWay } from './auth-decision.ts';
import { stages } from './metrics.ts';
import type { Setup } from './setup.ts';
import type { Outgoing } from './stages.ts';

export interface AuthFacts {
  readonly id: string;
  readonly endpoint: string;
  readonly caller: string;
  /** The form, or `grpc`. */
  readonly via: string;
  readonly method: string | null;
  /** As told; only its path is written. */
  readonly uri: string | null;
  /** Address of the client, where the caller tells it. */
  readonly client: string | null;
}

const maximumPath = 2048;

export function authRecord(
  { id, endpoint, caller, via, method, uri, client }: AuthFacts,
  { status, ending }: AuthAnswer,
  { rule, connection, trusted, cache, timings }: AuthWay,
  outgoing: Outgoing | null,
  setup: Setup,
): Readonly<Record<string, unknown>> {
  const answer = answerOf(ending.code, setup.settings.outcomes);
  const account = outgoing?.authorised.mapped.identity?.account ?? ending.account ?? null;
  const wouldRefuse = outgoing?.authorised.wouldRefuse ?? null;
  const names = !setup.settings.log.omitNames;
  const shown = connection !== null && connection.presented !== null;
  return {
    time: isoText(setup.clock.now()),
    requestId: id,
    generation: setup.generation,
    endpoint,
    caller,
    via,
    binding: rule?.binding.name ?? null,
    site: rule?.site.name ?? null,
    location: rule?.location.path ?? null,
    client,
    method,
    path: (rule?.path.path ?? pathOnly(uri ?? '')).slice(0, maximumPath),
    status,
    subStatus: answer.subStatus,
    win32: answer.win32,
    code: ending.code,
    ...(answer.status >= 400 && names ? { detail: ending.detail } : {}),
    ...(wouldRefuse === null
      ? {}
      : { wouldRefuse: { code: wouldRefuse.code, ...(names ? { detail: wouldRefuse.detail } : {}) } }),
    account: names ? (account?.name ?? null) : null,
    sid: names ? (account?.sid ?? null) : null,
    thumbprint: connection?.thumbprint ?? null,
    revocation: shown && rule !== null ? revocationOf(ending.code) : null,
    cache,
    ms: Object.fromEntries(
      timings.flatMap((ms, index) => (ms < 0 ? [] : [[stages[index] ?? '', Math.round(ms * 1000) / 1000]])),
    ),
  };

  function revocationOf(code: string): string | null {
    if (code === 'certificateRevoked') return 'revoked';
    if (code === 'revocationUnknown') return 'unknown';
    const { evidence } = outgoing?.authorised.mapped.trusted ?? trusted ?? { evidence: [] };
    return certaintyOf(evidence, rule?.binding.name ?? '', setup.settings);
  }
}

/** Neither the query nor the authority of an absolute form: both may hold secrets. */
function pathOnly(uri: string): string {
  const path = uri.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  const mark = path.search(/[?#]/);
  return mark < 0 ? path : path.slice(0, mark);
}
