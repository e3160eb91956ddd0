/**
 * What operators reach, over which way: health and metrics on TCP, the rest on a socket that is theirs alone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { startAdmin } from '../src/admin/surface.ts';
import { ask, testGateway, testLab } from './support/gateway.ts';

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** @param to `host:port`, or the path of a socket */
function call(to: string, path: string, method = 'GET', body: string | Buffer = '', headers = {}): Promise<Answer> {
  const [host = '', port] = to.split(':');
  const where = /^[./]/.test(to) ? { socketPath: to } : { host, port };
  return new Promise((resolve, reject) => {
    const sent = http.request({ ...where, path, method, headers, agent: false });
    sent.once('error', reject);
    sent.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    sent.end(body);
  });
}

/** The path of a socket may not be long. */
async function shortFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dsm-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Steps take their time; everything else of an explanation repeats. */
function withoutTimes(text: string): unknown {
  return JSON.parse(
    text
      .replaceAll(/"ms":[\d.e-]+/g, '"ms":0')
      .replaceAll(/in [\d.]+ ms/g, 'in 0 ms')
      .replaceAll(/judged at [\d:TZ.-]+/g, '')
      .replaceAll(/ \w+ ago/g, ''),
  );
}

function runCommand(...words: readonly string[]): Promise<{ readonly code: number | null; readonly stdout: string }> {
  const main = new URL('../src/cli/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (stdout += piece));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout })));
}

await t.test('the admin surface', { timeout: 120_000 }, async (t) => {
  const lab = await testLab(t);
  const to = await testGateway(t, { lab, configure: (yaml) => `${yaml}\nmapping: { deadline: 1s }\n` });
  const socket = to.settings.admin.socket ?? '';
  const { listen } = to.settings.admin;
  const admin = await startAdmin(to.settings.admin, to.gateway);
  t.teardown(() => admin.close());
  const tcp = admin.address ?? '';
  t.equal(tcp, `${listen?.address}:${listen?.port}`);

  await t.test('metrics can be parsed, and all are there', async (t) => {
    for (const as of ['alice', 'nobody', 'alice']) await ask(to, 'upFront', { as });
    await ask(to, 'late', { as: 'alice' });
    const { status, headers, body } = await call(tcp, '/metrics');
    t.equal(status, 200);
    t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
    const sample =
      /^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[a-zA-Z_]\w*="[^"\n]*"(?:,[a-zA-Z_]\w*="[^"\n]*")*\})? (?:[-+0-9.e]+|NaN|[+-]Inf)$/;
    for (const line of body.split('\n')) if (line !== '' && !line.startsWith('# ')) t.match(line, sample, line);
    for (const line of [
      'dsmapper_verdicts_total{code="authorised"} 3',
      'dsmapper_verdicts_total{code="notMapped"} 1',
      'dsmapper_verdicts_total{code="directoryUnavailable"} 0',
      'dsmapper_stage_seconds_count{stage="rule"} 4',
      'dsmapper_stage_seconds_count{stage="forward"} 3',
      'dsmapper_mapping_cache_total{result="miss"} 2',
      'dsmapper_mapping_cache_total{result="hit"} 2',
      'dsmapper_connections_total{event="accepted"} 4',
      'dsmapper_connections_total{event="renegotiated"} 1',
      'dsmapper_setup_generation 1',
      'dsmapper_requests_in_flight 0',
      'dsmapper_mapping_cache_entries 2',
    ])
      t.ok(body.split('\n').includes(line), line);
    for (const name of [
      'dsmapper_ldap_searches_total',
      'dsmapper_connections',
      'dsmapper_certificate_cache_entries',
      'dsmapper_upstream_busy',
      'process_cpu_seconds_total',
    ])
      t.match(body, new RegExp(`^${name} \\d`, 'm'), name);
    t.notMatch(body, /^dsmapper_ldap_searches_total 0$/m, 'searches are counted');
    t.notMatch(body, /alice/i, 'nobody is named');
  });

  await t.test('health on TCP, and nothing else', async (t) => {
    t.strictSame(await call(tcp, '/healthz').then(({ body }) => JSON.parse(body)), { alive: true });
    const ready = await call(tcp, '/readyz');
    t.equal(ready.status, 200);
    t.match(JSON.parse(ready.body), { ready: true, labOnly: true });
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/status'],
      ['POST', '/explain'],
      ['GET', '/explain'],
      ['DELETE', '/cache/mapping'],
      ['POST', '/metrics'],
      ['GET', '/metrics/../status'],
      ['GET', '//status'],
      ['GET', '/%73tatus'],
    ] as const)
      t.equal((await call(tcp, path, method)).status, 404, `${method} ${path}`);
  });

  await t.test('the socket explains as the command does', async (t) => {
    for (const [name, path] of [
      ['alice', '/payroll'],
      ['weak', '/payroll'],
      ['expired', '/payroll'],
      ['foreign', '/payroll'],
      ['nobody', '/payroll'],
      ['workstation', '/computers'],
      ['bob', '/'],
    ] as const) {
      const file = lab.pki.certificates.get(name)?.chainFile ?? '';
      const pem = await readFile(file);
      const query = `path=${encodeURIComponent(path)}&account=${encodeURIComponent('LAB\\alice')}`;
      const told = await call(socket, `/explain?${query}`, 'POST', pem);
      t.equal(told.status, 200, told.body);
      t.match(JSON.parse(told.body), { asked: { name: 'LAB\\alice', problem: null } });
      const command = await runCommand(
        'explain',
        file,
        '-c',
        join(to.folder, 'dsmapper.yaml'),
        '--path',
        path,
        '--account',
        'LAB\\alice',
        '--json',
      );
      t.strictSame(withoutTimes(told.body), withoutTimes(command.stdout), `${name} at ${path}`);
      const { verdict } = JSON.parse(told.body) as { readonly verdict: { readonly status: number } };
      t.equal(command.code, verdict.status < 400 ? 0 : 1);
      const request = await ask(to, 'late', { as: name, path });
      t.equal(request.status, verdict.status, 'and as a request is answered');
    }
  });

  await t.test('a certificate comes in any form', async (t) => {
    const certificate = lab.pki.certificates.get('bob');
    for (const [body, type] of [
      [certificate?.der, 'application/octet-stream'],
      [certificate?.cert, 'text/plain'],
      [certificate?.der.toString('base64'), 'application/x-www-form-urlencoded'],
      [certificate?.chain, 'application/json'],
    ] as const) {
      const told = await call(socket, '/explain', 'POST', body ?? '', { 'content-type': type });
      t.match(JSON.parse(told.body), { certificate: { upn: ['bob@lab.example.test'] } }, type);
    }
    const binding = encodeURIComponent(`127.0.0.1:${to.ports.late}`);
    const late = await call(socket, `/explain?path=/payroll&binding=${binding}`, 'POST', certificate?.chain ?? '');
    t.match(late.body, 'renegotiated');
    const plain = encodeURIComponent(`127.0.0.1:${to.ports.http}`);
    const http = await call(socket, `/explain?path=/payroll&binding=${plain}`, 'POST', certificate?.chain ?? '');
    t.match(JSON.parse(http.body), { verdict: { code: 'sslRequired', status: 403, subStatus: 4 } });
    const nowhere = await call(socket, '/explain?binding=x', 'POST', certificate?.chain ?? '');
    t.match(JSON.parse(nowhere.body), { verdict: { code: 'unknownHost' } });
    for (const host of ['LocalHost.:1', 'other.example.test']) {
      const told = await call(socket, `/explain?path=/payroll&host=${host}`, 'POST', certificate?.chain ?? '');
      t.match(JSON.parse(told.body), { verdict: { code: 'authorised' } }, host);
    }
    const odd = await call(socket, '/explain?host=a/b', 'POST', certificate?.chain ?? '');
    t.match(JSON.parse(odd.body), { verdict: { code: 'hostMismatch' } });
  });

  await t.test('hostile bodies are 400', async (t) => {
    const good = lab.pki.certificates.get('alice')?.chain ?? '';
    const bodies: readonly (readonly [string | Buffer, string])[] = [
      ['', 'nothing'],
      ['{}', 'JSON'],
      ['-----BEGIN CERTIFICATE-----\n', 'half PEM'],
      ['-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n', 'no base64'],
      [Buffer.from('308200', 'hex'), 'half DER'],
      [Buffer.alloc(100_000, 0x30), 'DER all the way down'],
      ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'no certificate'],
      [good.slice(0, good.length / 2), 'cut off'],
    ];
    for (const [body, name] of bodies) {
      const told = await call(socket, '/explain', 'POST', body);
      t.equal(told.status, 400, `${name}: ${told.body}`);
      t.type((JSON.parse(told.body) as { error: unknown }).error, 'string');
    }
    t.equal((await call(socket, '/explain', 'POST', Buffer.alloc(2_000_000, 'A'))).status, 413);
    t.equal((await call(socket, `/explain?path=/${'x'.repeat(9000)}`, 'POST', good)).status, 400);
    t.equal((await call(socket, `/explain?account=${'x'.repeat(1025)}`, 'POST', good)).status, 400);
    t.equal((await call(socket, '/explain?account=', 'POST', good)).status, 400);
    const many = await call(socket, '/explain?path=/payroll', 'POST', good + good.repeat(200));
    t.equal(many.status, 200, 'a long chain is judged within its budgets');
    t.match(JSON.parse(many.body), { verdict: { code: 'authorised' } });
  });

  await t.test('sources of revocation data are shown, and fetched by order', async (t) => {
    interface Sources {
      readonly sources: readonly { readonly source: string; readonly kind: string; readonly lastError: unknown }[];
    }
    t.equal((await ask(to, 'late', { as: 'alice' })).status, 200);
    const { sources } = JSON.parse((await call(socket, '/revocation')).body) as Sources;
    const issuing = sources.find(({ source }) => source.endsWith('/issuing.crl'));
    t.match(issuing, { kind: 'crl', issuer: /Lab Issuing CA/, entries: 1, nextUpdate: /^20/, lastError: null });
    const order = (query: string) => call(socket, `/revocation/refresh?${query}`, 'POST');
    const source = `source=${encodeURIComponent(issuing?.source ?? '')}`;
    t.match(JSON.parse((await order(source)).body), { unchanged: { source: issuing?.source } });
    t.equal((await order('source=http://nowhere.test/a.crl')).status, 404);
    t.equal((await order('')).status, 400);
    t.equal((await order(`${source}&allowolder=true`)).status, 400, 'a misspelt parameter');
    await lab.revocation.trouble('older', 'crl');
    const refused = await order(source);
    t.equal(refused.status, 502);
    t.match(JSON.parse(refused.body), { code: 'older' });
    t.match(JSON.parse((await order(`${source}&allowOlder=true`)).body), { taken: { source: issuing?.source } });
    await lab.revocation.trouble(null);
    t.match(JSON.parse((await order(source)).body), { taken: { entries: 1 } });
  });

  await t.test('status and cache', async (t) => {
    const status = await call(socket, '/status');
    t.match(JSON.parse(status.body), {
      generation: 1,
      source: join(to.folder, 'dsmapper.yaml'),
      labOnly: true,
      addresses: [{ port: to.ports.late }, { port: to.ports.upFront }, { port: to.ports.http }],
      directory: [{ domain: 'lab.example.test', state: 'up' }],
    });
    t.notMatch(status.body, 'lab-only-not-a-secret');
    await ask(to, 'upFront', { as: 'alice' });
    await ask(to, 'upFront', { as: 'bob' });
    const { account } = JSON.parse(
      (await call(socket, '/explain?path=/payroll', 'POST', lab.pki.certificates.get('bob')?.cert ?? '')).body,
    ) as { readonly account: { readonly sid: string } };
    t.match(JSON.parse((await call(socket, `/cache/mapping?sid=${account.sid}`, 'DELETE')).body), { dropped: 1 });
    t.match(JSON.parse((await call(socket, '/cache/mapping?sid=S-1-0-0', 'DELETE')).body), { dropped: 0 });
    const { size } = to.gateway.setup.mapper ?? { size: 0 };
    t.ok(size > 0);
    t.equal(
      (await call(socket, `/cache/mapping?SID=${account.sid}`, 'DELETE')).status,
      400,
      'a misspelt name drops nothing',
    );
    t.match(JSON.parse((await call(socket, '/cache/mapping', 'DELETE')).body), { dropped: size });
    for (const path of ['/metrics', '/healthz', '/readyz']) t.equal((await call(socket, path)).status, 200, path);
  });

  await t.test('not ready while the directory is down, and why', async (t) => {
    await lab.directory.stop();
    let down: Answer;
    do down = await call(tcp, '/readyz');
    while (down.status === 200);
    t.equal(down.status, 503);
    const { reasons } = JSON.parse(down.body) as { readonly reasons: readonly string[] };
    t.match(reasons.join('\n'), /domain lab\.example\.test: no controller answers \(ldaps:.*ECONNREFUSED/);
    t.notMatch(down.body, 'lab-only-not-a-secret');
    t.equal((await call(tcp, '/healthz')).status, 200, 'alive all the same');
    await lab.directory.start();
    let back: Answer;
    do back = await call(tcp, '/readyz');
    while (back.status === 503);
    t.equal(back.status, 200);
  });

  await t.test('the socket belongs to us alone', async (t) => {
    const folder = await shortFolder(t);
    const path = join(folder, 'sub', 'admin.sock');
    const seen = new Set<string>();
    const look = () => {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        try {
          const facts = lstatSync(join(folder, name));
          const within = lstatSync(join(folder, name, '..')).mode & 0o777;
          if (facts.isSocket())
            seen.add(name === 'sub/admin.sock' ? (facts.mode & 0o777).toString(8) : `in ${within.toString(8)}`);
        } catch {
          // it has been moved meanwhile
        }
      }
    };
    const formerUmask = process.umask(0);
    t.teardown(() => process.umask(formerUmask));
    const progress = { done: false };
    const starting = startAdmin({ listen: null, socket: path }, to.gateway).finally(() => (progress.done = true));
    while (!progress.done) {
      look();
      await turn();
    }
    look();
    const own = await starting;
    t.ok(seen.has('600'));
    seen.delete('600');
    t.ok(seen.delete('in 700'), 'made where nobody else gets');
    t.strictSame([...seen], [], 'never open to others, not even for a moment');
    t.equal(own.address, null);
    t.strictSame(readdirSync(join(folder, 'sub')), ['admin.sock'], 'nothing is left beside it');

    await t.rejects(startAdmin({ listen: null, socket: path }, to.gateway), {
      code: 'socket-file',
      message: /another process answers/,
    });
    t.equal((await call(path, '/healthz')).status, 200, 'a socket that answers is not taken over');
    await own.close();
    t.strictSame(readdirSync(join(folder, 'sub')), [], 'and goes with its gateway');
  });

  await t.test('what lies in its place', async (t) => {
    const folder = await shortFolder(t);
    await writeFile(join(folder, 'file'), 'precious');
    await mkdir(join(folder, 'other'));
    await t.rejects(startAdmin({ listen: null, socket: join(folder, 'file') }, to.gateway), {
      code: 'socket-file',
      message: /is not a socket/,
    });
    t.equal(await readFile(join(folder, 'file'), 'utf8'), 'precious', 'a file is left alone');
    await t.rejects(startAdmin({ listen: null, socket: join(folder, 'other') }, to.gateway), { code: 'socket-file' });

    const path = join(folder, 'admin.sock');
    const gone = createServer().listen(`${path}.moved`);
    await once(gone, 'listening');
    await rename(`${path}.moved`, path);
    gone.close();
    await once(gone, 'close');
    t.ok((await stat(path)).isSocket());
    const surface = await startAdmin({ listen: null, socket: path }, to.gateway);
    t.equal((await call(path, '/healthz')).status, 200, 'one that a crash left is replaced');

    await rename(path, `${path}.kept`);
    await writeFile(path, 'somebody else');
    await surface.close();
    t.equal(await readFile(path, 'utf8'), 'somebody else', 'only our own socket is removed');

    const deep = join(folder, 'deep'.repeat(25));
    await mkdir(deep);
    const before = process.cwd();
    process.chdir(deep);
    t.teardown(() => process.chdir(before));
    const inDeep = await startAdmin({ listen: null, socket: join(deep, 'admin.sock') }, to.gateway);
    t.equal((await call('./admin.sock', '/healthz')).status, 200, 'a deep working directory does no harm');
    await inDeep.close();
    t.strictSame(readdirSync(deep), []);

    const long = join(folder, 'x'.repeat(120));
    await t.rejects(startAdmin({ listen: null, socket: long }, to.gateway), {
      code: 'socket-file',
      hint: /may have 10\d octets/,
    });
    t.strictSame(
      readdirSync(folder).filter((name) => name.startsWith('.')),
      [],
      'a failure leaves nothing',
    );
  });

  await t.test('a port that is taken', async (t) => {
    const [address, port] = [listen?.address ?? '', listen?.port ?? 0];
    const path = join(await shortFolder(t), 'admin.sock');
    await t.rejects(startAdmin({ listen: { address, port }, socket: path }, to.gateway), {
      code: 'admin-listen',
      message: `cannot listen on ${tcp} for health and metrics: EADDRINUSE`,
    });
    await t.rejects(stat(path), { code: 'ENOENT' });
  });
});
