/**
 * Bytes of a stranger, read field by field and gathered piece by piece. Knows nothing of TLS; never throws.
 */
/** Reads fields one after another; once a field does not fit, everything after reads as empty and `ended` is false. */
export interface Cursor {
  readonly size: number;
  number(octets: 1 | 2): number;
  skip(octets: number): void;
  /** A vector with a length field of so many octets, as a cursor of its own. */
  vector(lengthOctets: 1 | 2): Cursor;
  rest(): Buffer;
  /** The rest as numbers; null when it does not divide. */
  numbers(octets: 2): number[] | null;
  /** Nothing is left to read, soundly or not. */
  atEnd(): boolean;
  /** Nothing is left and every field fitted. */
  ended(): boolean;
}

export function cursorOver(bytes: Buffer, whole = true): Cursor {
  let at = 0;
  let sound = whole;
  const take = (octets: number): Buffer | null => {
    if (at + octets > bytes.length) {
      sound = false;
      at = bytes.length;
      return null;
    }
    at += octets;
    return bytes.subarray(at - octets, at);
  };
  const number = (octets: 1 | 2) => take(octets)?.readUIntBE(0, octets) ?? 0;
  const rest = () => {
    const from = at;
    at = bytes.length;
    return bytes.subarray(from);
  };
  return {
    size: bytes.length,
    number,
    skip: (octets) => void take(octets),
    vector(lengthOctets) {
      const content = take(number(lengthOctets));
      return cursorOver(content ?? Buffer.alloc(0), content !== null && sound);
    },
    rest,
    numbers(octets) {
      const content = rest();
      if (!sound || content.length % octets !== 0) return null;
      return Array.from({ length: content.length / octets }, (_, i) => content.readUIntBE(i * octets, octets));
    },
    atEnd: () => at >= bytes.length,
    ended: () => sound && at === bytes.length,
  };
}

/** Bytes that arrive in pieces, kept together; one piece is not copied, many one-byte pieces cost linear time. */
export function createByteStore(): { append(piece: Buffer): void; bytes(): Buffer } {
  let store: Buffer = Buffer.alloc(0);
  let length = 0;
  return {
    append(piece) {
      if (length === 0) store = piece;
      else {
        if (length + piece.length > store.length) {
          const larger = Buffer.allocUnsafe(Math.max(2 * store.length, length + piece.length));
          store.copy(larger, 0, 0, length);
          store = larger;
        }
        piece.copy(store, length);
      }
      length += piece.length;
    },
    bytes: () => store.subarray(0, length),
  };
}
