/**
 * `xfcc`: `X-Forwarded-Client-Cert` with one element for this connection, in the grammar of Envoy: pairs with semicolons between them, the
 * subject and PEM in quotes. What proxies in front have sent is looked at in `xfcc-inbound.ts`.
 *
 * Envoy prints quotes and backslashes of a subject as RFC 2253 does, so that a subject ending in a backslash ends in `\\"`, which some
 * parsers take for a quote that is escaped. Here both are hex pairs (`\22`, `\5C`), which RFC 2253 allows and nobody takes for anything else.
 */
import type { Certificate } from '../../x509/certificate.ts';
import type { Dialect, DressedClient } from '../dialect-contract.ts';
import type { XfccKey } from '../identity-settings.ts';
import { escapedPem } from './certificate-text.ts';
import { dnText } from './dn-text.ts';

export const xfcc: Dialect = (headers, client, { headers: names, xfcc: { keys, by } }) => {
  if (client === 'none') return;
  const pairs = [...(by === null ? [] : [pair('By', by)]), ...keys.flatMap((key) => writers[key](client))];
  if (pairs.length > 0) headers.push(names.xfcc, pairs.join(';'));
};

/** RFC 3986 section 2: what a URI can consist of; anything else that a subjectAltName holds is none, and is not told. */
export function isUriText(text: string): boolean {
  return /^(?:[\w.~:/?#[\]@!$&'()*+,;=-]|%[0-9a-f]{2})+$/i.test(text);
}

const writers: Readonly<Record<XfccKey, (client: DressedClient) => readonly string[]>> = {
  Hash: ({ leaf }) => [`Hash=${leaf.digest}`],
  Cert: ({ leaf }) => [`Cert="${escapedPem(leaf.der)}"`],
  // The leaf is part of it.
  Chain: ({ leaf, presentedChain }) => [`Chain="${[leaf.der, ...presentedChain].map(escapedPem).join('')}"`],
  Subject: ({ leaf }) => [`Subject="${dnText(leaf.subject, { hexQuotes: true })}"`],
  URI: ({ leaf }) => sansOf(leaf, 'uris', isUriText).map((uri) => pair('URI', uri)),
  DNS: ({ leaf }) => sansOf(leaf, 'dnsNames', isDnsText).map((name) => pair('DNS', name)),
};

function sansOf(leaf: Certificate, kind: 'uris' | 'dnsNames', isGood: (text: string) => boolean): readonly string[] {
  return leaf.extensions.subjectAltName?.[kind].filter(isGood) ?? [];
}

function isDnsText(text: string): boolean {
  return /^[\w.*-]+$/.test(text);
}

/** Neither quotes nor backslashes come this far. */
function pair(key: string, value: string): string {
  return /[,;=]/.test(value) ? `${key}="${value}"` : `${key}=${value}`;
}
