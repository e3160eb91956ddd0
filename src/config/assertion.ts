/**
 * From `identity.assertion` to what the signer takes.
 */
import type { AssertionSettings } from '../forward/assertion-contract.ts';
import type { Reading } from './reading.ts';
import { resolvePath } from './references.ts';
import type { Language } from './schema.ts';

/** Null where nothing is signed. */
export function readAssertion(written: Language['identity']['assertion'], reading: Reading): AssertionSettings | null {
  if (written === undefined) return null;
  const { keyDirectory, ...rest } = written;
  return { ...rest, keyDirectory: keyDirectory === undefined ? null : resolvePath(keyDirectory, reading) };
}
