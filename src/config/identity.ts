/**
 * From `identity` to what the forward room takes.
 */
import type { IdentitySettings } from '../forward/identity-settings.ts';
import { readAssertion } from './assertion.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import { headerNames } from './values.ts';

export function readIdentity(written: Language['identity'], reading: Reading): IdentitySettings {
  return { headers: headerNames(written.headers, reading), assertion: readAssertion(written.assertion, reading) };
}
