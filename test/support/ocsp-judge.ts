/**
 * An OCSP response judged as if it had just come: who signed it and what it means, in one call.
 */
import { authenticateOcsp, ocspStanding, type OcspDemands, type OcspMatter } from '../../src/revocation/ocsp-answer.ts';
import type { OcspStanding } from '../../src/revocation/revocation-contract.ts';
import type { OcspResponse } from '../../src/x509/ocsp-contract.ts';

export function judgeOcsp(
  response: OcspResponse,
  matter: OcspMatter,
  demands: Omit<OcspDemands, 'signers'>,
): OcspStanding {
  const authenticated = authenticateOcsp(response, matter);
  if (authenticated.kind === 'authentic')
    return ocspStanding(authenticated.answer, { ...demands, signers: matter.signers });
  const { code, why } = authenticated;
  return { status: 'unknown', code, why };
}
