/**
 * What is measured. Each operation is one request that the gateway judges, maps (from its cache unless said otherwise), dresses with identity
 * headers, logs and counts.
 */
export interface Scenario {
  readonly name: string;
  readonly driver: 'load-kept.ts' | 'load-new.ts';
  readonly binding: 'late' | 'upFront';
  readonly tls?: 'TLSv1.2' | 'TLSv1.3';
  readonly resume?: boolean;
  readonly connections: number;
  readonly count: number;
  /** Who does the same thing beside it: nginx, or a gateway that does not look at revocation; null: nobody. */
  readonly yardstick: 'nginx' | 'unchecked' | null;
  /** Whether revocation is checked, with a list of a million entries. */
  readonly checked?: boolean;
  /** One certificate, or thousands that the gateway has never seen. */
  readonly population: 'one' | 'cold';
  /** Only the first round is what the name says. */
  readonly once?: boolean;
}

const base = { binding: 'upFront', connections: 32, yardstick: 'nginx', population: 'one' } as const;

export const scenarios: readonly Scenario[] = [
  { ...base, name: 'kept', driver: 'load-kept.ts', count: 20_000 },
  { ...base, name: 'new TLS 1.3', driver: 'load-new.ts', tls: 'TLSv1.3', count: 2000 },
  { ...base, name: 'new TLS 1.2', driver: 'load-new.ts', tls: 'TLSv1.2', count: 2000 },
  { ...base, name: 'resumed TLS 1.3', driver: 'load-new.ts', tls: 'TLSv1.3', resume: true, count: 2000 },
  {
    ...base,
    name: 'new TLS 1.3, a million revoked',
    driver: 'load-new.ts',
    tls: 'TLSv1.3',
    count: 2000,
    yardstick: 'unchecked',
    checked: true,
  },
  {
    ...base,
    name: 'renegotiated',
    driver: 'load-new.ts',
    binding: 'late',
    tls: 'TLSv1.2',
    count: 2000,
    yardstick: null,
  },
  {
    ...base,
    name: 'cold population',
    driver: 'load-new.ts',
    tls: 'TLSv1.3',
    count: 2000,
    yardstick: null,
    population: 'cold',
    once: true,
  },
];
