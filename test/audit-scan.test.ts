/**
 * The command against directories over LDAP: ten thousand accounts in two domains of one forest, with defects of all kinds planted among them.
 */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AuditReport } from '../src/admin/audit-contract.ts';
import type { Millis } from '../src/base/brand.ts';
import { readCertificateFolder, readNtAuthNames } from '../src/cli/audit-inputs.ts';
import { createAuthority } from '../src/lab/authority.ts';
import { defaultMappingSettings } from '../src/mapping/mapper-contract.ts';
import { seedDirectory } from './support/audit-seed.ts';
import { auditConfiguration, findingsOf } from './support/audit-world.ts';
import { within } from './support/command.ts';
import {
  authority,
  bind,
  childCrossRef,
  childOptions,
  childPlace,
  domain,
  domainSid,
  openDirectory,
  settingsFor,
  startDc,
  user,
} from './support/directory-world.ts';

const ca = await createAuthority({ subject: 'DC=test,DC=example,CN=Lab CA' });
const issuer = 'DC=test,DC=example,CN=Lab CA';
const world = { ca, directoryCa: authority.cert, bind };

await t.test('ten thousand accounts: all that was planted, and nothing else', { timeout: 120_000 }, async (t) => {
  const domains = [
    { domain, netbiosName: 'LAB', domainSid },
    { ...childPlace, netbiosName: 'CHILD' },
  ];
  const seed = 20_261_122;
  t.comment(`seed ${seed}`);
  const seeded = seedDirectory(domains, { accounts: 10_000, defects: 320, seed, issuer });
  t.ok(seeded.expected.length >= 300, `${seeded.expected.length} planted`);
  const lab = await startDc(t, [...(seeded.entries[0] ?? []), childCrossRef], { ntAuth: [ca.der] });
  const child = await startDc(t, seeded.entries[1] ?? [], { ...childOptions, ntAuth: [ca.der] });
  const file = await auditConfiguration(t, world, [
    [domain, lab.url],
    [childPlace.domain, child.url],
  ]);
  const started = performance.now();
  const csv = `${file}.csv`;
  const html = `${file}.html`;
  const { code, stdout, stderr } = await within(t, ['audit', '-c', file, '--json', '--csv', csv, '--html', html]);
  t.comment(`scanned in ${Math.round(performance.now() - started)} ms`);
  t.equal(code, 1, stderr);
  const report = JSON.parse(stdout) as AuditReport;
  t.strictSame(findingsOf(report), seeded.expected);
  t.match(report, {
    complete: true,
    domains: [
      { domain, accounts: 5000, missing: null },
      { domain: childPlace.domain, accounts: 5000, missing: null },
    ],
  });
  t.equal((await readFile(csv, 'utf8')).split('\r\n').length, seeded.expected.length + 2);
  t.match(await readFile(html, 'utf8'), '</html>');
  for (const written of [csv, html]) t.equal((await stat(written)).mode & 0o777, 0o600, 'for its owner alone');
});

await t.test('a domain that is not scanned to its end, and one that does not answer', async (t) => {
  const many = Array.from({ length: 25 }, (_, n) =>
    user(2000 + n, `u${n}`, {
      altSecurityIdentities: [`X509:<I>${issuer}<SR>${(n + 256).toString(16).padStart(4, '0')}`],
    }),
  );
  const lab = await startDc(t, [...many, childCrossRef], { ntAuth: [ca.der], maxPageSize: 10 });
  const child = await startDc(t, [], { ...childOptions, ntAuth: [ca.der] });
  const file = await auditConfiguration(t, world, [
    [domain, lab.url],
    [childPlace.domain, child.url],
  ]);
  const whole = await within(t, ['audit', '-c', file]);
  t.equal(whole.code, 0, whole.stdout + whole.stderr);
  t.match(whole.stdout, /^lab\.example\.test: 25 accounts with 25 values$/m, 'page by page');
  t.match(whole.stdout, /^nothing was found$/m);

  let pages = 0;
  lab.faults.judge = (search) => (search.attributes.includes('accountExpires') && (pages += 1) > 1 ? 51 : null);
  await child.stop();
  const torn = await within(t, ['audit', '-c', file, '--json']);
  t.equal(torn.code, 3);
  t.match(JSON.parse(torn.stdout), {
    complete: false,
    domains: [
      { domain, accounts: 10, missing: /51/ },
      { domain: childPlace.domain, accounts: 0, missing: String },
    ],
  });
});

