/**
 * The command within the process of a test, for what asks much and starts nothing.
 */
import type { Test } from 'tap';
import { run } from '../../src/cli/program.ts';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function within(t: Test, words: readonly string[]): Promise<Ended> {
  const output = { stdout: '', stderr: '' };
  const captured = (['stdout', 'stderr'] as const).map((name) =>
    t.capture(process[name], 'write', (piece: unknown) => {
      output[name] += String(piece);
      return true;
    }),
  );
  try {
    return { code: await run(words), ...output };
  } finally {
    for (const each of captured) each.restore();
  }
}
