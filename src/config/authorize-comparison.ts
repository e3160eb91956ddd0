/**
 * Two rules beside each other: what one lets pass that the other does not, and the rule that holds where both do. Names are
 * compared as they are written: whether a group lies inside another nobody knows here, so what is not the same is both
 * looser and stricter.
 */
import type { AuthorizeRule } from '../gateway/settings.ts';
import { isSameAuthority } from '../trust/authority-role.ts';
import { principalText } from './principals.ts';

export interface Change {
  /** In words; empty where nothing is looser. */
  readonly looser: readonly string[];
  readonly stricter: readonly string[];
}

/** @param below a rule without `alsoRequires` */
export function compareRules(above: AuthorizeRule, below: AuthorizeRule): Change {
  const changes = demands.map(({ what, passes }) => ({ what, more: passes(above, below), less: passes(below, above) }));
  const rest = above.alsoRequires === null ? noChange : compareRules(above.alsoRequires, below);
  return {
    looser: unique([...changes.filter(({ more }) => more).map(({ what }) => what), ...rest.looser]),
    stricter: unique([...changes.filter(({ less }) => less).map(({ what }) => what), ...rest.stricter]),
  };
}

/**
 * What both demand together: the one that demands all that the other does, else `below` and `above` beside it.
 * @param below a rule without `alsoRequires`
 */
export function bothRules(above: AuthorizeRule, below: AuthorizeRule): AuthorizeRule {
  const { looser, stricter } = compareRules(above, below);
  if (looser.length === 0) return below;
  return stricter.length === 0 ? above : { ...below, alsoRequires: above };
}

export const noChange: Change = { looser: [], stricter: [] };

/** `passes`: whether the second rule lets somebody pass whom the first one does not, as far as this demand goes. */
const demands: readonly {
  readonly what: string;
  readonly passes: (first: AuthorizeRule, second: AuthorizeRule) => boolean;
}[] = [
  { what: 'accounts', passes: (first, second) => !isSubset(second.accounts, first.accounts) },
  {
    what: 'minimumStrength',
    passes: (first, second) => first.minimumStrength === 'strong' && second.minimumStrength === 'weak',
  },
  { what: 'issuancePolicies', passes: (first, second) => isWider(second.issuancePolicies, first.issuancePolicies) },
  {
    what: 'extendedKeyUsages',
    passes: (first, second) => !isSubset(first.extendedKeyUsages, second.extendedKeyUsages),
  },
  { what: 'issuers', passes: (first, second) => isWider(second.issuers, first.issuers, isSameAuthority) },
  { what: 'groups and users', passes: (first, second) => isWider(named(second), named(first)) },
  { what: 'reportOnly', passes: (first, second) => second.reportOnly && !first.reportOnly },
];

/** Of lists of which one is enough, and of which an empty one asks for nothing. */
function isWider<T>(list: readonly T[], other: readonly T[], same?: (a: T, b: T) => boolean): boolean {
  return other.length > 0 && (list.length === 0 || !isSubset(list, other, same));
}

function isSubset<T>(list: readonly T[], other: readonly T[], same: (a: T, b: T) => boolean = Object.is): boolean {
  return list.every((one) => other.some((candidate) => same(one, candidate)));
}

/** A user is not a group of the same name. */
function named({ groups, users }: AuthorizeRule): readonly string[] {
  return [
    ...groups.map((name) => `group ${principalText(name).toLowerCase()}`),
    ...users.map((name) => `user ${principalText(name).toLowerCase()}`),
  ];
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
