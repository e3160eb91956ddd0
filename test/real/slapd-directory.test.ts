/**
 * OpenLDAP with many accounts, as benches use it: what was loaded is found by every indexed attribute.
 */
import { Client, EqualityFilter } from 'ldapts';
import { createAuthority } from '../../src/lab/authority.ts';
import { adComputer, adUser } from '../../src/lab/directory-entries.ts';
import type { DirectoryEntry } from '../../src/lab/directory-server.ts';
import { sidBytes } from '../../src/lab/directory-sid.ts';
import { slapdTest, startSlapd } from '../support/slapd.ts';

const domainSid = 'S-1-5-21-2088175937-3269668285-1925657351';
const place = { domain: 'lab.example.test', domainSid };

function* accounts(count: number): Generator<DirectoryEntry> {
  for (let rid = 1000; rid < 1000 + count; rid += 1)
    yield adUser({ ...place, rid, name: `u${rid}`, altSecurityIdentities: [`X509:<SKI>${rid}`, 'X509:<S>CN=ü'] });
  yield adComputer({ ...place, rid: 999, name: 'web01' });
}

await slapdTest('OpenLDAP carries the accounts of the lab', async (t) => {
  const authority = await createAuthority({ subject: 'CN=Issuing CA' });
  const slapd = await startSlapd(t, { ...place, netbiosName: 'LAB', entries: accounts(1500), ntAuth: [authority.der] });
  const client = new Client({ url: slapd.ldapsUrl, tlsOptions: { ca: slapd.caPem }, timeout: 20_000 });
  t.teardown(() => client.unbind().catch(() => {}));
  await client.bind(slapd.bindDn, slapd.password);
  const find = async (attribute: string, value: string | Buffer) => {
    const filter = new EqualityFilter({ attribute, value });
    return (await client.search(slapd.suffix, { filter, attributes: ['cn'] })).searchEntries.map(({ cn }) => cn);
  };

  t.strictSame(await find('altSecurityIdentities', 'x509:<ski>1234'), ['u1234']);
  t.strictSame(await find('userPrincipalName', 'U2000@lab.example.test'), ['u2000']);
  t.strictSame(await find('sAMAccountName', 'WEB01$'), ['web01']);
  t.strictSame(await find('servicePrincipalName', 'HOST/web01.lab.example.test'), ['web01']);
  t.strictSame(await find('objectSid', sidBytes(`${domainSid}-1500`) ?? ''), ['u1500']);
  t.equal(
    await find('altSecurityIdentities', 'X509:<S>CN=ü').catch(({ code }: { code: unknown }) => code),
    4,
    'MaxPageSize',
  );

  const { searchEntries } = await client.search('', { scope: 'base', attributes: ['defaultNamingContext'] });
  t.match(searchEntries, [{ defaultNamingContext: slapd.suffix }]);
  const services = `CN=Public Key Services,CN=Services,CN=Configuration,${slapd.suffix}`;
  const ntAuth = await client.search(`CN=NTAuthCertificates,${services}`, {
    scope: 'base',
    attributes: ['cACertificate'],
  });
  t.match(ntAuth.searchEntries, [{ 'cACertificate;binary': authority.der }], 'the name comes with the option');
});