await t.test('with certificates, and outputs that cannot be written', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dsm-audit-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const alice = await ca.issue({ subject: 'CN=alice', serial: '0102030405' });
  const carol = await ca.issue({ subject: 'CN=carol', upn: `carol@${domain}` });
  const bob = await ca.issue({ subject: 'CN=bob', upn: `bob@${domain}` });
  for (const [name, { cert }] of Object.entries({ alice, bob, carol }))
    await writeFile(join(folder, `${name}.pem`), cert);
  const unreversed = `X509:<I>${issuer}<SR>0102030405`;
  const entries = [user(1105, 'alice', { altSecurityIdentities: [unreversed] }), user(1106, 'bob')];
  const dc = await startDc(t, entries, { ntAuth: [ca.der] });
  const file = await auditConfiguration(t, world, [[domain, dc.url]]);
  const words = ['audit', '-c', file, '--certificates', folder];
  const { code, stdout, stderr } = await within(t, [...words, '--json']);
  t.equal(code, 1, stderr);
  const { findings, certificates } = JSON.parse(stdout) as AuditReport;
  t.match(certificates, { folder, read: 3, unreadable: [] });
  t.strictSame(
    findings.map((finding) => [
      finding.code,
      finding.problem,
      finding.account?.name ?? finding.certificate,
      finding.corrected,
    ]),
    [
      ['malformedValue', 'serialNotReversed', 'LAB\\alice', `X509:<I>${issuer}<SR>0504030201`],
      ['certificateUnmapped', null, 'alice.pem', null],
      ['certificateUnmapped', null, 'carol.pem', null],
    ],
    'bob is found by his name',
  );
  for (const flag of ['--csv', '--html']) {
    const bad = await within(t, [...words, flag, join(folder, 'nowhere', 'out')]);
    t.equal(bad.code, 2);
    t.match(bad.stderr, /cannot write .*ENOENT/);
  }
  const missing = await within(t, ['audit', '-c', file, '--certificates', join(folder, 'nowhere')]);
  t.equal(missing.code, 2);
});

await t.test('a folder of certificates: what is taken, what is passed over, what cannot be read', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dsm-audit-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'below'));
  const alice = await ca.issue({ subject: 'CN=alice' });
  const bob = await ca.issue({ subject: 'CN=bob' });
  const server = await ca.issue({ subject: 'CN=server', extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
  await writeFile(join(folder, 'server.der'), server.der);
  await writeFile(join(folder, 'alice.der'), alice.der);
  await writeFile(join(folder, 'below', 'bob.PEM'), bob.cert + ca.cert);
  await writeFile(join(folder, 'broken.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  await writeFile(join(folder, 'long.cer'), Buffer.alloc(5 * 1024 * 1024));
  await writeFile(join(folder, 'notes.md'), 'no certificate');
  const read = await readCertificateFolder(folder, defaultMappingSettings);
  t.strictSame(
    read.index.all.map(({ file }) => file),
    ['alice.der', 'below/bob.PEM (1)'],
  );
  t.match(read.unreadable, [{ file: 'broken.pem' }, { file: 'long.cer', reason: /longer than 4194304 bytes/ }]);
  await t.rejects(readCertificateFolder(join(folder, 'nowhere'), defaultMappingSettings), {
    code: 'certificate-folder',
    exitCode: 2,
  });
});

await t.test('names of authorities in NTAuthCertificates', async (t) => {
  const patience = 5000 as Millis;
  const namesAt = async (ntAuth: readonly Buffer[] | null) => {
    const dc = await startDc(t, [], { ntAuth });
    return readNtAuthNames(openDirectory(t, settingsFor([dc.url])), domain, patience);
  };
  const names = await namesAt([ca.der]);
  t.equal(names?.has(`X509:<I>${issuer}<SR>ab`), true);
  t.equal(names?.has('X509:<I>O=Other<SR>ab'), false);
  t.equal(names?.has('X509:<SKI>ab'), null);
  t.equal(await namesAt(null), null, 'a store that is not seen is not known');
  t.equal(
    await namesAt([ca.der, Buffer.from('no certificate')]),
    null,
    'of one that cannot be read the name is not known',
  );
});
