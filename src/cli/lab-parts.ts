/**
 * The parts of the lab one at a time, for containers: preparing certificates, accounts and configuration in a folder, the revocation
 * server alone, and the echo backend alone.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { exportAccounts } from '../lab/accounts-export.ts';
import { labBind } from '../lab/accounts.ts';
import { startControl } from '../lab/control.ts';
import { startEcho } from '../lab/echo.ts';
import { preparePki } from '../lab/pki.ts';
import { startRevocationServer } from '../lab/revocation-server.ts';
import { configurationText } from './lab-configuration.ts';
import type { ExitCode } from './program.ts';
import { stopSignal } from './serve.ts';
import { terminal } from './terminal.ts';

/** Everything that the other containers read: `certs/`, `accounts.json`, `dsmapper.yaml`, `ldap-password`. */
export async function prepare(folder: string, recipes: string): Promise<ExitCode> {
  await mkdir(folder, { recursive: true });
  const pki = await preparePki({
    recipes,
    folder: join(folder, 'certs'),
    now: new Date(),
    revocation: 'http://revocation:8088',
  });
  if (pki.replaced !== null) terminal.note(`the certificates in ${pki.folder} are new ones: ${pki.replaced}`);
  const place = {
    address: '0.0.0.0',
    ports: { late: 8443, upFront: 9443, http: 8080, admin: 9090 },
    certificates: 'certs',
    upstream: 'http://backend:8081',
    controller: 'ldaps://dc1.lab.example.test',
    revocation: { host: new URL(pki.revocation).host, cacheDirectory: '/var/lib/dsmapper-revocation' },
    log: '-',
    socket: null,
  };
  await writeFile(join(folder, 'accounts.json'), `${JSON.stringify(exportAccounts(pki), null, 2)}\n`);
  await writeFile(join(folder, 'ldap-password'), labBind.password);
  await chmod(join(folder, 'ldap-password'), 0o600);
  await writeFile(join(folder, 'dsmapper.yaml'), configurationText(place));
  terminal.line(`${folder} is ready (${pki.made ? 'new certificates' : 'certificates as they were'})`);
  return 0;
}

/** @param listen `address:port` */
export async function runEcho(listen: string): Promise<ExitCode> {
  const address = addressOf('--echo', listen);
  const ended = stopSignal();
  const echo = await startEcho(address);
  terminal.note(`echo backend on ${listen}`);
  await ended;
  await echo.stop();
  return 0;
}

/** The control is on the port after it. @param folder of certificates that `prepare` has made */
export async function runRevocation(listen: string, folder: string, recipes: string): Promise<ExitCode> {
  const { host, port } = addressOf('--revocation', listen);
  const ended = stopSignal();
  const pki = await preparePki({ recipes, folder, now: new Date() });
  const revocation = await startRevocationServer({ pki, host, port });
  try {
    const control = await startControl({ directory: null, revocation, host, port: port + 1 });
    terminal.note(`revocation server on ${listen}, control on ${control.url}`);
    await ended;
    await control.stop();
    return 0;
  } finally {
    await revocation.stop();
  }
}

function addressOf(flag: string, listen: string): { readonly host: string; readonly port: number } {
  const match = /^([\d.]+|\[[0-9a-f:]+\]):(\d{1,5})$/i.exec(listen);
  if (match !== null) return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(match[2]) };
  throw new Failure(`${flag} ${listen} is not address:port`, {
    code: 'flag',
    hint: 'write it as 127.0.0.1:8081',
    exitCode: 2,
  });
}
