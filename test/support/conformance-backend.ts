/**
 * The backend of the conformance run: plays the answer of the row that a request names, octet by octet, and keeps what it saw of
 * the request. It knows no way by which a request came.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { BodySeen, Delimiter, Field, Head } from './conformance-octets.ts';
import {
  chunkOf,
  fieldLines,
  fieldOf,
  OctetReader,
  patternPieces,
  readBody,
  readHead,
  writeAll,
} from './conformance-octets.ts';
import type { AnswerShape, RequestSeen, Shape } from './conformance-shape.ts';
import { shapeField } from './conformance-shape.ts';

export interface ConformanceBackend {
  readonly port: number;
  /** What it saw of this exchange, once it has finished with it; of a second request under the same mark nothing is kept. */
  seen(mark: string): Promise<RequestSeen>;
  /** Resolves when it has the whole request of this exchange. */
  arrived(mark: string): Promise<void>;
  stop(): Promise<void>;
}

interface Row {
  seen: PromiseWithResolvers<RequestSeen>;
  arrived: PromiseWithResolvers<void>;
}

/** What is done with one request that belongs to no row; the connection ends after it. */
export type Script = (request: {
  readonly head: Head;
  readonly reader: OctetReader;
  readonly socket: Socket;
}) => Promise<void>;

/** @param scripts by the mark of their request; may be added to later */
export async function startConformanceBackend(
  shapes: readonly Shape[],
  scripts: ReadonlyMap<string, Script> = new Map(),
): Promise<ConformanceBackend> {
  const rows = new Map<string, Row>();
  const sockets = new Set<Socket>();
  const rowOf = (mark: string): Row => {
    const row = rows.get(mark) ?? { seen: Promise.withResolvers(), arrived: Promise.withResolvers() };
    rows.set(mark, row);
    return row;
  };
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    void serve(socket, async (mark, request, reader) => {
      const script = scripts.get(mark);
      if (script !== undefined) {
        await script({ head: request, reader, socket });
        socket.end();
        return false;
      }
      const shape = shapes[Number.parseInt(mark, 10)];
      if (shape === undefined) throw new TypeError(`no row for ${mark}`);
      return await play(shape, request, { socket, reader }, rowOf(mark));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen: (mark) => rowOf(mark).seen.promise,
    arrived: (mark) => rowOf(mark).arrived.promise,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One request after the other. @param play whether the connection goes on after it */
async function serve(
  socket: Socket,
  play: (mark: string, head: Head, reader: OctetReader) => Promise<boolean>,
): Promise<void> {
  const reader = new OctetReader(socket);
  for (;;) {
    const head = await readHead(reader);
    if (head === null) break;
    if (!(await play(fieldOf(head.fields, shapeField.toLowerCase()) ?? '', head, reader))) return;
  }
  socket.end();
}

async function play(
  { answer }: Shape,
  head: Head,
  { socket, reader }: { readonly socket: Socket; readonly reader: OctetReader },
  row: Row,
): Promise<boolean> {
  const [method = '', target = '', version = ''] = head.first.split(' ');
  const delimiter = delimiterOf(head.fields);
  const finish = (body: BodySeen, left = false) =>
    row.seen.resolve({ method, target, fields: head.fields, body, left });

  const expects = fieldOf(head.fields, 'expect') !== null;
  if (expects && !answer.early) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
  if (answer.early) await writeAnswer(socket, answer, method);
  // Whoever was told not to send it does not.
  const body = await readBody(reader, expects && answer.early ? { kind: 'none' } : delimiter);
  row.arrived.resolve();
  if (body.ending === 'broken') {
    finish(body);
    socket.destroy();
    return false;
  }
  if (answer.breaks !== null && !answer.early) {
    finish(body);
    await writeAnswer(socket, answer, method);
    if (answer.framing !== 'close') {
      socket.destroy();
      return false;
    }
    // Only a reset tells that it is no end; what it overtakes on its way is lost.
    for (let turns = 0; turns < 20; turns += 1) await turn();
    socket.resetAndDestroy();
    return false;
  }
  if (!answer.early) await writeAnswer(socket, answer, method);
  if (answer.stalls !== null) {
    await reader.gone();
    finish(body, true);
    socket.destroy();
    return false;
  }
  finish(body);
  const ends =
    answer.framing === 'close' ||
    answer.version === '1.0' ||
    version === 'HTTP/1.0' ||
    [fieldOf(head.fields, 'connection'), fieldOf(answer.fields, 'connection')].some((value) => value === 'close');
  if (ends) socket.end();
  return !ends;
}

export function delimiterOf(fields: readonly Field[]): Delimiter {
  if (fieldOf(fields, 'transfer-encoding') !== null) return { kind: 'chunked' };
  const length = fieldOf(fields, 'content-length');
  return length === null ? { kind: 'none' } : { kind: 'length', octets: Number(length) };
}

async function writeAnswer(socket: Socket, answer: AnswerShape, method: string): Promise<void> {
  const whole = pieces(answer, method);
  if (!answer.slow) {
    await writeAll(socket, whole);
    return;
  }
  for (const piece of whole) {
    const octets = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
    for (const octet of octets) {
      await writeAll(socket, [Buffer.from([octet])]);
      await turn();
    }
  }
}

function* pieces(answer: AnswerShape, method: string): Generator<Buffer | string> {
  const { breaks, stalls, body, framing } = answer;
  for (const fields of answer.hints) yield `HTTP/1.1 103 Early Hints\r\n${fieldLines(fields)}\r\n`;
  if (breaks === 'beforeHead' || stalls === 'beforeHead') return;
  const head = headOf(answer);
  if (breaks === 'inHead') {
    yield head.slice(0, -10);
    return;
  }
  yield head;
  if (method === 'HEAD' || body === null || framing === 'announced' || framing === 'bare') return;
  const half = breaks === 'inBody' || stalls === 'inBody';
  const chunked = framing === 'chunked' || framing === 'extended';
  const extension = framing === 'extended' ? ';name="a;b";other' : '';
  for (const piece of patternPieces(half ? Math.ceil(body / 2) : body))
    yield chunked ? chunkOf(piece, extension) : piece;
  if (chunked && !half) yield `0${extension}\r\n${fieldLines(answer.trailers)}\r\n`;
}

function headOf({ status, reason, version, fields, body, framing }: AnswerShape): string {
  const framed: Field[] =
    framing === 'length' || framing === 'announced'
      ? [['Content-Length', String(body ?? 0)]]
      : framing === 'chunked' || framing === 'extended'
        ? [['Transfer-Encoding', 'chunked']]
        : [];
  return `HTTP/${version} ${status} ${reason}\r\n${fieldLines([...fields, ...framed])}\r\n`;
}
