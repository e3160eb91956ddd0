/**
 * The lab without the gateway: certificates, a directory with accounts for them, and a backend that shows what it received. Real
 * sockets on 127.0.0.1 only.
 */
import type { DirectoryServer } from './directory-server.ts';
import { startDirectoryServer } from './directory-server.ts';
import { certificateOf, labBind, labDomain, labEntries } from './accounts.ts';
import type { Echo } from './echo.ts';
import { startEcho } from './echo.ts';
import type { Pki, PkiOptions } from './pki.ts';
import { preparePki } from './pki.ts';

export interface Lab {
  readonly pki: Pki;
  readonly directory: DirectoryServer;
  readonly echo: Echo;
  stop(): Promise<void>;
}

/** @throws Failure when certificates cannot be made or a port cannot be had; nothing stays open then */
export async function startLab(options: PkiOptions): Promise<Lab> {
  const pki = await preparePki(options);
  const server = certificateOf(pki, 'directory');
  const directory = await startDirectoryServer({
    ...labDomain,
    tls: { cert: server.chain, key: server.key },
    bind: [labBind],
    entries: labEntries(pki),
    ntAuth: [certificateOf(pki, 'issuing').der],
  });
  const echo = await startEcho({}).catch(async (error: unknown) => {
    await directory.stop();
    throw error;
  });
  return {
    pki,
    directory,
    echo,
    async stop() {
      await Promise.all([directory.stop(), echo.stop()]);
    },
  };
}
