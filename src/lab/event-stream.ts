/**
 * Server-sent events (HTML standard, section 9.2) for the lab's echo backend: a first event that describes the request, then numbered ones, each
 * written on its own, until there are enough or the client leaves.
 */
import type { ServerResponse } from 'node:http';

export interface EventStreamOptions {
  /** Data of the first event, one line. */
  readonly description: string;
  /** Numbered events after it; the stream ends with the last. Null: it never ends. */
  readonly count: number | null;
  /** Milliseconds between two. */
  readonly interval: number;
}

export function streamEvents(response: ServerResponse, { description, count, interval }: EventStreamOptions): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.write(`event: request\ndata: ${description}\n\n`);
  let sent = 0;
  const timer = setInterval(() => {
    if (count !== null && sent >= count) {
      response.end();
      return;
    }
    sent += 1;
    // A client that does not read is not written to without end.
    if (!response.writableNeedDrain) response.write(`id: ${sent}\ndata: ${sent}\n\n`);
  }, interval);
  response.once('close', () => clearInterval(timer));
}
