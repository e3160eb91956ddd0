/**
 * Objects as LDIF (RFC 2849).
 */
export type LdifValues = Readonly<Record<string, readonly (string | Buffer)[]>>;

/** The attribute lines of one record. */
export function ldifLines(attributes: LdifValues): string {
  return Object.entries(attributes)
    .flatMap(([name, values]) => values.map((value) => `${ldifLine(name, value)}\n`))
    .join('');
}

/** A value that is not plain text goes as base64. */
export function ldifLine(name: string, value: string | Buffer): string {
  return typeof value === 'string' && /^[!-9;=-~][ -~]*$/.test(value) && !value.endsWith(' ')
    ? `${name}: ${value}`
    : `${name}:: ${Buffer.from(value).toString('base64')}`;
}
