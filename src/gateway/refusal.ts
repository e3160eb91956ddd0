/**
 * Answers a request that does not go upstream: status and page by the verdict table. How the answer reaches the client is decided in
 * `own-answer.ts`.
 */
import type { Verdict } from '../base/verdict.ts';
import { errorPage, prefersJson } from '../iis/error-page.ts';
import { answerOf, statusText } from '../iis/verdict-table.ts';
import type { Exchange } from './exchange.ts';
import { isLocal, writeOwnAnswer } from './own-answer.ts';
import type { Setup } from './setup.ts';
import { versionField } from './upgrade.ts';

export function refuse(exchange: Exchange, refusal: Verdict, setup: Setup): void {
  const answer = answerOf(refusal.code, setup.settings.outcomes);
  const page = errorPage(answer, {
    requestId: exchange.id,
    detail: isLocal(exchange.connection) ? { code: refusal.code, text: refusal.detail } : null,
    json: prefersJson(exchange.request.headers.accept),
  });
  writeOwnAnswer(
    exchange,
    {
      status: answer.status,
      statusText: statusText(answer),
      ...page,
      headers: [
        ...(answer.status === 400 ? versionField(exchange.request) : []),
        ...(answer.status === 503 ? ['Retry-After', '5'] : []),
        ...(answer.status === 405 ? ['Allow', exchange.rule?.whoami === true ? whoamiMethods : allMethods] : []),
      ],
      endsConnection: endsConnection(refusal),
    },
    setup,
  );
}

const allMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
const whoamiMethods = 'GET, HEAD';

/**
 * A client is asked once on a connection: its next try, with a certificate this time, needs a new one. And one whose request belongs
 * elsewhere should open its own connection there.
 */
function endsConnection({ code }: Verdict): boolean {
  return code === 'certificateRequired' || code === 'renegotiationFailed' || code === 'misdirected';
}
