/**
 * HTTPS clients of other people as functions of one form: jobs in, what came of each out. A job is one client that has made nothing yet and asks some
 * things one after the other; how each program is told so stands here and in `clients/`, and of Node's own clients in
 * `node-programs.ts`. What must come of it stands in the tests.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { findProgram } from './real-peers.ts';

export interface ClientJob {
  readonly port: number;
  /** PEM files, and the same in PKCS#12 with the password `lab`; null: none. */
  readonly identity: { readonly chain: string; readonly key: string; readonly p12: string } | null;
  readonly rootFile: string;
  /** The only version of TLS that is offered; null: what the client offers as it comes. */
  readonly version: '1.2' | '1.3' | null;
  readonly requests: readonly ('GET' | 'POST')[];
  /** What POST sends. */
  readonly bodyFile: string;
}

/** What the client has of each request, or what it says went wrong. */
export type JobOutcome = readonly JobAnswer[] | { readonly error: string };

export interface JobAnswer {
  readonly status: number;
  readonly requestId: string;
  readonly verdict: string;
  readonly body: string;
}

export type ClientProgram = (jobs: readonly ClientJob[]) => Promise<readonly JobOutcome[]>;

/** Where the lab demands a certificate. */
export const path = '/payroll';
const patience = 60_000;
const folder = join(import.meta.dirname, 'clients');

/** Each job is a process, or a turn, of its own. */
export const eachJob =
  (work: (job: ClientJob) => Promise<readonly JobAnswer[]>): ClientProgram =>
  async (jobs) => {
    const outcomes: JobOutcome[] = [];
    for (const job of jobs)
      outcomes.push(await work(job).catch((error: unknown) => ({ error: reasonsOf(error).join(': ') })));
    return outcomes;
  };

export const curl = eachJob(async ({ port, identity, rootFile, version, requests, bodyFile }) => {
  const told = '%{http_code} %header{x-request-id} %header{x-dsmapper-verdict} %{size_download}\\n';
  const one = requests.flatMap((method) => [
    ...(identity === null ? [] : ['--cert', identity.chain, '--key', identity.key]),
    ...(version === null ? [] : [`--tlsv${version}`, '--tls-max', version]),
    ...(method === 'POST' ? ['--data-binary', `@${bodyFile}`] : []),
    ...[
      '-sS',
      '--max-time',
      '30',
      '--noproxy',
      '*',
      '--cacert',
      rootFile,
      '-w',
      told,
      `https://127.0.0.1:${port}${path}`,
    ],
    '--next',
  ]);
  const output = await talk('curl', ['-q', ...one.slice(0, -1)]);
  const lines = output.matchAll(/(\d{3}) (\S*) (\S*) (\d+)\n/g);
  let end = 0;
  return [...lines].map((line) => {
    const body = output.slice(end, line.index);
    end = line.index + line[0].length;
    return { status: Number(line[1]), requestId: line[2] ?? '', verdict: line[3] ?? '', body };
  });
});

/**
 * Has one method for all its addresses.
 * @param priority of GnuTLS; null: what wget makes up
 */
export const wget = (priority: string | null = null): ClientProgram =>
  eachJob(async ({ port, identity, rootFile, version, requests, bodyFile }) => {
    const certificate = identity === null ? [] : [`--certificate=${identity.chain}`, `--private-key=${identity.key}`];
    // Its --secure-protocol=TLSv1_2 means 1.2 and what comes after.
    const only = version === null ? '' : `:-VERS-ALL:+VERS-TLS${version}`;
    const output = await talk('wget', [
      ...[
        '--no-config',
        '-nv',
        '--tries=1',
        '--timeout=30',
        '--no-proxy',
        '--save-headers',
        '--content-on-error',
        '-O',
        '-',
      ],
      ...[`--ca-certificate=${rootFile}`, ...certificate],
      ...(priority === null ? [] : [`--ciphers=${priority}${only}`]),
      ...(requests.includes('POST') ? [`--post-file=${bodyFile}`] : []),
      ...requests.map(() => `https://127.0.0.1:${port}${path}`),
    ]);
    return readAnswers(output);
  });

export const gnutlsCli = eachJob(async (job) => {
  const { port, identity, rootFile, version } = job;
  const priority = version === null ? 'NORMAL' : `NORMAL:-VERS-ALL:+VERS-TLS${version}`;
  const certificate = identity === null ? [] : [`--x509certfile=${identity.chain}`, `--x509keyfile=${identity.key}`];
  const args = [`--x509cafile=${rootFile}`, `--priority=${priority}`, '--logfile=/dev/null', `--port=${port}`];
  return readAnswers(await talk('gnutls-cli', [...args, ...certificate, '127.0.0.1'], await rawRequests(job)));
});

export const sClient = eachJob(async (job) => {
  const { port, identity, rootFile, version } = job;
  const certificate =
    identity === null ? [] : ['-cert', identity.chain, '-cert_chain', identity.chain, '-key', identity.key];
  const tls = version === null ? [] : [`-tls${version.replace('.', '_')}`];
  const args = ['s_client', '-quiet', '-CAfile', rootFile, '-verify_return_error', '-verify_ip', '127.0.0.1', ...tls];
  return readAnswers(
    await talk('openssl', [...args, '-connect', `127.0.0.1:${port}`, ...certificate], await rawRequests(job)),
  );
});

