/**
 * Distinguished names as values (RFC 5280 section 4.1.2.4): what was encoded, in the order in which it was encoded.
 * How Active Directory spells a name is decided in `mapping/`, not here.
 */
export interface NameAttribute {
  readonly oid: string;
  /** Universal tag number of the string type: 12 UTF8String, 19 PrintableString, 20 TeletexString, 22 IA5String, 30 BMPString ... */
  readonly tag: number;
  /** Content octets as encoded. */
  readonly raw: Buffer;
  /** The decoded text; null when the octets are not text of that type. */
  readonly text: string | null;
}

/** One or more attributes; more than one is a multi-valued RDN. */
export type RelativeName = readonly NameAttribute[];

export interface Name {
  readonly der: Buffer;
  readonly rdns: readonly RelativeName[];
}
