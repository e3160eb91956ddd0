/**
 * The lab without the gateway: certificates, a directory with accounts for them, a server that publishes which of them are revoked, and
 * a backend that shows what it received. Real sockets on 127.0.0.1 only.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { Failure } from '../base/failure.ts';
import type { DirectoryServer } from './directory-server.ts';
import { startDirectoryServer } from './directory-server.ts';
import { certificateOf, labBind, labDomain, labEntries, labNtAuth } from './accounts.ts';
import type { Echo } from './echo.ts';
import { startEcho } from './echo.ts';
import type { Pki, PkiOptions } from './pki.ts';
import { preparePki } from './pki.ts';
import type { RevocationServer } from './revocation-server.ts';
import { startRevocationServer } from './revocation-server.ts';

export interface Lab {
  readonly pki: Pki;
  readonly directory: DirectoryServer;
  readonly revocation: RevocationServer;
  readonly echo: Echo;
  stop(): Promise<void>;
}

/**
 * @param options `revocation`: any free port of 127.0.0.1 unless given
 * @throws Failure when certificates cannot be made or a port cannot be had; nothing stays open then
 */
export async function startLab(options: PkiOptions): Promise<Lab> {
  const pki = await preparePki({
    ...options,
    revocation: options.revocation ?? `http://127.0.0.1:${await portForLong()}`,
  });
  const server = certificateOf(pki, 'directory');
  const open: { stop(): Promise<void> }[] = [];
  const opened = <Part extends { stop(): Promise<void> }>(part: Part): Part => {
    open.unshift(part);
    return part;
  };
  const stop = async () => void (await Promise.all(open.map((part) => part.stop())));
  try {
    const revocation = opened(await startRevocationServer({ pki }));
    const directory = opened(
      await startDirectoryServer({
        ...labDomain,
        tls: { cert: server.chain, key: server.key },
        bind: [labBind],
        entries: labEntries(pki),
        ntAuth: labNtAuth(pki),
      }),
    );
    const echo = opened(await startEcho({}));
    return { pki, directory, revocation, echo, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * A port that certificates name must be free at the next start too: one below those that systems give to outgoing connections
 * (32768 on Linux, 49152 elsewhere).
 */
async function portForLong(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(10_000, 32_768);
    if (await isFree(port)) return port;
  }
  throw new Failure('no free port on 127.0.0.1', { code: 'ports', hint: 'end something that listens there' });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}
