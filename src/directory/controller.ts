/**
 * The searches of one directory server. Decides which connection carries a search, how many wait, and that a search whose
 * connection died is sent once more when the server is heard of again. Whether the server is worth asking is `connection-pool.ts`' business,
 * which server to ask `server-group.ts`'.
 */
import type { Millis } from '../base/brand.ts';
import type { Answer, Connection, DirectorySearch } from './connection.ts';
import { ConnectionPool, type PoolSettings, type PoolState } from './connection-pool.ts';
import type { SearchRecord } from './directory.ts';
import { settlesWithin } from './patience.ts';
import { isAboutSearch, isOverload } from './result-code.ts';
import { searchRecord } from './search-record.ts';

export type ControllerAnswer =
  | Exclude<Answer, { kind: 'lost' }>
  /** This server did not answer; another may. */
  | {
      readonly kind: 'unanswered';
      readonly reason: string;
      /** It failed over this very search: what it takes in parts is then not lost with the rest. */
      readonly overSearch: boolean;
    };

export interface ControllerSettings extends Omit<PoolSettings, 'changed'> {
  /** Bound on one search on one connection; after it the connection is given up. */
  readonly searchTimeout: Millis;
  /** Searches that may wait for a connection. */
  readonly maximumQueue: number;
  /** Whether the server can be told to make no references. */
  readonly scoped?: () => boolean;
  /** Every search that went over the wire. */
  readonly onSearch: (record: SearchRecord) => void;
}

/** Searches under way on one connection: servers answer several faster than one, and many not faster than a few. */
export const pipelined = 4;

interface Waiting {
  readonly request: DirectorySearch;
  readonly records: SearchRecord[];
  /** Messages heard when a connection first died under it. */
  lostAt: number | null;
  settled: boolean;
  settle(answer: ControllerAnswer): void;
}

export class Controller {
  readonly url: string;
  /** Name or address, without brackets. */
  readonly host: string;
  readonly #settings: ControllerSettings;
  readonly #pool: ConnectionPool;
  readonly #queue = new Set<Waiting>();
  /** Served before the queue, and not counted as waiting. */
  readonly #again = new Set<Waiting>();
  #underWay = 0;
  #idle = Promise.withResolvers<void>();
  /** Messages heard when somebody last waited in vain. */
  #doubtedAt = -1;

  constructor(settings: ControllerSettings) {
    this.url = settings.endpoint.url;
    this.host = settings.endpoint.host;
    this.#settings = settings;
    this.#pool = new ConnectionPool({ ...settings, changed: () => this.#pump() });
  }

  get state(): PoolState {
    return this.#pool.state;
  }

  /** Why it is not up; when it is: empty, or what will take it down. */
  get reason(): string {
    const { refusal } = this.#settings.gate;
    if (this.state !== 'up' || refusal === null) return this.#pool.reason;
    return `it answers on connections opened before, but opens no more: ${refusal}`;
  }

  /** True while it is up as far as we know, but has left somebody waiting and not said a word since. */
  get doubted(): boolean {
    return this.#pool.heard === this.#doubtedAt;
  }

  /** Resolves when the server is not `connecting` any more. */
  get settled(): Promise<void> {
    return this.#pool.settled;
  }

  /**
   * Settles within `patience`, at once when the server is down or its queue is full. The search itself may go on until the
   * search time-out: an impatient caller does not cost a connection.
   * @param records receives each search that went over the wire
   */
  search(request: DirectorySearch, patience: Millis, records: SearchRecord[]): Promise<ControllerAnswer> {
    const { promise, resolve } = Promise.withResolvers<ControllerAnswer>();
    const heard = this.#pool.heard;
    const timer = setTimeout(() => {
      if (this.#pool.heard === heard) this.#doubtedAt = heard;
      waiting.settle(unanswered(`${this.url} did not answer within ${Math.round(patience)} ms`));
    }, patience);
    const waiting: Waiting = {
      request,
      records,
      lostAt: null,
      settled: false,
      settle: (answer) => {
        waiting.settled = true;
        clearTimeout(timer);
        this.#queue.delete(waiting);
        this.#again.delete(waiting);
        resolve(answer);
      },
    };
    this.#queue.add(waiting);
    this.#pump();
    if (this.#queue.size > this.#settings.maximumQueue)
      waiting.settle(unanswered(`${this.url} has ${this.#settings.maximumQueue} searches waiting already`));
    return promise;
  }

  /** Tries a refused or failed server again now. */
  retry(): void {
    this.#pool.retry();
  }

  /** Ends when what was asked of it has been answered, after one search time-out at the latest. */
  async drain(): Promise<void> {
    this.#idle = Promise.withResolvers<void>();
    this.#rest();
    await settlesWithin(this.#idle.promise, this.#settings.searchTimeout);
    await this.close();
  }

  async close(): Promise<void> {
    await this.#pool.close();
    this.#idle.resolve();
  }

  /** Nothing is asked of it. */
  #rest(): void {
    if (this.#underWay + this.#queue.size + this.#again.size === 0) this.#idle.resolve();
  }

  #pump(): void {
    for (const line of [this.#again, this.#queue])
      for (const waiting of line) {
        if (this.state === 'down' || this.state === 'refused') {
          waiting.settle(unanswered(`${this.url} is ${this.state}: ${this.reason}`));
          continue;
        }
        const connection = this.#free();
        if (connection === null) return;
        line.delete(waiting);
        void this.#carry(waiting, connection);
      }
  }

  async #carry(waiting: Waiting, connection: Connection): Promise<void> {
    const { monotonic, searchTimeout, onSearch } = this.#settings;
    const heard = this.#pool.heard;
    const sentAt = monotonic();
    this.#underWay += 1;
    const answer = await connection.search(waiting.request, searchTimeout, this.#settings.scoped?.());
    const record = searchRecord(this.url, waiting.request, answer, monotonic() - sentAt);
    waiting.records.push(record);
    onSearch(record);
    if (answer.kind !== 'lost') {
      this.#pool.prove();
      const elsewhere = answer.kind === 'code' && !isAboutSearch(answer.code);
      const overSearch = answer.kind === 'code' && !isOverload(answer.code);
      waiting.settle(elsewhere ? unanswered(`${this.url}: ${answer.reason}`, overSearch) : answer);
    } else if (answer.silent) {
      if (this.#pool.heard === heard) this.#pool.trip(answer.reason);
      waiting.settle(unanswered(`${this.url}: ${answer.reason}`));
    } else if (waiting.settled || (waiting.lostAt !== null && waiting.lostAt !== this.#pool.heard))
      waiting.settle(unanswered(`${this.url}: ${answer.reason}`, true));
    else {
      // Connections that die with the first, before the server has said another word, are one death.
      waiting.lostAt = this.#pool.heard;
      this.#again.add(waiting);
    }
    this.#underWay -= 1;
    this.#pump();
    this.#rest();
  }

  /** The connection with the fewest searches under way, null when all are full. */
  #free(): Connection | null {
    let best: Connection | null = null;
    for (const connection of this.#pool.connections)
      if (!connection.over && connection.outstanding < (best?.outstanding ?? pipelined)) best = connection;
    return best;
  }
}

function unanswered(reason: string, overSearch = false): ControllerAnswer {
  return { kind: 'unanswered', reason, overSearch };
}
