/**
 * A Unix socket at a path, with exactly the rights that it is to have, from its first moment on. Decides what becomes of something that is
 * there already.
 */
import { chmod, chown, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { Failure, codeOf } from '../base/failure.ts';

export interface SocketFileFacts {
  readonly path: string;
  /** `owner`: mode 0600; `group`: mode 0660. */
  readonly access: 'owner' | 'group';
  /** Number of the group that the socket is given to; null: that of the process. */
  readonly group: number | null;
  /** The key of the configuration, for messages. */
  readonly key: string;
}

/**
 * The socket is made in a folder of mode 0700 beside its place, given its rights there and then moved: at no moment can anybody else connect. A
 * socket left over by a crash is replaced; one that answers belongs to a running process and is an error.
 *
 * @param listen makes a server listen at a path, which is not the final one
 * @returns what removes the socket again, if it is still ours
 * @throws Failure `socket-file`
 */
export async function listenOnPath(
  listen: (path: string) => Promise<unknown>,
  facts: SocketFileFacts,
): Promise<() => Promise<void>> {
  const { access, group, key } = facts;
  const path = reachable(facts);
  await refuseForeign(path, key);
  let nursery: string | null = null;
  try {
    await mkdir(dirname(path), { recursive: true });
    nursery = await mkdtemp(`${dirname(path)}/.`);
    const fresh = join(nursery, 's');
    await listen(fresh);
    await chmod(fresh, access === 'group' ? 0o660 : 0o600);
    if (group !== null) await chown(fresh, -1, group);
    const inode = await inodeOf(fresh);
    await rename(fresh, path);
    return async () => {
      if ((await inodeOf(path)) === inode) await rm(path, { force: true });
    };
  } catch (cause) {
    throw new Failure(`cannot make the socket ${path}: ${codeOf(cause) ?? 'failed'}`, {
      code: 'socket-file',
      hint: `check the folder, its rights and the group, or change ${key}`,
      cause,
    });
  } finally {
    if (nursery !== null) await rm(nursery, { recursive: true, force: true });
  }
}

/** Octets of a socket's path, without the closing zero of sun_path. */
const longestPath = process.platform === 'linux' ? 107 : 103;
/** What the folder in which the socket is made adds: a slash, `.`, six letters, and `s` for its name. */
const nurseryBytes = 9;

/** The path as it can be connected to, seen from the working directory where it is too long otherwise. */
function reachable({ path, key }: SocketFileFacts): string {
  const fits = (way: string) =>
    Math.max(Buffer.byteLength(way), Buffer.byteLength(dirname(way)) + nurseryBytes + 1) <= longestPath;
  const found = [path, relative(process.cwd(), path)].find(fits);
  if (found !== undefined) return found;
  throw new Failure(`the path of the socket is too long: ${path}`, {
    code: 'socket-file',
    hint: `change ${key}: the whole path may have ${longestPath} octets`,
  });
}

async function refuseForeign(path: string, key: string): Promise<void> {
  const facts = await lstat(path).catch(() => null);
  if (facts === null) return;
  if (!facts.isSocket())
    throw new Failure(`${path} exists and is not a socket`, {
      code: 'socket-file',
      hint: `change ${key} or move that file away`,
    });
  if (await answers(path))
    throw new Failure(`another process answers on the socket ${path}`, {
      code: 'socket-file',
      hint: `end the process that listens there, or change ${key}`,
    });
}

/** Whether anybody listens: a socket file whose process has gone refuses at once. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true));
    // EAGAIN: it listens, and its queue is full.
    socket.once('error', (error) => end(codeOf(error) === 'EAGAIN' || codeOf(error) === 'EACCES'));
  });
}

async function inodeOf(path: string): Promise<bigint | null> {
  return (await lstat(path, { bigint: true }).catch(() => null))?.ino ?? null;
}
