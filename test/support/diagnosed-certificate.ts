/** The certificate beside which stored values are diagnosed; serial number and key identifier are such that no spelling is its own reverse. */
import type { WrittenCertificate } from './certificate-writer.ts';

/** As a value of altSecurityIdentities names it. */
export const diagnosedIssuer = 'DC=test,DC=example,DC=lab,CN=Lab CA';

export const diagnosedCertificate = {
  issuer: ['DC=test', 'DC=example', 'DC=lab', 'CN=Lab CA'],
  subject: ['DC=test', 'CN=alice'],
  serial: '2b0000000011ac0000000012',
  subjectKeyIdentifier: '49acade06530c4cea009035bad4a7b495ec96cb4',
} as const satisfies WrittenCertificate;
