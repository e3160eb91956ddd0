/**
 * One authenticated connection to one directory server, thrown away after the first sign of trouble. Decides what ends a
 * connection. It never reconnects, never chases a referral, and every search settles by its own deadline whatever
 * ldapts does. How a connection comes to be is in `opening.ts`; which server to ask is decided by `server-group.ts`.
 */
import {
  AndFilter,
  type Client,
  Control,
  EqualityFilter,
  GreaterThanEqualsFilter,
  OrFilter,
  PresenceFilter,
  type Filter,
} from 'ldapts';
import type { Millis } from '../base/brand.ts';
import { reasonOf } from '../base/failure.ts';
import { normaliseEntry, type DirectoryEntry } from './entry.ts';
import type { SearchFilter } from './filter.ts';
import type { FramedSocket } from './framed-socket.ts';
import { isAboutSearch, plainText, resultCodeOf } from './result-code.ts';

export interface DirectorySearch {
  readonly base: string;
  readonly scope: 'base' | 'one' | 'sub';
  readonly filter: SearchFilter;
  readonly attributes: readonly string[];
  /**
   * 0 unless it is known that there are more entries than wanted: ldapts reports a truncated answer (result code 4) as complete
   * as soon as the request carries a limit.
   */
  readonly sizeLimit: number;
  readonly controls?: readonly SearchControl[];
}

/** What a request carries beside itself (RFC 4511 section 4.1.11). */
export interface SearchControl {
  readonly oid: string;
  /** A server that does not know it must refuse the search. */
  readonly critical: boolean;
  /** Its value in BER; null: it has none. */
  readonly value: Buffer | null;
}

export type Answer =
  | { readonly kind: 'entries'; readonly entries: readonly DirectoryEntry[] }
  /** The server finished the search with a result code other than success. */
  | { readonly kind: 'code'; readonly code: number; readonly reason: string }
  /** The connection ended under the search; `silent`: because this search got no answer in time. */
  | { readonly kind: 'lost'; readonly reason: string; readonly silent: boolean };

export interface Connection {
  /** Searches without an answer so far. */
  readonly outstanding: number;
  /** It carries no more searches; whoever has it may not have been told yet. */
  readonly over: boolean;
  /**
   * Settles within `timeout`, always; after a time-out the connection is gone.
   * @param scoped the server knows the control by which it makes no references
   */
  search(request: DirectorySearch, timeout: Millis, scoped?: boolean): Promise<Answer>;
  /** Ends at once; outstanding searches are `lost`. */
  destroy(reason: string): void;
  /** Says goodbye (unbind), waits a moment at most, ends. */
  close(): Promise<void>;
}

/** How long a goodbye may take, in milliseconds. */
const farewell = 250;

/**
 * @param client bound, over `framed`
 * @param ended called once, when the connection has ended
 */
export function createConnection(client: Client, framed: FramedSocket, ended: (reason: string) => void): Connection {
  const calls = new Set<(answer: Answer) => void>();
  const end = (): void => {
    for (const settle of calls) settle({ kind: 'lost', reason: framed.reason, silent: false });
    ended(framed.reason);
  };
  if (framed.closed) queueMicrotask(end);
  else framed.once('close', end);

  return {
    get over() {
      return framed.destroyed;
    },
    get outstanding() {
      return calls.size;
    },
    search(request, timeout, scoped = false) {
      if (framed.destroyed) return Promise.resolve({ kind: 'lost', reason: framed.reason, silent: false });
      const { promise, resolve } = Promise.withResolvers<Answer>();
      const settle = (answer: Answer): void => {
        if (!calls.delete(settle)) return;
        clearTimeout(timer);
        resolve(answer);
      };
      const timer = setTimeout(() => {
        const reason = `no answer within ${timeout} ms`;
        settle({ kind: 'lost', reason, silent: true });
        framed.fail(`a search got ${reason}`);
      }, timeout);
      calls.add(settle);
      send(client, request, timeout, scoped).then(
        (entries) => settle({ kind: 'entries', entries }),
        (error: unknown) => {
          const result = resultCodeOf(error);
          if (result !== null)
            settle({ kind: 'code', code: result.code, reason: `the server answered ${result.text}` });
          if (result !== null && isAboutSearch(result.code)) return;
          framed.fail(plainText(result?.text ?? reasonOf(error)));
        },
      );
      return promise;
    },
    destroy: (reason) => framed.fail(reason),
    close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (framed.closed) return Promise.resolve();
      const timer = setTimeout(() => framed.fail('the directory was closed'), farewell);
      framed.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      client.unbind().catch(() => framed.fail('the directory was closed'));
      return promise;
    },
  };
}

async function send(
  client: Client,
  request: DirectorySearch,
  timeout: Millis,
  scoped: boolean,
): Promise<DirectoryEntry[]> {
  const answer = await client.search(
    request.base,
    {
      scope: request.scope,
      filter: wireFilter(request.filter),
      attributes: [...request.attributes],
      explicitBufferAttributes: everyAttribute,
      sizeLimit: request.sizeLimit,
      timeLimit: Math.ceil(timeout / 1000),
    },
    [
      ...(scoped && request.scope !== 'base' ? [new Control(domainScope)] : []),
      ...(request.controls ?? []).map((control) => new WireControl(control)),
    ],
  );
  // Search references are continuations to other servers: read and dropped: nobody is asked because an answer names it.
  return answer.searchEntries.map(normaliseEntry);
}

/** LDAP_SERVER_DOMAIN_SCOPE_OID: the server makes no references to other naming contexts (MS-ADTS 3.1.1.3.4.1.3). */
export const domainScope = '1.2.840.113556.1.4.1339';

/**
 * ldapts gives a string or a Buffer depending on whether the octets happen to be UTF-8, unless its list of Buffer attributes
 * includes the name in the server's very spelling. This list includes every spelling.
 */
const everyAttribute: string[] = Object.assign([], { includes: () => true });

class WireControl extends Control {
  readonly #value: Buffer | null;

  constructor({ oid, critical, value }: SearchControl) {
    super(oid, { critical });
    this.#value = value;
  }

  override writeControl(writer: Parameters<Control['writeControl']>[0]): void {
    if (this.#value !== null) writer.writeBuffer(this.#value, 0x04);
  }
}

/** Filter objects with Buffer values only: ldapts encodes `\xx` of a string filter once more as UTF-8. */
function wireFilter(filter: SearchFilter): Filter {
  if (filter.kind === 'present') return new PresenceFilter({ attribute: filter.attribute });
  if (filter.kind === 'equal') return new EqualityFilter({ attribute: filter.attribute, value: filter.value });
  if (filter.kind === 'atLeast')
    return new GreaterThanEqualsFilter({ attribute: filter.attribute, value: String(filter.value) });
  const filters = filter.parts.map(wireFilter);
  return filter.kind === 'and' ? new AndFilter({ filters }) : new OrFilter({ filters });
}
