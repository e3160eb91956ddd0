/**
 * A search as explain shows it. Decides wording only.
 */
import type { Answer, DirectorySearch } from './connection.ts';
import type { SearchRecord } from './directory.ts';
import { filterText } from './filter.ts';

/** @param server URL of the server that was asked  @param ms between request and answer */
export function searchRecord(server: string, request: DirectorySearch, answer: Answer, ms: number): SearchRecord {
  let text: string | null = null;
  return {
    server,
    base: request.base,
    // Most records are counted and thrown away: the text is made for whoever looks.
    get filter() {
      return (text ??= filterText(request.filter));
    },
    result: answer.kind === 'entries' ? countText(answer.entries.length) : answer.reason,
    ms: Math.round(ms * 1000) / 1000,
  };
}

function countText(count: number): string {
  return count === 1 ? '1 entry' : `${count} entries`;
}
