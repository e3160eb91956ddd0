/**
 * What `check` makes of upstreams: a server to which no connection can be made is silent; one whose health check says no is a finding.
 */
import { setAlarm } from '../base/alarm.ts';
import { askHealth } from '../forward/health-check.ts';
import type { UpstreamSettings } from '../forward/forward-contract.ts';
import { serverLabel } from '../forward/server-label.ts';
import type { UpstreamGroup } from '../forward/upstream-group.ts';
import type { Upstream } from '../forward/upstream.ts';
import type { Setup } from '../gateway/setup.ts';
import type { Contact } from './check.ts';

/** Every server of every upstream, though several locations may have connections of their own to it. */
export async function contactUpstreams(setup: Pick<Setup, 'upstreams'>): Promise<readonly Contact[]> {
  const groups = new Map([...setup.upstreams()].map((group) => [group.name, group]));
  const sorted = [...groups.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const contacted = sorted.flatMap((group) =>
    group.servers.map((upstream, index) => {
      const server = group.settings.servers[index];
      return server === undefined ? Promise.resolve([]) : contactServer(group, upstream, server);
    }),
  );
  return (await Promise.all(contacted)).flat();
}

async function contactServer(
  { name, settings }: UpstreamGroup,
  upstream: Upstream,
  server: UpstreamSettings,
): Promise<readonly Contact[]> {
  const label = serverLabel(server);
  const what = name === label ? `upstream ${label}` : `upstream ${name}, ${label}`;
  const reason = await upstream.probe();
  const contact = { what, answers: reason === null, finding: false, detail: reason ?? 'answers' };
  const { healthCheck } = settings;
  if (reason !== null || healthCheck === null) return [contact];
  const { healthy, detail } = await askHealth({ upstream, http2: server.http2 === true }, healthCheck, setAlarm);
  return [contact, { what: `${what}, GET ${healthCheck.path}`, answers: true, finding: !healthy, detail }];
}
