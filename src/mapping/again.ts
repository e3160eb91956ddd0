/**
 * Whether an account that was read again is still the one that was mapped. Decides what counts as another; not knowing does not.
 */
import type { Account } from '../base/identity.ts';
import type { Again } from '../directory/directory.ts';

/** Objects of two forests are two, also where one forest was made from a copy of the other and they have one objectGUID. */
export function objectKey({ domain, guid }: Pick<Account, 'domain' | 'guid'>): string {
  return `${domain}\\${guid}`;
}

/** Gone, or anything that decides is not what it was. */
export function isAnother(account: Account, again: Again): boolean {
  return again.kind === 'gone' || (again.kind === 'read' && again.account.fingerprint !== account.fingerprint);
}
