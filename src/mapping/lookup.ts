/**
 * What is asked of the directory for each candidate, and our own comparison with what comes back: an answer of a
 * domain controller is a proposal, never proof (its equality folds diacritics and width). Who is picked among several
 * is not decided here.
 */
import type { Account } from '../base/identity.ts';
import type { Assertion, DomainNames } from '../directory/directory.ts';
import { accountControl } from './account-state.ts';
import { foldText, sameText } from './ad-text.ts';
import type { Claim } from './candidates.ts';
import type { Candidate } from './mapper-contract.ts';

/** The account holds the value, and may be believed or not. Null: it does not hold the value at all. */
export type Comparison = { readonly believed: true } | { readonly believed: false; readonly why: string } | null;

type Believe = (account: Account) => Comparison;

export interface Lookup {
  readonly candidate: Candidate;
  /** Whose rule this is. */
  readonly by: 'kdc' | 'rcmp';
  readonly assertion: Assertion;
  compare(account: Account): Comparison;
}

export interface LookupPlan {
  readonly lookups: readonly Lookup[];
  /** Why a candidate is looked for in fewer ways than it could be; sentences for people. */
  readonly remarks: readonly string[];
}

export interface LookupFacts {
  /** Every domain of the forest that is asked. */
  readonly domains: readonly DomainNames[];
  /** The DNS names of the certificate, whether or not they are candidates. */
  readonly dnsNames: readonly string[];
  readonly computerBySpn: boolean;
}

/** @param claims those that are not used are passed over */
export function planLookups(claims: readonly Claim[], facts: LookupFacts): LookupPlan {
  const remarks: string[] = [];
  const lookups = claims.flatMap(({ candidate, kdc, rcmp }) => [
    ...(kdc ? kdcLookups(candidate, facts, remarks) : []),
    ...(rcmp ? [rcmpLookup(candidate)] : []),
  ]);
  return { lookups, remarks };
}

function kdcLookups(candidate: Candidate, facts: LookupFacts, remarks: string[]): readonly Lookup[] {
  if (candidate.method === 'UPN') return upnLookups(candidate, facts, remarks);
  if (candidate.method === 'DNS') return computerLookups(candidate, facts, remarks);
  return [explicitLookup(candidate, 'kdc')];
}

/** MS-RCMP 3.5.2: one attribute for each method, and whoever holds the value, of whatever kind. */
function rcmpLookup(candidate: Candidate): Lookup {
  if (candidate.method === 'UPN') return explicitUpnLookup(candidate, 'rcmp', believed);
  if (candidate.method === 'DNS') return spnLookup(candidate, 'rcmp', believed);
  return explicitLookup(candidate, 'rcmp');
}

function believed(): Comparison {
  return { believed: true };
}

function explicitLookup(candidate: Candidate, by: Lookup['by']): Lookup {
  const wanted = foldText(candidate.value);
  return {
    candidate,
    by,
    assertion: { attribute: 'altSecurityIdentities', value: candidate.value },
    compare: ({ altSecurityIdentities }) =>
      altSecurityIdentities.some((stored) => stored.length === wanted.length && foldText(stored) === wanted)
        ? { believed: true }
        : null,
  };
}

/**
 * The explicit userPrincipalName and the implicit one (sAMAccountName `@` domain, MS-ADTS 5.1.1.1.1), both always: a name
 * that means two accounts must be seen to do so. A `$` is never appended, which is what CVE-2022-26923 lived on.
 */
function upnLookups(candidate: Candidate, { domains, dnsNames }: LookupFacts, remarks: string[]): readonly Lookup[] {
  const upn = candidate.value;
  const believe = (account: Account): Comparison =>
    isTrustAccount(account) ? believeComputer(account, upn, domains, dnsNames) : { believed: true };
  const explicit = explicitUpnLookup(candidate, 'kdc', believe);
  const at = upn.lastIndexOf('@');
  const name = upn.slice(0, Math.max(at, 0));
  const suffix = foldText(upn.slice(at + 1));
  if (name === '') return [explicit];
  const denoted = domainsOf(suffix, domains);
  if (denoted.length === 0)
    remarks.push(
      `no domain and no UPN suffix of the forest is called ${suffix}: ${upn} can only be an explicit userPrincipalName`,
    );
  const implicit = denoted.map((domain) => accountLookup(candidate, name, domain, believe));
  return [explicit, ...implicit];
}

