/**
 * The real outside world of a configuration: plain files of bounded size, directories, environment and clock.
 */
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { ConfigurationFacilities } from './reading.ts';

export function systemFacilities(clock: Clock, env: ConfigurationFacilities['env']): ConfigurationFacilities {
  return { readFile: readBounded, listDirectory: (path) => readdir(path), env, now: () => clock.now(), hostname };
}

/** A pipe or a device could hold the start for ever, or never end: only plain files, and not waiting for any. */
async function readBounded(path: string, maximumBytes: number): Promise<Buffer> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const facts = await file.stat();
  if (facts.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
  if (!facts.isFile())
    throw new Failure('it is not a plain file', {
      code: 'not-a-file',
      hint: 'a pipe or device cannot be read again at a reload',
    });
  const pieces: Buffer[] = [];
  let length = 0;
  while (length <= maximumBytes) {
    const piece = Buffer.alloc(Math.min(65_536, maximumBytes + 1 - length));
    const { bytesRead } = await file.read(piece, 0, piece.length, null);
    if (bytesRead === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, bytesRead));
    length += bytesRead;
  }
  throw new Failure(`it is larger than ${maximumBytes} bytes`, {
    code: 'file-too-large',
    hint: 'check that it is the file that is meant',
  });
}
