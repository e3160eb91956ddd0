/**
 * The little that is read out of distinguished names that a server wrote (RFC 4514): to which domain an entry belongs. Names from
 * certificates are another matter and another room's.
 */

/** `DC=lab,DC=example` becomes `lab.example`, lower case; null when the name does not end in DC components. */
export function domainOfDn(dn: string): string | null {
  const labels: string[] = [];
  for (const rdn of splitDn(dn).reverse()) {
    const label = /^\s*DC\s*=\s*([a-z0-9_-]+)\s*$/i.exec(rdn)?.[1];
    if (label === undefined) break;
    labels.unshift(label.toLowerCase());
  }
  return labels.length === 0 ? null : labels.join('.');
}

/** `lab.example` becomes `DC=lab,DC=example`. */
export function dnOfDomain(domain: string): string {
  return domain
    .split('.')
    .map((label) => `DC=${label}`)
    .join(',');
}

/** Equal but for case and blanks around the separators. */
export function sameDn(a: string, b: string): boolean {
  const canonical = (dn: string): string =>
    splitDn(dn)
      .map((rdn) =>
        rdn
          .trim()
          .replace(/\s*=\s*/, '=')
          .toLowerCase(),
      )
      .join(',');
  return canonical(a) === canonical(b);
}

/** At commas that no backslash escapes (RFC 4514 section 3). */
function splitDn(dn: string): string[] {
  return dn.match(/(?:\\[\s\S]|[^,\\])+/g) ?? [];
}
