/**
 * How an identity is written into request headers. Each dialect asks for the value that earns it: a certificate header
 * needs a validated chain, an identity header an account. The list is finished once per connection and location;
 * nothing here removes anything (`sanitize.ts` did that before).
 *
 * `remote-user`: `X-Remote-User` (`DOMAIN\user`), `X-Remote-Upn` (absent where the account has none), `X-Remote-Sid`,
 * and `X-Client-Verify`: `SUCCESS` where the chain was validated, else `NONE`.
 * `arr`: `X-ARR-ClientCert`, base64 of the DER on one line, as Application Request Routing writes it.
 */
import type { Account } from '../base/identity.ts';
import { Failure } from '../base/failure.ts';
import type { DialectName, FlatHeaders, HeaderNames } from './forward-contract.ts';
import { foldName, isToken } from './field-syntax.ts';
import { headerText } from './header-text.ts';

/** The client's chain was validated. */
export interface TrustedClient {
  /** The leaf as it was presented. */
  readonly certificateDer: Uint8Array;
  readonly account: Account | null;
}

/** Its account was found and may pass. */
export interface MappedClient extends TrustedClient {
  readonly account: Account;
}

export const defaultHeaderNames: HeaderNames = {
  user: 'X-Remote-User',
  upn: 'X-Remote-Upn',
  sid: 'X-Remote-Sid',
  verify: 'X-Client-Verify',
  arr: 'X-ARR-ClientCert',
};

/** @param client `none` where the request is anonymous: nothing was shown, or the location does not look at it */
export function identityHeaders(
  dialects: readonly DialectName[],
  names: HeaderNames,
  client: MappedClient | TrustedClient | 'none',
): FlatHeaders {
  const headers: string[] = [];
  for (const dialect of dialects) writers[dialect]?.(headers, names, client);
  return headers;
}

/** Refuses names that would not survive the way or that mean something else; for configuration. */
export function checkHeaderNames(names: HeaderNames): void {
  const seen = new Map<string, string>();
  for (const [key, name] of Object.entries(names) as [keyof HeaderNames, string][]) {
    const folded = foldName(name);
    const problem = !isToken(name)
      ? 'is not a header name'
      : seen.has(folded)
        ? `is the same name as that of "${seen.get(folded)}" to some backends`
        : meansSomethingElse.has(folded) || folded.startsWith('x-forwarded-')
          ? 'has a meaning of its own in HTTP'
          : null;
    if (problem !== null) {
      throw new Failure(`header name "${name}" for "${key}" ${problem}`, {
        code: 'header-name',
        hint: `choose another name, the default is ${defaultHeaderNames[key]}`,
        exitCode: 2,
      });
    }
    seen.set(folded, key);
  }
}

type Writer = (headers: string[], names: HeaderNames, client: MappedClient | TrustedClient | 'none') => void;

const writers: Readonly<Partial<Record<DialectName, Writer>>> = {
  'remote-user': (headers, names, client) => {
    if (client !== 'none' && isMapped(client)) pushAccount(headers, names, client);
    headers.push(names.verify, client === 'none' ? 'NONE' : 'SUCCESS');
  },
  arr: (headers, names, client) => {
    if (client !== 'none') pushCertificate(headers, names, client);
  },
};

function isMapped(client: TrustedClient): client is MappedClient {
  return client.account !== null;
}

function pushAccount(headers: string[], names: HeaderNames, { account }: MappedClient): void {
  headers.push(names.user, headerText(account.name));
  if (account.upn !== null) headers.push(names.upn, headerText(account.upn));
  headers.push(names.sid, headerText(account.sid));
}

function pushCertificate(headers: string[], names: HeaderNames, { certificateDer: der }: TrustedClient): void {
  headers.push(names.arr, Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64'));
}

const meansSomethingElse = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
