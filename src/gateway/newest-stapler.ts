/**
 * The OCSP answer that is stapled to a binding's certificate, always that of the newest setup.
 */
import type { BindingSettings } from '../tls/binding.ts';
import type { Setup } from './setup.ts';

/** Whether anything is stapled at all is known to a binding from its beginning; what, changes with the setup. */
export function staplerOf(binding: BindingSettings, newest: () => Setup): (() => Buffer | null) | null {
  let of = newest();
  let staple = of.revocation.staplerOf(binding);
  if (staple === null) return null;
  return () => {
    if (of !== newest()) {
      of = newest();
      staple = of.revocation.staplerOf(binding);
    }
    return staple?.() ?? null;
  };
}
