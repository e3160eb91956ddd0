/**
 * Security identifiers in the binary form of objectSid (MS-DTYP 2.4.2.2) as text, and back. Decides what is a SID and what is not.
 */
import type { Sid } from '../base/brand.ts';

/** Null when the bytes are not exactly one SID of revision 1 with 1 to 15 sub-authorities. */
export function parseSid(bytes: Buffer): Sid | null {
  const count = bytes[1] ?? 0;
  if (bytes[0] !== 1 || count < 1 || count > 15 || bytes.length !== 8 + 4 * count) return null;
  const authority = bytes.readUIntBE(2, 6);
  // MS-DTYP 2.4.2.1: authorities beyond 32 bits are written in hexadecimal.
  const parts = [authority < 2 ** 32 ? String(authority) : `0x${authority.toString(16).padStart(12, '0')}`];
  for (let index = 0; index < count; index++) parts.push(String(bytes.readUInt32LE(8 + 4 * index)));
  return `S-1-${parts.join('-')}` as Sid;
}

/** The binary form. @param sid canonical text, as `parseSid` makes it */
export function sidOctets(sid: Sid): Buffer {
  const [authority = 0, ...parts] = sid.slice('S-1-'.length).split('-').map(Number);
  const octets = Buffer.alloc(8 + 4 * parts.length);
  octets[0] = 1;
  octets[1] = parts.length;
  octets.writeUIntBE(authority, 2, 6);
  for (const [index, part] of parts.entries()) octets.writeUInt32LE(part, 8 + 4 * index);
  return octets;
}
