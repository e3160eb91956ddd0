/**
 * The clients of the conformance run: HTTP/1 written by hand over any socket, and HTTP/2. Each sends a row's request as the row says
 * and tells what came back; neither repairs nor follows anything.
 */
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { BodySeen, Delimiter, Field } from './conformance-octets.ts';
import {
  chunkOf,
  fieldLines,
  fieldOf,
  OctetReader,
  onceEither,
  patternPieces,
  readBody,
  readHead,
  Tally,
  writeAll,
  writePieces,
} from './conformance-octets.ts';
import type { AnswerSeen, RequestShape } from './conformance-shape.ts';

/** Null: the client left before the answer, as the row says. */
export type Exchanged = Promise<AnswerSeen | null>;

export interface ConformanceClient {
  /** @param fields beside those of the row; @param arrived resolves when the backend has the request */
  ask(request: RequestShape, host: string, fields: readonly Field[], arrived: () => Promise<void>): Exchanged;
  close(): void;
}

/** @param keeps whether a connection serves several requests */
export function http1Client(open: () => Promise<Socket>, keeps: boolean): ConformanceClient {
  let kept: { readonly socket: Socket; readonly reader: OctetReader } | null = null;
  return {
    async ask(request, host, fields, arrived) {
      const socket = kept?.socket.writable === true ? kept.socket : await open();
      const reader = kept?.socket === socket ? kept.reader : new OctetReader(socket);
      if (kept?.socket !== socket) socket.on('error', () => {});
      kept = { socket, reader };
      const { seen, again } = await exchange1(request, host, fields, { socket, reader, arrived });
      if (!again || !keeps) {
        kept = null;
        socket.destroy();
      }
      return seen;
    },
    close: () => kept?.socket.destroy(),
  };
}

interface Line1 {
  readonly socket: Socket;
  readonly reader: OctetReader;
  readonly arrived: () => Promise<void>;
}

interface Told {
  readonly seen: AnswerSeen | null;
  /** Whether another request may follow. */
  readonly again: boolean;
}

async function exchange1(
  request: RequestShape,
  host: string,
  fields: readonly Field[],
  { socket, reader, arrived }: Line1,
): Promise<Told> {
  const sending = { done: false };
  const head = http1Head(request, host, fields);
  if (request.leaves === 'inBody') {
    await writeAll(socket, [head, ...http1Body({ ...request, leaves: null }, 0.5)]);
    await flushed(socket);
    socket.destroy();
    return { seen: null, again: false };
  }
  await send1(socket, [head], request.slow);
  if (!request.expect) void sendBody();
  if (request.leaves === 'beforeAnswer') {
    await arrived();
    socket.destroy();
    return { seen: null, again: false };
  }
  const { seen, delimiter, version } = await readAnswer(reader, request, () => {
    if (request.expect && !sending.done) void sendBody();
  });
  const again =
    seen.body.ending === 'complete' &&
    delimiter.kind !== 'close' &&
    (sending.done || request.body === null) &&
    version === '1.1' &&
    request.version === '1.1' &&
    fieldOf(request.fields, 'connection') !== 'close' &&
    fieldOf(seen.fields, 'connection')?.toLowerCase() !== 'close';
  return { seen: request.leaves === 'inAnswer' ? null : seen, again };

  async function sendBody(): Promise<void> {
    if (await send1(socket, http1Body(request), request.slow)) sending.done = true;
  }
}

/** Several requests written at once, and their answers in their order. */
export async function pipelined(
  socket: Socket,
  host: string,
  requests: readonly { readonly request: RequestShape; readonly fields: readonly Field[] }[],
): Promise<readonly AnswerSeen[]> {
  const reader = new OctetReader(socket);
  const all = requests.flatMap(({ request, fields }) => [http1Head(request, host, fields), ...http1Body(request)]);
  const sent = writeAll(socket, [
    Buffer.concat(all.map((piece) => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece))),
  ]);
  const answers: AnswerSeen[] = [];
  for (const { request } of requests) answers.push((await readAnswer(reader, request, () => {})).seen);
  await sent;
  socket.destroy();
  return answers;
}

