/**
 * The outcomes a request can have, as codes. What each means in HTTP, to IIS, to a log and to a person is decided by
 * the table in `iis/verdict-table.ts`; nothing else in the product turns a code into a status.
 */
import type { Account } from './identity.ts';

/** Alphabetical within its group. Codes are a contract: add, never rename. */
export const verdictCodes = [
  // good
  'anonymous',
  'authorised',
  'notJudged',
  'trusted',
  // the request itself
  'badRequest',
  'bodyTooLarge',
  'clientClosed',
  'expectationFailed',
  'hostMismatch',
  'methodNotAllowed',
  'misdirected',
  'originRefused',
  'overloaded',
  'pathNotCanonical',
  'preflightRefused',
  'requestTimeout',
  'sslRequired',
  'unknownHost',
  // what the client presented
  'certificateRequired',
  'renegotiationFailed',
  // judging the chain
  'basicConstraints',
  'caAsClient',
  'certificateExpired',
  'certificateMalformed',
  'certificateNotYetValid',
  'certificateRevoked',
  'chainIncomplete',
  'criticalExtension',
  'nameConstraints',
  'policyInvalid',
  'revocationNotCheckable',
  'revocationUnknown',
  'searchExhausted',
  'signatureInvalid',
  'untrustedIssuer',
  'untrustedRoot',
  'weakAlgorithm',
  'wrongUsage',
  // mapping
  'accountDisabled',
  'accountExpired',
  'accountLocked',
  'accountRefused',
  'ambiguous',
  'certificatePredatesAccount',
  'directoryUnavailable',
  'issuerNotInNtAuth',
  'mappingDisabled',
  'notMapped',
  'outsideLogonHours',
  'passwordExpired',
  'sidMismatch',
  'weakMapping',
  // authorising
  'groupsUnknown',
  'identityTooLarge',
  'issuerNotAccepted',
  'notAuthorised',
  'policyRequired',
  'strengthRequired',
  // forwarding
  'upstreamFailed',
  'upstreamTimeout',
  'upstreamUnavailable',
  // us
  'internalError',
] as const;

export type VerdictCode = (typeof verdictCodes)[number];

export interface Verdict {
  readonly code: VerdictCode;
  /** One sentence with the facts of this case; for logs and local people, never shown to a remote stranger. */
  readonly detail: string;
  /** The account that was found, also when it was then refused. */
  readonly account?: Account;
}

export function verdict(code: VerdictCode, detail: string, account?: Account): Verdict {
  return account === undefined ? { code, detail } : { code, detail, account };
}
