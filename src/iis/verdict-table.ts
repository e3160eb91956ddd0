/**
 * What each verdict means: to HTTP, to IIS (sub-status and Win32 code), to the log, to metrics and to a person. This is
 * the only place that turns a code into a status.
 *
 * Two columns of outcomes: `safe` is what production answers; `iis` reproduces IIS to the row, also where
 * IIS hides a failure behind "not mapped" (KB5014754, IIS status codes 943891, System error codes).
 */
import type { VerdictCode } from '../base/verdict.ts';

export type Outcomes = 'safe' | 'iis';

export interface Answer {
  readonly status: number;
  readonly subStatus: number;
  /** sc-win32-status as IIS logs it: low word for FACILITY_WIN32, else the whole HRESULT, unsigned. */
  readonly win32: number;
  readonly level: 'info' | 'warn' | 'error';
  /** One sentence for people, without facts of the case; safe to show to a stranger. */
  readonly text: string;
}

type Row = Answer & { readonly iis?: Partial<Answer> };

const accessDenied = 5;
const unmapped = { status: 401, subStatus: 2, win32: accessDenied } as const;

function row(status: number, subStatus: number, win32: number, level: Answer['level'], text: string): Row {
  return { status, subStatus, win32, level, text };
}

/** A refusal by the mapper: 403.12, which IIS itself shows as 401.2 because no token reaches it. */
function denied(text: string): Row {
  return { ...row(403, 12, accessDenied, 'warn', text), iis: unmapped };
}

/** The account was found, and the location does not want it. */
function unauthorised(text: string): Row {
  return { ...row(403, 0, accessDenied, 'info', text), iis: unmapped };
}

