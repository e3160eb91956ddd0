/**
 * Real requests to locations with rules: groups of the embedded directory, rules that only report, and the page that tells clients who they
 * are. The rules themselves are in `test/authorise.test.ts`.
 */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { createServer } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import type { Instant } from '../../src/base/brand.ts';
import type { Clock } from '../../src/base/clock.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { ask, testGateway, testLab, type TestGateway } from '../support/gateway.ts';
import { sendRaw } from '../support/raw-http.ts';

const users = 'CN=Users,DC=lab,DC=example,DC=test';
const payroll = `CN=Payroll,${users}`;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

function shiftableClock(): Clock & { shift(milliseconds: number): void } {
  let offset = 0;
  return {
    now: () => (Date.now() + offset) as Instant,
    monotonic: () => performance.now() + offset,
    shift: (milliseconds) => (offset += milliseconds),
  };
}

/** Lines below `/payroll`, behind those of the lab. */
const atPayroll =
  (...lines: readonly string[]) =>
  (yaml: string) =>
    yaml.replace(
      '        maximumAge: 10m\n',
      `        maximumAge: 10m\n${lines.map((line) => `        ${line}\n`).join('')}`,
    );

const inPayroll = (more = '') => atPayroll(`authorize: { groups: ['LAB\\Payroll']${more} }`);

