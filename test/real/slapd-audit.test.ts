/**
 * `dsmapper audit` against a real LDAP server with ten thousand accounts, among them every kind of defect.
 */
import type { AuditReport } from '../../src/admin/audit-contract.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { seedDirectory } from '../support/audit-seed.ts';
import { auditConfiguration, findingsOf } from '../support/audit-world.ts';
import { within } from '../support/command.ts';
import { slapdTest, startSlapd } from '../support/slapd.ts';

await slapdTest('ten thousand accounts of OpenLDAP: all that was planted, and nothing else', async (t) => {
  const place = {
    domain: 'lab.example.test',
    netbiosName: 'LAB',
    domainSid: 'S-1-5-21-2088175937-3269668285-1925657351',
  };
  const ca = await createAuthority({ subject: 'DC=test,DC=example,CN=Lab CA' });
  const seed = Number(process.env['DSMAPPER_SEED'] ?? Date.now() % 2 ** 31);
  t.comment(`seed ${seed}`);
  const issuer = 'DC=test,DC=example,CN=Lab CA';
  const seeded = seedDirectory([place], { accounts: 10_000, defects: 300, seed, issuer });
  t.ok(seeded.expected.length >= 290, `${seeded.expected.length} findings are expected`);
  // It computes nothing, so what a domain controller would is stored with the accounts.
  const entries = (seeded.entries[0] ?? []).map(({ dn, attributes }) => ({
    dn,
    attributes: { ...attributes, 'msDS-User-Account-Control-Computed': ['0'] },
  }));
  const slapd = await startSlapd(t, { ...place, entries, ntAuth: [ca.der] });
  const bind = { dn: slapd.bindDn, password: slapd.password };
  const file = await auditConfiguration(t, { ca, directoryCa: slapd.caPem, bind }, [[place.domain, slapd.ldapsUrl]]);
  const started = performance.now();
  const { code, stdout, stderr } = await within(t, ['audit', '-c', file, '--json']);
  const took = performance.now() - started;
  t.comment(`scanned in ${Math.round(took)} ms`);
  t.equal(code, 1, stderr);
  const report = JSON.parse(stdout) as AuditReport;
  t.strictSame(findingsOf(report), seeded.expected);
  t.match(report, { complete: true, domains: [{ domain: place.domain, accounts: 10_000, missing: null }] });
  t.ok(took < 60_000, 'a minute is enough for ten thousand accounts');
});
