/**
 * Other proxies ask: how each of them writes a certificate, who may ask about what, what is answered, and that nothing that a client or a
 * caller says leads to a weaker rule than its own.
 */
import t from 'tap';
import type { Test } from 'tap';
import { certificateForms } from '../src/gateway/auth-endpoint-settings.ts';
import { askAuth, certificatesIn, forms, sha256, type AskWhere, type FormHeaders } from './support/auth-questions.ts';
import { testGateway, testLab, type TestGateway, type TestGatewayOptions } from './support/gateway.ts';

const secretOf = (caller: string): string => `${caller}-`.padEnd(40, 'x');

interface World extends TestGateway {
  /** Where an endpoint listens. */
  at(endpoint: string): AskWhere;
  /** Headers by which a caller proves itself. */
  proof(caller: string): FormHeaders;
}

/** Endpoints of a Unix socket, of TCP with a caller for each form, and of TLS. */
async function world(t: Test, options: TestGatewayOptions & { readonly limits?: string } = {}): Promise<World> {
  const callers = [...certificateForms, 'pinned', 'other', 'prefixed'];
  for (const name of callers) process.env[`AUTH_${name.toUpperCase()}`] = secretOf(name);
  const lab = options.lab ?? (await testLab(t));
  const workstation = certificatesIn(lab.pki.certificates.get('workstation')?.cert ?? '')[0] ?? Buffer.alloc(0);
  const { limits = '', ...rest } = options;
  const to = await testGateway(t, {
    ...rest,
    lab,
    configure(yaml) {
      const upFront = /endpoint: (\S+) +# asks in the first/.exec(yaml)?.[1] ?? '';
      const file = (name: string) => new RegExp(`file:[^"]*${name}`).exec(yaml)?.[0] ?? '';
      const caller = (name: string, more = '', form = name, sites = 'Lab') =>
        `      - { name: ${name}, form: ${form}, bindings: ["${upFront}"], sites: [${sites}], secret: "env:AUTH_${name.toUpperCase()}"${more} }`;
      const text = yaml.replace(
        '\nsites:\n',
        `\nsites:\n  - name: Other\n    bindings: ["${upFront}"]\n    hosts: [other.example.test]\n    upstream: ${lab.echo.url}\n`,
      );
      const endpoints = `
authEndpoints:
  - name: local
    socket: run/auth.sock
    callers:
      - { name: edge, form: nginx, bindings: ["${upFront}"], sites: [Lab] }
  - name: tcp
    listen: 127.0.0.1:0
    ${limits}
    callers:
${certificateForms.map((form) => caller(form)).join('\n')}
${caller('pinned', ', location: /payroll', 'rfc9440')}
${caller('other', '', 'rfc9440', 'Other')}
${caller('prefixed', ', pathPrefix: /auth', 'envoy')}
  - name: tls
    listen: 127.0.0.1:0
    tls: { cert: "${file('gateway.pem')}", key: "${file('gateway.key')}", ca: ["${file('root.pem')}"] }
    callers:
      - { name: byThumbprint, form: rfc9440, bindings: ["${upFront}"], sites: [Lab], thumbprints: ["${sha256(workstation)}"] }
      - { name: byName, form: rfc9440, bindings: ["${upFront}"], sites: [Lab], dnsNames: [proxy.example.test] }
`;
      return (options.configure?.(text) ?? text) + endpoints;
    },
  });
  return {
    ...to,
    at(endpoint) {
      const address = to.gateway.authAddresses().find((one) => one.endpoint === endpoint)?.address ?? '';
      return address.startsWith('127.') ? { port: Number(address.split(':')[1]) } : { socketPath: address };
    },
    proof: (caller) => [['X-DSMapper-Secret', secretOf(caller)]],
  };
}

/** Where the request is told in a form. */
function told(form: string, uri: string, host = 'localhost', method = 'GET'): FormHeaders {
  if (form === 'envoy') return [['Host', host]];
  const prefix = form === 'traefik' ? 'X-Forwarded' : 'X-Original';
  return [
    [`${prefix}-Host`, host],
    [`${prefix}-Uri`, uri],
    [`${prefix}-Method`, method],
  ];
}

await t.test('every form: who the client is', async (t) => {
  const to = await world(t);
  for (const form of certificateForms) {
    const ask = (as: string | null, uri: string) =>
      askAuth(to.at('tcp'), {
        path: form === 'envoy' ? uri : '/',
        headers: [
          ...to.proof(form),
          ...told(form, uri),
          ...(as === null ? [] : (forms[form]?.(to.identity(as).cert) ?? [])),
        ],
      });
    const good = await ask('alice', '/payroll/x?y=1');
    t.equal(good.status, 200, `${form}: ${JSON.stringify(to.log.at(-1))}`);
    t.equal(good.headers['x-remote-user'], 'LAB\\alice', form);
    t.equal(good.headers['cache-control'], 'no-store', form);
    t.match(to.log.at(-1), {
      caller: form,
      via: form,
      location: '/payroll',
      path: '/payroll/x',
      account: 'LAB\\alice',
      code: 'authorised',
    });
    const none = await ask(null, '/payroll');
    t.equal(none.status, 403, form);
    t.equal(none.headers['x-dsmapper-verdict'], '403.7', form);
    const revoked = await ask('revoked', '/payroll');
    t.equal(revoked.headers['x-dsmapper-verdict'], '403.13', form);
    const anonymous = await ask(null, '/');
    t.equal(anonymous.status, 200, form);
    t.equal(anonymous.headers['x-client-verify'], 'NONE', form);
    t.equal(anonymous.headers['x-remote-user'], undefined, form);
    t.match(anonymous.headers['x-dsmapper-clear'], /X-Remote-User/, form);
  }
});
