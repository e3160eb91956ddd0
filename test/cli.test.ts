/**
 * The command as a user has it: started as a process, with its output, its exit codes and what it leaves behind.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import type { Explanation } from '../src/admin/explain.ts';
import { nodeComplaint } from '../src/cli/node-version.ts';
import { jsonText, printable } from '../src/cli/terminal.ts';
import { labBind, labDomain, labEntries } from '../src/lab/accounts.ts';
import { startDirectoryServer } from '../src/lab/directory-server.ts';
import { preparePki } from '../src/lab/pki.ts';
import type { MappingMethod } from '../src/mapping/mapper-contract.ts';
import { pemOf, writeCertificate } from './support/certificate-writer.ts';
import { within, type Ended } from './support/command.ts';
import { readMappingCases } from './support/mapping-cases.ts';

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const recipes = fileURLToPath(new URL('../certs/recipes', import.meta.url));

interface Where {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

function start(command: string, words: readonly string[], { cwd, env = {} }: Where = {}) {
  const child = spawn(command, words, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  const output = { stdout: '', stderr: '' };
  const look = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (piece: string) => {
      output[name] += piece;
      for (const each of look) each();
    });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      children.delete(child);
      for (const each of look) each();
      resolve({ code, ...output });
    });
  });
  /** What it printed, up to and with what is waited for. */
  const printed = (what: RegExp, where: 'stdout' | 'stderr' = 'stdout') =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        if (what.test(output[where])) resolve(output[where]);
        else if (child.exitCode !== null) reject(new Error(`ended with ${child.exitCode}: ${output.stderr}`));
      };
      look.add(check);
      check();
    });
  return { child, ended, printed };
}

const dsmapper = (words: readonly string[], where: Where = {}) => start(process.execPath, [main, ...words], where);
const run = (words: readonly string[], where: Where = {}) => dsmapper(words, where).ended;

