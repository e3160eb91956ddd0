/**
 * Where keys are between two looks at them. Decides who wins when several want to add a key at the same place; not when keys are made or go.
 */
import type { SigningKey } from './signing-key.ts';

/** Synchronous: keys are few and small, and a gateway must not serve before it has one. */
export interface KeyStore {
  /** @throws Failure that names what is broken */
  read(): readonly SigningKey[];
  /**
   * @returns false where a key of this algorithm and number is there already: then that one counts
   * @throws Failure when it cannot be stored
   */
  add(key: SigningKey): boolean;
  /** Nothing happens where it has gone already. @throws Failure */
  remove(key: SigningKey): void;
}

/** Keys that end with the process. To outlive a reload it must be made outside of what is reloaded. */
export function createMemoryKeyStore(): KeyStore {
  const keys = new Map<string, SigningKey>();
  return {
    read: () => [...keys.values()],
    add(key) {
      const place = placeOf(key);
      if (keys.has(place)) return false;
      keys.set(place, key);
      return true;
    },
    remove(key) {
      keys.delete(placeOf(key));
    },
  };
}

/** `EdDSA-000007`. */
export function placeOf({ algorithm, number }: Pick<SigningKey, 'algorithm' | 'number'>): string {
  return `${algorithm}-${String(number).padStart(6, '0')}`;
}
