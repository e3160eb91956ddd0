/**
 * Paths at which the gateway tells load balancers whether to send it requests: before anybody is asked for a certificate, also over plain
 * http, and never from the upstream. What keeps the gateway from being ready is for operators: `/readyz` of the admin surface.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { announcesBody } from './announced-body.ts';
import type { CanonicalPath } from './canonical-path.ts';
import { canonicalPath, foldSegment } from './canonical-path.ts';
import type { Exchange } from './exchange.ts';
import { writeOwnAnswer } from './own-answer.ts';
import { readinessOf } from './readiness.ts';
import type { ProbeSettings, SiteSettings } from './settings.ts';
import type { Setup } from './setup.ts';

/** The probe that a request asks for; null: it is a request like others. */
export function probeAt(
  path: CanonicalPath,
  { probes, pathCase }: SiteSettings,
  { method, rawHeaders }: { readonly method: string; readonly rawHeaders: readonly string[] },
): ProbeSettings | null {
  if (probes.length === 0 || (method !== 'GET' && method !== 'HEAD')) return null;
  const key = keyOf(path, pathCase);
  const found = probes.find((probe) => keyOf(canonicalPath(probe.path, 'refuse'), pathCase) === key);
  return found === undefined || announcesBody(rawHeaders) ? null : found;
}

/** @returns how it ended */
export async function answerProbe({ answers }: ProbeSettings, exchange: Exchange, setup: Setup): Promise<Verdict> {
  const ready = answers === 'alive' || (await isReady(setup));
  const status = ready ? 200 : 503;
  writeOwnAnswer(
    exchange,
    {
      status,
      statusText: String(status),
      contentType: 'text/plain; charset=utf-8',
      body: `${ready ? answers : 'not ready'}\n`,
      headers: [],
      endsConnection: false,
    },
    setup,
  );
  exchange.answered = true;
  return verdict('anonymous', 'a probe was answered');
}

/** Compared as locations are, whole. */
function keyOf(path: CanonicalPath | string, pathCase: SiteSettings['pathCase']): string | null {
  if (typeof path === 'string') return null;
  return JSON.stringify(pathCase === 'ignore' ? path.segments.map(foldSegment) : path.segments);
}

/** Milliseconds for which an answer is given again: anybody may ask, and asking may ask the directory. */
const memory = 1000;

const remembered = new WeakMap<Setup, { readonly at: number; readonly ready: Promise<boolean> }>();

function isReady(setup: Setup): Promise<boolean> {
  const now = setup.clock.monotonic();
  const last = remembered.get(setup);
  if (last !== undefined && now - last.at < memory) return last.ready;
  const ready = readinessOf(setup).then((readiness) => readiness.ready);
  remembered.set(setup, { at: now, ready });
  return ready;
}
