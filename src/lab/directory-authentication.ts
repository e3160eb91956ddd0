/**
 * Whom a bind makes of a connection, and how a server names them (RFC 4513, MS-ADTS 5.1.1). What the bound may do is decided in
 * `directory-session.ts`.
 */
import { fold } from '../directory/sort-key.ts';
import { type BindRequest, resultCode, type ResultFacts } from './directory-messages.ts';
import type { Store, StoredEntry } from './directory-store.ts';

export interface Authentication {
  /** Names are compared as given. */
  readonly credentials: readonly { readonly dn: string; readonly password: string }[];
  /** SHA-256 of a client certificate in lower-case hex to the name it stands for, null: for nobody. */
  readonly certificates: ReadonlyMap<string, string | null>;
}

/** What is known of the connection that the bind comes over. */
export interface Channel {
  readonly encrypted: boolean;
  /** Encrypted from the first octet on, and not by StartTLS. */
  readonly implicit: boolean;
  /** SHA-256 of the client's certificate in lower-case hex; null: it has shown none. */
  readonly certificate: string | null;
}

export interface BindAnswer {
  readonly result: ResultFacts;
  /** Null: nobody. */
  readonly bound: string | null;
}

const refused = '80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error';
const clearText =
  '00002028: LdapErr: DSID-0C090202, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v4563';

/** @param refuse whether nothing but nobody is let in */
export function answerBind(
  { credentials, certificates }: Authentication,
  channel: Channel,
  { name, password, mechanism }: BindRequest,
  refuse: boolean,
): BindAnswer {
  const denied = (code: number, message: string): BindAnswer => ({ result: { code, message }, bound: null });
  const invalid = denied(resultCode.invalidCredentials, `${refused}, data 52e, v4563`);
  if (mechanism?.toUpperCase() === 'EXTERNAL') {
    // MS-ADTS 5.1.1.2: over LDAPS the certificate has bound the connection already, and the bind is rejected; the code is not documented.
    if (channel.implicit) return denied(resultCode.unwillingToPerform, 'EXTERNAL is not taken on this port');
    const mapped = channel.certificate === null ? undefined : certificates.get(channel.certificate);
    if (mapped === undefined || refuse) return invalid;
    return { result: { code: resultCode.success }, bound: mapped };
  }
  if (password === null) return denied(resultCode.authMethodNotSupported, 'only simple binds and EXTERNAL are served');
  // A name without password is the unauthenticated bind of RFC 4513 section 5.1.2: it succeeds as nobody.
  if (password === '' && !refuse) return { result: { code: resultCode.success }, bound: null };
  if (!channel.encrypted) return denied(resultCode.strongerAuthRequired, clearText);
  const known = credentials.find(({ dn }) => fold(dn) === fold(name));
  if (known === undefined || known.password !== password || refuse) return invalid;
  return { result: { code: resultCode.success }, bound: name };
}

/** Whom a client certificate makes of a connection before any bind (MS-ADTS 5.1.1.2); null: nobody. */
export function boundByCertificate({ certificates }: Authentication, channel: Channel): string | null {
  if (!channel.implicit || channel.certificate === null) return null;
  return certificates.get(channel.certificate) ?? null;
}

/** The answer to "Who am I?" (RFC 4532): `u:LAB\alice`, or the name of the bind where no object has it; empty for nobody. */
export function authorizationId(store: Store, netbiosName: string, bound: string | null): string {
  if (bound === null) return '';
  const account = accountOf(store, bound)?.attributes.get('samaccountname')?.values[0]?.toString('utf8');
  return account === undefined ? `u:${bound}` : `u:${netbiosName}\\${account}`;
}

function accountOf(store: Store, bound: string): StoredEntry | null {
  const byDn = store.find(bound);
  if (byDn !== null && byDn !== 'invalid') return byDn;
  const [attribute, value] = bound.includes('@')
    ? (['userprincipalname', bound] as const)
    : (['samaccountname', bound.replace(/^[^\\]*\\/, '')] as const);
  const [first] = store.search(null, 'subtree', { kind: 'equal', attribute, key: fold(value) }, { crossing: true });
  return first ?? null;
}