async function scratch(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dsm-cli-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** What may not reach a terminal: control and format characters but for the line's end. */
const raw = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function complaint({ stderr }: Ended): readonly string[] {
  return stderr.split('\n').filter((line) => line.startsWith('error:'));
}

interface Ready {
  readonly configuration: string;
  readonly certs: Readonly<Record<string, { readonly cert: string; readonly key: string }>>;
  readonly directory: { readonly url: string; readonly searches: string };
  readonly revocation: { readonly url: string; readonly control: string };
  readonly [key: string]: unknown;
}

await t.test('the lab', { timeout: 380_000 }, async (t) => {
  const cwd = await scratch(t);
  const words = ['lab', '--folder', 'certs', '--var', 'run'];
  let firstPem = '';

  await t.test('every command that it prints works as it stands, in another shell', async (t) => {
    const lab = dsmapper([...words, '--ports', '0'], { cwd });
    const text = await lab.printed(/Ctrl-C ends everything\.\n/);
    const lines = text.split('\n');
    const commands = lines.flatMap((line, index) => (line.startsWith('curl ') ? [[lines[index - 1] ?? '', line]] : []));
    t.ok(commands.length >= 27, `${commands.length} commands`);
    for (const [promise = '', command = ''] of commands) {
      const { code, stdout, stderr } = await start('/bin/sh', ['-c', command], { cwd }).ended;
      t.equal(code, 0, `${promise}\n${command}\n${stderr}`);
      t.equal(stderr, '', promise);
      const [, status, , user] = /: (\d{3}(?:\.\d+)?)(,.*?(LAB\\\w+))?$/.exec(promise) ?? [];
      if (status !== undefined) {
        const heads = [...stdout.matchAll(/^HTTP\/[\d.]+ (\d{3})/gm)].map(([, found]) => found);
        const verdict = /^x-dsmapper-verdict: (\S+)/im.exec(stdout)?.[1];
        t.equal(heads.at(-1), status.slice(0, 3), promise);
        // Of an upgrade the verdict is the account's.
        t.equal(verdict, status === '101' ? '200' : status, promise);
        if (status === '200' || status === '101') t.match(stdout, '"bodySha256"', 'the backend answers');
        if (user !== undefined) t.match(stdout, JSON.stringify(user), promise);
        t.notMatch(stdout, /LAB\\\\root/);
        if (promise.includes('groups the backend'))
          t.match(stdout, '["X-Remote-Groups","LAB\\\\Payroll,LAB\\\\Staff"]');
        if (promise.includes('a stream'))
          t.equal(stdout.match(/^data: /gm)?.length, 4, 'one that describes the request, three more');
      } else if (promise.startsWith('# who'))
        t.match(stdout, JSON.stringify({ name: 'LAB\\alice' }).slice(1, -1), promise);
      else if (promise.startsWith('# why')) t.match(JSON.parse(stdout), { verdict: { code: 'weakMapping' } });
      else t.match(stdout, /^dsmapper_verdicts_total\{code="authorised"\} [1-9]/m, promise);
    }
    const ports = [...text.matchAll(/https?:\/\/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
    t.ok(ports.length > 5);

    const second = await run([...words, '--ports', '0'], { cwd });
    t.equal(second.code, 1, 'a second one with the same certificates is refused');
    t.match(complaint(second), [/cannot listen on 127\.0\.0\.1:\d+, where the certificates .* say/]);
    t.match(second.stderr, /^hint: end what listens there, another lab perhaps/m);
    const third = await run(['lab', '--folder', 'others', '--var', 'run', '--ports', '0'], { cwd });
    t.equal(third.code, 1, 'and one in the same folder');
    t.match(complaint(third), [/another process answers on the (?:admin )?socket .*admin\.sock/]);
    t.match(third.stderr, /^hint: /m);

    firstPem = await readFile(join(cwd, 'certs', 'alice.pem'), 'utf8');
    lab.child.kill('SIGINT');
    const { code, stderr } = await lab.ended;
    t.equal(code, 0);
    t.notMatch(stderr, /error|warn/i);
    for (const port of new Set(ports)) t.notOk(await isOpen(port), `port ${port} is closed`);
    t.notOk((await readdir(join(cwd, 'run'))).includes('admin.sock'));
  });

  const lab = dsmapper([...words, '--ports', '0', '--json'], { cwd });
  const line = await lab.printed(/\n/);
  const ready = JSON.parse(line) as Ready;
  const config = ready.configuration;
  const certificate = (name: string) => ready.certs[name]?.cert ?? '';
  /** A configuration beside the lab's own, so that its references hold. */
  const variant = async (name: string, change: (yaml: string) => string) => {
    const file = join(dirname(config), `${name}.yaml`);
    await writeFile(file, change(await readFile(config, 'utf8')));
    return file;
  };

  await t.test('--json prints one line when it is ready', async (t) => {
    t.equal(line.split('\n').length, 2);
    const url = (path: string) => new RegExp(`^https://127\\.0\\.0\\.1:\\d+${path}$`);
    t.match(ready, {
      event: 'ready',
      lateUrl: url('/payroll'),
      upFrontUrl: url('/payroll'),
      publicUrl: url('/'),
      httpUrl: /^http:\/\/127\.0\.0\.1:\d+\/$/,
      admin: /^http:\/\/127\.0\.0\.1:\d+$/,
      socket: join(cwd, 'run', 'admin.sock'),
      roots: join(cwd, 'certs', 'root.pem'),
      certs: { alice: { cert: join(cwd, 'certs', 'alice.pem'), key: join(cwd, 'certs', 'alice.key') } },
      directory: { url: /^ldaps:\/\//, searches: /^http:\/\// },
      revocation: { url: /^http:\/\/127\.0\.0\.1:\d+$/, control: /^http:\/\/127\.0\.0\.1:\d+$/ },
    });
    t.ok(Object.keys(ready.certs).length >= 19);
    for (const name of [
      'event',
      'lateUrl',
      'upFrontUrl',
      'publicUrl',
      'admin',
      'socket',
      'roots',
      'certs',
      'directory',
    ])
      t.ok(name in ready, name);
    t.match(await (await fetch(ready.directory.searches)).text(), /^\d+\n$/);
    t.equal(await readFile(certificate('alice'), 'utf8'), firstPem, 'certificates are kept from start to start');
  });

  await t.test('check contacts everything', async (t) => {
    const good = await run(['check', '-c', config]);
    t.equal(good.code, 0, good.stderr);
    t.match(good.stdout, /is valid/);
    t.match(good.stdout, /^ok {3}controller ldaps:.*: up$/m);
    t.match(good.stdout, /^ok {3}upstream http:.*: answers$/m);
    t.match(good.stdout, /^ok {3}right to read tokenGroups in .*: \d+ groups of \w+ read at ldaps:/m);
    t.match(good.stdout, /^location Lab \/payroll: /m);
    t.equal(good.stderr, '');

    const json = await run(['check', '-c', config, '--json']);
    t.equal(json.code, 0);
    t.match(JSON.parse(json.stdout), {
      source: config,
      bindings: [{ scheme: 'https' }, { scheme: 'https' }, { scheme: 'http' }],
      locations: [{ path: String }, { path: String }, { path: String }],
      warnings: Array,
      contacts: Array,
    });
    const { contacts } = JSON.parse(json.stdout) as { readonly contacts: readonly { readonly what: string }[] };
    const kinds = new Set(contacts.map(({ what }) => what.split(' ')[0]));
    t.strictSame(
      [...kinds],
      ['controller', 'domains', 'NTAuth', 'users', 'right', 'CRL', 'OCSP', 'cacheDirectory', 'upstream'],
    );
    t.match(
      contacts,
      contacts.map(() => ({ answers: true, finding: false, detail: String })),
    );
    const offline = await run(['check', '-c', config, '--offline', '--json']);
    t.match(JSON.parse(offline.stdout), { contacts: [] });

    await writeFile(join(dirname(config), 'wrong-password'), 'wrong');
    const wrong = await variant('wrong', (yaml) => yaml.replace('file:ldap-password', 'file:wrong-password'));
    const refused = await run(['check', '-c', wrong]);
    t.equal(refused.code, 3, 'a wrong password is a system that does not let us in');
    t.equal(complaint(refused).length, 1, refused.stderr);
    t.match(refused.stderr, /^error: controller ldaps:.* does not answer as it should: .*(?:credential|49)/im);
    t.match(refused.stderr, /^hint: check dn and password/m);
    t.match(refused.stdout, /^FAIL controller/m);
    t.notMatch(refused.stdout + refused.stderr, /wrong-password|: wrong$/m);
    const refusedJson = await run(['check', '-c', wrong, '--json']);
    t.equal(refusedJson.code, 3);
    t.match(JSON.parse(refusedJson.stdout), { contacts: [{ answers: false }] });

    await writeFile(join(cwd, 'broken.yaml'), 'bindings: [}\n');
    for (const file of [join(cwd, 'broken.yaml'), await variant('odd', (yaml) => `${yaml}\nnonsense: 1\n`)]) {
      const broken = await run(['check', '-c', file]);
      t.equal(broken.code, 2, file);
      t.equal(complaint(broken).length, 1);
      t.equal(broken.stdout, '');
    }
    const missing = await run(['check', '-c', join(cwd, 'nowhere.yaml')]);
    t.ok(missing.code === 1 || missing.code === 2, `${missing.code}`);
    t.match(missing.stderr, /nowhere\.yaml/);
    t.equal(
      (await run(['check'], { cwd })).stderr.includes('dsmapper.yaml'),
      true,
      'the default is dsmapper.yaml here',
    );
  });

  await t.test('check: an NTAuth store without issuers is a finding', async (t) => {
    const pki = await preparePki({ recipes, folder: join(cwd, 'certs'), now: new Date() });
    const shown = pki.certificates.get('directory');
    if (shown === undefined) throw new TypeError('no certificate');
    const bind = [labBind];
    const tls = { cert: shown.chain, key: shown.key };
    const directory = await startDirectoryServer({ ...labDomain, tls, bind, entries: labEntries(pki), ntAuth: [] });
    t.teardown(() => directory.stop());
    const empty = await variant('empty', (yaml) => yaml.replaceAll(ready.directory.url, directory.url));
    const { code, stdout } = await run(['check', '-c', empty]);
    t.equal(code, 1, stdout);
    t.match(stdout, /^BAD {2}NTAuth: 0 issuers.*nobody can be mapped/m);
  });

  await t.test('explain without a configuration', async (t) => {
    const plain = await run(['explain', certificate('alice')]);
    t.equal(plain.code, 0);
    t.match(plain.stdout, /^\s+\+ X509IssuerSerialNumber \(strong\): X509:<I>/m);
    t.match(plain.stdout, /^notJudged: /m);
    const { stdout, code } = await within(t, ['explain', certificate('alice'), '--json']);
    t.equal(code, 0);
    const told = JSON.parse(stdout) as Explanation;
    t.strictSame(Object.keys(told), ['certificate', 'candidates', 'steps', 'account', 'headers', 'verdict', 'advice']);
    t.match(told, { steps: [], account: null, headers: [], verdict: { code: 'notJudged', status: 200 } });
    for (const words of [
      ['--account', 'alice'],
      ['--binding', 'x'],
      ['--host', 'x'],
    ]) {
      const refused = await within(t, ['explain', certificate('alice'), ...words]);
      t.equal(refused.code, 2, words.join(' '));
      t.match(complaint(refused), [/means nothing without a configuration/]);
    }
  });

  await t.test('explain where no certificate is asked for', async (t) => {
    const unseen = await within(t, ['explain', certificate('revoked'), '-c', config, '--json']);
    t.match(JSON.parse(unseen.stdout), { verdict: { code: 'anonymous' } });
    t.match(unseen.stderr, /^warning: no certificate is asked for at \/, so this one was not judged;/m);
    t.match(unseen.stderr, /--path \/computers or \/payroll or \/smartcard or \/staff$/m);
    const seen = await within(t, ['explain', certificate('alice'), '-c', config, '--path', '/payroll', '--json']);
    t.equal(seen.stderr, '');
  });

  await t.test('explain with a configuration', async (t) => {
    const ask = async (...words: string[]) => {
      const ended = await within(t, ['explain', ...words, '-c', config, '--path', '/payroll', '--json']);
      return {
        ...ended,
        told: JSON.parse(ended.stdout === '' ? '{}' : ended.stdout) as Explanation,
      };
    };
    const good = await ask(certificate('alice'));
    t.equal(good.code, 0);
    t.strictSame(Object.keys(good.told), [
      'certificate',
      'candidates',
      'steps',
      'account',
      'headers',
      'verdict',
      'advice',
    ]);
    t.strictSame(Object.keys(good.told.certificate), [
      'thumbprint',
      'subject',
      'issuer',
      'serial',
      'notBefore',
      'notAfter',
      'upn',
      'dnsNames',
      'rfc822Names',
      'sid',
      'subjectKeyIdentifier',
    ]);
    for (const candidate of good.told.candidates)
      t.strictSame(Object.keys(candidate).toSorted(), ['method', 'strength', 'used', 'value', 'why']);
    for (const step of good.told.steps) t.strictSame(Object.keys(step), ['step', 'outcome', 'detail', 'ms']);
    t.strictSame(
      [...new Set(good.told.steps.map(({ step }) => step))],
      ['presented', 'judge', 'map', 'authorise', 'dress'],
      'the steps of the flow, in order',
    );
    t.strictSame(Object.keys(good.told.account ?? {}), ['sid', 'name', 'upn', 'dn', 'disabled', 'groups']);
    t.match(good.told, {
      account: { name: 'LAB\\alice', upn: 'alice@lab.example.test', disabled: false, groups: null },
      verdict: { code: 'authorised', status: 200, subStatus: 0, win32: 0, text: /alice/ },
    });
    t.strictSame(Object.keys(good.told.verdict), ['code', 'status', 'subStatus', 'win32', 'text']);
    t.strictSame(good.told.headers[0], ['X-Remote-User', 'LAB\\alice']);

    for (const [name, code, sub] of [
      ['disabled', 'accountDisabled', 12],
      ['weak', 'weakMapping', 12],
      ['foreign', 'chainIncomplete', 16],
      ['expired', 'certificateExpired', 17],
      ['nobody', 'notMapped', 2],
    ] as const) {
      const refused = await ask(certificate(name));
      t.equal(refused.code, 1, name);
      t.match(refused.told.verdict, { code, subStatus: sub });
      t.strictSame(refused.told.headers, []);
    }
    t.match((await ask(certificate('disabled'))).told.account, { name: 'LAB\\dora', disabled: true });

    const offline = await ask(certificate('nobody'), '--offline');
    t.equal(offline.code, 0);
    t.match(offline.told, { account: null, verdict: { code: 'trusted' } });
    t.equal((await ask(certificate('expired'), '--offline')).code, 1);
    const then = await ask(certificate('alice'), '--at', '2001-01-01T00:00:00Z', '--offline');
    t.match(then.told.verdict, { code: 'certificateNotYetValid' });
    for (const at of ['yesterday', '2026-11-22', '2026-11-22T17:33:00', '2026-13-01T00:00:00Z']) {
      const refused = await ask(certificate('alice'), '--at', at);
      t.equal(refused.code, 2, at);
      t.match(complaint(refused), [/is not an instant/]);
    }
    for (const account of ['alice', 'LAB\\alice', 'alice@lab.example.test']) {
      const asked = await ask(certificate('alice'), '--account', account);
      t.match(
        asked.told.asked,
        { name: 'LAB\\alice', problem: null, values: [{ value: /^X509:<I>/, method: 'X509IssuerSerialNumber' }] },
        account,
      );
    }
    const other = await ask(certificate('alice'), '--account', 'carol');
    t.match(other.told.asked, {
      name: 'LAB\\carol',
      values: [{ value: /^X509:<SKI>/, method: null, form: 'X509SKI', corrected: null }],
    });
    t.match(other.told.advice, [{ code: 'otherCertificate' }, { code: 'otherAccount', text: /LAB\\alice/ }]);
    t.match((await ask(certificate('alice'), '--account', 'ghost')).told.asked, {
      problem: /no such account/,
      values: [],
    });
    t.equal((await ask(certificate('alice'), '--account', 'alice', '--offline')).code, 2);

    const suggested = await within(t, [
      'map',
      'suggest',
      certificate('alice'),
      '-c',
      config,
      '--account',
      'LAB\\alice',
    ]);
    t.equal(suggested.code, 0, suggested.stderr);
    t.match(suggested.stdout, /^Set-ADUser -Identity '[^']*DC=test' -Server 'lab\.example\.test' -Add @/m);
    t.match(suggested.stdout, /^dn: CN=.*DC=test$/m);
    const unknown = await within(t, ['map', 'suggest', certificate('alice'), '-c', config, '--account', 'ghost']);
    t.equal(unknown.code, 1);
    t.match(complaint(unknown), [/ghost: the directory has no such account/]);
    t.equal((await ask(certificate('alice'), '--binding', 'nowhere:1')).code, 2);

    const bare = join(cwd, 'bare.pem');
    await writeFile(
      bare,
      (await readFile(certificate('alice'), 'utf8')).split(/(?<=-----END CERTIFICATE-----\n)/)[0] ?? '',
    );
    t.equal((await ask(bare, join(cwd, 'certs', 'issuing.pem'))).code, 0, 'the chain may come in a file of its own');

    const story = await within(t, [
      'explain',
      certificate('weak'),
      '-c',
      config,
      '--path',
      '/payroll',
      '--account',
      'wanda',
    ]);
    t.equal(story.code, 1);
    t.match(story.stdout, /^Values of LAB\\wanda$/m);
    t.match(story.stdout, /^weakMapping 403\.12: /m);
    const iis = await variant('iis', (yaml) => `${yaml}\nmapping: { outcomes: iis }\n`);
    const hidden = await within(t, ['explain', certificate('weak'), '-c', iis, '--path', '/payroll']);
    t.match(hidden.stdout, /^weakMapping 401\.2: /m, 'the status is that of the outcomes in force');

    for (const [file, code] of [
      [join(cwd, 'nothing.pem'), 2],
      [ready.certs['alice']?.key ?? '', 1],
      [config, 1],
    ] as const) {
      const refused = await within(t, ['explain', file, '-c', config]);
      t.equal(refused.code, code, refused.stderr);
      t.equal(complaint(refused).length, 1);
    }
  });

  await t.test('a directory that is down is exit code 3', async (t) => {
    const control = new URL('/directory/', ready.directory.searches);
    await fetch(new URL('stop', control), { method: 'POST' });
    const checked = await run(['check', '-c', config]);
    t.equal(checked.code, 3);
    t.equal(complaint(checked).length, 1);
    t.match(checked.stderr, /ECONNREFUSED/);
    t.match(checked.stdout, /^ok {3}upstream/m, 'the rest is contacted all the same');
    const explained = await run(['explain', certificate('alice'), '-c', config, '--path', '/payroll', '--json']);
    t.equal(explained.code, 3);
    t.match(JSON.parse(explained.stdout), { verdict: { code: 'directoryUnavailable', status: 503 } });
    t.equal((await run(['check', '-c', config, '--offline'])).code, 0);
    await fetch(new URL('start', control), { method: 'POST' });
    t.equal((await run(['check', '-c', config])).code, 0);
  });

  await t.test('serve', async (t) => {
    const port = new URL(String(ready['lateUrl'])).port;
    const taken = await variant('taken', (yaml) => yaml.replace(/admin: \{.*\}/, 'admin: {}'));
    const inUse = await run(['serve', '-c', taken]);
    t.equal(inUse.code, 1);
    t.match(complaint(inUse), [new RegExp(`127\\.0\\.0\\.1:${port}`)]);
    t.match(inUse.stderr, /^hint: another process listens there/m);

    const keys = join(cwd, 'run', 'keys');
    await mkdir(keys);
    await copyFile(certificate('gateway'), join(keys, 'gateway.pem'));
    await copyFile(ready.certs['alice']?.key ?? '', join(keys, 'other.key'));
    await writeFile(join(keys, 'broken.key'), '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
    await writeFile(join(keys, 'broken.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const shown = (cert: string, key: string) => (yaml: string) =>
      yaml.replaceAll(/certificate: \{.*\}/g, `certificate: { cert: "file:${cert}", key: "file:${key}" }`);
    for (const [name, change, code, text] of [
      ['unreadable key', shown('keys/gateway.pem', 'keys/nothing.key'), 1, /keys\/nothing\.key/],
      ['a folder for a key', shown('keys/gateway.pem', 'keys'), 1, /key/],
      ['key of another', shown('keys/gateway.pem', 'keys/other.key'), 2, /does not belong to the certificate/],
      ['broken key', shown('keys/gateway.pem', 'keys/broken.key'), 2, /not a private key/],
      ['broken PEM', shown('keys/broken.pem', 'keys/other.key'), 2, /broken\.pem/],
      [
        'no password',
        (yaml: string) => yaml.replace('file:ldap-password', 'env:NO_SUCH_VARIABLE'),
        2,
        /NO_SUCH_VARIABLE/,
      ],
    ] as const) {
      const ended = await run(['serve', '-c', await variant(name.replaceAll(' ', '-'), change)]);
      t.equal(ended.code, code, `${name}: ${ended.stderr}`);
      t.equal(complaint(ended).length, 1, name);
      t.match(ended.stderr, text, name);
      t.equal(ended.stdout, '');
    }

    const free = await variant('free', (yaml) => {
      let offset = 0;
      const start = 33_000 - (process.pid % 1000) * 4;
      const ports = new Map<string, number>();
      return yaml
        .replaceAll(/127\.0\.0\.1:(\d+)(?=["\s,]| {2})/g, (whole, old: string) => {
          const kept = [String(ready['echo']), ready.directory.url, ready.revocation.url];
          if (kept.some((url) => url.endsWith(old))) return whole;
          if (!ports.has(old)) ports.set(old, start - (offset += 1));
          return `127.0.0.1:${ports.get(old)}`;
        })
        .replace('socket: "admin.sock"', 'socket: serve.sock')
        .replace('socket: admin.sock', 'socket: serve.sock')
        .replace(/log: \{.*\}/, 'log: { file: "-" }');
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const serving = dsmapper(['serve', '-c', free, '--json']);
      const [line = ''] = /^.*"event":"ready".*\n/m.exec(await serving.printed(/"event":"ready".*\n/)) ?? [];
      const told = JSON.parse(line) as {
        readonly event: string;
        readonly addresses: readonly { readonly port: number }[];
      };
      t.equal(told.event, 'ready');
      t.equal(told.addresses.length, 3);
      const http = told.addresses[2]?.port ?? 0;
      t.equal((await fetch(`http://127.0.0.1:${http}/x?secret`)).status, 403);
      await serving.printed(/"sslRequired"/);
      serving.child.kill(signal);
      const { code, stdout } = await serving.ended;
      t.equal(code, 0, signal);
      const lines = stdout.trimEnd().split('\n');
      t.match(
        lines.map((one) => JSON.parse(one) as object).filter((one) => 'path' in one),
        [{ path: '/x', status: 403, subStatus: 4 }],
      );
      t.notOk(await isOpen(http));
    }
    const announced = dsmapper(['serve', '-c', free]);
    t.teardown(() => announced.child.kill('SIGKILL'));
    await announced.printed(/labOnly is set/, 'stderr');
    const before = await readFile(free, 'utf8');
    await writeFile(free, before.replace('pathCase', 'pathCaze').replace('sites:', 'sights:'));
    announced.child.kill('SIGHUP');
    await announced.printed(/was not taken up, the old one serves on\n.*^\S+: sights: unknown key$/ms, 'stderr');
    const [, binding = ''] = /endpoint: (\S+)/.exec(before) ?? [];
    const caller = `{ name: proxy, form: nginx, bindings: ["${binding}"], sites: [Lab] }`;
    const added = `authEndpoints: [{ name: edge, socket: edge.sock, callers: [${caller}] }]`;
    await writeFile(free, `${before}\nlimits: { recheck: 50s, maximumBody: 1MiB }\n${added}\n`);
    announced.child.kill('SIGHUP');
    await announced.printed(/limits\.recheck has changed: that needs a restart/, 'stderr');
    await announced.printed(/authEndpoints \(listeners\) has changed: that needs a restart/, 'stderr');
    await announced.printed(/has been taken up; it is generation 2$/m, 'stderr');
    announced.child.kill('SIGTERM');
    const { stderr, code } = await announced.ended;
    t.equal(code, 0);
    t.match(stderr, /^binding 127\.0\.0\.1:\d+ listens on 127\.0\.0\.1:\d+$/m);
    t.match(stderr, /labOnly is set/);
  });

  lab.child.kill('SIGTERM');
  t.equal((await lab.ended).code, 0, 'SIGTERM ends it as well');
});

await t.test('explain --offline shows the candidates of every published case', async (t) => {
  const folder = await scratch(t);
  const file = join(folder, 'case.pem');
  let compared = 0;
  for (const one of readMappingCases('')) {
    await writeFile(file, one.pem);
    const { code, stdout } = await within(t, ['explain', file, '--json', '--offline']);
    t.equal(code, 0, one.name);
    const { candidates, certificate } = JSON.parse(stdout) as Explanation;
    t.match(certificate.thumbprint, /^[0-9a-f]{40}$/);
    t.notMatch(stdout, raw, one.name);
    for (const [method, values] of Object.entries(one.candidates ?? {}) as [MappingMethod, readonly string[]][]) {
      const shown = candidates.filter((candidate) => candidate.method === method).map(({ value }) => value);
      // issuers above the leaf's own are known where a chain was judged
      const known = one.above === undefined || method !== 'X509IssuerOnly' ? values : values.slice(0, 1);
      t.strictSame(shown, known, `${one.name}: ${method}`);
      compared += 1;
    }
    for (const value of one.unused ?? [])
      t.match(
        candidates.filter((candidate) => candidate.value === value),
        [{ used: false }],
        `${one.name}: ${value}`,
      );
  }
  t.ok(compared > 60, `${compared} lists of values`);
});

await t.test('cert show, and what a hostile certificate may say', async (t) => {
  const folder = await scratch(t);
  const escape = '\u001b[31m\u001b]0;owned\u0007';
  const nasty = `${escape}\u009b2J\u202eevil\u2028\u200b\u{e0041}\ufeff`;
  const file = join(folder, 'nasty.pem');
  const issuer = [`CN=${nasty}`];
  await writeFile(
    file,
    pemOf(
      writeCertificate({
        issuer,
        subject: [`O=${nasty}`, 'CN=x'],
        upns: [`${nasty}@lab.example.test`],
        dnsNames: ['a\u0007b'],
        rfc822Names: ['x\u001b@y'],
      }),
    ),
  );
  for (const words of [
    ['cert', 'show', file],
    ['cert', 'show', file, '--json'],
    ['explain', file],
    ['explain', file, '--json'],
  ]) {
    const { code, stdout, stderr } = await run(words);
    t.equal(code, 0, stderr);
    t.notMatch(stdout, raw, words.join(' '));
    t.match(stdout, /evil/);
    t.equal(stderr, '');
    if (words.includes('--json')) t.match(JSON.stringify(JSON.parse(stdout)), 'evil');
  }
  const json = JSON.parse((await run(['cert', 'show', file, '--json'])).stdout) as { readonly upn: readonly string[] };
  t.strictSame(json.upn, [`${nasty}@lab.example.test`], 'JSON has the value itself, escaped');
  const named = await run(['cert', 'show', join(folder, `${escape}.pem`)]);
  t.equal(named.code, 2);
  t.notMatch(named.stderr, raw, 'nor does the name of a file');
  t.equal(printable('a\u001b\u{e0041}'), 'a\\u001b\\udb40\\udc41');
  t.equal(JSON.parse(jsonText('\u009b\u{1f600}\u202e')), '\u009b\u{1f600}\u202e');

  const piped = start('/bin/sh', [
    '-c',
    '"$0" "$1" cert show "$2" | head -c 1 >/dev/null',
    process.execPath,
    main,
    file,
  ]);
  t.match(await piped.ended, { code: 0, stderr: '' }, 'whoever stops reading gets no stack trace');
});

await t.test('init writes a file that loads once its files are there', async (t) => {
  const folder = await scratch(t);
  const cwd = join(folder, 'site');
  await mkdir(join(cwd, 'trust', 'roots'), { recursive: true });
  await mkdir(join(cwd, 'tls'));
  const pki = await preparePki({ recipes, folder: join(folder, 'certs'), now: new Date() });
  await cp(pki.certificates.get('root')?.chainFile ?? '', join(cwd, 'trust', 'roots', 'root.pem'));
  await cp(pki.certificates.get('gateway')?.chainFile ?? '', join(cwd, 'tls', 'server.pem'));
  await cp(pki.certificates.get('gateway')?.keyFile ?? '', join(cwd, 'tls', 'server.key'));
  const made = await run(['init', '--domain', 'corp.example.com'], { cwd });
  t.equal(made.code, 0, made.stderr);
  t.match(made.stdout, /dsmapper check -c dsmapper\.yaml/);
  const env = { LDAP_PASSWORD: 'x' };
  const checked = await run(['check', '--offline'], { cwd, env });
  t.equal(checked.code, 0, checked.stderr);
  t.match(checked.stdout, /^location Default Web Site \/: /m);
  const again = await run(['init'], { cwd });
  t.equal(again.code, 1);
  t.match(complaint(again), [/dsmapper\.yaml exists already/]);
  const hostile = ['--domain', 'corp.example.com', '--upstream', 'http://127.0.0.1:9', '--bind-dn', 'CN="x: #",O=[y]'];
  t.equal(
    (await run(['init', '--force', ...hostile, '--controller', 'dc1.corp.example.com', 'ldaps://dc2:636'], { cwd }))
      .code,
    0,
  );
  t.match(await readFile(join(cwd, 'dsmapper.yaml'), 'utf8'), 'ldaps://dc2:636');
  t.equal((await run(['check', '--offline'], { cwd, env })).code, 0, 'whatever the values are');
  t.equal((await run(['init', '--output', 'no/such/folder.yaml'], { cwd })).code, 1);
  await chmod(cwd, 0o755);
});

await t.test('flags', async (t) => {
  for (const words of [
    ['--nonsense'],
    ['nonsense'],
    ['serve', '--nonsense'],
    ['serve', 'extra'],
    ['check', '-x'],
    ['check', '-c'],
    ['explain'],
    ['explain', 'a', 'b', 'c'],
    ['cert', 'nonsense'],
    ['cert', 'show'],
    ['lab', '--ports', 'many'],
    ['lab', '--ports', '65532'],
    ['lab', '--ports', '-1'],
  ]) {
    const { code, stderr, stdout } = await within(t, words);
    t.equal(code, 2, `${words.join(' ')}: ${stderr}`);
    t.match(stderr, /^error: /m, words.join(' '));
    t.equal(stdout, '');
  }
  const help = await run(['--help']);
  t.equal(help.code, 0);
  for (const name of ['serve', 'lab', 'check', 'explain', 'init', 'cert'])
    t.match(help.stdout, new RegExp(`^ {2}${name} `, 'm'));
  const version = await run(['--version']);
  t.match(version, { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
});

await t.test('an old Node is told what to do', async (t) => {
  for (const version of ['26.9.0', '26.10.0', '27.0.0', '100.1.1']) t.strictSame(nodeComplaint(version), [], version);
  for (const version of ['20.19.1', '26.8.9', '26.0.0', '8.0.0'])
    t.match(nodeComplaint(version), [`error: dsmapper needs Node 26.9 or later, this is ${version}`, /^hint: /]);
  t.strictSame(nodeComplaint(process.versions.node), []);
});