/** Debian's own Python: another one has none of Debian's modules. */
export const systemPython = '/usr/bin/python3';

export const python = (flavour: 'http.client' | 'requests' | 'pycurl'): ClientProgram =>
  driver(flavour, () => Promise.resolve([systemPython, join(folder, 'client.py')]));

/** @param scratch a folder for what the compiler writes */
export const java = (flavour: 'HttpClient' | 'HttpsURLConnection', scratch: string): ClientProgram =>
  driver(flavour, async () => {
    const classes = join(scratch, flavour);
    await talk('javac', ['-d', classes, join(folder, 'Client.java')]);
    return ['java', '-XX:TieredStopAtLevel=1', '-cp', classes, 'Client'];
  });

/** @param scratch a folder for what the compiler writes */
export const go = (flavour: 'RenegotiateNever' | 'RenegotiateOnceAsClient', scratch: string): ClientProgram =>
  driver(flavour, async () => {
    const program = join(scratch, `go-${flavour}`);
    await talk('go', ['build', '-o', program, join(folder, 'client.go')], '', {
      GOFLAGS: '-mod=mod',
      GO111MODULE: 'off',
    });
    return [program];
  });

/** A program that takes a job a line, and answers it with a line: fields by tab, an answer's own by space. */
function driver(flavour: string, build: () => Promise<readonly string[]>): ClientProgram {
  return async (jobs) => {
    const [command = '', ...args] = await build();
    const output = await talk(command, args, jobs.map((job) => lineOf(flavour, job)).join(''), {}, true);
    const lines = output.trimEnd().split('\n');
    if (lines.length !== jobs.length) throw new Error(`${command} answered ${lines.length} jobs of ${jobs.length}`);
    return lines.map((line) => {
      const [kind, ...fields] = line.split('\t');
      const plain = (field = '') => Buffer.from(field, 'base64').toString('utf8');
      if (kind !== 'ok') return { error: plain(fields[0]) };
      return fields.map((field) => {
        const [status, requestId = '', verdict = '', body = ''] = field.split(' ');
        return { status: Number(status), requestId, verdict, body: plain(body) };
      });
    });
  };
}

function lineOf(flavour: string, { port, identity, rootFile, version, requests, bodyFile }: ClientJob): string {
  const own = identity === null ? ['-', '-', '-'] : [identity.chain, identity.key, identity.p12];
  const asked = requests.map((method) => `${method} ${path}`).join(',');
  return `${[flavour, `https://127.0.0.1:${port}`, rootFile, ...own, version ?? '-', bodyFile, asked].join('\t')}\n`;
}

export function answerFrom(status: number, header: (name: string) => unknown, body: string): JobAnswer {
  return { status, requestId: String(header('x-request-id')), verdict: String(header('x-dsmapper-verdict')), body };
}

/** All in one piece; the last one ends the connection. */
async function rawRequests({ port, requests, bodyFile }: ClientJob): Promise<string> {
  const body = await readFile(bodyFile, 'latin1');
  return requests
    .map((method, index) => {
      const close = index === requests.length - 1 ? 'Connection: close\r\n' : '';
      const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${close}`;
      return method === 'GET' ? `${head}\r\n` : `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
    })
    .join('');
}

function readAnswers(output: string): JobAnswer[] {
  const answers: JobAnswer[] = [];
  let rest = output.slice(Math.max(0, output.search(/^HTTP\/1\.1 \d{3}/m)));
  for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
    const head = rest.slice(0, end);
    const header = (name: string) => new RegExp(`^${name}: *(.*?)\\r?$`, 'im').exec(head)?.[1] ?? '-';
    const length = Number(header('content-length'));
    const body = rest.slice(end + 4, end + 4 + length);
    answers.push(answerFrom(Number(head.slice(9, 12)), header, body));
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}

/**
 * Standard output. What is told stays open unless `over`: its end would make some clients hang up.
 * @throws Error with everything the program says of itself, when it has no answer in its output
 */
async function talk(
  command: string,
  args: readonly string[],
  input = '',
  env: Readonly<Record<string, string>> = {},
  over = false,
): Promise<string> {
  const program = findProgram(command) ?? command;
  const child = spawn(program, args, { env: { ...process.env, ...env }, signal: AbortSignal.timeout(patience) });
  const closed = once(child, 'close') as Promise<[number | null]>;
  child.stdin.on('error', () => {});
  child.stdin.write(input);
  if (over) child.stdin.end();
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  const answered = /\b\d{3} /.test(output);
  if (code !== 0 && (!answered || /^000 /m.test(output))) throw new Error(`${code}: ${errors.trim() || output}`);
  if (output === '' && errors !== '' && input !== '') throw new Error(errors.trim());
  return output;
}

function reasonsOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  return [error.message, ...(error.cause === undefined ? [] : reasonsOf(error.cause))];
}
