/**
 * What a caller asks, read from one HTTP request of its: whose certificate, which host, method and URI. Where each stands is pinned by the
 * caller's form. A question that can be read in two ways is refused; identity headers in it mean nothing.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { foldName } from '../forward/field-syntax.ts';
import { rememberNames, type NameMemory } from '../forward/name-memory.ts';
import { formHeaders } from './auth-certificate-forms.ts';
import { certificateForms, type AuthCallerSettings, type CertificateForm } from './auth-endpoint-settings.ts';

export interface AuthQuestion {
  /** As written, with or without a port; null: not told. */
  readonly host: string | null;
  /** Request target as the client sent it; null: not told. */
  readonly uri: string | null;
  /** Null: not told. */
  readonly method: string | null;
  /** The certificate as text; empty: none was shown. */
  readonly leaf: string;
  /** What came in the form's second header; else empty. */
  readonly chain: string;
  readonly accept: string | undefined;
}

export interface AskedOverHttp {
  readonly method: string;
  readonly url: string;
  /** Name, value, name, value as received. */
  readonly rawHeaders: readonly string[];
}

export function questionOf(asked: AskedOverHttp, { form, pathPrefix }: AuthCallerSettings): AuthQuestion | Verdict {
  const names = memories[form];
  const values: Partial<Record<Part, string>> = {};
  const { rawHeaders } = asked;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const part = names.of(name);
    if (part === 'none') continue;
    if (part === 'twin')
      return verdict('badRequest', `the question has ${name}, which is not what form ${form} is told by`);
    if (part !== 'accept' && values[part] !== undefined)
      return verdict('badRequest', `the question has more than one ${name} header`);
    values[part] = rawHeaders[index + 1] ?? '';
  }
  const { host, uri, method, leaf = '', chain = '', accept } = values;
  const shown = { leaf, chain, accept };
  if (form !== 'envoy') return { host: told(host), uri: told(uri), method: told(method), ...shown };
  if (!asked.url.startsWith(pathPrefix))
    return verdict('badRequest', `the path of the question does not begin with ${pathPrefix}`);
  return { host: told(host), uri: asked.url.slice(pathPrefix.length), method: asked.method, ...shown };
}

function told(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value;
}

type Part = 'leaf' | 'chain' | 'host' | 'uri' | 'method' | 'accept';

/** Where the request is told, lower case. Envoy's question is the request itself, behind its prefix. */
const original = { host: 'x-original-host', uri: 'x-original-uri', method: 'x-original-method' };
const places: Readonly<Record<CertificateForm, Readonly<Partial<Record<Part, string>>>>> = {
  nginx: original,
  haproxy: original,
  apache: original,
  rfc9440: original,
  traefik: { host: 'x-forwarded-host', uri: 'x-forwarded-uri', method: 'x-forwarded-method' },
  envoy: { host: 'host' },
};

/** Folded: a name that any program is known to hand a client's certificate over in. */
const certificateNames: ReadonlySet<string> = new Set(
  [
    ...Object.values(formHeaders).flatMap(({ leaf, chain }) => (chain === null ? leaf : [leaf, chain])),
    ...['client-certificate', 'ms-aspnetcore-clientcert', 'ssl-client-cert', 'ssl-client-certificate'],
    ...['x-arr-clientcert', 'x-client-cert', 'x-client-certificate', 'x-forwarded-client-certificate'],
    ...['x-forwarded-ssl-client-cert', 'x-ssl-cert', 'x-ssl-certificate', 'x-ssl-client-certificate'],
    ...['x-tls-client-cert', 'x-tls-client-certificate'],
  ].map(foldName),
);

type Meaning = Part | 'none' | 'twin';

const memories = Object.fromEntries(
  certificateForms.map((form) => [form, rememberNames((name) => meaningOf(name, form))]),
) as Readonly<Record<CertificateForm, NameMemory<Meaning>>>;

/** What is spelled otherwise (`X_Original_URI`) may be the same to a program before us: it is never passed over. */
function meaningOf(name: string, form: CertificateForm): Meaning {
  const lower = name.toLowerCase();
  const { leaf, chain } = formHeaders[form];
  if (lower === 'accept') return 'accept';
  if (lower === leaf) return 'leaf';
  if (lower === chain) return 'chain';
  const folded = foldName(name);
  for (const [part, place] of Object.entries(places[form]) as [Part, string][])
    if (folded === place) return lower === place ? part : 'twin';
  return certificateNames.has(folded) ? 'twin' : 'none';
}
