/**
 * Paths of Unix sockets: how long they may be.
 */
import type { Reading } from './reading.ts';
import { resolvePath } from './references.ts';
import type { Path } from './source.ts';

/** What fits into sockaddr_un of Linux with its NUL; beyond, the path is cut or refused. */
const longestPath = 107;

/** @returns the path from the root, also after a complaint */
export function readSocketPath(written: string, at: Path, reading: Reading): string {
  const path = resolvePath(written, reading);
  const bytes = Buffer.byteLength(path);
  if (bytes > longestPath)
    reading.mistake(at, `the path of a Unix socket has at most ${longestPath} bytes, this one has ${bytes}`, {
      hint: 'choose a shorter path',
    });
  return path;
}
