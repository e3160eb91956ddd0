/**
 * Where one LDAPMessage ends and the next begins. Decides nothing about their content. ldapts appends every chunk to what it
 * has (quadratic: a message of 4.6 MB in records of 1 KB blocked the event loop for seconds); here chunks are kept in a
 * list and joined once, when the message is complete.
 */
import { readHeader } from './message-shape.ts';

export interface Framer {
  /** The messages that this chunk completes, in order; null when the bytes are no LDAP or a message is too long. */
  push(chunk: Buffer): readonly Buffer[] | null;
  /** Octets held that do not make a message yet. */
  readonly held: number;
  /** What was pushed last began a message that is longer than the bound. */
  readonly overlong: boolean;
}

/** @param maximum octets of one message */
export function createFramer(maximum: number): Framer {
  let chunks: Buffer[] = [];
  let held = 0;
  /** Octets of the message in progress, header included; null until its header has been read. */
  let wanted: number | null = null;
  let overlong = false;

  return {
    get overlong() {
      return overlong;
    },
    get held() {
      return held;
    },
    push(chunk) {
      chunks.push(chunk);
      held += chunk.length;
      const messages: Buffer[] = [];
      while (held > 0) {
        if (wanted === null) {
          // A header has six octets at most: joining is cheap until it is known, and not done again afterwards.
          const bytes = joined(chunks);
          chunks = [bytes];
          if (bytes[0] !== 0x30) return null;
          const header = readHeader(bytes, 0, bytes.length);
          if (header === null) break;
          if (header === 'malformed') return null;
          wanted = header.start + header.length;
          overlong = wanted > maximum;
          if (overlong) return null;
        }
        if (held < wanted) break;
        const bytes = joined(chunks);
        messages.push(bytes.subarray(0, wanted));
        held -= wanted;
        chunks = held === 0 ? [] : [bytes.subarray(wanted)];
        wanted = null;
      }
      return messages;
    },
  };
}

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
