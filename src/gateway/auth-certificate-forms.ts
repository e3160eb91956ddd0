/**
 * The client's certificate as each data plane hands it over: in which header, and how it is written there. Nothing of what a header says about
 * the certificate is believed but its octets: whether it was verified, whose it is and what its hash is, is found out here anew.
 */
import { sameBytes } from '../base/bytes.ts';
import {
  percentDecoded,
  readBase64,
  readBase64Row,
  readPemText,
  tooMany,
  type ReadText,
} from './auth-certificate-text.ts';
import type { CertificateForm } from './auth-endpoint-settings.ts';

/** Headers of a form, lower case; the values are read only where there is exactly one of each. */
export interface FormHeaders {
  readonly leaf: string;
  /** The certificates above the leaf, in a header of their own. */
  readonly chain: string | null;
}

export const formHeaders: Readonly<Record<CertificateForm, FormHeaders>> = {
  nginx: { leaf: 'x-ssl-client-cert', chain: null },
  traefik: { leaf: 'x-forwarded-tls-client-cert', chain: null },
  envoy: { leaf: 'x-forwarded-client-cert', chain: null },
  haproxy: { leaf: 'x-ssl-client-der', chain: 'x-ssl-client-chain-der' },
  apache: { leaf: 'x-ssl-client-cert', chain: null },
  rfc9440: { leaf: 'client-cert', chain: 'client-cert-chain' },
};

/**
 * @param leaf value of the header; empty: no certificate was shown
 * @param chain value of the form's second header; empty: nothing
 * @param maximum certificates
 * @returns what was shown, leaf first; empty: nothing; or why it cannot be read (completes "the certificate ...")
 */
export function readForm(form: CertificateForm, leaf: string, chain: string, maximum: number): ReadText {
  if (leaf === '') return chain === '' ? [] : 'is missing, and only its chain is there';
  return readers[form](leaf, chain, maximum);
}

type Reader = (leaf: string, chain: string, maximum: number) => ReadText;

const readers: Readonly<Record<CertificateForm, Reader>> = {
  nginx: (leaf, _, maximum) => readEscapedPem(leaf, maximum),
  // mod_headers writes `(null)` for a variable that is not set.
  apache: (leaf, _, maximum) =>
    leaf === '(null)' ? [] : leaf.includes('%') ? readEscapedPem(leaf, maximum) : readPemText(leaf, maximum),
  traefik: (leaf, _, maximum) => readList(leaf.split(','), maximum),
  envoy: readForwarded,
  haproxy: (leaf, chain, maximum) => withChain(readList([leaf], maximum), readRow(chain, maximum), maximum),
  rfc9440: (leaf, chain, maximum) => {
    const above = chain === '' ? [] : readByteSequences(chain, maximum);
    const own = readByteSequences(leaf, 1);
    return withChain(own, above, maximum);
  },
};

/** Percent-encoded PEM: nginx' `$ssl_client_escaped_cert`, Envoy, and Envoy's ext_authz message. */
export function readEscapedPem(text: string, maximum: number): ReadText {
  const pem = percentDecoded(text);
  return pem === null ? 'is not percent-encoded PEM' : readPemText(pem, maximum);
}

/** `x-forwarded-client-cert`: one element of pairs between semicolons, values in quotes where they need them. */
function readForwarded(text: string, _: string, maximum: number): ReadText {
  const pairs = pairsOf(text);
  if (typeof pairs === 'string') return pairs;
  const cert = pairs.get('cert') ?? '';
  const chain = pairs.get('chain') ?? '';
  if (cert === '' && chain === '') return 'is not told, only something about it';
  const own = cert === '' ? null : readEscapedPem(cert, 1);
  // The whole chain, leaf included.
  const all = chain === '' ? null : readEscapedPem(chain, maximum);
  if (typeof own === 'string' || all === null) return own ?? [];
  if (typeof all === 'string' || own === null) return all;
  const [leaf, first] = [own[0], all[0]];
  return leaf !== undefined && first !== undefined && sameBytes(leaf, first)
    ? all
    : 'is another than that of its chain';
}

/** Keys in lower case; one element only, each key once where it is one that is read. */
function pairsOf(text: string): ReadonlyMap<string, string> | string {
  const pairs = new Map<string, string>();
  const pair = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;\\]*))(;|,|$)/y;
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text);
    if (match === null) return 'does not stand in a well-formed element';
    const [, name = '', quoted, plain = '', mark] = match;
    const key = name.toLowerCase();
    if (mark === ',') return 'is one of several: there is more than one element';
    if ((key === 'cert' || key === 'chain') && pairs.has(key)) return 'is there twice';
    pairs.set(key, quoted === undefined ? plain : quoted.replaceAll(/\\(.)/g, '$1'));
    if (mark === ';' && pair.lastIndex === text.length) return 'does not stand in a well-formed element';
    if (mark === '') break;
  }
  return pairs;
}

/** RFC 8941 section 3.3.5 between commas, as RFC 9440 sections 2.2 and 2.3 have it; parameters have no meaning there and are refused. */
function readByteSequences(text: string, maximum: number): ReadText {
  const items = text.split(',').map((item) => /^[ \t]*:([A-Za-z0-9+/=]*):[ \t]*$/.exec(item)?.[1]);
  const found: string[] = [];
  for (const item of items) {
    if (item === undefined) return 'is not a byte sequence';
    found.push(item);
  }
  return readList(found, maximum);
}

function readList(items: readonly string[], maximum: number): ReadText {
  if (items.length > maximum) return tooMany(maximum);
  const found: Buffer[] = [];
  for (const item of items) {
    const der = readBase64(item);
    if (typeof der === 'string') return der;
    found.push(der);
  }
  return found;
}

function readRow(text: string, maximum: number): ReadText {
  return text === '' ? [] : readBase64Row(text, maximum);
}

/** Some data planes begin the chain with the leaf. */
function withChain(own: ReadText, above: ReadText, maximum: number): ReadText {
  if (typeof own === 'string') return own;
  if (typeof above === 'string') return above;
  const [leaf] = own;
  const [first] = above;
  const rest = leaf !== undefined && first !== undefined && sameBytes(leaf, first) ? above.slice(1) : above;
  return own.length + rest.length > maximum ? tooMany(maximum) : [...own, ...rest];
}
