/**
 * How many connections strangers may hold: in all, per address, and before the end of their handshake. Counts only; the
 * front closes what is not admitted.
 */
import type { ConnectionLimits } from './binding.ts';

export type AdmissionRefusal = 'tooManyConnections' | 'tooManyFromAddress' | 'tooManyHandshakes';

export interface Admitted {
  /** Counts the connection for an address that was not known at first. @returns why that address may have no more */
  comesFrom(remoteAddress: string): AdmissionRefusal | null;
  /** The handshake has ended, well or not. */
  handshakeDone(): void;
  /** The connection is closed. */
  released(): void;
}

export interface Admission {
  /**
   * @param remoteAddress null where it will be told: until then the connection counts for no address
   * @param handshake whether the connection begins with one
   */
  admit(remoteAddress: string | null, handshake: boolean): Admitted | AdmissionRefusal;
  readonly connections: number;
  readonly handshakes: number;
}

export function createAdmission(limits: ConnectionLimits): Admission {
  const perAddress = new Map<string, number>();
  let connections = 0;
  let handshakes = 0;

  return {
    admit(remoteAddress, handshake) {
      let key: string | null = null;
      let open = true;
      const comesFrom = (address: string): AdmissionRefusal | null => {
        const fromAddress = perAddress.get(addressKey(address)) ?? 0;
        if (fromAddress >= limits.maximumConnectionsPerAddress) return 'tooManyFromAddress';
        if (!open || key !== null) return null;
        key = addressKey(address);
        perAddress.set(key, fromAddress + 1);
        return null;
      };
      if (connections >= limits.maximumConnections) return 'tooManyConnections';
      if (handshake && handshakes >= limits.maximumHandshakes) return 'tooManyHandshakes';
      const refusal = remoteAddress === null ? null : comesFrom(remoteAddress);
      if (refusal !== null) return refusal;
      connections += 1;
      let shaking = handshake;
      if (shaking) handshakes += 1;
      const handshakeDone = () => {
        if (shaking) handshakes -= 1;
        shaking = false;
      };
      return {
        comesFrom,
        handshakeDone,
        released() {
          handshakeDone();
          if (!open) return;
          open = false;
          connections -= 1;
          if (key === null) return;
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
