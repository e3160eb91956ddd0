/**
 * `dsmapper cert show`: what is in a certificate, as the gateway reads it.
 */
import { certificateFacts } from '../admin/explain.ts';
import type { CertificateFacts } from '../admin/explain.ts';
import { readChain } from './configuration.ts';
import type { ExitCode } from './program.ts';
import { printable, table, terminal } from './terminal.ts';

export async function showCertificate(file: string, options: { readonly json?: boolean }): Promise<ExitCode> {
  const { leaf } = await readChain(file, null);
  const facts = certificateFacts(leaf);
  if (options.json === true) terminal.json(facts);
  else for (const line of certificateLines(facts)) terminal.line(line);
  return 0;
}

export function certificateLines(facts: CertificateFacts): readonly string[] {
  const rows: (readonly [string, string])[] = [
    ['Subject', facts.subject],
    ['Issuer', facts.issuer],
    ['Serial', facts.serial],
    ['Valid', `${facts.notBefore} to ${facts.notAfter}`],
    ['Thumbprint', facts.thumbprint],
    ['UPN', facts.upn.join(', ')],
    ['DNS names', facts.dnsNames.join(', ')],
    ['E-mail', facts.rfc822Names.join(', ')],
    ['SID extension', facts.sid ?? ''],
    ['Subject key id', facts.subjectKeyIdentifier ?? ''],
  ];
  return table(rows.filter(([, value]) => value !== '').map(([name, value]) => [name, printable(value)]));
}
