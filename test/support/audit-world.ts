/**
 * What an audit needs to run against a directory: a configuration that names it, and its findings in a form that can be compared.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditReport } from '../../src/admin/audit-contract.ts';
import type { Authority } from '../../src/lab/authority.ts';

export interface AuditWorld {
  /** Vouches for clients and for the gateway. */
  readonly ca: Authority;
  /** PEM; vouches for the directory servers. */
  readonly directoryCa: string;
  readonly bind: { readonly dn: string; readonly password: string };
}

/** @returns path of the configuration, in a folder that goes with the test */
export async function auditConfiguration(
  t: { teardown(end: () => unknown): void },
  { ca, directoryCa, bind }: AuditWorld,
  domains: readonly (readonly [name: string, url: string])[],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dsm-audit-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const web = await ca.issue({ subject: 'CN=web', dnsNames: ['web.test'], extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
  await writeFile(join(folder, 'web.pem'), web.cert);
  await writeFile(join(folder, 'web.key'), web.key);
  await writeFile(join(folder, 'root.pem'), ca.cert);
  await writeFile(join(folder, 'directory.pem'), directoryCa);
  await writeFile(join(folder, 'password'), bind.password, { mode: 0o600 });
  const lines = domains.map(
    ([name, url]) =>
      `    - { name: ${name}, controllers: ["${url}"], bind: { dn: "${bind.dn}", password: file:password } }\n`,
  );
  const file = join(folder, 'dsmapper.yaml');
  await writeFile(
    file,
    `bindings:
  - endpoint: 127.0.0.1:443
    certificate: { cert: file:web.pem, key: file:web.key }
    dsMapperUsage: enabled
    verifyClientCertificateRevocation: disabled
sites:
  - name: Site
    bindings: ["127.0.0.1:443"]
    upstream: http://127.0.0.1:8080
    locations:
      /:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
trust: { roots: [file:root.pem] }
directory:
  ca: [file:directory.pem]
  domains:
${lines.join('')}`,
  );
  return file;
}

/** `code account`, with the problem where a value is malformed; sorted. */
export function findingsOf({ findings }: AuditReport): readonly string[] {
  return findings
    .map(({ code, problem, account }) =>
      [code, ...(code === 'malformedValue' ? [problem] : []), account?.name].join(' '),
    )
    .toSorted();
}
