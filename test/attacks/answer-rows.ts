/**
 * Answers by which a backend, or who speaks through it, would say something else to the client or to its next request. A table;
 * `smuggling.test.ts` lets a backend send them.
 */
export interface AnswerRow {
  readonly name: string;
  /** All that the backend sends for one request, `null` in the place of the end of the connection. */
  readonly sends: readonly (string | null)[];
  /** What the client gets: status and body. */
  readonly status: number;
  readonly body?: string;
}

const lines = (...list: readonly string[]) => `${list.join('\r\n')}\r\n\r\n`;
const ok = (...fields: readonly string[]) => `${lines('HTTP/1.1 200 OK', 'Content-Length: 2', ...fields)}ok`;
const evil = `${lines('HTTP/1.1 200 OK', 'Content-Length: 4', 'Set-Cookie: injected=1')}evil`;

function refused(name: string, ...sends: readonly (string | null)[]): AnswerRow {
  return { name: `answer: ${name}`, sends, status: 502 };
}

function passed(name: string, ...sends: readonly (string | null)[]): AnswerRow {
  return { name: `answer: ${name}`, sends, status: 200, body: 'ok' };
}

export const answerRows: readonly AnswerRow[] = [
  passed('a second answer behind the first', ok() + evil),
  passed('a body longer than its length', `${ok()}more`),
  passed('a reason with letters beyond ASCII', `HTTP/1.1 200 \xe4\xff\r\nContent-Length: 2\r\n\r\nok`),
  passed(
    'the verdict and the request id of the gateway',
    ok('X-DSMapper-Verdict: 200', 'X_DSMapper_Verdict: 200', 'X-Request-Id: evil'),
  ),
  passed('Connection names a field of ours', ok('Connection: X-Request-Id, Cache-Control')),
  passed(
    'Keep-Alive, Upgrade and Proxy-Authenticate',
    ok('Keep-Alive: timeout=9', 'Upgrade: h2c', 'Proxy-Authenticate: Basic'),
  ),
  refused('bare CR in a value', ok('A: b\rSet-Cookie: injected=1')),
  refused('bare LF in a value', ok('A: b\nSet-Cookie: injected=1')),
  refused('NUL in a value', ok('A: b\0')),
  refused('folded line', ok('A: b\r\n Set-Cookie: injected=1')),
  refused('bare CR in the reason', `HTTP/1.1 200 OK\rSet-Cookie: injected=1\r\nContent-Length: 2\r\n\r\nok`),
  passed('NUL in the reason', `HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok`),
  refused('blank before a colon', ok('A : b')),
  refused('line without a colon', ok('A')),
  refused('Content-Length twice', ok('Content-Length: 4') + evil),
  refused('Content-Length as a list', `HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok${evil}`),
  refused('Content-Length and Transfer-Encoding', `${ok('Transfer-Encoding: chunked')}${evil}`),
  refused('a version that is none', `HTTP/7.3 200 OK\r\nContent-Length: 2\r\n\r\nok`),
  refused('a status that is none', `HTTP/1.1 999999 OK\r\nContent-Length: 2\r\n\r\nok`),
  refused(
    '101 that nobody asked for',
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\n${evil}`,
  ),
  refused('interim answers without end', 'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n'.repeat(200)),
  refused('nothing', null),
  refused('half a head', 'HTTP/1.1 200 OK\r\nContent-Le', null),
];
