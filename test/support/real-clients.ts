/**
 * Clients that are not ours, each brought to one form: a request in, the answer out as the client showed it. How a
 * client is told about protocol and certificate stands here; what must come of it stands in the tests.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { run } from './processes.ts';

/** Files in PEM. */
export interface ClientIdentity {
  /** The leaf, then its intermediates. */
  readonly chainFile: string;
  readonly keyFile: string;
}

export interface ClientRequest {
  readonly port: number;
  readonly path: string;
  /** Null: none. */
  readonly identity: ClientIdentity | null;
  /** What the server's certificate chains to. */
  readonly rootFile: string;
  /** Makes it a POST; ASCII. */
  readonly body?: string;
}

export interface ClientAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Status codes of interim answers, in order. */
  readonly interim: readonly number[];
}

/** Milliseconds after which a client that hangs is ended, so that the test fails with what it had said. */
const patience = 30_000;

/** @param options of curl, for protocol, headers and body */
export async function curl(request: ClientRequest, options: readonly string[] = []): Promise<ClientAnswer> {
  const { port, path, identity, rootFile, body } = request;
  const certificate = identity === null ? [] : ['--cert', identity.chainFile, '--key', identity.keyFile];
  const upload = body === undefined ? [] : ['--data-binary', '@-'];
  // -q first: no curlrc of whoever runs the tests.
  const args = ['-q', '-sS', '-i', '--max-time', String(patience / 1000), '--noproxy', '*', '--cacert', rootFile];
  const url = `https://127.0.0.1:${port}${path}`;
  const output = await run('curl', [...args, ...certificate, ...upload, ...options, url], { input: body ?? '' });
  return readAnswer(output);
}

/** @param priority GnuTLS priority string */
export async function gnutlsCli(request: ClientRequest, priority = 'NORMAL'): Promise<ClientAnswer> {
  const { port, identity, rootFile } = request;
  const certificate =
    identity === null ? [] : [`--x509certfile=${identity.chainFile}`, `--x509keyfile=${identity.keyFile}`];
  const args = [`--x509cafile=${rootFile}`, `--priority=${priority}`, '--logfile=/dev/null', `--port=${port}`];
  return readAnswer(await talk('gnutls-cli', [...args, ...certificate, '127.0.0.1'], rawRequest(request)));
}

/** @param options of s_client, for the protocol */
export async function sClient(request: ClientRequest, options: readonly string[] = []): Promise<ClientAnswer> {
  const { port, identity, rootFile } = request;
  const certificate =
    identity === null ? [] : ['-cert', identity.chainFile, '-cert_chain', identity.chainFile, '-key', identity.keyFile];
  // -quiet also keeps lines that begin with Q or R from being commands.
  const args = ['s_client', '-quiet', '-CAfile', rootFile, '-verify_return_error', '-verify_ip', '127.0.0.1'];
  const place = ['-connect', `127.0.0.1:${port}`];
  return readAnswer(await talk('openssl', [...args, ...place, ...certificate, ...options], rawRequest(request)));
}

/**
 * openssl s_client asks, reads its answer, and then starts a renegotiation of its own (its command R).
 * @returns everything it wrote, and told of itself, until the server ended the connection
 */
export async function renegotiatingClient(request: ClientRequest): Promise<{ output: string; remarks: string }> {
  const { port, path, identity, rootFile } = request;
  const certificate = identity === null ? [] : ['-cert', identity.chainFile, '-key', identity.keyFile];
  const args = ['s_client', '-tls1_2', '-CAfile', rootFile, '-connect', `127.0.0.1:${port}`, ...certificate];
  const child = spawn('openssl', args, { stdio: 'pipe', signal: AbortSignal.timeout(patience) });
  const closed = once(child, 'close');
  let output = '';
  child.stdin.on('error', () => {});
  child.stdin.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    const before = hasWholeAnswer(output);
    output += more;
    if (!before && hasWholeAnswer(output)) child.stdin.write('R\n');
  });
  const [remarks] = await Promise.all([text(child.stderr), closed]);
  return { output, remarks };
}

function hasWholeAnswer(output: string): boolean {
  return /^HTTP\/1\.1 \d{3} [^]*\r\n\r\n[^]*\}/m.test(output);
}

export interface Browser {
  /** The page that a fresh profile shows, as HTML. */
  dom(url: string): Promise<string>;
}

