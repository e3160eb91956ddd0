/**
 * Changes of a directory as LDIF (RFC 2849), for ldapmodify and ldifde: base64 wherever a value is not plain text, long lines folded.
 */

/** A record that adds values to one attribute of an object. Ends with an empty line. */
export function ldifAddition(dn: string, attribute: string, values: readonly string[]): string {
  const lines = [
    ldifLine('dn', dn),
    'changetype: modify',
    `add: ${attribute}`,
    ...values.map((value) => ldifLine(attribute, value)),
    '-',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

/** Less is plain here than SAFE-STRING of RFC 2849 allows: control characters would not survive a terminal. A blank at the end is encoded too (note 8). */
export function ldifLine(attribute: string, value: string): string {
  const plain = /^(?:[!-9;=-~][ -~]*)?$/.test(value) && !value.endsWith(' ');
  return fold(
    plain ? `${attribute}: ${value}`.trimEnd() : `${attribute}:: ${Buffer.from(value, 'utf8').toString('base64')}`,
  );
}

/** RFC 2849 note 2: lines should not be longer. */
const longestLine = 76;

/** The blank in front of a continued line is not part of the value. */
function fold(line: string): string {
  const pieces = [line.slice(0, longestLine)];
  for (let at = longestLine; at < line.length; at += longestLine - 1)
    pieces.push(` ${line.slice(at, at + longestLine - 1)}`);
  return pieces.join('\n');
}
