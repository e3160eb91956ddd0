/**
 * The pages that answer a refusal, in IIS' two kinds (httpErrors@errorMode DetailedLocalOnly): strangers get a static page that
 * does not tell one sub-status from another; local callers get the detail. Every page carries the request id.
 */
import { htmlPage, type PageRows } from './html-page.ts';
import type { Answer } from './verdict-table.ts';
import { statusText } from './verdict-table.ts';

export interface ErrorPageFacts {
  readonly requestId: string;
  /** For local callers: the verdict's code and its sentence with the facts of the case. */
  readonly detail: { readonly code: string; readonly text: string } | null;
  readonly json: boolean;
}

export interface ErrorPage {
  readonly contentType: string;
  readonly body: string;
}

export function errorPage(answer: Answer, facts: ErrorPageFacts): ErrorPage {
  return facts.json ? jsonPage(answer, facts) : refusalPage(answer, facts);
}

/** Whether an Accept header prefers JSON to HTML; a plain list is enough, weights are compared as they stand. */
export function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined || accept.length > 1000) return false;
  return weightOf(accept, 'application/json') > weightOf(accept, 'text/html');
}

function weightOf(accept: string, type: string): number {
  for (const part of accept.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    if (name !== type) continue;
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    return weight === undefined ? 1 : Number(weight.slice(2)) || 0;
  }
  return 0;
}

function jsonPage(answer: Answer, { detail, requestId }: ErrorPageFacts): ErrorPage {
  const common = { status: answer.status, title: titleOf(answer.status), requestId };
  const body =
    detail === null
      ? common
      : { ...common, subStatus: answer.subStatus, win32: answer.win32, code: detail.code, detail: detail.text };
  return { contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
}

function refusalPage(answer: Answer, { detail, requestId }: ErrorPageFacts): ErrorPage {
  const body = htmlPage({
    heading:
      detail === null
        ? `${answer.status} - ${titleOf(answer.status)}`
        : `HTTP Error ${statusText(answer)} - ${titleOf(answer.status)}`,
    sentence: detail === null ? staticSentence(answer.status) : answer.text,
    rows: detail === null ? [] : detailRows(answer, detail),
    requestId,
  });
  return { contentType: 'text/html; charset=utf-8', body };
}

function detailRows(answer: Answer, detail: { readonly code: string; readonly text: string }): PageRows {
  return [
    ['Code', detail.code],
    ['Detail', detail.text],
    ['Error code', `0x${answer.win32.toString(16).padStart(8, '0')}`],
  ];
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized: Access is denied due to invalid credentials.',
  403: 'Forbidden: Access is denied.',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Request Entity Too Large',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

function titleOf(status: number): string {
  return titles[status] ?? 'Error';
}

function staticSentence(status: number): string {
  if (status === 401 || status === 403) {
    return 'You do not have permission to view this directory or page using the credentials that you supplied.';
  }
  if (status >= 500)
    return 'The page cannot be shown at the moment. Try again; if it stays so, tell the administrator the request number below.';
  return 'The request cannot be served as it was sent.';
}
