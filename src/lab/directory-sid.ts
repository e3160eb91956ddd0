/**
 * Security identifiers as text and as octets (MS-DTYP 2.4.2), for building and matching entries of the embedded directory.
 */

/** `S-1-5-21-...` as objectSid stores it; null when the text is not one. */
export function sidBytes(text: string): Buffer | null {
  const match = /^S-1-(\d{1,15})((?:-\d{1,10}){1,15})$/i.exec(text);
  if (match === null) return null;
  const authorities = (match[2] ?? '').slice(1).split('-').map(Number);
  if (authorities.some((authority) => authority > 0xffffffff)) return null;
  const bytes = Buffer.alloc(8 + 4 * authorities.length);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt8(authorities.length, 1);
  bytes.writeUIntBE(Number(match[1]) % 2 ** 48, 2, 6);
  for (const [index, authority] of authorities.entries()) bytes.writeUInt32LE(authority, 8 + 4 * index);
  return bytes;
}

/** The text of an objectSid value; null when the octets are not one. */
export function sidText(bytes: Buffer): string | null {
  const count = bytes[1] ?? 0;
  if (bytes[0] !== 1 || bytes.length !== 8 + 4 * count) return null;
  let text = `S-1-${bytes.readUIntBE(2, 6)}`;
  for (let index = 0; index < count; index += 1) text += `-${bytes.readUInt32LE(8 + 4 * index)}`;
  return text;
}
