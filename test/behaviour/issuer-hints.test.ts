/**
 * The CA names that clients are sent with the request for their certificate, as `openssl s_client` sees them.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { maximumHintBytes } from '../../src/config/issuer-hints.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { talkTls, testFront, testPki } from '../support/front.ts';

const { alice, issuing, root } = await testPki();

/** What s_client prints; its exit code says nothing of the handshake. */
async function sClient(port: number, version: string): Promise<string> {
  const child = promisify(execFile)('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, version], {
    maxBuffer: 16 * 1024 * 1024,
  });
  child.child.stdin?.end();
  const { stdout, stderr } = await child.catch((error: unknown) => error as { stdout: string; stderr: string });
  return stdout + stderr;
}

for (const version of ['-tls1_2', '-tls1_3'])
  await t.test(`by ${version.slice(1)}`, async (t) => {
    const clientCertificate = 'upFront' as const;

    await t.test('no names by default', async (t) => {
      const { port } = await testFront(t, { bindings: [{ clientCertificate }] });
      const seen = await sClient(port(), version);
      t.match(seen, /No client certificate CA names sent/);
      t.match(seen, /Requested Signature Algorithms/, 'and yet a certificate is asked for');
    });

    await t.test('the names of the binding', async (t) => {
      const stranger = await createAuthority({ subject: 'O=Elsewhere,CN=Partner CA' });
      const { port } = await testFront(t, {
        bindings: [{ clientCertificate, issuerHints: [root.cert, stranger.cert] }],
      });
      const seen = await sClient(port(), version);
      const names = /Acceptable client certificate CA names\n([^]*?)\n(?:Client|Requested)/
        .exec(seen)?.[1]
        ?.split('\n');
      t.equal(names?.length, 2);
      t.match(names?.join(), 'Partner CA');
    });

    await t.test('as many as a configuration may have', async (t) => {
      // One name of nearly all that is allowed.
      const subject = Array.from({ length: 60 }, () => `OU=${'x'.repeat(1000)}`).join();
      const wide = await root.subordinate({ subject });
      const parsed = parseCertificate(wide.der);
      if (parsed.kind !== 'parsed') throw new Error(parsed.reason);
      const size = parsed.certificate.subject.der.length + 2;
      t.ok(size > maximumHintBytes - 1000 && size <= maximumHintBytes, `${size} bytes`);
      const { port } = await testFront(t, { bindings: [{ clientCertificate, issuerHints: [wide.cert] }] });
      const seen = await sClient(port(), version);
      t.match(seen, /xxxxxxxxxx/);
      t.match(seen, /Cipher is TLS_|Cipher is ECDHE/, 'the handshake is done');
    });
  });

await t.test('a client that shows its certificate is heard whatever the names are', async (t) => {
  const stranger = await createAuthority({ subject: 'O=Elsewhere,CN=Partner CA' });
  for (const clientCertificate of ['upFront', 'late'] as const) {
    const { port } = await testFront(t, { bindings: [{ clientCertificate, issuerHints: [stranger.cert] }] });
    const client = await talkTls(port(), { cert: alice.cert + issuing.cert, key: alice.key });
    const described = await client.get(clientCertificate === 'late' ? '/ask' : '/');
    t.equal(described?.presented?.chain.length ?? 0, 2, clientCertificate);
    client.socket.destroy();
  }
});
