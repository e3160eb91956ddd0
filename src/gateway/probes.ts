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
  site: SiteSettings,
  { method, rawHeaders }: { readonly method: string; readonly rawHeaders: readonly string[] },
): ProbeSettings | null {
  const { probes, pathCase } = site;
  if (probes.length === 0 || (method !== 'GET' && method !== 'HEAD')) return null;
  const found = indexOf(site).get(keyOf(path.segments, pathCase));
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

type Index = ReadonlyMap<string, ProbeSettings>;
const indexes = new WeakMap<SiteSettings, Index>();

function indexOf(site: SiteSettings): Index {
  const known = indexes.get(site);
  if (known !== undefined) return known;
  const entries = site.probes.flatMap((probe) => {
    const path = canonicalPath(probe.path, 'refuse');
    return typeof path === 'string' ? [] : [[keyOf(path.segments, site.pathCase), probe] as const];
  });
  const made = new Map(entries);
  indexes.set(site, made);
  return made;
}

/** Compared as locations are, whole. */
function keyOf(segments: readonly string[], pathCase: SiteSettings['pathCase']): string {
  return JSON.stringify(pathCase === 'ignore' ? segments.map(foldSegment) : segments);
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
