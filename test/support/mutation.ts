/**
 * Damage to DER, the same for the same seed: what a hostile or broken peer could send. And what reading it costs.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How many damaged inputs each kind is tried with. */
export const rounds = Number(process.env['DSMAPPER_ROUNDS'] ?? 20_000);

/** No input may take longer, in milliseconds: the usual one takes a few hundredths. */
const longest = 100;
/** Octets by which the heap may grow over a whole run. */
const largestGrowth = 16 * 1024 * 1024;

export interface CostWatch {
  /** Reads one input. Who seems slow is tried again, so that a busy machine is not taken for a slow reader. */
  run<T>(read: () => T): T;
  /** What went over the bounds, in words; empty when nothing did. */
  findings(): readonly string[];
  /** For a comment. */
  readonly text: string;
}

export function watchCost(): CostWatch {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const found: string[] = [];
  let slowest = 0;
  let count = 0;
  let settled: number | null = null;
  const heap = () => {
    // Once is not enough for what is only noticed to be gone when something else has gone.
    for (let times = 0; times < 3; times += 1) collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  let grown = 0;
  return {
    run(read) {
      // Everything that is kept once (compiled code, tables) is there by then.
      if ((count += 1) === Math.ceil(rounds / 4)) settled = heap();
      const began = performance.now();
      const result = read();
      let took = performance.now() - began;
      for (let again = 0; took > longest / 2 && again < 3; again += 1) {
        const start = performance.now();
        read();
        took = Math.min(took, performance.now() - start);
      }
      slowest = Math.max(slowest, took);
      if (took > longest) found.push(`input ${count} took ${took.toFixed(0)} ms`);
      return result;
    },
    findings() {
      grown = settled === null ? 0 : heap() - settled;
      return grown > largestGrowth ? [...found, `the heap grew by ${grown} octets`] : found;
    },
    get text() {
      return `slowest ${slowest.toFixed(1)} ms, the heap grew by ${(grown / 1024).toFixed(0)} KiB over the last three quarters`;
    },
  };
}

/** Mulberry32: enough for mutations, and the same everywhere. */
export function randomFrom(start: number): (bound: number) => number {
  let state = start >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** Octets that mean something to a DER reader. */
const telling = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x7f, 0x80, 0x81];
const tellingToo = [0x82, 0x84, 0x85, 0xa0, 0xa1, 0xa3, 0xa4, 0xff];

/** Changes one to four places: bits, telling octets, cuts, repetitions, copies. Never empty. */
export function mutate(der: Buffer, random: (bound: number) => number): Buffer {
  let bytes = Buffer.from(der);
  for (let rounds = 1 + random(4); rounds > 0; rounds -= 1) {
    const at = random(bytes.length);
    const length = 1 + random(16);
    const values = [...telling, ...tellingToo];
    switch (random(6)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
        break;
      case 1:
        bytes[at] = values[random(values.length)] ?? 0;
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      case 4: {
        const from = random(bytes.length);
        bytes.copy(bytes, at, from, from + length);
        break;
      }
      default:
        bytes = bytes.subarray(0, 1 + random(bytes.length));
    }
  }
  return bytes;
}
