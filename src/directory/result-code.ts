/**
 * What an LDAP result code (RFC 4511 section 4.1.9) says about the search, the connection and the server. Decides nothing about
 * accounts.
 */
export interface ResultCode {
  readonly code: number;
  /** `sizeLimitExceeded (4): diagnostic of the server`, one line of printable text. */
  readonly text: string;
}

/** Null when what ldapts threw is not an answer of the server. */
export function resultCodeOf(error: unknown): ResultCode | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'number') return null;
  // ldapts makes up 248 when an answer has no result at all.
  if (error.code === 248) return null;
  const diagnostic = plainText(error.message.replace(/ ?Code: 0x[0-9a-f]+$/, ''));
  return { code: error.code, text: codeText(error.code, diagnostic) };
}

/** @param diagnostic plain text, may be empty */
export function codeText(code: number, diagnostic: string): string {
  return `${names.get(code) ?? 'result code'} (${code})${diagnostic === '' ? '' : `: ${diagnostic}`}`;
}

export const resultCodes = { success: 0, sizeLimitExceeded: 4, noSuchObject: 32, invalidCredentials: 49 } as const;

/** The code is about this search alone: connection and server are as good as before. */
export function isAboutSearch(code: number): boolean {
  return aboutSearch.has(code);
}

/** The server has too much to do, whatever it is asked (RFC 4511 appendix A.2). */
export function isOverload(code: number): boolean {
  return code === 51 || code === 52;
}

/** One line of printable text, 200 characters at most: diagnostics come from outside and go to logs and terminals. */
export function plainText(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}\p{Cf}\p{Co}\p{Cs}]+/gu, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}

const aboutSearch: ReadonlySet<number> = new Set([3, 4, 10, 11, 16, 17, 18, 21, 32, 34, 50]);

const names: ReadonlyMap<number, string> = new Map([
  [1, 'operationsError'],
  [2, 'protocolError'],
  [3, 'timeLimitExceeded'],
  [4, 'sizeLimitExceeded'],
  [7, 'authMethodNotSupported'],
  [8, 'strongerAuthRequired'],
  [10, 'referral'],
  [11, 'adminLimitExceeded'],
  [12, 'unavailableCriticalExtension'],
  [13, 'confidentialityRequired'],
  [14, 'saslBindInProgress'],
  [16, 'noSuchAttribute'],
  [17, 'undefinedAttributeType'],
  [18, 'inappropriateMatching'],
  [21, 'invalidAttributeSyntax'],
  [32, 'noSuchObject'],
  [34, 'invalidDNSyntax'],
  [48, 'inappropriateAuthentication'],
  [49, 'invalidCredentials'],
  [50, 'insufficientAccessRights'],
  [51, 'busy'],
  [52, 'unavailable'],
  [53, 'unwillingToPerform'],
  [80, 'other'],
]);
