/**
 * The one account that a person means by a name, in any of the forests: `alice`, `LAB\alice`, `lab.example.test\alice` or
 * `alice@lab.example.test`. Compares like the mapper, to the letter but for case; a forest that does not answer and might
 * know the name leaves the question open.
 */
import type { Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import type { Assertion, Directory, DomainNames, Forest } from '../directory/directory.ts';
import { sameText } from '../mapping/ad-text.ts';

export type NamedAccount =
  | { readonly kind: 'found'; readonly account: Account; readonly forest: string }
  /** One sentence that says why there is not exactly one. */
  | { readonly kind: 'problem'; readonly problem: string };

type WrittenName =
  | { readonly kind: 'upn'; readonly upn: string; readonly left: string; readonly suffix: string }
  /** `domain` null: any. */
  | { readonly kind: 'account'; readonly domain: string | null; readonly name: string };

interface Opinion {
  readonly forest: string;
  readonly accounts: readonly Account[];
  /** DNS names of the domains that were asked; empty: the name cannot be one of this forest's. */
  readonly asked: readonly string[];
  /** Why it does not know; null when it does. */
  readonly silence: string | null;
}

/** Never rejects where the directory keeps its promises. */
export async function findNamedAccount(written: string, directory: Directory, deadline: Millis): Promise<NamedAccount> {
  const name = readName(written);
  const opinions = await Promise.all(directory.forests.map((forest) => askForest(forest, name, deadline)));
  const found = new Map<string, { readonly account: Account; readonly forest: string }>();
  for (const { accounts, forest } of opinions)
    for (const account of accounts) found.set(account.sid, { account, forest });
  const [first, ...others] = found.values();
  if (first !== undefined && others.length > 0)
    return problem(
      `the name stands for ${[first, ...others].map(({ account, forest }) => `${account.name} (forest ${forest})`).join(' and ')}; write it with its domain`,
    );
  const silent = opinions.flatMap(({ forest, silence }) => (silence === null ? [] : [`forest ${forest}: ${silence}`]));
  if (silent.length > 0) return problem(`whose name it is cannot be said: ${silent.join('; ')}`);
  if (first !== undefined) return { kind: 'found', ...first };
  if (name.kind === 'account' && name.domain !== null && opinions.every(({ asked }) => asked.length === 0))
    return problem(`no forest that is configured has a domain ${name.domain}`);
  const computer = name.kind === 'account' && !name.name.endsWith('$') ? '; names of computers end in $' : '';
  return problem(`the directory has no such account${computer}`);
}

function problem(text: string): NamedAccount {
  return { kind: 'problem', problem: text };
}

function readName(written: string): WrittenName {
  const backslash = written.indexOf('\\');
  if (backslash !== -1)
    return { kind: 'account', domain: written.slice(0, backslash), name: written.slice(backslash + 1) };
  const at = written.lastIndexOf('@');
  if (at > 0) return { kind: 'upn', upn: written, left: written.slice(0, at), suffix: written.slice(at + 1) };
  return { kind: 'account', domain: null, name: written };
}

async function askForest(forest: Forest, name: WrittenName, deadline: Millis): Promise<Opinion> {
  const answer = await forest.domains();
  const nothing = { forest: forest.name, accounts: [], asked: [], silence: null };
  if (answer.kind === 'unknown') return { ...nothing, silence: answer.reason };
  const domains = answer.domains.filter((domain) => mayHold(domain, name));
  const assertions: readonly Assertion[] = [
    ...(name.kind === 'upn' ? [{ attribute: 'userPrincipalName', value: name.upn } as const] : []),
    ...domains.map(
      ({ dnsName }) =>
        ({
          attribute: 'sAMAccountName',
          value: name.kind === 'upn' ? name.left : name.name,
          domain: dnsName.toLowerCase(),
        }) as const,
    ),
  ];
  if (assertions.length === 0) return nothing;
  const located = await forest.locate(assertions, deadline);
  const asked = domains.map(({ dnsName }) => dnsName);
  if (located.kind === 'unknown') return { ...nothing, asked, silence: located.reason };
  return { ...nothing, asked, accounts: located.accounts.filter((account) => isCalled(account, name, domains)) };
}

/** Whether an account of this domain can be called by the name through its sAMAccountName. */
function mayHold({ dnsName, netbiosName, upnSuffixes }: DomainNames, name: WrittenName): boolean {
  if (name.kind === 'upn') return [dnsName, ...upnSuffixes].some((suffix) => sameText(suffix, name.suffix));
  return name.domain === null || sameText(name.domain, netbiosName) || sameText(name.domain, dnsName);
}

function isCalled(account: Account, name: WrittenName, domains: readonly DomainNames[]): boolean {
  if (name.kind === 'upn' && account.upn !== null && sameText(account.upn, name.upn)) return true;
  return (
    sameText(account.samAccountName, name.kind === 'upn' ? name.left : name.name) &&
    domains.some(({ netbiosName }) => sameText(netbiosName, account.domain))
  );
}
