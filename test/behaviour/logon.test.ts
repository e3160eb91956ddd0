/**
 * The main job, end to end: real TLS, own path validation, a real LDAP directory, a real backend.
 */
import t from 'tap';
import { ask, testGateway } from '../support/gateway.ts';

void t.test('logon by certificate', async (t) => {
  const to = await testGateway(t);
  const verdict = (answer: { headers: NodeJS.Dict<string | string[]> }) => answer.headers['x-dsmapper-verdict'];

  await t.test('a public path needs no certificate, and gets no identity', async (t) => {
    const answer = await ask(to, 'late', { path: '/' });
    t.equal(answer.status, 200);
    t.equal(answer.backendHeader('x-remote-user'), null);
    t.match(answer.headers['x-request-id'], /^[0-9a-f]{10}-/);
  });

  await t.test('a protected path asks by renegotiation and passes the account on', async (t) => {
    const answer = await ask(to, 'late', { as: 'alice' });
    t.equal(answer.status, 200);
    t.equal(answer.backendHeader('x-remote-user'), 'LAB\\alice');
    t.equal(answer.backendHeader('x-remote-upn'), 'alice@lab.example.test');
    t.equal(answer.backendHeader('x-remote-sid'), 'S-1-5-21-1004336348-1177238915-682003330-2101');
    t.equal(answer.backendHeader('x-client-verify'), 'SUCCESS');
    const certificate = to.lab.pki.certificates.get('alice');
    t.equal(answer.backendHeader('x-arr-clientcert'), certificate?.der.toString('base64'));
    t.equal(answer.headers['cache-control'], 'no-store', 'an answer that depends on who asks is not stored');
  });

  await t.test('the same up front, over TLS 1.3', async (t) => {
    const answer = await ask(to, 'upFront', { as: 'alice', tls: { minVersion: 'TLSv1.3' } });
    t.equal(answer.status, 200);
    t.equal(answer.backendHeader('x-remote-user'), 'LAB\\alice');
  });

  for (const where of ['late', 'upFront'] as const) {
    const refusals: readonly (readonly [string | undefined, number, string, string])[] = [
      [undefined, 403, '403.7', 'certificateRequired'],
      ['expired', 403, '403.17', 'certificateExpired'],
      ['not-yet', 403, '403.17', 'certificateNotYetValid'],
      ['foreign', 403, '403.16', 'chainIncomplete'],
      ['server-only', 403, '403.16', 'wrongUsage'],
      ['nobody', 401, '401.2', 'notMapped'],
      ['disabled', 403, '403.12', 'accountDisabled'],
      ['locked', 403, '403.12', 'accountLocked'],
      ['account-expired', 403, '403.12', 'accountExpired'],
      ['twice', 403, '403.12', 'ambiguous'],
      ['weak', 403, '403.12', 'weakMapping'],
      ['workstation', 403, '403', 'notAuthorised'],
    ];
    for (const [as, status, text, code] of refusals) {
      await t.test(`${where}: ${as ?? 'no certificate'} is ${text} ${code}`, async (t) => {
        const answer = await ask(to, where, as === undefined ? {} : { as });
        t.equal(answer.status, status);
        t.equal(verdict(answer), text);
        const line = to.log.findLast((record) => record['requestId'] === answer.headers['x-request-id']);
        t.equal(line?.['code'], code);
        t.match(answer.body, String(answer.headers['x-request-id']), 'the page carries the request id');
      });
    }
    for (const [as, path, user] of [
      ['bob', '/payroll', 'LAB\\bob'],
      ['carol', '/payroll', 'LAB\\carol'],
      ['workstation', '/computers', 'LAB\\WS1$'],
    ] as const) {
      await t.test(`${where}: ${as} is ${user}`, async (t) => {
        const answer = await ask(to, where, { as, path });
        t.equal(answer.status, 200, answer.body);
        t.equal(answer.backendHeader('x-remote-user'), user);
      });
    }
  }

  await t.test('plain http is 403.4 where Ssl is set', async (t) => {
    const answer = await ask(to, 'http', { path: '/' });
    t.equal(answer.status, 403);
    t.equal(verdict(answer), '403.4');
  });

  await t.test('a large body before a late certificate is 413, up front it passes', async (t) => {
    const body = Buffer.alloc(1_000_000, 'x');
    const late = await ask(to, 'late', { as: 'alice', method: 'POST', body });
    t.equal(late.status, 413);
    const upFront = await ask(to, 'upFront', { as: 'alice', method: 'POST', body });
    t.equal(upFront.echo().bodyBytes, 1_000_000);
  });

  await t.test('a body that was read ahead reaches the backend whole', async (t) => {
    for (const size of [0, 1, 49_152]) {
      const answer = await ask(to, 'late', { as: 'alice', method: 'POST', body: Buffer.alloc(size, 'y') });
      t.equal(answer.status, 200);
      t.equal(answer.echo().bodyBytes, size);
    }
    const chunked = await ask(to, 'late', {
      as: 'alice',
      method: 'POST',
      body: 'in pieces',
      headers: { 'transfer-encoding': 'chunked' },
    });
    t.equal(chunked.echo().bodyBytes, 9);
  });
});