/**
 * Headless Chromium with an NSS store of its own in a home of its own.
 * @param identity what the store holds besides the trusted root; null: nothing
 */
export async function chromium(t: Test, rootFile: string, identity: ClientIdentity | null): Promise<Browser> {
  const home = await mkdtemp(join(tmpdir(), 'dsmapper-chromium-'));
  t.teardown(() => rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  const folder = join(home, '.pki', 'nssdb');
  await mkdir(folder, { recursive: true });
  const store = ['-d', `sql:${folder}`];
  await run('certutil', [...store, '-N', '--empty-password']);
  await run('certutil', [...store, '-A', '-n', 'lab root', '-t', 'C,,', '-i', rootFile]);
  if (identity !== null) {
    const file = join(home, 'identity.p12');
    const from = ['-in', identity.chainFile, '-inkey', identity.keyFile];
    await run('openssl', ['pkcs12', '-export', ...from, '-out', file, '-passout', 'pass:lab', '-name', 'identity']);
    await run('pk12util', [...store, '-i', file, '-W', 'lab', '-K', '']);
  }
  let profiles = 0;
  return {
    async dom(url) {
      const profile = join(home, `profile-${(profiles += 1)}`);
      const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
      const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', ...quiet];
      const env = { HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_CACHE_HOME: join(home, 'cache') };
      const more = [`--user-data-dir=${profile}`, '--no-proxy-server', `--timeout=${patience}`, '--dump-dom', url];
      return await run('chromium', [...args, ...more], { env });
    },
  };
}

const chromiumPolicies = '/etc/chromium/policies/managed';

/**
 * Lets Chromium choose a certificate without asking a person: a policy file for the time of the test. Chromium has no
 * other way (AutoSelectCertificateForUrls), and reads policies from this folder alone.
 */
export async function autoSelectCertificates(t: Test, urls: readonly string[]): Promise<void> {
  const made = await mkdir(chromiumPolicies, { recursive: true, mode: 0o755 });
  const file = join(chromiumPolicies, `dsmapper-test-${process.pid}.json`);
  t.teardown(async () => {
    await rm(file, { force: true });
    if (made === undefined) return;
    // Innermost first; a folder that somebody else uses by now stays.
    for (let folder = chromiumPolicies; folder.startsWith(made); folder = dirname(folder))
      await rmdir(folder).catch(() => {});
  });
  const patterns = urls.map((pattern) => JSON.stringify({ pattern, filter: {} }));
  await writeFile(file, JSON.stringify({ AutoSelectCertificateForUrls: patterns }), { mode: 0o644 });
}

/** Null when the policy can be written; else why not. */
export function whyNoPolicies(): string | null {
  let nearest = chromiumPolicies;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.W_OK);
    return null;
  } catch {
    return `${chromiumPolicies} cannot be written, so Chromium would ask a person which certificate to use`;
  }
}

function rawRequest({ port, path, body }: ClientRequest): string {
  const head = `Host: 127.0.0.1:${port}\r\nConnection: close\r\n`;
  if (body === undefined) return `GET ${path} HTTP/1.1\r\n${head}\r\n`;
  return `POST ${path} HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/**
 * Standard output of a program that is told one thing and then listened to until the server ends the connection; its
 * standard input stays open meanwhile, for its end would make the client hang up. How such a program judges the end is its own affair.
 */
async function talk(command: string, args: readonly string[], input: string): Promise<string> {
  const child = spawn(command, args, { stdio: 'pipe', signal: AbortSignal.timeout(patience) });
  const closed = once(child, 'close');
  child.stdin.on('error', () => {});
  child.stdin.write(input);
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  if (output === '') throw new Error(`${command} showed no answer: ${errors.slice(-2000)}`);
  return output;
}

/** @throws Error when there is no answer in it */
function readAnswer(output: string): ClientAnswer {
  const interim: number[] = [];
  let rest = output.slice(Math.max(0, output.search(/^HTTP\/[\d.]+ \d{3}/m)));
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    const [first = '', ...lines] = rest.slice(0, Math.max(end, 0)).split('\r\n');
    const status = Number(/^HTTP\/[\d.]+ (\d{3})/.exec(first)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) throw new Error(`no answer: ${output.slice(0, 2000)}`);
    rest = rest.slice(end + 4);
    if (status >= 200) return { status, headers: new Map(lines.map(readHeader)), body: rest, interim };
    interim.push(status);
  }
}

function readHeader(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
