/**
 * A connection that one reader has for itself, one search at a time: for what goes on for long or comes again and again, and must not stand
 * in the way of lookups. Decides nothing about what is read; which server is taken is the reader's choice.
 */
import type { Millis } from '../base/brand.ts';
import type { Answer, DirectorySearch, SearchControl } from './connection.ts';
import type { SearchRecord } from './directory.ts';
import { framingLimits } from './framed-socket.ts';
import type { ObjectServer } from './object-reader.ts';
import { cookieIn, pagedResults, pagingValue } from './paging.ts';
import { searchRecord } from './search-record.ts';
import type { ServerGroup } from './server-group.ts';

export interface Line {
  /** URL of the server at its other end. */
  readonly server: string;
  /** Settles within the time-out of the line, always; one after the other. */
  search(request: DirectorySearch): Promise<Answer>;
  /**
   * One page of a search (RFC 2696). `cookie` leads to the next one; null: there is none.
   * @param after the cookie of the page before, null for the first
   */
  page(request: DirectorySearch, size: number, after: Buffer | null): Promise<Page>;
  /** The same, for whoever asks a group of servers. */
  readonly group: Pick<ServerGroup, 'search'>;
  close(): void;
}

export type Page =
  Exclude<Answer, { kind: 'entries' }> | (Extract<Answer, { kind: 'entries' }> & { readonly cookie: Buffer | null });

export interface LineSettings {
  /** Bound on connecting, and on each search. */
  readonly timeout: Millis;
  readonly monotonic: () => number;
  readonly onSearch: (record: SearchRecord) => void;
  /** Ends the line. */
  readonly signal: AbortSignal;
}

/** A line, or why there is none. Never rejects. */
export async function openLine(
  server: ObjectServer,
  { timeout, monotonic, onSearch, signal }: LineSettings,
): Promise<Line | string> {
  /** The last message that the server has sent: at the end of a search, that with its result. */
  let last: Buffer = Buffer.alloc(0);
  const opened = await server.open(framingLimits, timeout, signal, (message) => (last = message));
  if (opened.kind !== 'open') return `${server.url}: ${opened.reason}`;
  const { connection } = opened;
  const end = (): void => connection.destroy('it is not needed any more');
  signal.addEventListener('abort', end);
  if (signal.aborted) end();

  const search = async (request: DirectorySearch): Promise<Answer> => {
    const sentAt = monotonic();
    const answer = await connection.search(request, timeout);
    onSearch(searchRecord(server.url, request, answer, monotonic() - sentAt));
    return answer;
  };

  return {
    server: server.url,
    search,
    group: {
      async search(request) {
        const answer = await search(request);
        if (answer.kind === 'lost') return { kind: 'unanswered', reason: answer.reason, overSearch: false };
        return { ...answer, server: server.url };
      },
    },
    async page(request, size, after) {
      const paging: SearchControl = { oid: pagedResults, critical: true, value: pagingValue(size, after) };
      const answer = await search({ ...request, controls: [...(request.controls ?? []), paging] });
      return answer.kind === 'entries' ? { ...answer, cookie: cookieIn(last) } : answer;
    },
    close() {
      signal.removeEventListener('abort', end);
      void connection.close();
    },
  };
}
