/**
 * Whether the leaf may act as a client: keyUsage, the CA-as-client switch, and what RFC 5280 demands of an end entity's
 * own fields. Its extended key usage is checked with the whole path in `extended-usage.ts`.
 */
import type { Certificate } from '../x509/certificate.ts';
import { isEmptyName } from '../x509/name.ts';
import { extensionOids } from '../x509/oid.ts';
import { assertsCa } from './authority-role.ts';
import type { RefusalCode } from './finding.ts';
import type { JudgeSettings, Purpose } from './judgement.ts';

export interface LeafFault {
  readonly code: RefusalCode;
  readonly detail: string;
}

export function findLeafFaults(leaf: Certificate, settings: JudgeSettings, purpose: Purpose): readonly LeafFault[] {
  const { extensions, subject } = leaf;
  const { keyUsage } = extensions;
  const isCa = assertsCa(leaf);
  const faults: LeafFault[] = [];
  const refuse = (code: RefusalCode, detail: string) => faults.push({ code, detail });

  // Section 4.1.2.6: a name has to be somewhere, and where it is not the subject nobody may overlook it.
  if (isEmptyName(subject) && !isCritical(leaf, extensionOids.subjectAltName))
    refuse('certificateMalformed', 'its subject is empty and it has no critical subjectAltName');
  // Section 4.2.1.10: only for CAs; in a leaf somebody wanted a limit that would limit nothing.
  if (extensions.nameConstraints !== null && !isCa)
    refuse('nameConstraints', 'nameConstraints in a certificate that is not a CA');
  // Section 4.2.1.3.
  if (keyUsage?.keyCertSign === true && !isCa)
    refuse('basicConstraints', 'its keyUsage has keyCertSign, but it is not a CA certificate');
  if (isCa && !settings.allowCaAsClient)
    refuse('caAsClient', 'a CA certificate (basicConstraints cA TRUE) may not log on as a client');
  // What a TLS client does with its key: sign the handshake, or agree on a secret by static Diffie-Hellman.
  if (purpose === 'clientAuth' && keyUsage !== null && !keyUsage.digitalSignature && !keyUsage.keyAgreement)
    refuse('wrongUsage', 'its keyUsage has neither digitalSignature nor keyAgreement');
  return faults;
}

function isCritical({ extensions }: Certificate, oid: string): boolean {
  return extensions.all.some((extension) => extension.oid === oid && extension.critical);
}
