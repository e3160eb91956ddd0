/**
 * Each value of altSecurityIdentities of one account beside one certificate: what it is, whether it stands for the certificate,
 * what is wrong with it, and what to write instead. Nothing here decides who may log on.
 */
import type { Account } from '../base/identity.ts';
import type { Directory } from '../directory/directory.ts';
import { diagnoseAgainst } from '../mapping/certificate-diagnosis.ts';
import type { Candidate, MappingMethod, MappingSettings } from '../mapping/mapper-contract.ts';
import type { ValueForm } from '../mapping/value-diagnosis.ts';
import type { Fault } from '../mapping/value-fault.ts';
import type { Certificate } from '../x509/certificate.ts';
import { findNamedAccount } from './named-account.ts';

export interface AccountMatch {
  /** As found; as asked where it was not. */
  readonly name: string;
  /** Why there is nothing to compare; null when there is. */
  readonly problem: string | null;
  readonly values: readonly ValueMatch[];
}

export interface ValueMatch {
  readonly value: string;
  /** By which method it stands for the certificate, as stored; null when it does not. */
  readonly method: MappingMethod | null;
  readonly form: ValueForm;
  readonly strength: 'strong' | 'weak' | null;
  readonly faults: readonly Fault[];
  /** What to write instead so that it stands for this certificate; null where that is not certain. */
  readonly corrected: string | null;
}

export interface AskedAccount {
  readonly match: AccountMatch;
  /** Null where there is not exactly one. */
  readonly account: Account | null;
}

/** @param name `alice`, `LAB\alice` or `alice@lab.example.test` */
export async function matchAccount(
  leaf: Certificate,
  candidates: readonly Candidate[],
  name: string,
  { directory, mapping }: { readonly directory: Directory | null; readonly mapping: MappingSettings },
): Promise<AskedAccount> {
  const nothing = (problem: string) => ({ match: { name, problem, values: [] }, account: null });
  if (directory === null) return nothing('no directory is configured');
  const named = await findNamedAccount(name, directory, mapping.deadline);
  if (named.kind === 'problem') return nothing(named.problem);
  const { account } = named;
  const values = account.altSecurityIdentities.map((value) => ({ value, ...diagnoseAgainst(value, leaf, candidates) }));
  return { match: { name: account.name, problem: null, values }, account };
}
