/**
 * Reads objects from the configured servers. Decides which of them is asked: the controllers of the domain that the name belongs
 * to, then those of the others, since the configuration of a forest is on all; only servers that are up, one after the other until one
 * has answered. Credentials and the bind gate are those of the searches.
 */
import type { Millis } from '../base/brand.ts';
import { domainOfDn } from './dn.ts';
import type { FramingLimits } from './framed-socket.ts';
import { limitsFor, readFrom, type ObjectAnswer, type ObjectRead, type ObjectReader } from './object-read.ts';
import type { Opened } from './opening.ts';
import type { ServerGroup } from './server-group.ts';

/** The controllers of one domain. */
export interface ObjectPlace {
  readonly group: ServerGroup;
  readonly servers: readonly ObjectServer[];
}

export interface ObjectServer {
  readonly url: string;
  readonly host: string;
  readonly up: boolean;
  /** A connection of its own. Settles within `timeout`. */
  open(
    limits: FramingLimits,
    timeout: Millis,
    signal: AbortSignal,
    /** For every message of the server. */
    heard?: (message: Buffer) => void,
  ): Promise<Opened>;
}

export interface ForestReader extends ObjectReader {
  /** Ends the reads under way. */
  close(): void;
}

export function createObjectReader(places: readonly ObjectPlace[], monotonic: () => number): ForestReader {
  const closing = new AbortController();

  async function readObject(request: ObjectRead): Promise<ObjectAnswer> {
    const deadline = monotonic() + request.timeout;
    const home = domainOfDn(request.dn);
    const ordered = places.toSorted((a, b) => Number(b.group.name === home) - Number(a.group.name === home));
    const reasons: string[] = [];
    for (const { group, servers } of ordered) {
      if (!(await group.ready(deadline))) reasons.push(`no controller of ${group.name} is up`);
      const up = servers.filter((server) => server.up);
      for (const [index, server] of up.entries()) {
        if (request.signal.aborted) return { kind: 'unknown', reason: 'the read was given up' };
        // Each server that could still answer gets its share of the time.
        const answer = await readAt(server, request, monotonic() + (deadline - monotonic()) / (up.length - index));
        if (answer.kind !== 'unknown') return answer;
        reasons.push(answer.reason);
      }
    }
    return { kind: 'unknown', reason: reasons.join('; ') };
  }

  async function readAt(server: ObjectServer, request: ObjectRead, until: number): Promise<ObjectAnswer> {
    const left = (): Millis => Math.max(1, until - monotonic()) as Millis;
    const opened = await server.open(limitsFor(request), left(), request.signal);
    if (opened.kind !== 'open') return { kind: 'unknown', reason: `${server.url}: ${opened.reason}` };
    return readFrom(opened.connection, server.url, request, left());
  }

  return {
    serves: (host) => places.some(({ servers }) => servers.some((server) => server.host === host)),
    readObject: (request) => readObject({ ...request, signal: AbortSignal.any([request.signal, closing.signal]) }),
    close: () => closing.abort(),
  };
}
