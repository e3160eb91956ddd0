/**
 * One gate for each account, over all forests of a directory. Decides what counts as one account: the same name with the same password, at
 * whatever server, since lockouts count everywhere; but a certificate at each server by itself, since nothing is locked
 * there, and what one server makes of it says nothing about another.
 */
import { createBindGate, type BindGate } from './bind-gate.ts';
import type { BindCredentials } from './directory.ts';

export interface BindGates {
  /** @param url of the server */
  gateFor(credentials: BindCredentials, url: string): BindGate;
  /** An operator has corrected an account. */
  reopen(): void;
  close(): void;
}

export function createBindGates(monotonic: () => number): BindGates {
  const gates = new Map<string, { readonly gate: BindGate; readonly rereads: Set<() => Promise<string | null>> }>();
  return {
    gateFor(credentials, url) {
      const key = JSON.stringify(
        credentials.kind === 'simple'
          ? // Names of accounts are not case-sensitive, in any of their forms.
            [credentials.dn.toLowerCase(), credentials.password]
          : [url, credentials.certificate, credentials.authorizationId],
      );
      const known = gates.get(key);
      const rereads = known?.rereads ?? new Set();
      if (credentials.kind === 'simple' && credentials.reread !== null) rereads.add(credentials.reread);
      if (known !== undefined) return known.gate;
      const gate = createBindGate({ credentials, rereads, monotonic });
      gates.set(key, { gate, rereads });
      return gate;
    },
    reopen() {
      for (const { gate } of gates.values()) gate.reopen();
    },
    close() {
      for (const { gate } of gates.values()) gate.close();
    },
  };
}