/** A DNS name means its own domain only; a further suffix may mean any domain that has it. */
function domainsOf(suffix: string, domains: readonly DomainNames[]): readonly DomainNames[] {
  const named = domains.filter(({ dnsName }) => sameText(dnsName, suffix));
  return named.length > 0
    ? named
    : domains.filter(({ upnSuffixes }) => upnSuffixes.some((known) => sameText(known, suffix)));
}

function explicitUpnLookup(candidate: Candidate, by: Lookup['by'], believe: Believe): Lookup {
  const { value } = candidate;
  return {
    candidate,
    by,
    assertion: { attribute: 'userPrincipalName', value },
    compare: (account) => (account.upn !== null && sameText(account.upn, value) ? believe(account) : null),
  };
}

/**
 * The KDC's rule, MS-PKCA 3.1.5.2.1.1: first label and `$` in the domain that the rest of the name is. Where it is
 * wished, computers whose account is called otherwise are found by the name of their host, as RCMP finds them.
 */
function computerLookups(
  candidate: Candidate,
  { domains, computerBySpn }: LookupFacts,
  remarks: string[],
): readonly Lookup[] {
  const believe = (account: Account): Comparison =>
    isTrustAccount(account)
      ? hostNameAgrees(account, candidate.value)
      : {
          believed: false,
          why: `${account.name} is no computer, so the DNS name ${candidate.value} is not its name`,
        };
  const computer = computerName(candidate.value, domains);
  if (computer === null) remarks.push(`${candidate.value} is in no domain of the forest`);
  return [
    ...(computer === null ? [] : [accountLookup(candidate, computer.account, computer.domain, believe)]),
    ...(computerBySpn ? [spnLookup(candidate, 'kdc', believe)] : []),
  ];
}

function spnLookup(candidate: Candidate, by: Lookup['by'], believe: Believe): Lookup {
  const value = `host/${candidate.value}`;
  return {
    candidate,
    by,
    assertion: { attribute: 'servicePrincipalName', value },
    compare: (account) =>
      account.servicePrincipalNames.some((stored) => sameText(stored, value)) ? believe(account) : null,
  };
}

function accountLookup(candidate: Candidate, name: string, domain: DomainNames, believe: Believe): Lookup {
  return {
    candidate,
    by: 'kdc',
    assertion: { attribute: 'sAMAccountName', value: name, domain: foldText(domain.dnsName) },
    compare: (account) =>
      sameText(account.samAccountName, name) && sameText(account.domain, domain.netbiosName) ? believe(account) : null,
  };
}

/** A computer is known by its DNS name, also where a user principal name leads to it. */
function believeComputer(
  account: Account,
  upn: string,
  domains: readonly DomainNames[],
  dnsNames: readonly string[],
): Comparison {
  const doubt = (why: string) =>
    ({ believed: false, why: `${upn} leads to the computer ${account.name}, but ${why}` }) as const;
  const [only] = dnsNames;
  if (only === undefined || dnsNames.length > 1) return doubt('the certificate has not exactly one DNS name');
  const computer = computerName(only, domains);
  const named =
    computer !== null &&
    sameText(computer.account, account.samAccountName) &&
    sameText(computer.domain.netbiosName, account.domain);
  return named ? hostNameAgrees(account, only) : doubt(`its DNS name is ${only}`);
}

function computerName(
  dnsName: string,
  domains: readonly DomainNames[],
): { readonly account: string; readonly domain: DomainNames } | null {
  const dot = dnsName.indexOf('.');
  const domain = domains.find((one) => sameText(one.dnsName, dnsName.slice(dot + 1)));
  return dot < 1 || domain === undefined ? null : { account: `${dnsName.slice(0, dot)}$`, domain };
}

/** dNSHostName decides where the directory has one; an owner of a computer account may not always write it. */
function hostNameAgrees(account: Account, dnsName: string): Comparison {
  return account.dnsHostName === null || sameText(account.dnsHostName, dnsName)
    ? { believed: true }
    : {
        believed: false,
        why: `dNSHostName of ${account.name} is ${account.dnsHostName}, the certificate is for ${dnsName}`,
      };
}

function isTrustAccount({ userAccountControl }: Account): boolean {
  return (userAccountControl & (accountControl.workstationTrust | accountControl.serverTrust)) !== 0;
}
