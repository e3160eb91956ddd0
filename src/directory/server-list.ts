/**
 * The servers of one group as they are now: those of the configuration, then those that DNS names. Decides which of the named ones are kept connected
 * (a few; others when none of those is up), that nobody is given up because DNS is silent, and that a server that DNS does not name any more
 * finishes what it has begun.
 */
import type { Millis } from '../base/brand.ts';
import { backoffDelay } from './backoff.ts';
import type { Controller } from './controller.ts';
import type { Discovered } from './discovery.ts';
import type { Endpoint } from './endpoint.ts';

export interface ServerList {
  /** In order of preference. */
  readonly current: readonly Controller[];
  /** Resolves when DNS has been asked for the first time; at once where it is not. */
  readonly first: Promise<void>;
  /** What stands in for a server in reports as long as there is none, and why; null where that cannot be. */
  readonly absence: { readonly url: string; readonly reason: string } | null;
  /** None of the current ones is up: takes in more. False when there are none. */
  widen(): boolean;
  /** Asks DNS again now. */
  retry(): void;
  close(): Promise<void>;
}

export function createFixedList(controllers: readonly Controller[]): ServerList {
  return {
    current: controllers,
    first: Promise.resolve(),
    absence: null,
    widen: () => false,
    retry: () => {},
    close: async () => void (await Promise.all(controllers.map((controller) => controller.close()))),
  };
}

export interface ListSettings {
  readonly configured: readonly Controller[];
  /** `srv:` and the name that is asked for. */
  readonly source: string;
  /** Never rejects. @param inUse hosts, in their order */
  readonly discover: (inUse: readonly string[]) => Promise<Discovered>;
  readonly connect: (endpoint: Endpoint) => Controller;
  readonly refresh: Millis;
  readonly random: () => number;
}

/** Servers of DNS that are kept connected, and by how many more the list grows. */
const kept = 4;

export function createDiscoveredList(settings: ListSettings): ServerList {
  const { configured, connect, refresh, random } = settings;
  /** By URL: those that are connected, in order of preference. */
  let active = new Map<string, Controller>();
  let named: readonly Endpoint[] = [];
  let reason = 'DNS has not been asked yet';
  let failures = 0;
  let asking: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  const leaving = new Set<Controller>();
  const isConfigured = ({ url }: Endpoint): boolean => configured.some((controller) => controller.url === url);

  function ask(): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    asking ??= refreshOnce().finally(() => {
      asking = null;
      if (closed) return;
      timer = setTimeout(
        () => void ask(),
        failures === 0 ? refresh : Math.min(refresh, backoffDelay(failures, random)),
      );
      timer.unref();
    });
    return asking;
  }

  async function refreshOnce(): Promise<void> {
    const found = await settings.discover([...active.values()].map(({ host }) => host));
    if (closed) return;
    failures = found.kind === 'found' && !found.partial ? 0 : failures + 1;
    if (found.kind === 'nothing') reason = found.reason;
    // Half an answer is better than none, and worse than the whole one before.
    else if (!found.partial || named.length === 0) take(found.endpoints.filter((one) => !isConfigured(one)));
  }

  /** The first few. As long as none of them is up, those that serve now stay as well, named or not. */
  function take(endpoints: readonly Endpoint[]): void {
    named = endpoints;
    const served = endpoints.slice(0, kept).some(({ url }) => active.get(url)?.state === 'up');
    arrange(endpoints.slice(0, kept), !served);
  }

  function arrange(wanted: readonly Endpoint[], keep: boolean): void {
    const next = new Map<string, Controller>();
    for (const endpoint of wanted) next.set(endpoint.url, active.get(endpoint.url) ?? connect(endpoint));
    const gone: Controller[] = [];
    for (const [url, controller] of active)
      if (next.has(url)) continue;
      else if (keep && (controller.state === 'up' || named.some((one) => one.url === url))) next.set(url, controller);
      else gone.push(controller);
    active = next;
    for (const controller of gone) {
      leaving.add(controller);
      void controller.drain().finally(() => leaving.delete(controller));
    }
  }

  const first = ask();
  return {
    get current() {
      return [...configured, ...active.values()];
    },
    first,
    get absence() {
      return configured.length + active.size > 0 ? null : { url: settings.source, reason };
    },
    widen() {
      const more = named.filter(({ url }) => !active.has(url)).slice(0, kept);
      if (closed || more.length === 0) return false;
      arrange([...named.filter(({ url }) => active.has(url)), ...more], true);
      return true;
    },
    retry() {
      if (!closed) void ask();
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      const all = [...configured, ...active.values(), ...leaving];
      await Promise.all(all.map((controller) => controller.close()));
    },
  };
}
