/**
 * From `identity.assertion` to what the signer takes.
 */
import type { AssertionSettings } from '../forward/assertion-contract.ts';
import { durationText } from '../base/duration.ts';
import type { Reading } from './reading.ts';
import { resolvePath } from './references.ts';
import type { Language } from './schema.ts';

/** Null where nothing is signed. */
export function readAssertion(written: Language['identity']['assertion'], reading: Reading): AssertionSettings | null {
  if (written === undefined) return null;
  checkTimes(written, reading);
  const { keyDirectory, ...rest } = written;
  return { ...rest, keyDirectory: keyDirectory === undefined ? null : resolvePath(keyDirectory, reading) };
}

type Written = NonNullable<Language['identity']['assertion']>;

/** Milliseconds. What was signed cannot be taken back: it is believed to its end, whatever became of the account. */
const longestLifetime = 10 * 60_000;

function checkTimes({ lifetime, overlap, rotation }: Written, reading: Reading): void {
  const complain = (key: keyof Written, text: string, hint: string) => {
    const path = ['identity', 'assertion', key];
    // Where the default does not fit to what is written, that is written elsewhere in the group.
    const at = reading.source.has(path) ? path : ['identity', 'assertion'];
    reading.mistake(at, at === path ? text : `${key} ${text}`, { hint });
  };
  if (lifetime > longestLifetime)
    complain(
      'lifetime',
      `is ${durationText(lifetime)}: so long an assertion would outlive a disabled account or a revoked certificate`,
      `it must be at most ${durationText(longestLifetime)}; a new one is signed at half of it`,
    );
  if (lifetime > overlap)
    complain(
      'lifetime',
      `is longer than the overlap of ${durationText(overlap)}`,
      'make `lifetime` shorter, or `overlap` longer',
    );
  if (rotation < 2 * overlap)
    complain(
      'rotation',
      `is shorter than twice the overlap of ${durationText(overlap)}: a key would be announced before the last one signs`,
      'make `rotation` longer, or `overlap` shorter',
    );
}
