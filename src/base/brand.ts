/**
 * Branded types: a plain string or number that has been checked once, at the border, and is believed from then on.
 * A brand exists at compile time only. Whoever makes one (`as Sid`) has just proved the shape.
 */
declare const brand: unique symbol;

export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Canonical text of a security identifier: `S-1-5-21-...`, decimal, no leading zeros (MS-DTYP 2.4.2.1). */
export type Sid = Brand<string, 'Sid'>;
/** Distinguished name as a directory server wrote it (RFC 4514 text). */
export type Dn = Brand<string, 'Dn'>;
/** SHA-1 of a whole certificate, 40 hex digits, lower case: what Windows calls the thumbprint. */
export type Thumbprint = Brand<string, 'Thumbprint'>;
/** SHA-256 of something, 64 hex digits, lower case. Used as a cache key, never shown to people as an identity. */
export type Digest = Brand<string, 'Digest'>;
/** A duration in milliseconds, not negative. */
export type Millis = Brand<number, 'Millis'>;
/** A point in time: milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = Brand<number, 'Instant'>;
