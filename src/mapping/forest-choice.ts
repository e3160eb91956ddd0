/**
 * Which forests are asked about a certificate, and what each lets its issuer vouch for. A chain maps only into forests
 * whose NTAuthCertificates holds its immediate issuer, but for methods that need none of it. Where no forest would take it all are
 * asked, so that the refusal can name the account. What was not read is unknown, never "not in it".
 */
import type { Digest } from '../base/brand.ts';
import type { DomainNames, Forest } from '../directory/directory.ts';
import { sharedDomainName, type NamedForest } from './forest-names.ts';
import type { MappingMethod } from './mapper-contract.ts';

export interface AskedForest {
  readonly forest: Forest;
  readonly domains: readonly DomainNames[];
  /** Whether this method may map into this forest, for all that NTAuth says. */
  allows(method: MappingMethod): boolean;
  /** What its NTAuthCertificates has instead of the issuer, and where it was read; for people. Empty where it has the issuer, or was not asked for. */
  readonly store: string;
}

export type ForestChoice =
  | { readonly kind: 'asked'; readonly forests: readonly AskedForest[] }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface ChoiceFacts {
  readonly issuer: Digest;
  /** Methods that are looked up. */
  readonly methods: ReadonlySet<MappingMethod>;
  /** Methods that need NTAuth. */
  readonly ntAuthMethods: readonly MappingMethod[];
}

export async function chooseForests(forests: readonly Forest[], facts: ChoiceFacts): Promise<ForestChoice> {
  const inNeed = facts.ntAuthMethods.filter((method) => facts.methods.has(method));
  const known = await Promise.all(
    forests.map(async (forest) => {
      const [ntAuth, domains] = await Promise.all([inNeed.length > 0 ? forest.ntAuth() : null, forest.domains()]);
      return { forest, ntAuth, domains };
    }),
  );
  const shared = sharedDomainName(
    known.flatMap(({ forest, domains }): readonly NamedForest[] =>
      domains.kind === 'read' ? [{ name: forest.name, domains: domains.domains }] : [],
    ),
  );
  if (shared !== null) return { kind: 'unknown', reason: shared };
  const called = ({ name }: Forest) => (forests.length > 1 ? ` of ${name}` : '');
  const readable: (AskedForest | string)[] = [];
  const counting: boolean[] = [];
  for (const { forest, ntAuth, domains } of known) {
    if (ntAuth?.kind === 'unknown')
      return { kind: 'unknown', reason: `NTAuthCertificates${called(forest)} has not been read: ${ntAuth.reason}` };
    const vouched = ntAuth === null || ntAuth.issuers.has(facts.issuer);
    counting.push(vouched || inNeed.length < facts.methods.size);
    readable.push(
      domains.kind === 'unknown'
        ? `the domains of the forest${forests.length > 1 ? ` ${forest.name}` : ''} are not known: ${domains.reason}`
        : {
            forest,
            domains: domains.domains,
            allows: (method) => vouched || !facts.ntAuthMethods.includes(method),
            store: ntAuth === null || vouched ? '' : storeText(called(forest), ntAuth),
          },
    );
  }
  const nobody = !counting.includes(true);
  const asked: AskedForest[] = [];
  for (const [index, one] of readable.entries()) {
    if (counting[index] !== true && !nobody) continue;
    if (typeof one === 'string') return { kind: 'unknown', reason: one };
    asked.push(one);
  }
  return { kind: 'asked', forests: asked };
}

function storeText(
  called: string,
  { issuers, server }: { readonly issuers: ReadonlySet<Digest>; readonly server: string },
): string {
  const content = issuers.size === 0 ? 'is empty' : `has ${issuers.size} certificates and not this one`;
  return `NTAuthCertificates${called} (${server}) ${content}`;
}
