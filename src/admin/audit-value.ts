/**
 * What a stored value is to an audit: one of the kinds that reports tell apart, with what should stand in its place. What is wrong with
 * it is found in `mapping/`; a given certificate that it was meant for proves more than the value alone.
 */
import { diagnoseAgainst } from '../mapping/certificate-diagnosis.ts';
import { diagnoseValue } from '../mapping/value-diagnosis.ts';
import type { Fault } from '../mapping/value-fault.ts';
import type { GivenCertificate } from './audit-certificates.ts';

export interface ValueOpinion {
  readonly kind: 'mapping' | 'malformed' | 'emptyPart' | 'issuerOnly' | 'kerberos' | 'foreign';
  /** Microsoft's name of the form; null where it has none. */
  readonly method: string | null;
  readonly strength: 'strong' | 'weak' | null;
  /** Code of what is wrong first; null when nothing is. */
  readonly problem: string | null;
  /** One sentence; empty for a mapping that is as it should be. */
  readonly text: string;
  readonly corrected: string | null;
  /** File of the given certificate that the value was meant for. */
  readonly meant: string | null;
}

/** @param near certificates that do not match the value and that it may be meant for */
export function opinionOf(value: string, near: readonly GivenCertificate[]): ValueOpinion {
  const { form, strength, faults, corrected } = diagnoseValue(value);
  const opinion = { method: form, strength, problem: null, text: '', corrected: null, meant: null };
  if (form === 'kerberos')
    return {
      ...opinion,
      kind: form,
      text: 'the value names a Kerberos principal of another realm: no certificate maps by it',
    };
  if (form === 'foreign') return { ...opinion, kind: form, text: 'the value does not begin with X509: and is skipped' };
  if (faults.some(({ code }) => code === 'emptyPart'))
    return { ...opinion, kind: 'emptyPart', problem: 'emptyPart', text: sentenceOf(faults) };
  const proof = proofOf(value, near);
  if (proof !== null) return { ...opinion, strength: proof.strength, kind: 'malformed', ...proof.told };
  const [first] = faults;
  if (first !== undefined)
    return { ...opinion, kind: 'malformed', problem: first.code, text: sentenceOf(faults), corrected };
  if (form !== 'X509IssuerOnly') return { ...opinion, kind: 'mapping' };
  return {
    ...opinion,
    kind: 'issuerOnly',
    text: 'every certificate of that issuer has this value; the KDC never looks for it, older mappings of Schannel do',
  };
}

/** What a given certificate proves of a value that was meant for it; null when none does, or several say different things. */
function proofOf(value: string, near: readonly GivenCertificate[]) {
  const proofs = near.flatMap((given) => {
    const { faults, corrected, strength } = diagnoseAgainst(
      value,
      given.leaf,
      given.claims.map(({ candidate }) => candidate),
    );
    return corrected === null ? [] : [{ given, faults, corrected, strength }];
  });
  const [first] = proofs;
  if (first === undefined || proofs.some(({ corrected }) => corrected !== first.corrected)) return null;
  const { given, faults, corrected, strength } = first;
  const told = { problem: faults[0]?.code ?? null, text: sentenceOf(faults), corrected, meant: given.file };
  return { strength, told };
}

function sentenceOf(faults: readonly Fault[]): string {
  return faults.map(({ text }) => text).join('; ');
}
