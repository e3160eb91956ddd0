/**
 * Where one LDAPMessage ends and the next begins. Decides nothing about their content. ldapts appends every chunk to what it
 * has (quadratic: a message of 4.6 MB in records of 1 KB blocked the event loop for seconds); here each is copied once, to its place in
 * the message, as it comes.
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
  /** The start of a message whose length is not known yet: five octets at most. */
  let head: Buffer = nothing;
  /** Of its full length, filled so far up to `filled`. */
  let partial: Buffer | null = null;
  let filled = 0;
  let overlong = false;

  return {
    get held() {
      return head.length + filled;
    },
    get overlong() {
      return overlong;
    },
    push(chunk) {
      const messages: Buffer[] = [];
      let rest = chunk;
      while (rest.length > 0) {
        if (partial !== null) {
          const taken = rest.copy(partial, filled);
          rest = rest.subarray(taken);
          filled += taken;
          if (filled < partial.length) break;
          messages.push(partial);
          partial = null;
          filled = 0;
          continue;
        }
        const bytes = head.length === 0 ? rest : Buffer.concat([head, rest]);
        if (bytes[0] !== 0x30) return null;
        const header = readHeader(bytes, 0, bytes.length);
        if (header === 'malformed') return null;
        head = header === null ? bytes : nothing;
        if (header === null) break;
        const wanted = header.start + header.length;
        overlong = wanted > maximum;
        if (overlong) return null;
        if (bytes.length >= wanted) {
          messages.push(bytes.subarray(0, wanted));
          rest = bytes.subarray(wanted);
        } else {
          // Memory that is announced and never written to is not taken from the system.
          partial = Buffer.allocUnsafe(wanted);
          rest = bytes;
        }
      }
      return messages;
    },
  };
}

const nothing = Buffer.alloc(0);
