/**
 * Which part of what a search found goes into one answer: MaxPageSize, the size limit of the request, and paged results
 * (RFC 2696), whose unfinished rest belongs to the connection.
 */
import { readPaging, resultCode, type SearchRequest } from './directory-messages.ts';
import type { StoredEntry } from './directory-store.ts';
import { controlOid } from './directory-tree.ts';

/** What a connection has fetched in part, by cookie. */
export type Pages = Map<string, { readonly entries: readonly StoredEntry[]; readonly sent: number }>;

export interface Page {
  readonly entries: readonly StoredEntry[];
  readonly code: number;
  /** Whether nothing is left for a later answer. */
  readonly last: boolean;
  /** For the control of the answer; null when the request had none. */
  readonly cookie: string | null;
}

/** MaxResultSetsPerConn of Active Directory: beyond it the oldest unfinished search is forgotten. */
const maximumPages = 10;

/** @returns null when the cookie is not one of this connection. @throws Failure `ldap-malformed` */
export function takePage(
  request: SearchRequest,
  pages: Pages,
  maxPageSize: number,
  find: () => readonly StoredEntry[],
): Page | null {
  const control = request.controls.find(({ oid }) => oid === controlOid.paging);
  const paging = control === undefined ? null : readPaging(control.value);
  let resumed = { entries: [] as readonly StoredEntry[], sent: 0 };
  if (paging === null || paging.cookie === '') resumed = { entries: find(), sent: 0 };
  else {
    const kept = pages.get(paging.cookie);
    pages.delete(paging.cookie);
    if (kept === undefined) return null;
    // Size 0 with a cookie ends a paged search early (RFC 2696 section 3).
    if (paging.size === 0) return { entries: [], code: resultCode.success, last: false, cookie: '' };
    resumed = kept;
  }
  const { entries, sent } = resumed;
  const pageSize = paging === null || paging.size <= 0 ? maxPageSize : Math.min(maxPageSize, paging.size);
  const limit = request.sizeLimit === 0 ? Infinity : request.sizeLimit;
  const to = Math.min(entries.length, sent + pageSize, limit);
  const last = to === entries.length;
  const cut = !last && (paging === null || to === limit);
  let cookie = '';
  if (!last && !cut) {
    cookie = `${request.id}.${to}`;
    pages.set(cookie, { entries, sent: to });
    const [oldest] = pages.keys();
    if (pages.size > maximumPages && oldest !== undefined) pages.delete(oldest);
  }
  return {
    entries: entries.slice(sent, to),
    code: cut ? resultCode.sizeLimitExceeded : resultCode.success,
    last,
    cookie: paging === null ? null : cookie,
  };
}