interface Read {
  readonly seen: AnswerSeen;
  readonly delimiter: Delimiter;
  readonly version: string;
}

/** @param continued called at each 100 */
async function readAnswer(reader: OctetReader, request: RequestShape, continued: () => void): Promise<Read> {
  const interim: { status: number; fields: readonly Field[] }[] = [];
  for (;;) {
    const got = await readHead(reader);
    if (got === null) {
      return {
        seen: { interim, status: 0, reason: '', fields: [], body: nothing },
        delimiter: { kind: 'close' },
        version: '',
      };
    }
    const [, version = '', code = '', reason = ''] = /^HTTP\/(1\.\d) (\d{3}) ?(.*)$/.exec(got.first) ?? [];
    const status = Number(code);
    if (status >= 100 && status < 200) {
      interim.push({ status, fields: got.fields });
      if (status === 100) continued();
      continue;
    }
    const delimiter = answerDelimiter(request.method, status, got.fields);
    const body = await readBody(reader, delimiter, (octets) => request.leaves === 'inAnswer' && octets > 10_000);
    return { seen: { interim, status, reason, fields: got.fields, body }, delimiter, version };
  }
}

const nothing: BodySeen = {
  octets: 0,
  sha256: '',
  pattern: true,
  extensions: [],
  trailers: [],
  ending: 'broken',
};

function http1Head(request: RequestShape, host: string, fields: readonly Field[]): string {
  const framed: Field[] =
    request.body === null
      ? []
      : request.framing === 'length'
        ? [['Content-Length', String(request.body)]]
        : [['Transfer-Encoding', 'chunked']];
  const all: Field[] = [['Host', host], ...fields, ...request.fields, ...framed];
  if (request.expect) all.push(['Expect', '100-continue']);
  return `${request.method} ${request.target} HTTP/${request.version}\r\n${fieldLines(all)}\r\n`;
}

function* http1Body({ body, framing, trailers }: RequestShape, part = 1): Generator<Buffer | string> {
  if (body === null) return;
  const extension = framing === 'extended' ? ';sig="x\\"y";plain' : '';
  for (const piece of patternPieces(Math.floor(body * part)))
    yield framing === 'length' ? piece : chunkOf(piece, extension);
  if (framing !== 'length' && part === 1) yield `0${extension}\r\n${fieldLines(trailers)}\r\n`;
}

async function send1(socket: Socket, pieces: Iterable<Buffer | string>, slow: boolean): Promise<boolean> {
  if (!slow) return await writeAll(socket, pieces);
  for (const piece of pieces) {
    const octets = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
    for (const octet of octets) {
      if (!(await writeAll(socket, [Buffer.from([octet])]))) return false;
      await turn();
    }
  }
  return true;
}

function flushed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.writableLength === 0 || socket.destroyed) resolve();
    else socket.once('drain', resolve).once('close', () => resolve());
  });
}

function answerDelimiter(method: string, status: number, fields: readonly Field[]): Delimiter {
  if (method === 'HEAD' || status === 204 || status === 304) return { kind: 'none' };
  if (fieldOf(fields, 'transfer-encoding') !== null) return { kind: 'chunked' };
  const length = fieldOf(fields, 'content-length');
  return length === null ? { kind: 'close' } : { kind: 'length', octets: Number(length) };
}

/** @param open a session; kept until it closes */
export function http2Client(open: () => Promise<ClientHttp2Session>): ConformanceClient {
  let session: ClientHttp2Session | null = null;
  return {
    async ask(request, host, fields, arrived) {
      if (session === null || session.closed || session.destroyed) {
        session = await open();
        session.on('error', () => {});
      }
      return await exchange2(
        session.request(http2Fields(request, host, fields), { endStream: request.body === null }),
        {
          request,
          arrived,
        },
      );
    },
    close: () => session?.destroy(),
  };
}

