/**
 * How long header fields are.
 */
import type { FlatHeaders } from './forward-contract.ts';

/** Octets in HTTP/1.1: name, colon, blank, value, CR and LF each. The values are of one octet a character. */
export function headerBytes(headers: FlatHeaders): number {
  return headers.reduce((sum, part) => sum + part.length + 2, 0);
}
