/**
 * Clients that callers have asked about: for each caller, binding and certificate what was read from the text, and what was earned with it. To
 * memory and recheck each is a connection that stays open while it is asked about, so that what it has earned ends for the same reasons:
 * `memory.ts` and `recheck.ts` know no other kind.
 *
 * Key: the caller, the binding, the text of the certificate as it came. Ends: a bounded LRU, another setup, nobody asking for two rounds of
 * recheck, and a recheck that finds fault.
 */
import { LRUCache } from 'lru-cache';
import { digestOf, thumbprintOf } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { BindingSettings } from '../tls/binding.ts';
import type { Connection, Presented } from '../tls/connection.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { readForm } from './auth-certificate-forms.ts';
import type { AuthCallerSettings, CertificateForm } from './auth-endpoint-settings.ts';

export interface AuthClients {
  /** @returns the client, or why its certificate cannot be read (completes "the certificate ...") */
  client(binding: BindingSettings, leaf: string, chain: string): AuthClient | string;
  /** Those that somebody still asks about. */
  live(): Iterable<AuthClient>;
}

/** Characters of texts that are remembered for one binding of a caller. */
const maximumRemembered = 64 * 1024 * 1024;

/** @param form how the texts are written */
export function createAuthClients(
  caller: AuthCallerSettings,
  form: CertificateForm,
  limits: { readonly maximumClients: number; readonly maximumChain: number; readonly idle: number },
  clock: Pick<Clock, 'monotonic'>,
): AuthClients {
  const byBinding = new Map<BindingSettings, LRUCache<string, AuthClient>>();

  function memoryOf(binding: BindingSettings): LRUCache<string, AuthClient> {
    const known = byBinding.get(binding);
    if (known !== undefined) return known;
    const made = new LRUCache<string, AuthClient>({
      max: limits.maximumClients,
      maxSize: maximumRemembered,
      sizeCalculation: (_, text) => text.length + 1,
      dispose: (client) => client.end(),
    });
    byBinding.set(binding, made);
    return made;
  }

  return {
    client(binding, leaf, chain) {
      const key = chain === '' ? leaf : `${leaf}\n${chain}`;
      const memory = memoryOf(binding);
      const known = memory.get(key);
      if (known !== undefined && !known.closed) {
        known.askedAt = clock.monotonic();
        return known;
      }
      const shown = readForm(form, leaf, chain, limits.maximumChain);
      if (typeof shown === 'string') return shown;
      for (const der of shown) {
        const parsed = parseCertificate(der);
        if (parsed.kind !== 'parsed') return `does not parse: ${parsed.reason}`;
      }
      const client = new AuthClient(caller, binding, shown);
      client.askedAt = clock.monotonic();
      memory.set(key, client);
      return client;
    },
    *live() {
      const since = clock.monotonic() - limits.idle;
      for (const memory of byBinding.values())
        for (const [key, client] of memory.entries()) {
          if (client.closed || client.askedAt < since) memory.delete(key);
          else yield client;
        }
    },
  };
}

let count = 0;

/** One client of a caller at a binding. It has no socket: what it showed is known from the caller alone. */
export class AuthClient implements Connection {
  readonly id: number = (count += 1);
  readonly caller: AuthCallerSettings;
  readonly binding: BindingSettings;
  readonly presented: Presented | null;
  /** SHA-1 of the leaf; null: nothing was shown. */
  readonly thumbprint: string | null;
  readonly encrypted = true;
  readonly protocol = null;
  readonly alpn = null;
  readonly serverName = null;
  readonly remoteAddress: string;
  readonly remotePort = 0;
  readonly localAddress = '';
  readonly localPort = 0;
  memory: unknown = null;
  pins: unknown = null;
  /** Monotonic milliseconds. */
  askedAt = 0;
  closed = false;
  #listeners: (() => void)[] = [];

  constructor(caller: AuthCallerSettings, binding: BindingSettings, chain: readonly Buffer[]) {
    const [leaf] = chain;
    this.caller = caller;
    this.binding = binding;
    this.remoteAddress = `caller ${caller.name}`;
    this.thumbprint = leaf === undefined ? null : thumbprintOf(leaf);
    const how = binding.clientCertificate === 'late' ? 'renegotiated' : 'upFront';
    this.presented = leaf === undefined ? null : { chain, digest: digestOf(...chain), how, resumed: false };
  }

  ask(): Promise<'unsupported'> {
    return Promise.resolve('unsupported');
  }

  end(): void {
    if (this.closed) return;
    this.closed = true;
    for (const listener of this.#listeners.splice(0)) listener();
  }

  onceClosed(listener: () => void): void {
    if (this.closed) queueMicrotask(listener);
    else this.#listeners.push(listener);
  }
}
