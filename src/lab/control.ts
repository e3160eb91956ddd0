/**
 * Looks into and troubles the lab from outside.
 *
 * - `GET /searches` answers the number of searches of the directory so far
 * - `POST /directory/stop` and `POST /directory/start` make and end an outage
 * - `POST /revoke/NAME` (with `?reason=keyCompromise`, a hold unless given) and `POST /unrevoke/NAME`: a certificate by its name in the
 *   lab, or as `ISSUER/SERIAL`
 * - `POST /revocation/fault/NAME` lets something go wrong with revocation data, `none` ends it; `?only=crl`, `ocsp` or `ca` for one kind
 * - `GET /revocation` answers what is revoked, what goes wrong and what was asked for, as JSON
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from '../base/failure.ts';
import type { DirectoryServer } from './directory-server.ts';
import { documentKinds, isRevocationFault } from './revocation-faults.ts';
import type { RevocationServer } from './revocation-server.ts';
import type { RevocationReason } from './revocation-state.ts';
import { revocationReasons } from './revocation-state.ts';

export interface LabControl {
  readonly url: string;
  stop(): Promise<void>;
}

export interface ControlOptions {
  /** Null where it is somebody else's. */
  readonly directory: DirectoryServer | null;
  readonly revocation: RevocationServer;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free one. */
  readonly port?: number;
}

export async function startControl({
  host = '127.0.0.1',
  port = 0,
  directory,
  revocation,
}: ControlOptions): Promise<LabControl> {
  const server = createServer((request, response) => {
    request.resume();
    const { pathname, searchParams } = new URL(`http://lab${request.url}`);
    const reply = (status: number, text: string) =>
      response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
    answer(`${request.method} ${pathname}`, searchParams, directory, revocation)
      .then((text) => reply(text === null ? 404 : 200, text ?? 'unknown'))
      .catch((error: unknown) =>
        reply(error instanceof Failure ? 404 : 500, error instanceof Error ? error.message : String(error)),
      );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host}:${address.port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  line: string,
  query: URLSearchParams,
  directory: DirectoryServer | null,
  revocation: RevocationServer,
): Promise<string | null> {
  return (await answerDirectory(line, directory)) ?? answerRevocation(line, query, revocation);
}

async function answerDirectory(line: string, directory: DirectoryServer | null): Promise<string | null> {
  if (directory === null) return null;
  if (line === 'GET /searches') return String(directory.searches);
  if (line === 'POST /directory/stop') {
    await directory.stop();
    return 'stopped';
  }
  if (line === 'POST /directory/start') {
    await directory.start();
    return 'started';
  }
  return null;
}

async function answerRevocation(
  line: string,
  query: URLSearchParams,
  revocation: RevocationServer,
): Promise<string | null> {
  if (line === 'GET /revocation') {
    const { url, entries, faults, requests } = revocation;
    return JSON.stringify({ url, entries, faults, requests });
  }
  const [, action = '', name = ''] = /^POST \/(revoke|unrevoke|revocation\/fault)\/(.+)$/.exec(line) ?? [];
  if (action === 'revoke') return revoke(name, query.get('reason'), revocation);
  if (action === 'unrevoke') {
    await revocation.unrevoke(name);
    return 'unrevoked';
  }
  return action === '' ? null : trouble(name, query.get('only'), revocation);
}

async function revoke(name: string, reason: string | null, revocation: RevocationServer): Promise<string | null> {
  if (reason !== null && !Object.hasOwn(revocationReasons, reason)) return null;
  await revocation.revoke(name, reason === null ? undefined : (reason as RevocationReason));
  return 'revoked';
}

async function trouble(name: string, only: string | null, revocation: RevocationServer): Promise<string | null> {
  const fault = name === 'none' ? null : name;
  const kind = documentKinds.find((one) => one === only);
  if ((fault !== null && !isRevocationFault(fault)) || (only !== null && kind === undefined)) return null;
  await revocation.trouble(fault, kind);
  return name;
}
