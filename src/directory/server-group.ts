/**
 * Servers that hold the same entries: the controllers of one domain, or the global catalogs. Decides which of them is asked, and
 * when the next one is. Preference is the order of the list, among those that are up; a server that is down is
 * not asked at all, and nobody waits for one that is still connecting while another is up.
 */
import type { Millis } from '../base/brand.ts';
import type { Answer, DirectorySearch } from './connection.ts';
import type { Controller } from './controller.ts';
import type { ControllerHealth, SearchRecord } from './directory.ts';
import { settlesWithin } from './patience.ts';
import type { ServerList } from './server-list.ts';

export type GroupAnswer =
  | (Exclude<Answer, { kind: 'lost' }> & { /** URL of the server that answered. */ readonly server: string })
  /** None of the servers answered in time. */
  | {
      readonly kind: 'unanswered';
      readonly reason: string;
      /** One of them failed over this very search. */ readonly overSearch: boolean;
    };

export type ServerHealth = Omit<ControllerHealth, 'forest'>;

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
  health(): Promise<readonly ServerHealth[]>;
  /** Tries refused and failed servers again now. */
  retry(): void;
  close(): Promise<void>;
}

export function createServerGroup(name: string, list: ServerList, monotonic: () => number): ServerGroup {
  let asked = false;
  void list.first.then(() => (asked = true));

  /**
   * One of them is up; waits for those that are connecting, and for DNS to name some, but not for longer than there is something to wait
   * for. @param tried not counted
   */
  async function ready(deadline: number, tried: ReadonlyMap<Controller, string> = new Map()): Promise<boolean> {
    for (;;) {
      const some = list.current.filter((controller) => !tried.has(controller));
      if (some.some(({ state }) => state === 'up')) return true;
      const connecting = some.filter(({ state }) => state === 'connecting').map(({ settled }) => settled);
      if (connecting.length === 0 && list.widen()) continue;
      if (!asked) connecting.push(list.first);
      if (connecting.length === 0) return false;
      if (!(await settlesWithin(Promise.race(connecting), deadline - monotonic()))) return false;
    }
  }

  return {
    name,
    ready: (deadline) => ready(deadline),
    async search(request, deadline, records) {
      const reasons = new Map<Controller, string>();
      let overSearch = false;
      for (;;) {
        if (deadline <= monotonic()) return { ...silence(list, reasons, 'the deadline has passed'), overSearch };
        if (!(await ready(deadline, reasons))) return { ...silence(list, reasons, 'no answer in time'), overSearch };
        const left = list.current.filter((controller) => !reasons.has(controller));
        const up = left.filter(({ state }) => state === 'up').sort((a, b) => Number(a.doubted) - Number(b.doubted));
        const [next] = up;
        if (next === undefined) continue;
        // Each server that could still answer gets its share of the time.
        const share = up.length + left.filter(({ state }) => state === 'connecting').length;
        const answer = await next.search(request, ((deadline - monotonic()) / share) as Millis, records);
        if (answer.kind !== 'unanswered') return { ...answer, server: next.url };
        reasons.set(next, answer.reason);
        overSearch ||= answer.overSearch;
      }
    },
    async health() {
      await list.first;
      await Promise.all(list.current.map(({ settled }) => settled));
      const { absence } = list;
      if (absence !== null) return [{ domain: name, ...absence, state: 'down' }];
      return list.current.map((controller) => ({ domain: name, url: controller.url, ...standing(controller) }));
    },
    retry() {
      list.retry();
      for (const controller of list.current) controller.retry();
    },
    close: () => list.close(),
  };
}

function standing({ state, reason }: Controller): Pick<ServerHealth, 'state' | 'reason'> {
  return state === 'connecting' ? { state: 'down', reason } : { state, reason };
}

function silence(
  list: ServerList,
  reasons: ReadonlyMap<Controller, string>,
  otherwise: string,
): { readonly kind: 'unanswered'; readonly reason: string } {
  const { absence } = list;
  // Those that were asked first: they may not be in the list any more.
  const controllers = new Set([...reasons.keys(), ...list.current]);
  const texts = [...controllers].map(
    (controller) =>
      reasons.get(controller) ??
      (controller.state === 'up' ? otherwise : `${controller.url} is ${controller.state}: ${controller.reason}`),
  );
  if (absence !== null) texts.push(absence.reason);
  return { kind: 'unanswered', reason: [...new Set(texts)].filter((text) => text !== '').join('; ') };
}
