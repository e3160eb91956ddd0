/**
 * The rules of a location: its own, and those that must hold as well. Each refuses or reports for itself.
 */
import type { AuthorizeRule } from './settings.ts';

export function* rulesOf(first: AuthorizeRule): Iterable<AuthorizeRule> {
  for (let rule: AuthorizeRule | null = first; rule !== null; rule = rule.alsoRequires) yield rule;
}