function http2Fields(request: RequestShape, host: string, fields: readonly Field[]): string[] {
  const absolute = /^https?:\/\/([^/]*)(.*)$/.exec(request.target);
  const list = [
    [':method', request.method],
    [':scheme', 'https'],
    [':authority', host],
    [':path', absolute?.[2] ?? request.target],
    ...[...fields, ...request.fields].filter(([name]) => !connectionFields.has(name.toLowerCase())),
  ];
  if (request.body !== null && request.framing === 'length') list.push(['content-length', String(request.body)]);
  if (request.expect) list.push(['expect', '100-continue']);
  return list.map(([name = '', value = '']) => [name.toLowerCase(), value]).flat();
}

/** RFC 9113 section 8.2.2: these may not stand in HTTP/2 at all. */
const connectionFields = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

async function exchange2(
  stream: ClientHttp2Stream,
  { request, arrived }: { readonly request: RequestShape; readonly arrived: () => Promise<void> },
): Exchanged {
  const interim: { status: number; fields: readonly Field[] }[] = [];
  let answer: { status: number; fields: readonly Field[] } | null = null;
  let trailers: readonly Field[] = [];
  let ended = false;
  const tally = new Tally();
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  stream.on('error', () => {});
  stream.on('headers', (...[headers, , raw]: readonly unknown[]) => interim.push(headOf2(headers, raw)));
  stream.on('response', (...[headers, , raw]: readonly unknown[]) => (answer = headOf2(headers, raw)));
  stream.on('trailers', (...[, , raw]: readonly unknown[]) => (trailers = fieldsOf2(raw)));
  stream.on('data', (piece: Buffer) => {
    tally.add(piece);
    if (request.leaves === 'inAnswer' && tally.octets > 10_000) stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.on('end', () => (ended = true));

  const body = http2Body(request, request.leaves === 'inBody' ? 0.5 : 1);
  if (request.expect) stream.once('continue', () => void sendBody());
  else if (request.body !== null) await sendBody();
  // Not `close`, which ends the stream before it resets it.
  if (request.leaves === 'inBody') stream.destroy(new Error('the client leaves'));
  if (request.leaves === 'beforeAnswer') {
    await arrived();
    stream.close(constants.NGHTTP2_CANCEL);
  }
  await closed;
  if (request.leaves !== null) return null;
  const { status = 0, fields = [] } = (answer ?? {}) as { status?: number; fields?: readonly Field[] };
  const ending = ended && stream.rstCode === constants.NGHTTP2_NO_ERROR ? 'complete' : 'broken';
  return { interim, status, reason: '', fields, body: { ...tally.result(), extensions: [], trailers, ending } };

  async function sendBody(): Promise<void> {
    const sink = {
      write: (piece: Buffer | string) => stream.write(piece),
      gone: () => stream.destroyed || stream.writableEnded || stream.closed,
      drained: onceEither(stream),
    };
    if (!(await writePieces(sink, body)) || request.leaves === 'inBody') return;
    stream.end();
  }
}

function* http2Body({ body, slow }: RequestShape, part: number): Generator<Buffer> {
  for (const piece of patternPieces(Math.floor((body ?? 0) * part))) {
    if (slow) for (const octet of piece) yield Buffer.from([octet]);
    else yield piece;
  }
}

function headOf2(headers: unknown, raw: unknown): { status: number; fields: readonly Field[] } {
  return { status: (headers as { ':status'?: number })[':status'] ?? 0, fields: fieldsOf2(raw) };
}

function fieldsOf2(raw: unknown): readonly Field[] {
  const list = raw as readonly string[];
  const fields: Field[] = [];
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at] ?? '';
    if (!name.startsWith(':')) fields.push([name, list[at + 1] ?? '']);
  }
  return fields;
}
