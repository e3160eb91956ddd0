/**
 * Revocation as clients meet it: a lab whose certificates name its revocation server, a gateway in front, and everything that may go
 * wrong between the two.
 */
import { Agent } from 'node:https';
import { connect } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import type { RevocationFault } from '../../src/lab/revocation-faults.ts';
import { answerOf } from '../../src/iis/verdict-table.ts';
import type { VerdictCode } from '../../src/base/verdict.ts';
import { ask, testGateway, testLab } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';
import { until } from '../support/directory-world.ts';
import { untilTrue } from '../support/front.ts';

const lab = await testLab(t);
t.afterEach(async () => {
  await lab.revocation.trouble(null);
  for (const who of ['alice', 'renewed', 'bob']) await lab.revocation.unrevoke(who).catch(() => {});
});

interface Wanted {
  /** Keys of the `revocation` section beside mode, hosts and cacheDirectory. */
  readonly revocation?: string;
  /** Keys of each https binding. */
  readonly binding?: string;
  readonly limits?: string;
  readonly cacheDirectory?: string;
}

/** A gateway that knows nothing yet. */
function gatewayOf(t: Test, wanted: Wanted = {}): Promise<TestGateway> {
  const { revocation = '', binding = 'urlRetrievalTimeout: 20s', limits, cacheDirectory } = wanted;
  return testGateway(t, {
    lab,
    configure: (yaml) =>
      yaml
        .replaceAll(/\n *revocationFreshnessTime:.*/g, '')
        .replaceAll(
          /verifyClientCertificateRevocation: \w+/g,
          `verifyClientCertificateRevocation: enabled\n    ${binding}`,
        )
        .replaceAll(/\nrevocation:\n(?: .*\n)*/g, '\n').concat(`
revocation:
  mode: online
  hosts: ["${new URL(lab.revocation.url).host}"]
  cacheDirectory: ${JSON.stringify(cacheDirectory ?? 'revocation')}
  ${revocation}
${limits === undefined ? '' : `limits: ${limits}\n`}`),
  });
}

/** Code of the log line, held against what the client saw. */
async function codeFor(to: TestGateway, as: string, where: 'late' | 'upFront' = 'upFront'): Promise<unknown> {
  const answer = await ask(to, where, { as });
  const { code } = await to.logged(answer.headers['x-request-id']);
  const { status, subStatus } = answerOf(code as VerdictCode, 'safe');
  const shown = status === 200 ? '200' : `${status}.${subStatus}`;
  if (answer.headers['x-dsmapper-verdict'] !== shown)
    return `${String(code)} but ${String(answer.headers['x-dsmapper-verdict'])}`;
  return code;
}

const detailOf = async (to: TestGateway, as: string) => {
  const answer = await ask(to, 'upFront', { as });
  return String((await to.logged(answer.headers['x-request-id']))['detail']);
};

const crlRequests = () => lab.revocation.requests.filter(({ kind }) => kind === 'crl').length;
const ocspRequests = () => lab.revocation.requests.filter(({ kind }) => kind === 'ocsp').length;

