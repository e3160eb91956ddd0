/**
 * How many connections strangers may hold: in all, per address, and before the end of their handshake. Counts only; the
 * front closes what is not admitted.
 */
import type { ConnectionLimits } from './binding.ts';

export type AdmissionRefusal = 'tooManyConnections' | 'tooManyFromAddress' | 'tooManyHandshakes';

export interface Admitted {
  /** The handshake has ended, well or not. */
  handshakeDone(): void;
  /** The connection is closed. */
  released(): void;
}

export interface Admission {
  /** @param handshake whether the connection begins with one */
  admit(remoteAddress: string, handshake: boolean): Admitted | AdmissionRefusal;
  readonly connections: number;
  readonly handshakes: number;
}

export function createAdmission(limits: ConnectionLimits): Admission {
  const perAddress = new Map<string, number>();
  let connections = 0;
  let handshakes = 0;

  return {
    admit(remoteAddress, handshake) {
      const key = addressKey(remoteAddress);
      const fromAddress = perAddress.get(key) ?? 0;
      if (connections >= limits.maximumConnections) return 'tooManyConnections';
      if (fromAddress >= limits.maximumConnectionsPerAddress) return 'tooManyFromAddress';
      if (handshake && handshakes >= limits.maximumHandshakes) return 'tooManyHandshakes';
      connections += 1;
      perAddress.set(key, fromAddress + 1);
      let shaking = handshake;
      let open = true;
      if (shaking) handshakes += 1;
      const handshakeDone = () => {
        if (shaking) handshakes -= 1;
        shaking = false;
      };
      return {
        handshakeDone,
        released() {
          handshakeDone();
          if (!open) return;
          open = false;
          connections -= 1;
          const left = (perAddress.get(key) ?? 1) - 1;
          if (left === 0) perAddress.delete(key);
          else perAddress.set(key, left);
        },
      };
    },
    get connections() {
      return connections;
    },
    get handshakes() {
      return handshakes;
    },
  };
}

/** One subscriber, as far as an address tells: an IPv4 address, or the /64 that an IPv6 host owns whole (RFC 6177). */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [left = '', right] = (address.split('%')[0] ?? '').split('::');
  const groups = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = right === undefined ? 0 : 8 - groups.length - tail.length;
  const full = [...groups, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...tail];
  return full.slice(0, 4).join(':');
}