await t.test('locations with rules', { timeout: 240_000 }, async (t) => {
  const lab = await testLab(t);
  const inLab = (t: Test, configure: (yaml: string) => string, clock?: Clock) =>
    testGateway(t, { lab, configure, ...(clock === undefined ? {} : { facilities: { clock } }) });
  const keptAgent = (t: Test) => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    return agent;
  };
  const connectionsOf = (agent: https.Agent) => Object.values(agent.freeSockets).flat().length;
  const line = (to: TestGateway, answer: { headers: Readonly<Record<string, unknown>> }) =>
    to.logged(answer.headers['x-request-id']);

  await t.test('members pass, others are refused, and a kept connection asks nobody', async (t) => {
    const to = await inLab(t, inPayroll());
    for (const where of ['late', 'upFront'] as const) {
      const agent = keptAgent(t);
      t.equal((await ask(to, where, { as: 'alice', agent })).backendHeader('x-remote-user'), 'LAB\\alice');
      const { searches } = lab.directory;
      for (let count = 0; count < 5; count += 1) await ask(to, where, { as: 'alice', agent });
      t.equal(lab.directory.searches, searches, 'no directory work on kept connections');
      const refused = await ask(to, where, { as: 'bob' });
      t.equal(refused.headers['x-dsmapper-verdict'], '403');
      t.match(await line(to, refused), {
        code: 'notAuthorised',
        account: 'LAB\\bob',
        detail: /none of the groups LAB\\Payroll/,
      });
    }
    t.match(await line(to, await ask(to, 'upFront', { path: '/', as: 'bob' })), { code: 'anonymous' });
  });

  await t.test('groups that may not be read are unknown, which is 503', async (t) => {
    const to = await inLab(t, inPayroll(", users: ['LAB\\carol']"));
    lab.directory.faults.hidden = ['tokenGroups'];
    t.teardown(() => (lab.directory.faults.hidden = []));
    const unknown = await ask(to, 'upFront', { as: 'alice' });
    t.equal(unknown.status, 503);
    t.equal(unknown.headers['retry-after'], '5');
    t.match(await line(to, unknown), { code: 'groupsUnknown', account: 'LAB\\alice' });
    t.equal((await ask(to, 'upFront', { as: 'carol' })).status, 200, 'a user that is named needs none');
    lab.directory.faults.hidden = [];
    t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200, 'and it is not remembered');
  });

  await t.test('a live connection ends when its account is not a member any more', async (t) => {
    const clock = shiftableClock();
    // Without polling, so that recheck alone finds it.
    const configure = (yaml: string) =>
      `${inPayroll()(yaml).replace(/pollInterval: \w+/, 'pollInterval: 0s')}\nlimits: { recheck: 10m }\n`;
    const to = await inLab(t, configure, clock);
    const agent = keptAgent(t);
    t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
    t.equal(await to.gateway.recheck(), 0);
    lab.directory.faults.hidden = ['tokenGroups'];
    clock.shift(6 * 60_000);
    t.equal(await to.gateway.recheck(), 0, 'what is remembered holds where groups cannot be read anew');
    to.gateway.setup.mapper?.forget();
    t.equal(await to.gateway.recheck(), 0, 'and not knowing ends nothing');
    lab.directory.faults.hidden = [];
    t.equal(await to.gateway.recheck(), 0);
    t.equal(connectionsOf(agent), 1);
    lab.directory.replace(payroll, 'member', []);
    t.teardown(() => lab.directory.replace(payroll, 'member', [`CN=alice,${users}`]));
    clock.shift(6 * 60_000);
    t.equal(await to.gateway.recheck(), 1);
    await until(() => connectionsOf(agent) === 0);
    t.match(
      to.events.filter(({ event }) => event === 'connection.ended'),
      [{ code: 'notAuthorised' }],
    );
    t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 403);
  });

  await t.test('a group that does not exist stops the start; a silent directory does not', async (t) => {
    await t.rejects(inLab(t, atPayroll("authorize: { groups: ['LAB\\Nope'] }")), {
      code: 'principal',
      exitCode: 1,
      message: /^site Lab, location \/payroll: group lab\\nope does not exist/i,
    });
    await t.rejects(inLab(t, atPayroll("authorize: { groups: ['LAB\\alice'] }")), /is not a group/);

    // Whoever asks for a name, and not for an account by its certificate.
    const isName = (attributes: readonly string[]) =>
      attributes.includes('sAMAccountName') && !attributes.includes('altSecurityIdentities');
    lab.directory.faults.judge = ({ attributes }) => (isName(attributes) ? 51 : null);
    t.teardown(() => (lab.directory.faults.judge = null));
    const to = await inLab(t, inPayroll());
    const { ready, reasons } = await to.gateway.readiness();
    t.equal(ready, false);
    t.match(reasons.join('\n'), /location \/payroll: group lab\\Payroll cannot be looked up/i);
    const unknown = await ask(to, 'upFront', { as: 'alice' });
    t.equal(unknown.status, 503);
    t.match(await line(to, unknown), { code: 'groupsUnknown', detail: /cannot be looked up/ });
    lab.directory.faults.judge = null;
    while (!(await to.gateway.readiness()).ready) await turn();
    t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200, 'and names are found later');
  });

  await t.test('a rule that only reports serves, and every line says what it would have refused', async (t) => {
    const to = await inLab(t, inPayroll(', reportOnly: true'));
    const agent = keptAgent(t);
    for (let count = 0; count < 2; count += 1) {
      const served = await ask(to, 'upFront', { as: 'bob', agent });
      t.equal(served.backendHeader('x-remote-user'), 'LAB\\bob', 'with the mapped identity');
      t.match(await line(to, served), {
        code: 'authorised',
        status: 200,
        wouldRefuse: { code: 'notAuthorised', detail: /LAB\\bob is in none of the groups LAB\\Payroll/ },
      });
    }
    t.equal(to.log.at(-1)?.['cache'], 'connection', 'also on a kept connection');
    t.equal('wouldRefuse' in (await line(to, await ask(to, 'upFront', { as: 'alice' }))), false);
    t.match(await to.gateway.metrics.text(), 'dsmapper_report_only_total{code="notAuthorised"} 2');
    t.match(await ask(to, 'upFront', { as: 'disabled' }), { status: 403 }, 'it covers neither mapping');
    t.match(await ask(to, 'upFront', { as: 'expired' }), { status: 403 }, 'nor judging');
    t.match(await ask(to, 'upFront'), { status: 403 });
    lab.directory.faults.hidden = ['tokenGroups'];
    t.teardown(() => (lab.directory.faults.hidden = []));
    to.gateway.setup.mapper?.forget();
    t.match(await line(to, await ask(to, 'upFront', { as: 'alice' })), {
      status: 200,
      wouldRefuse: { code: 'groupsUnknown' },
    });

    const quiet = await inLab(t, (yaml) =>
      inPayroll(', reportOnly: true')(yaml).replace('log: { file: "-" }', 'log: { file: "-", omitNames: true }'),
    );
    lab.directory.faults.hidden = [];
    const told = await line(quiet, await ask(quiet, 'upFront', { as: 'bob' }));
    t.strictSame(told['wouldRefuse'], { code: 'notAuthorised' }, 'without names');
  });

  const whoami = '/payroll/.dsmapper/whoami';
  const json = { accept: 'application/json' };

  const collectors = await createAuthority({ subject: 'CN=Collectors CA' });
  const collectorsFolder = await mkdtemp(join(tmpdir(), 'dsmapper-syslog-'));
  t.teardown(() => rm(collectorsFolder, { recursive: true, force: true }));
  const collectorsCa = join(collectorsFolder, 'ca.pem');
  await writeFile(collectorsCa, collectors.cert);

  await t.test('what the KDC would have logged is in the log, is counted, and reaches the syslog server', async (t) => {
    const certificate = await collectors.issue({
      subject: 'CN=collector',
      ipAddresses: ['127.0.0.1'],
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    });
    const messages: string[] = [];
    const collector = createServer({ key: certificate.key, cert: certificate.cert }, (socket) =>
      socket.setEncoding('utf8').on('data', (text: string) => messages.push(text)),
    );
    collector.listen(0, '127.0.0.1');
    await once(collector, 'listening');
    t.teardown(() => collector.close());
    const { port } = collector.address() as AddressInfo;
    const to = await inLab(t, (yaml) =>
      yaml.replace(/^log: \{/m, `log: { syslog: { server: "tls://127.0.0.1:${port}", ca: [file:${collectorsCa}] },`),
    );
    for (const where of ['late', 'upFront'] as const)
      t.equal((await ask(to, where, { as: 'weak' })).headers['x-dsmapper-verdict'], '403.12');
    await until(() => messages.length > 0);
    t.match(messages.join(''), /^\d+ <83>1 \S+ \S+ dsmapper \d+ kdc\.39 \[dsmapper@32473 user="LAB\\\\wanda"/);
    t.match(
      to.events.filter(({ event }) => event === 'kdc.39'),
      [{ level: 'error', user: 'LAB\\wanda', matched: { length: 1 } }],
      'once, for the second request was answered from memory',
    );
    t.match(await to.gateway.metrics.text(), /^dsmapper_kdc_events_total\{id="39"\} 1$/m);
    collector.close();
  });

  await t.test('a syslog server that is not there is named in the log', async (t) => {
    const to = await inLab(t, (yaml) =>
      yaml.replace(/^log: \{/m, `log: { syslog: { server: "tls://127.0.0.1:1", ca: [file:${collectorsCa}] },`),
    );
    t.equal((await ask(to, 'upFront', { as: 'weak' })).headers['x-dsmapper-verdict'], '403.12');
    await until(() => to.events.some(({ event }) => event === 'syslog.lost'));
    t.match(
      to.events.find(({ event }) => event === 'syslog.lost'),
      { time: String, reason: /ECONNREFUSED/ },
    );
  });

  await t.test('whoami tells the client what the backend would be told, and goes no further', async (t) => {
    const to = await inLab(t, atPayroll('whoami: true'));
    for (const where of ['late', 'upFront'] as const) {
      const agent = keptAgent(t);
      t.equal((await ask(to, where, { as: 'alice', path: '/payroll', agent })).status, 200);
      const accepted = lab.echo.connections;
      const answer = await ask(to, where, { as: 'alice', path: whoami, headers: json, agent });
      t.equal(lab.echo.connections, accepted);
      t.match(answer.headers, {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': /default-src 'none'/,
        vary: 'Accept',
      });
      t.equal(answer.headers['access-control-allow-origin'], undefined);
      const told = JSON.parse(answer.body) as { certificate: { daysLeft: number; notAfter: string } };
      t.match(told, {
        location: '/payroll',
        verdict: { code: 'authorised' },
        wouldRefuse: null,
        account: { name: 'LAB\\alice', sid: /^S-1-5-21-.*-2101$/, upn: /^alice@/, readAt: /^\d{4}-.*Z$/ },
        mapping: { method: 'X509IssuerSerialNumber', strength: 'strong', strengthBy: 'method' },
        certificate: {
          subject: /CN=Alice/,
          issuer: /CN=/,
          serial: /^[0-9a-f]+$/,
          thumbprint: /^[0-9a-f]{40}$/,
          revocation: 'good',
        },
      });
      t.equal(told.certificate.daysLeft, Math.floor((Date.parse(told.certificate.notAfter) - Date.now()) / 86_400_000));
      t.match(await line(to, answer), { status: 200, code: 'authorised', account: 'LAB\\alice' });
      const kept = await ask(to, where, { as: 'alice', path: whoami, headers: json, agent });
      t.equal(kept.status, 200);
      t.equal((await line(to, kept))['cache'], 'connection', `${where}: on a kept connection`);
      t.equal((await ask(to, where, { as: 'alice', path: '/payroll/x', agent })).status, 200, 'which lives on');
    }
  });

  await t.test('whoami as a page: everything escaped, nothing active', async (t) => {
    const to = await inLab(t, atPayroll('whoami: true'));
    const upn = 'userPrincipalName';
    lab.directory.replace(`CN=alice,${users}`, upn, ['<script>"&\u202e@lab.example.test']);
    t.teardown(() => lab.directory.replace(`CN=alice,${users}`, upn, ['alice@lab.example.test']));
    const page = await ask(to, 'upFront', { as: 'alice', path: whoami });
    t.match(page.headers['content-type'], 'text/html; charset=utf-8');
    t.match(
      page.body,
      /<html lang="en">[^]*<h1>Who am I\?<\/h1>[^]*You are LAB\\alice here\.[^]*<th scope="row">Account<\/th>/,
    );
    t.match(page.body, '&lt;script&gt;&quot;&amp;\\u{202e}@lab.example.test');
    t.notMatch(page.body, /<script|\u202e|https?:/);
    const asked = await ask(to, 'upFront', { as: 'alice', path: `${whoami}?json` });
    t.match(JSON.parse(asked.body), { account: { upn: '<script>"&\u202e@lab.example.test' } });
    const head = await ask(to, 'upFront', { as: 'alice', path: whoami, method: 'HEAD' });
    t.equal(head.body, '');
    t.equal(head.headers['content-length'], page.headers['content-length']);
  });

  await t.test('whoami answers GET and HEAD, at its own path, where it is on', async (t) => {
    const to = await inLab(t, atPayroll('whoami: true'));
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      const answer = await ask(to, 'upFront', {
        as: 'alice',
        path: whoami,
        method,
        body: method === 'POST' ? 'x' : '',
      });
      t.equal(answer.status, 405, method);
      t.equal(answer.headers['allow'], 'GET, HEAD');
    }
    const upstream = async (path: string) => {
      const answer = await ask(to, 'upFront', { as: 'alice', path, headers: json });
      return answer.status === 200 && answer.body.includes('"httpVersion"');
    };
    for (const path of [
      '/payroll/x/.dsmapper/whoami',
      `${whoami}/x`,
      '/payroll/.dsmapper',
      '/payroll/.dsmapper/whoamix',
    ])
      t.equal(await upstream(path), true, path);
    for (const path of ['/PAYROLL/.DSMAPPER/WhoAmI', '/x/../payroll//%2edsmapper/whoami'])
      t.match(JSON.parse((await ask(to, 'upFront', { as: 'alice', path, headers: json })).body), {
        location: '/payroll',
      });
    const off = await inLab(t, (yaml) => yaml.replaceAll(/whoami: true.*/g, 'whoami: false'));
    const answer = await ask(off, 'upFront', { as: 'alice', path: whoami });
    t.equal(answer.echo().url, whoami, 'where it is off the upstream answers');
  });

  await t.test('whoami at / tells who is anonymous, and refusals look as they do everywhere', async (t) => {
    const atRoot = (yaml: string) =>
      yaml
        .replaceAll(/ *whoami: true.*\n/g, '')
        .replace('      /:\n', '      /:\n        whoami: true\n')
        .replace('authentication: { anonymous: fallback }', 'authentication: { anonymous: fallback }');
    const to = await inLab(t, atRoot);
    const answer = await ask(to, 'upFront', { path: '/.dsmapper/whoami?json' });
    t.match(JSON.parse(answer.body), {
      location: '/',
      verdict: { code: 'anonymous' },
      account: null,
      mapping: null,
      certificate: null,
    });
    t.match((await ask(to, 'upFront', { path: '/.dsmapper/whoami' })).body, 'You are anonymous here');
    const plain = await ask(to, 'http', { path: '/.dsmapper/whoami' });
    t.equal(plain.headers['x-dsmapper-verdict'], '403.4');
    const disabled = await ask(to, 'upFront', { as: 'disabled', path: whoami });
    t.equal(disabled.headers['x-dsmapper-verdict'], '403.12');
    t.match(await line(to, disabled), { code: 'accountDisabled' });
    t.equal((await ask(to, 'late', { path: whoami })).headers['x-dsmapper-verdict'], '403.7');
  });

  await t.test('whoami says what a rule that only reports would refuse', async (t) => {
    const to = await inLab(t, (yaml) =>
      atPayroll("authorize: { groups: ['LAB\\Payroll'], reportOnly: true }", 'whoami: true')(yaml),
    );
    const answer = await ask(to, 'upFront', { as: 'bob', path: whoami, headers: json });
    t.match(JSON.parse(answer.body), {
      verdict: { code: 'authorised' },
      wouldRefuse: { code: 'notAuthorised', text: 'The account may not use this page.', detail: /LAB\\Payroll/ },
    });
    t.match((await ask(to, 'upFront', { as: 'bob', path: whoami })).body, /Would be refused/);
  });

  await t.test('whoami over HTTP/2, and with a body that still comes', async (t) => {
    const to = await inLab(t, (yaml) => `${atPayroll('whoami: true')(yaml)}\nlimits: { lingerTimeout: 1ms }\n`);
    const session = connect(`https://127.0.0.1:${to.ports.upFront}`, { ca: to.ca, ...to.identity('alice') });
    t.teardown(() => session.destroy());
    const stream = session.request({ ':path': whoami, accept: 'application/json' });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    let body = '';
    for await (const piece of stream.setEncoding('utf8')) body += String(piece);
    t.match(headers, { ':status': 200, 'cache-control': 'no-store' });
    t.match(JSON.parse(body), { account: { name: 'LAB\\alice' } });
    const unread = await sendRaw(
      to,
      { binding: 'upFront', as: 'alice' },
      `GET ${whoami}?json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n12345`,
    );
    t.equal(unread.status, 200);
    t.match(unread.head, /^connection: close$/im);
  });
});
