/**
 * Tells on standard error how far an audit has come: a line that is written over on a terminal, a new line every five seconds
 * elsewhere. Decides when something is said; nothing is measured but accounts for each second since the beginning.
 */
import type { AuditProgress } from '../admin/audit.ts';
import { printable } from './terminal.ts';

export interface ProgressPlace {
  /** Milliseconds that never step back. */
  readonly monotonic: () => number;
  readonly terminal: boolean;
  readonly write: (text: string) => void;
}

const terminalInterval = 200;
const lineInterval = 5000;

export function createProgress({ monotonic, terminal, write }: ProgressPlace) {
  const start = monotonic();
  let told = start;
  let shown = false;
  return {
    tell(progress: AuditProgress): void {
      const now = monotonic();
      if (now - told < (terminal ? terminalInterval : lineInterval)) return;
      told = now;
      shown = true;
      const text = progressText(progress, now - start);
      write(terminal ? `\r\u001b[K${text}` : `${text}\n`);
    },
    /** Takes the line away. */
    end(): void {
      if (terminal && shown) write('\r\u001b[K');
    },
  };
}

/** @param ms since the beginning */
function progressText({ domain, accounts, findings }: AuditProgress, ms: number): string {
  const rate = ms > 0 ? Math.round((accounts * 1000) / ms) : 0;
  return `audit: ${accounts} accounts, ${findings} findings, ${rate}/s, now ${printable(domain)}`;
}
