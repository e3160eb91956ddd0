/**
 * How a fresh connection says who it is: a simple bind, or SASL EXTERNAL with the client certificate of its TLS connection. Decides
 * whether a failure is the account's (a person has to do something) or the moment's. A certificate is only taken for accepted when the server
 * says whom it stands for: an Active Directory that maps it to nobody answers with success, and searches as nobody find little.
 */
import { SASL_MECHANISMS, type Client } from 'ldapts';
import { reasonOf } from '../base/failure.ts';
import type { BindOutcome } from './bind-gate.ts';
import type { BindCredentials, ExternalCredentials } from './directory.ts';
import type { Endpoint } from './endpoint.ts';
import { plainText, resultCodeOf, resultCodes } from './result-code.ts';

export type Authenticated =
  Exclude<BindOutcome, { kind: 'unanswered' }> | { readonly kind: 'unanswered'; readonly reason: string };

/** Why nobody can log on with them; null when somebody may. */
export function faultOfCredentials(credentials: BindCredentials): string | null {
  if (credentials.kind === 'external')
    return credentials.certificate === '' || credentials.key === '' ? 'lacks a certificate or its key' : null;
  // A name without password is an unauthenticated bind, which succeeds as nobody (RFC 4513 section 5.1.2).
  if (credentials.dn === '' || credentials.password === '') return 'lacks a name or a password';
  // ldapts takes these names for mechanisms.
  return mechanisms.has(credentials.dn) ? 'has a name that is that of no account' : null;
}

/** @param password of the moment, for a simple bind. @throws what ends the connection */
export async function authenticate(
  client: Client,
  credentials: BindCredentials,
  password: string,
  endpoint: Endpoint,
): Promise<Authenticated> {
  if (credentials.kind === 'external') return await external(client, credentials, endpoint);
  return await client.bind(credentials.dn, password).then(() => accepted, simpleFailure);
}

const mechanisms: ReadonlySet<string> = new Set(SASL_MECHANISMS);

const accepted = { kind: 'accepted' } as const;

/**
 * On its ldaps ports Active Directory has taken the certificate for a bind when the handshake ends, and some versions refuse
 * another (MS-ADTS 5.1.1.2): there it is asked first who we are.
 */
async function external(
  client: Client,
  { authorizationId }: ExternalCredentials,
  { url, startTls }: Endpoint,
): Promise<Authenticated> {
  if (!startTls && authorizationId === null && (await whoAmI(client, url)).kind === 'accepted') return accepted;
  const bound = await client.bind('EXTERNAL', authorizationId ?? '').then(
    () => accepted,
    (error: unknown) => externalFailure(error, url),
  );
  return bound.kind === 'accepted' ? await whoAmI(client, url) : bound;
}

/** The "Who am I?" operation (RFC 4532), which Active Directory and OpenLDAP know: an empty answer is nobody. */
async function whoAmI(client: Client, url: string): Promise<Authenticated> {
  try {
    const { value } = await client.exop(whoAmIName);
    // A bare `dn:` is the anonymous identity too (RFC 4513 section 5.2.1.8).
    if (value !== undefined && !/^(?:dn:|u:)?$/i.test(value.trim())) return accepted;
    return refused(
      `${url} takes the client certificate for nobody: map it to an account there (in Active Directory by altSecurityIdentities)`,
    );
  } catch (error) {
    const result = resultCodeOf(error);
    if (result === null) throw error;
    return refused(
      `${url} does not say for whom it takes the client certificate (${result.text}): use a name and a password`,
    );
  }
}

/**
 * invalidCredentials covers more than a wrong password: AD's diagnostic `data 775` is an account that is locked out for now,
 * which ends by itself and where a bind does not count as another failure. The other kinds need a person.
 */
function simpleFailure(error: unknown): Authenticated {
  const result = resultCodeOf(error);
  if (result === null) return { kind: 'unanswered', reason: plainText(reasonOf(error)) };
  const forNow = result.code !== resultCodes.invalidCredentials || /\bdata 775\b/.test(result.text);
  return { kind: forNow ? 'unanswered' : 'refused', reason: `the bind was answered with ${result.text}` };
}

function externalFailure(error: unknown, url: string): Authenticated {
  const result = resultCodeOf(error);
  if (result === null) return { kind: 'unanswered', reason: plainText(reasonOf(error)) };
  const advice = refusals.get(result.code);
  if (advice === undefined) return { kind: 'unanswered', reason: `the bind was answered with ${result.text}` };
  return refused(`${url} answered the bind with the client certificate with ${result.text}: ${advice}`);
}

const otherMeans = 'it does not take certificates for a bind: use a name and a password';
const otherCertificate =
  'let it trust the issuer of the certificate and map it to an account, or use a name and a password';

/** What a person has to do, by result code; other codes may be the moment's. */
const refusals: ReadonlyMap<number, string> = new Map([
  [2, otherMeans],
  [7, otherMeans],
  [8, otherCertificate],
  [14, otherMeans],
  [48, otherCertificate],
  [49, otherCertificate],
  [50, 'the account may not act for the authorizationId'],
  [53, otherCertificate],
]);

function refused(reason: string): Authenticated {
  return { kind: 'refused', reason };
}

const whoAmIName = '1.3.6.1.4.1.4203.1.11.3';
