/**
 * What to change where the code of a verdict alone says it; what needs the facts of the case is in `advice.ts`.
 */
import type { VerdictCode } from '../base/verdict.ts';

const reissue = 'the certificate has to be issued anew';

export const fixedAdvice: Partial<
  Record<VerdictCode, { readonly code: string; readonly text: string; readonly value?: string }>
> = {
  accountDisabled: { code: 'enableAccount', text: 'enable the account (Enable-ADAccount) if it is to log on' },
  accountExpired: {
    code: 'extendAccount',
    text: 'set accountExpires anew (Set-ADAccountExpiration) if it is to log on',
  },
  accountLocked: { code: 'unlockAccount', text: 'unlock the account (Unlock-ADAccount), and see what locks it' },
  accountRefused: { code: 'mapAnother', text: 'map the certificate to the account of a user or a computer' },
  ambiguous: {
    code: 'mapOnce',
    text: 'take the value away from all accounts but one; of a user principal name and a value that point at two, correct one',
  },
  basicConstraints: {
    code: 'reissueIssuer',
    text: 'a CA of the chain is not allowed to issue: its certificate has to be issued anew',
  },
  caAsClient: {
    code: 'reissue',
    text: 'it is the certificate of a CA: use one that was issued to a user or a computer',
  },
  certificateExpired: {
    code: 'renew',
    text: 'renew the certificate; if it is still valid by its own dates, the clock here is wrong',
  },
  certificateNotYetValid: {
    code: 'clock',
    text: 'wait until it is valid, or set right the clock here or that of the CA',
  },
  certificateRevoked: { code: 'reissue', text: `it is revoked and stays so: ${reissue}` },
  chainIncomplete: {
    code: 'addIntermediate',
    text: 'have the client send the CA in between, or add that to trust.intermediates',
  },
  directoryUnavailable: {
    code: 'directory',
    text: 'see which controller does not answer, and why',
    value: 'dsmapper check',
  },
  groupsUnknown: { code: 'groupsUnknown', text: 'let the bind account read tokenGroups (docs/directory-account.md)' },
  identityTooLarge: {
    code: 'identityTooLarge',
    text: 'raise identity.maximumBytes or identity.groupLimits, as far as the backend takes it, or have whenTooMany: omit leave groups out',
  },
  issuerNotAccepted: {
    code: 'acceptIssuer',
    text: 'use a certificate of a CA that the location accepts, or name its CA in authorize.issuers',
  },
  issuerNotInNtAuth: {
    code: 'publishIssuer',
    text: 'publish the CA that issued the certificate, as an enterprise administrator; the root alone is not enough',
    value: 'certutil -dspublish -f issuing.cer NTAuthCA',
  },
  mappingDisabled: {
    code: 'enableMapping',
    text: 'set clientCertificateMapping to enabled, for the server and for the location',
  },
  notAuthorised: {
    code: 'authorize',
    text: 'make the account a member of a group that the location lets in, or name it in authorize',
  },
  outsideLogonHours: {
    code: 'logonHours',
    text: 'change logonHours of the account, or come back within them; they are taken as UTC',
  },
  passwordExpired: {
    code: 'changePassword',
    text: 'have the password of the account changed, or set refuseExpiredPassword to false',
  },
  policyRequired: {
    code: 'policyRequired',
    text: 'use a certificate of a template with the policy or usage that the location asks for',
  },
  revocationUnknown: {
    code: 'revocation',
    text: 'see which list or responder does not answer, and why',
    value: 'dsmapper check',
  },
  untrustedRoot: { code: 'trustRoot', text: 'add the root to trust.roots if it is one of yours' },
  untrustedIssuer: { code: 'trustRoot', text: 'add its root to trust.roots if it is one of yours' },
  wrongUsage: {
    code: 'usage',
    text: `its usages do not allow client authentication: ${reissue} with 1.3.6.1.5.5.7.3.2`,
  },
};
