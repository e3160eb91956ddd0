/**
 * From `authEndpoints` to what the gateway listens with: who may ask, by what proof, and about what. A listener that could be asked by
 * somebody nobody has named is a mistake.
 */
import { hash } from 'node:crypto';
import type {
  AuthCallerSettings,
  AuthEndpointSettings,
  AuthListen,
  AuthTls,
} from '../gateway/auth-endpoint-settings.ts';
import { pemText } from '../x509/pem.ts';
import { checkCallers, readPins, type Surroundings } from './auth-callers.ts';
import { readCertificates } from './certificates.ts';
import { quoted } from './complaint.ts';
import { readKeyPair } from './key-pair.ts';
import type { Reading } from './reading.ts';
import { readSecret } from './references.ts';
import type { Language } from './schema.ts';
import { readSocketPath } from './socket-path.ts';
import type { Path } from './source.ts';

export type WrittenEndpoint = Language['authEndpoints'][number];
export type WrittenCaller = WrittenEndpoint['callers'][number];

export async function readAuthEndpoints(
  written: Language['authEndpoints'],
  around: Surroundings,
  reading: Reading,
): Promise<readonly AuthEndpointSettings[]> {
  const endpoints: AuthEndpointSettings[] = [];
  for (const [index, endpoint] of written.entries()) {
    const path: Path = ['authEndpoints', index];
    checkName(written, index, reading);
    const listen = await readListen(endpoint, path, reading);
    const tls = endpoint.tls === undefined ? null : await readTls(endpoint.tls, [...path, 'tls'], reading);
    const callers: AuthCallerSettings[] = [];
    for (const [number, caller] of endpoint.callers.entries())
      callers.push(await readCaller(caller, [...path, 'callers', number], around, reading));
    checkCallers(endpoint, callers, path, reading);
    const { name, protocol, limits } = endpoint;
    if (listen !== null) endpoints.push({ name, listen, tls, protocol, callers, limits });
  }
  return endpoints;
}

function checkName(written: readonly WrittenEndpoint[], index: number, reading: Reading): void {
  const name = written[index]?.name;
  const before = written.findIndex((other) => other.name === name);
  if (before < index)
    reading.mistake(['authEndpoints', index, 'name'], `authEndpoints[${before}] has the same name`, {
      hint: 'logs and metrics tell them apart by their names',
    });
}

/** Null after a complaint. */
async function readListen(endpoint: WrittenEndpoint, path: Path, reading: Reading): Promise<AuthListen | null> {
  const { listen, socket, socketAccess: access, socketGroup } = endpoint;
  if ((listen === undefined) === (socket === undefined)) {
    const text = listen === undefined ? '`listen` and `socket` are missing' : 'stands beside `socket`';
    reading.mistake(listen === undefined ? path : [...path, 'listen'], text, {
      hint: 'write one of them: `socket: run/auth.sock`, or `listen: 127.0.0.1:9443`',
      on: 'key',
    });
    return null;
  }
  if (listen !== undefined) {
    if (endpoint.tls === undefined && !isLoopback(listen.address))
      reading.mistake([...path, 'listen'], `${listen.address} can be reached from elsewhere, and there is no \`tls\``, {
        hint: 'add `tls`, or listen on 127.0.0.1 or on a `socket`: certificates and identities would cross the network in the clear',
      });
    return { kind: 'tcp', ...listen };
  }
  const group = socketGroup === undefined ? null : await groupNumber(socketGroup, [...path, 'socketGroup'], reading);
  if (socketGroup !== undefined && access === 'owner')
    reading.mistake([...path, 'socketGroup'], 'means nothing while only the owner may connect', {
      hint: 'write `socketAccess: group` as well',
      on: 'key',
    });
  const place = readSocketPath(socket ?? '', [...path, 'socket'], reading);
  return { kind: 'socket', path: place, access, group };
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** Null after a complaint. */
async function groupNumber(written: string | number, path: Path, reading: Reading): Promise<number | null> {
  if (typeof written === 'number') return written;
  const file = await reading.facilities.readFile('/etc/group', 4 * 1024 * 1024).catch(() => Buffer.alloc(0));
  for (const line of file.toString('utf8').split('\n')) {
    const [name, , number = ''] = line.split(':');
    if (name === written && /^\d+$/.test(number)) return Number(number);
  }
  reading.mistake(path, `/etc/group has no group ${quoted(written)}`, {
    hint: 'write its number: groups of a directory are not looked up',
  });
  return null;
}

/** Null after a complaint. */
async function readTls(
  written: NonNullable<WrittenEndpoint['tls']>,
  path: Path,
  reading: Reading,
): Promise<AuthTls | null> {
  const pair = await readKeyPair(
    { reference: written.cert, path: [...path, 'cert'] },
    { reference: written.key, path: [...path, 'key'] },
    null,
    'certificate of the listener',
    reading,
  );
  const ca = await readCertificates(written.ca, [...path, 'ca'], reading);
  if (pair === null) return null;
  return { cert: pair.cert, key: pair.key, authorities: ca.map(({ certificate }) => pemText(certificate.der)) };
}

const shortestSecret = 32;

async function readCaller(
  caller: WrittenCaller,
  path: Path,
  around: Surroundings,
  reading: Reading,
): Promise<AuthCallerSettings> {
  const { name, form, dnsNames, thumbprints, pathPrefix = '' } = caller;
  const secret = caller.secret === undefined ? null : await readSecret(caller.secret, [...path, 'secret'], reading);
  if (secret !== null && Buffer.byteLength(secret) < shortestSecret)
    reading.mistake(
      [...path, 'secret'],
      `the secret has ${Buffer.byteLength(secret)} bytes, it needs at least ${shortestSecret}`,
      { hint: '`openssl rand -base64 33` makes one', on: 'key' },
    );
  else if (secret !== null && !/^[!-~]+$/.test(secret))
    reading.mistake([...path, 'secret'], 'the secret has characters that cannot stand in a header', {
      hint: 'visible ASCII without blanks: `openssl rand -base64 33` makes one',
      on: 'key',
    });
  const named = dnsNames.length > 0 || thumbprints.length > 0;
  return {
    name,
    form,
    pathPrefix,
    ...readPins(caller, path, around, reading),
    proof: {
      secret: secret === null ? null : hash('sha256', secret, 'buffer'),
      certificate: named ? { dnsNames, thumbprints } : null,
    },
  };
}
