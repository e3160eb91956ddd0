/**
 * One reading of one configuration: the source, the outside world, and what has been found so far. Everything that reads
 * a part of the configuration gets this and adds its complaints, so that a user hears of all mistakes at once.
 */
import type { Instant } from '../base/brand.ts';
import { warningLines, type Mistake, type Warning } from './complaint.ts';
import type { Path, Source } from './source.ts';

/** The outside world of a configuration. */
export interface ConfigurationFacilities {
  /** Rejects with a system error, or a `Failure` when the file is no plain file or larger than `maximumBytes`. */
  readFile(path: string, maximumBytes: number): Promise<Buffer>;
  /** Names of the entries of a directory; rejects with a system error. */
  listDirectory(path: string): Promise<readonly string[]>;
  readonly env: Readonly<Record<string, string | undefined>>;
  now(): Instant;
  /** The name of this machine. */
  hostname(): string;
}

export interface MistakeFacts {
  readonly hint?: string | null;
  /** Default: the value. */
  readonly on?: 'key' | 'value';
  readonly kind?: Mistake['kind'];
}

export interface Reading {
  readonly source: Source;
  readonly facilities: ConfigurationFacilities;
  /** Directory of the configuration file. */
  readonly base: string;
  mistake(path: Path, text: string, facts?: MistakeFacts): void;
  warn(path: Path, text: string): void;
  readonly mistakes: readonly Mistake[];
  readonly warnings: readonly string[];
}

export function createReading(source: Source, base: string, facilities: ConfigurationFacilities): Reading {
  const mistakes: Mistake[] = [...source.mistakes];
  const warnings: Warning[] = [];
  return {
    source,
    base,
    facilities,
    mistakes,
    mistake(path, text, { hint = null, on = 'value', kind = 'language' } = {}) {
      mistakes.push({ at: source.locate(path, on), text: withPath(path, text), hint, kind });
    },
    warn(path, text) {
      warnings.push({ at: source.locate(path, 'value'), text: withPath(path, text) });
    },
    get warnings() {
      return warningLines(source, warnings);
    },
  };
}

function withPath(path: Path, text: string): string {
  return path.length === 0 ? text : `${pathText(path)}: ${text}`;
}

/** `bindings[0].certificate.cert`, `sites[1].locations["/payroll"].maximumAge`. */
export function pathText(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      return /^[\w-]+$/.test(part) ? `${index === 0 ? '' : '.'}${part}` : `[${JSON.stringify(part)}]`;
    })
    .join('');
}