await t.test('the good pass, the revoked do not, on both kinds of binding', async (t) => {
  const to = await gatewayOf(t);
  for (const where of ['late', 'upFront'] as const) {
    t.equal(await codeFor(to, 'alice', where), 'authorised', where);
    t.equal(await codeFor(to, 'revoked', where), 'certificateRevoked', where);
  }
  t.match(
    await detailOf(to, 'revoked'),
    /Rita Revoked.* revoked on 20.*\(keyCompromise\), by the CRL of CN=Lab Issuing CA.* issued 20.* ago, next update 20/,
  );
  const before = lab.revocation.requests.length;
  for (const who of ['alice', 'bob', 'revoked']) await codeFor(to, who);
  t.equal(lab.revocation.requests.length, before, 'what is held is not fetched again');
  const text = await to.gateway.metrics.text();
  t.match(text, /dsmapper_revocation_checks_total\{method="crl",status="good"\} [1-9]/);
  t.match(text, /dsmapper_revocation_checks_total\{method="crl",status="revoked"\} [1-9]/);
  t.match(text, /dsmapper_revocation_source_entries\{source="http:[^"]+issuing\.crl",kind="crl"\} 1/);
  t.match(text, /dsmapper_revocation_fetch_total\{kind="crl",result="fetched"\} [1-9]/);
});

await t.test('many at once fetch each list once', async (t) => {
  const to = await gatewayOf(t);
  const before = lab.revocation.requests.length;
  const codes = await Promise.all(Array.from({ length: 40 }, () => codeFor(to, 'alice')));
  t.strictSame([...new Set(codes)], ['authorised']);
  const asked = lab.revocation.requests
    .slice(before)
    .filter(({ kind }) => kind === 'crl')
    .map(({ path }) => path);
  t.strictSame([...new Set(asked)].toSorted(), asked.toSorted(), asked.join(' '));
});

/** What a gateway that holds nothing makes of each fault; `authorised` where the data can still be used. */
const crlFaults: readonly (readonly [RevocationFault, VerdictCode, RegExp])[] = [
  ['silent', 'revocationUnknown', /within 1000 ms|timed? ?out|no list/],
  ['slow', 'revocationUnknown', /within 1000 ms|timed? ?out|no list/],
  ['endless', 'revocationUnknown', /more than|within 1000 ms/],
  ['redirect-loop', 'revocationUnknown', /redirect/],
  ['redirect-elsewhere', 'revocationUnknown', /localhost/],
  ['server-error', 'revocationUnknown', /500/],
  ['html', 'revocationUnknown', /expected tag|not a CRL|malformed|CRL/],
  ['truncated', 'revocationUnknown', /announced|cut off|present/],
  ['cut-off', 'revocationUnknown', /cut off|ended|closed|reset/],
  ['wrong-signer', 'revocationUnknown', /sign/],
  ['same-name-other-key', 'revocationUnknown', /sign|key/],
  ['expired', 'revocationUnknown', /expired/],
  ['not-yet-valid', 'revocationUnknown', /not valid before|not yet valid|thisUpdate/],
  ['unknown-critical', 'revocationUnknown', /critical extension/],
  ['other-generation', 'revocationUnknown', /another key|sign/],
  ['clock-skew', 'authorised', /^undefined$/],
  ['older', 'authorised', /^undefined$/],
];

/** What is waited for in vain is not waited for long; everything else has room on a busy machine. */
const patienceWith = (fault: RevocationFault) =>
  ['silent', 'slow', 'endless'].includes(fault) ? 'urlRetrievalTimeout: 1s' : 'urlRetrievalTimeout: 20s';

for (const [fault, expected, detail] of crlFaults)
  await t.test(`lists: ${fault}`, async (t) => {
    const to = await gatewayOf(t, { binding: patienceWith(fault) });
    await lab.revocation.trouble('down', 'ocsp');
    await lab.revocation.trouble(fault, 'crl');
    t.equal(await codeFor(to, 'alice'), expected);
    t.match(await detailOf(to, 'alice'), detail);
  });

await t.test('the whole server is down', async (t) => {
  const to = await gatewayOf(t);
  await lab.revocation.trouble('down');
  t.equal(await codeFor(to, 'alice'), 'revocationUnknown');
  t.match(await detailOf(to, 'alice'), /ECONNREFUSED|refused/);
});

const ocspFaults: readonly (readonly [RevocationFault, VerdictCode, RegExp])[] = [
  ['silent', 'revocationUnknown', /not complete within|in time/],
  ['server-error', 'revocationUnknown', /500/],
  ['html', 'revocationUnknown', /OCSP/],
  ['truncated', 'revocationUnknown', /OCSP/],
  ['wrong-signer', 'revocationUnknown', /sign/],
  ['same-name-other-key', 'revocationUnknown', /sign|other/],
  ['expired', 'revocationUnknown', /nextUpdate|expired|ended/],
  ['not-yet-valid', 'revocationUnknown', /producedAt .* is in the future/],
  ['unknown-critical', 'revocationUnknown', /critical/],
  ['try-later', 'revocationUnknown', /tryLater/],
  ['foreign-responder', 'revocationUnknown', /sign|responder/],
  ['replayed', 'revocationUnknown', /about|certificate/],
  ['nonce-missing', 'revocationUnknown', /nonce/],
  ['clock-skew', 'authorised', /^undefined$/],
];

for (const [fault, expected, detail] of ocspFaults)
  await t.test(`OCSP answers: ${fault}`, async (t) => {
    const to = await gatewayOf(t, { revocation: 'prefer: ocsp\n  nonce: require', binding: patienceWith(fault) });
    await lab.revocation.trouble('down', 'crl');
    await lab.revocation.trouble(fault, 'ocsp');
    t.equal(await codeFor(to, 'alice'), expected);
    t.match(await detailOf(to, 'alice'), detail);
  });

await t.test('OCSP alone is enough, and says who is revoked', async (t) => {
  const to = await gatewayOf(t, { revocation: 'prefer: ocsp\n  nonce: send' });
  await lab.revocation.trouble('down', 'crl');
  t.equal(await codeFor(to, 'alice'), 'authorised');
  t.equal(await codeFor(to, 'revoked'), 'certificateRevoked');
  t.match(await detailOf(to, 'revoked'), /\(keyCompromise\), answered by http/);
  const before = ocspRequests();
  t.equal(await codeFor(to, 'alice'), 'authorised');
  t.equal(ocspRequests(), before, 'the answer is held');
});

await t.test('one kind of source is enough when the other fails', async (t) => {
  for (const prefer of ['crl', 'ocsp'] as const) {
    const to = await gatewayOf(t, { revocation: `prefer: ${prefer}`, binding: 'urlRetrievalTimeout: 6s' });
    await lab.revocation.trouble('silent', prefer);
    t.equal(await codeFor(to, 'alice'), 'authorised', prefer);
    await lab.revocation.trouble(null);
  }
});

await t.test('nobody waits where a usable answer is held, whatever becomes of the server', async (t) => {
  const to = await gatewayOf(t, { binding: 'urlRetrievalTimeout: 30s\n    revocationFreshnessTime: 1s' });
  t.equal(await codeFor(to, 'alice'), 'authorised');
  await lab.revocation.trouble('silent');
  const began = performance.now();
  await untilTrue(() => performance.now() - began > 1100);
  for (let turn = 0; turn < 5; turn += 1) t.equal(await codeFor(to, 'alice'), 'authorised');
  t.ok(performance.now() - began < 20_000, 'five requests together took less than one fetch may');
  const asked = crlRequests();
  t.ok(asked > 0);
});

await t.test('a newer list is looked for when the freshness time has passed', async (t) => {
  const to = await gatewayOf(t, {
    binding: 'urlRetrievalTimeout: 5s\n    revocationFreshnessTime: 1s',
    limits: '{ recheck: 1s }',
  });
  t.equal(await codeFor(to, 'alice'), 'authorised');
  await lab.revocation.revoke('alice');
  // The connection that is open when the list comes ends at once, whatever it is doing.
  await until(async () => (await codeFor(to, 'alice').catch(() => null)) === 'certificateRevoked');
  t.pass('noticed without anybody ordering it');
});

await t.test('a kept connection ends when its certificate is revoked', async (t) => {
  const to = await gatewayOf(t, {
    binding: 'urlRetrievalTimeout: 5s\n    revocationFreshnessTime: 1s',
    limits: '{ recheck: 1s }',
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
  t.equal(to.gateway.connectionCount(), 1);
  await lab.revocation.revoke('alice');
  await untilTrue(() => to.gateway.connectionCount() === 0);
  await untilTrue(() => to.events.some((line) => line['event'] === 'connection.ended'));
  const line = to.events.find(({ event }) => event === 'connection.ended');
  t.match(line, {
    code: 'certificateRevoked',
    detail: /Alice Archer/,
    thumbprint: /^[0-9a-f]{40}$/,
    client: '127.0.0.1',
  });
});

await t.test('not knowing any more ends no connection that is open', async (t) => {
  const to = await gatewayOf(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  t.equal((await ask(to, 'upFront', { as: 'alice', agent })).status, 200);
  await lab.revocation.trouble('down');
  t.equal(await to.gateway.recheck(), 0);
  t.equal(to.gateway.connectionCount(), 1);
});

await t.test('a resumed TLS connection of a revoked certificate is refused', async (t) => {
  const to = await gatewayOf(t);
  const visit = (session?: Buffer) =>
    new Promise<{ readonly text: string; readonly reused: boolean; readonly session: Buffer | undefined }>(
      (resolve, reject) => {
        const socket = connect({
          host: '127.0.0.1',
          port: to.ports.upFront,
          ca: to.ca,
          ...to.identity('alice'),
          ...(session === undefined ? {} : { session }),
        });
        let text = '';
        let kept = session;
        let reused = false;
        socket.on('session', (made: Buffer) => (kept = made));
        socket.once('error', reject);
        socket.on('data', (piece) => (text += piece.toString('latin1')));
        socket.once('secureConnect', () => {
          reused = socket.isSessionReused();
          socket.write('GET /payroll HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n');
        });
        socket.once('close', () => resolve({ text, reused, session: kept }));
      },
    );
  const first = await visit();
  t.match(first.text, /^HTTP\/1\.1 200 /);
  const again = await visit(first.session);
  t.equal(again.reused, true);
  t.match(again.text, /^HTTP\/1\.1 200 /, 'resumed and good');
  await lab.revocation.revoke('alice');
  const sources = to.gateway.setup.revocation.states().map(({ source }) => source);
  for (const source of sources) await to.gateway.setup.revocation.refresh(source, false);
  const refused = await visit(again.session);
  t.equal(refused.reused, true);
  t.match(refused.text, /^HTTP\/1\.1 403 [^]*X-DSMapper-Verdict: 403\.13/i);
});

await t.test('an older list never replaces a newer one, unless an operator says so', async (t) => {
  const to = await gatewayOf(t);
  await lab.revocation.trouble('down', 'ocsp');
  t.equal(await codeFor(to, 'revoked'), 'certificateRevoked');
  await lab.revocation.trouble('older', 'crl');
  const { revocation } = to.gateway.setup;
  const source = revocation.states().find((state) => state.source.endsWith('/issuing.crl'))?.source ?? '';
  const refused = await revocation.refresh(source, false);
  t.match(refused, { kind: 'failed', code: 'older' });
  t.equal(await codeFor(to, 'revoked'), 'certificateRevoked');
  t.match(await revocation.refresh(source, true), { kind: 'taken' });
  t.match(await revocation.refresh(`${lab.revocation.url}/ocsp`, false), { kind: 'failed', code: 'notFound' });
  t.ok(
    to.events.some((line) => line['event'] === 'revocation.ordered' && line['allowOlder'] === true),
    'and it is in the log',
  );
});

await t.test('a CA that was renewed with a new key keeps both generations apart', async (t) => {
  const to = await gatewayOf(t);
  t.equal(await codeFor(to, 'alice'), 'authorised');
  t.equal(await codeFor(to, 'renewed'), 'authorised');
  await lab.revocation.revoke('renewed');
  for (const { source } of to.gateway.setup.revocation.states())
    await to.gateway.setup.revocation.refresh(source, false);
  t.equal(await codeFor(to, 'renewed'), 'certificateRevoked');
  t.equal(await codeFor(to, 'alice'), 'authorised');
});

await t.test('lists outlive a restart', async (t) => {
  const cacheDirectory = t.testdir({ lists: {} });
  const first = await gatewayOf(t, { cacheDirectory });
  t.equal(await codeFor(first, 'alice'), 'authorised');
  await first.gateway.close();
  await lab.revocation.trouble('down');
  const second = await gatewayOf(t, { cacheDirectory });
  t.equal(await codeFor(second, 'alice'), 'authorised');
  t.equal(await codeFor(second, 'revoked'), 'certificateRevoked');
});

await t.test('cached only: nothing is fetched, and what is on disk counts', async (t) => {
  const binding = 'verifyRevocationWithCachedClientCertificateOnly: enabled';
  const cacheDirectory = t.testdir({ lists: {} });
  const before = crlRequests();
  const cold = await gatewayOf(t, { binding, cacheDirectory });
  t.equal(await codeFor(cold, 'alice'), 'revocationUnknown');
  t.match(await detailOf(cold, 'alice'), /nothing is fetched on this binding/);
  t.equal(crlRequests(), before);
  await cold.gateway.close();
  const online = await gatewayOf(t, { cacheDirectory });
  t.equal(await codeFor(online, 'alice'), 'authorised');
  await online.gateway.close();
  const warm = await gatewayOf(t, { binding, cacheDirectory });
  t.equal(await codeFor(warm, 'alice'), 'authorised');
});

await t.test('a host that the configuration does not allow is never asked', async (t) => {
  const before = crlRequests();
  const to = await testGateway(t, {
    lab,
    configure: (yaml) =>
      yaml
        .replaceAll(/verifyClientCertificateRevocation: \w+/g, 'verifyClientCertificateRevocation: enabled')
        .replaceAll(/\nrevocation:\n(?: .*\n)*/g, '\n')
        .concat('\nrevocation: { mode: online, hosts: [crl.example.test] }\n'),
  });
  t.equal(await codeFor(to, 'alice'), 'revocationUnknown');
  t.match(await detailOf(to, 'alice'), /is not fetched: the configuration does not allow/);
  t.equal(crlRequests(), before);
});

await t.test('nothing is fetched for a certificate without a path to an anchor', async (t) => {
  const to = await gatewayOf(t);
  const before = crlRequests();
  t.equal(await codeFor(to, 'foreign'), 'chainIncomplete');
  t.equal(crlRequests(), before);
});

await t.test('what unknown means is for the configuration to say', async (t) => {
  await lab.revocation.trouble('down');
  const accepting = await gatewayOf(t, { revocation: 'whenUnknown: accept' });
  t.equal(await codeFor(accepting, 'alice'), 'authorised');
  const answer = await ask(accepting, 'upFront', { as: 'alice' });
  t.match(await accepting.logged(answer.headers['x-request-id']), { revocation: 'unknown' });
  await lab.revocation.trouble('expired');
  const stale = await gatewayOf(t, { revocation: 'whenUnknown: acceptStale\n  maximumStale: 2h' });
  t.equal(await codeFor(stale, 'alice'), 'authorised');
  t.equal(await codeFor(stale, 'revoked'), 'certificateRevoked');
  const tooStale = await gatewayOf(t, { revocation: 'whenUnknown: acceptStale\n  maximumStale: 10m' });
  t.equal(await codeFor(tooStale, 'alice'), 'revocationUnknown');
});

await t.test('the log says what was found also of those who are refused for something else', async (t) => {
  const to = await gatewayOf(t);
  const answer = await ask(to, 'upFront', { as: 'nobody' });
  t.match(await to.logged(answer.headers['x-request-id']), { code: 'notMapped', revocation: 'good' });
});

await t.test('issuers that nobody presented are fetched only where the configuration says so', async (t) => {
  const alone = (to: TestGateway) => {
    const [leaf = ''] = to.identity('alice').cert.split(/(?<=-----END CERTIFICATE-----\n)/);
    return ask(to, 'upFront', { tls: { cert: leaf, key: to.identity('alice').key } });
  };
  const withoutIntermediates = (aia: string) =>
    testGateway(t, { lab, configure: (yaml) => yaml.replace(/intermediates: \[.*\]/, `aia: ${aia}`) });
  const ca = () => lab.revocation.requests.filter(({ kind }) => kind === 'ca').length;
  const before = ca();
  const off = await alone(await withoutIntermediates('disabled'));
  t.equal(off.headers['x-dsmapper-verdict'], '403.16');
  t.equal(ca(), before);
  const to = await withoutIntermediates('enabled');
  t.equal((await alone(to)).status, 200);
  t.equal(ca(), before + 1);
  t.equal((await alone(to)).status, 200);
  t.equal(ca(), before + 1, 'once');
  await lab.revocation.trouble('down', 'ca');
  t.equal((await alone(await withoutIntermediates('enabled'))).headers['x-dsmapper-verdict'], '403.16');
});
