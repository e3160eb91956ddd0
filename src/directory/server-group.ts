/**
 * Servers that hold the same entries: the controllers of one domain, or the global catalogs. Decides which of them is asked, and
 * when the next one is. Preference is the order of the configuration, among those that are up; a server that is down is
 * not asked at all, and nobody waits for one that is still connecting while another is up.
 */
import type { Millis } from '../base/brand.ts';
import type { Answer, DirectorySearch } from './connection.ts';
import type { Controller } from './controller.ts';
import type { ControllerHealth, SearchRecord } from './directory.ts';
import { settlesWithin } from './patience.ts';

export type GroupAnswer =
  | (Exclude<Answer, { kind: 'lost' }> & { /** URL of the server that answered. */ readonly server: string })
  /** None of the servers answered in time. */
  | { readonly kind: 'unanswered'; readonly reason: string };

export interface ServerGroup {
  /** DNS name of the domain, or `globalCatalog`. */
  readonly name: string;
  /**
   * Never rejects; settles soon after `deadline`.
   * @param deadline monotonic milliseconds
   * @param records receives each search that went over the wire
   */
  search(request: DirectorySearch, deadline: number, records: SearchRecord[]): Promise<GroupAnswer>;
  /** Whether a server is up, as soon as one is or none is connecting any more; at `deadline` at the latest. */
  ready(deadline: number): Promise<boolean>;
  /** Waits for servers that are being connected. */
  health(): Promise<readonly ControllerHealth[]>;
  /** Tries refused and failed servers again now. */
  retry(): void;
  close(): Promise<void>;
}

export function createServerGroup(
  name: string,
  controllers: readonly Controller[],
  monotonic: () => number,
): ServerGroup {
  /** One of them is up; waits for those that are connecting, but not for longer than there are any. */
  async function ready(deadline: number, some = controllers): Promise<boolean> {
    for (;;) {
      if (some.some(({ state }) => state === 'up')) return true;
      const connecting = some.filter(({ state }) => state === 'connecting');
      if (connecting.length === 0) return false;
      const settled = Promise.race(connecting.map((controller) => controller.settled));
      if (!(await settlesWithin(settled, deadline - monotonic()))) return false;
    }
  }

  return {
    name,
    ready,
    async search(request, deadline, records) {
      const reasons = new Map<Controller, string>();
      for (;;) {
        if (deadline <= monotonic()) return silence(controllers, reasons, 'the deadline has passed');
        const left = controllers.filter((controller) => !reasons.has(controller));
        if (!(await ready(deadline, left))) return silence(controllers, reasons, 'no answer in time');
        const up = left.filter(({ state }) => state === 'up').sort((a, b) => Number(a.doubted) - Number(b.doubted));
        const [next] = up;
        if (next === undefined) continue;
        // Each server that could still answer gets its share of the time.
        const share = up.length + left.filter(({ state }) => state === 'connecting').length;
        const answer = await next.search(request, ((deadline - monotonic()) / share) as Millis, records);
        if (answer.kind !== 'unanswered') return { ...answer, server: next.url };
        reasons.set(next, answer.reason);
      }
    },
    async health() {
      await Promise.all(controllers.map(({ settled }) => settled));
      return controllers.map((controller) => ({ domain: name, url: controller.url, ...standing(controller) }));
    },
    retry() {
      for (const controller of controllers) controller.retry();
    },
    async close() {
      await Promise.all(controllers.map((controller) => controller.close()));
    },
  };
}

function standing({ state, reason }: Controller): Pick<ControllerHealth, 'state' | 'reason'> {
  return state === 'connecting' ? { state: 'down', reason } : { state, reason };
}

function silence(
  controllers: readonly Controller[],
  reasons: ReadonlyMap<Controller, string>,
  otherwise: string,
): GroupAnswer {
  const texts = controllers.map(
    (controller) =>
      reasons.get(controller) ??
      (controller.state === 'up' ? otherwise : `${controller.url} is ${controller.state}: ${controller.reason}`),
  );
  return { kind: 'unanswered', reason: [...new Set(texts)].filter((text) => text !== '').join('; ') };
}