const table: Readonly<Record<VerdictCode, Row>> = {
  anonymous: row(200, 0, 0, 'info', 'Served without an identity.'),
  authorised: row(200, 0, 0, 'info', 'The certificate is good, its account was found and may pass.'),
  notJudged: row(200, 0, 0, 'info', 'The certificate was read; there is no trust configuration to judge it by.'),
  trusted: row(
    200,
    0,
    0,
    'info',
    'The chain of the certificate is good; it was not asked which account it belongs to.',
  ),

  badRequest: row(400, 0, 87, 'info', 'The request is not valid HTTP.'),
  bodyTooLarge: row(
    413,
    0,
    0,
    'info',
    'The request body is larger than this server reads before it has the client certificate.',
  ),
  clientClosed: row(400, 0, 64, 'info', 'The client left before it had its answer.'),
  expectationFailed: row(417, 0, 0, 'info', 'The Expect header asks for something this server does not do.'),
  hostMismatch: row(400, 0, 87, 'info', 'The request names more than one host.'),
  methodNotAllowed: row(405, 0, 0, 'info', 'The method is not served here.'),
  misdirected: row(421, 0, 0, 'info', 'The host of this request belongs to another binding than the connection.'),
  originRefused: row(403, 0, accessDenied, 'info', 'Pages of this origin may not open WebSockets here.'),
  overloaded: row(503, 0, 0, 'warn', 'The server is at one of its limits; try again.'),
  pathNotCanonical: row(400, 0, 87, 'info', 'The path can be read in more than one way.'),
  preflightRefused: row(403, 0, accessDenied, 'info', 'Pages of this origin may not ask for this here.'),
  requestTimeout: row(408, 0, 121, 'info', 'The request did not arrive in time.'),
  sslRequired: row(403, 4, accessDenied, 'info', 'This page is only served over TLS.'),
  unknownHost: row(400, 0, 87, 'info', 'No site here answers to this host name.'),

  certificateRequired: row(403, 7, accessDenied, 'info', 'A client certificate is required.'),
  renegotiationFailed: row(
    403,
    7,
    accessDenied,
    'info',
    'The client did not complete the request for its certificate.',
  ),

  basicConstraints: row(
    403,
    16,
    0x80096019,
    'warn',
    'The client certificate is not trusted: a certificate in its chain may not issue it.',
  ),
  caAsClient: row(403, 16, 0x800b0110, 'warn', 'The client certificate is not trusted: it is a CA certificate.'),
  certificateExpired: row(403, 17, 0x800b0101, 'info', 'The client certificate has expired.'),
  certificateMalformed: row(403, 16, 0x80093102, 'warn', 'The client certificate is not valid: it does not parse.'),
  certificateNotYetValid: row(403, 17, 0x800b0101, 'info', 'The client certificate is not yet valid.'),
  certificateRevoked: row(403, 13, 0x80092010, 'warn', 'The client certificate, or one above it, has been revoked.'),
  chainIncomplete: row(
    403,
    16,
    0x800b010a,
    'warn',
    'The client certificate is not trusted: no chain leads to a trusted root.',
  ),
  criticalExtension: row(
    403,
    16,
    0x800b0105,
    'warn',
    'The client certificate is not trusted: it has a critical extension that is not understood.',
  ),
  nameConstraints: row(
    403,
    16,
    0x800b0114,
    'warn',
    'The client certificate is not trusted: its names are outside what its issuer may certify.',
  ),
  policyInvalid: row(
    403,
    16,
    0x800b0113,
    'warn',
    'The client certificate is not trusted: its certificate policies do not fit its chain.',
  ),
  revocationNotCheckable: row(
    403,
    13,
    0x80092012,
    'warn',
    'The client certificate does not say where its revocation can be checked.',
  ),
  revocationUnknown: row(
    403,
    13,
    0x80092013,
    'error',
    'Whether the client certificate has been revoked cannot be found out at the moment.',
  ),
  searchExhausted: row(
    403,
    16,
    0x800b010a,
    'warn',
    'The client certificate is not trusted: its chain is too complicated to judge.',
  ),
  signatureInvalid: row(
    403,
    16,
    0x80096004,
    'warn',
    'The client certificate is not trusted: a signature in its chain is wrong.',
  ),
  untrustedIssuer: row(
    403,
    16,
    0x800b0112,
    'warn',
    'The client certificate is not trusted: its issuers are not on the list of this binding.',
  ),
  untrustedRoot: row(
    403,
    16,
    0x800b0109,
    'warn',
    'The client certificate is not trusted: its root is not one of ours.',
  ),
  weakAlgorithm: row(
    403,
    16,
    0x80096004,
    'warn',
    'The client certificate is not trusted: an algorithm or key in its chain is too weak.',
  ),
  wrongUsage: row(403, 16, 0x800b0110, 'warn', 'The client certificate may not be used for client authentication.'),

  accountDisabled: denied('The account of this certificate is disabled.'),
  accountExpired: denied('The account of this certificate has expired.'),
  accountLocked: denied('The account of this certificate is locked out.'),
  accountRefused: denied('The account of this certificate is of a kind that never logs on.'),
  ambiguous: denied('The certificate belongs to more than one account.'),
  certificatePredatesAccount: denied('The certificate is older than the account it maps to, and the mapping is weak.'),
  directoryUnavailable: {
    ...row(503, 0, 0x8009_0311, 'error', 'The directory does not answer; try again.'),
    iis: unmapped,
  },
  issuerNotInNtAuth: denied('The issuer of the certificate is not in the NTAuth store of the directory.'),
  mappingDisabled: row(
    401,
    2,
    accessDenied,
    'info',
    'Mapping is off for this binding and nothing else identifies the client.',
  ),
  notMapped: row(401, 2, accessDenied, 'info', 'No account belongs to this certificate.'),
  outsideLogonHours: denied('The account of this certificate may not log on at this hour.'),
  passwordExpired: denied('The password of the account of this certificate has expired.'),
  sidMismatch: denied('The certificate names another account than the one it maps to.'),
  weakMapping: denied('The certificate maps to an account only by a weak mapping.'),

  groupsUnknown: {
    ...row(503, 0, 0x8009_0311, 'error', 'The groups of the account cannot be found out at the moment; try again.'),
    iis: unmapped,
  },
  identityTooLarge: row(
    500,
    0,
    122,
    'error',
    'What is known of the account, its groups above all, is more than this server may tell the one behind it.',
  ),
  issuerNotAccepted: unauthorised('This page accepts certificates of other issuers only.'),
  notAuthorised: unauthorised('The account may not use this page.'),
  policyRequired: unauthorised('This page asks for another kind of certificate, such as one on a smart card.'),
  strengthRequired: unauthorised('This page asks for a strong mapping of the certificate to its account.'),

  upstreamFailed: row(502, 3, 12152, 'error', 'The server behind this gateway gave no valid answer.'),
  upstreamTimeout: row(504, 0, 12002, 'error', 'The server behind this gateway did not answer in time.'),
  upstreamUnavailable: row(502, 3, 12029, 'error', 'The server behind this gateway cannot be reached.'),

  internalError: row(500, 0, 1359, 'error', 'Something is wrong in this server.'),
};

/** @returns the meaning of a verdict under the outcomes in force */
export function answerOf(code: VerdictCode, outcomes: Outcomes): Answer {
  return answers[outcomes][code];
}

/** `403.7`; `413` without a sub-status. */
export function statusText(answer: Pick<Answer, 'status' | 'subStatus'>): string {
  return answer.subStatus === 0 ? String(answer.status) : `${answer.status}.${answer.subStatus}`;
}

/** Whether the request went on to the backend. */
export function isGood(code: VerdictCode): boolean {
  return table[code].status < 400;
}

const answers = { safe: columnOf('safe'), iis: columnOf('iis') };

function columnOf(outcomes: Outcomes): Readonly<Record<VerdictCode, Answer>> {
  const rows = Object.entries(table).map(([code, { iis, ...safe }]) => [
    code,
    outcomes === 'iis' ? { ...safe, ...iis } : safe,
  ]);
  return Object.fromEntries(rows) as Record<VerdictCode, Answer>;
}
