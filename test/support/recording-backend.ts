/**
 * A backend that keeps every octet it receives and reads requests by the letter of RFC 9112: lines end with CRLF, a body is framed by one
 * Content-Length or by plain chunks. What does not fit stays unread, so that it shows among the octets. Answers name the request they answer.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { inTime } from './front.ts';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  /** Head and body as they came. */
  readonly text: string;
}

/** What is written at once when the head of a request for a path has come, before its body; `null` as last piece ends the connection. */
export type EarlyAnswer = readonly (string | null)[];

export interface RecordingBackend {
  readonly port: number;
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  /** All octets of all connections so far, in the order in which they came, as latin1. */
  readonly octets: string;
  /** Paths that are answered in a way of their own; all others get 200 and `seen METHOD PATH`. */
  readonly answers: Map<string, string>;
  readonly early: Map<string, EarlyAnswer>;
  /** Writes to every connection that is open, unasked, and resolves when the other side has closed them all. */
  interrupt(text: string): Promise<void>;
}

export async function startRecordingBackend(t: { teardown(end: () => unknown): void }): Promise<RecordingBackend> {
  const requests: RecordedRequest[] = [];
  const answers = new Map<string, string>();
  const early = new Map<string, EarlyAnswer>();
  const sockets = new Set<Socket>();
  let octets = '';

  const server = createServer((socket) => {
    let unread = '';
    let begun = false;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (piece: Buffer) => {
      octets += piece.toString('latin1');
      unread += piece.toString('latin1');
      for (;;) {
        const head = headOf(unread);
        if (head === null) return;
        const path = head.path.replace(/\?.*/s, '');
        const first = early.get(path);
        if (first !== undefined && !begun) {
          begun = true;
          for (const part of first)
            if (part === null) socket.end();
            else socket.write(part, 'latin1');
        }
        const body = bodyOf(unread, head);
        if (body === null) return;
        const text = unread.slice(0, head.size + body);
        unread = unread.slice(text.length);
        begun = false;
        requests.push({ method: head.method, path: head.path, text });
        if (first === undefined) socket.write(answers.get(path) ?? seen(head), 'latin1');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests,
    get octets() {
      return octets;
    },
    answers,
    early,
    async interrupt(text) {
      const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      for (const socket of sockets) socket.write(text, 'latin1');
      await inTime('the end of the connections', Promise.all(closed));
    },
  };
}

interface Head {
  readonly method: string;
  readonly path: string;
  readonly size: number;
  readonly length: number | 'chunked';
}

function seen({ method, path }: Head): string {
  const body = `seen ${method} ${path}`;
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${method === 'HEAD' ? '' : body}`;
}

function headOf(text: string): Head | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [line = '', ...fields] = text.slice(0, end).split('\r\n');
  const [, method, path] = /^(\S+) (\S+) HTTP\/1\.1$/.exec(line) ?? [];
  if (method === undefined || path === undefined) return null;
  const sizes = fields.flatMap((field) => /^content-length: (\d+)$/i.exec(field)?.[1] ?? []);
  const codings = fields.filter((field) => /^transfer-encoding:/i.test(field));
  if (sizes.length + codings.length > 1) return null;
  const length = codings.length === 0 ? Number(sizes[0] ?? 0) : 'chunked';
  return { method, path, size: end + 4, length };
}

/** @returns the length of the whole body on the wire; null while it is not there */
function bodyOf(text: string, { size, length }: Head): number | null {
  if (length !== 'chunked') return text.length - size >= length ? length : null;
  let at = size;
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(text.slice(at));
    if (line === null) return null;
    const chunk = Number.parseInt(line[1] ?? '', 16);
    at += line[0].length + chunk + 2;
    if (text.length < at || text.slice(at - 2, at) !== '\r\n') return null;
    if (chunk === 0) return at - size;
  }
}
