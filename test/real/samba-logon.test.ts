/**
 * The whole gateway in front of Samba's Active Directory, over LDAPS: what a certificate must be like to log on, and every
 * refusal that comes from an account, a mapping, NTAuth or a directory that is gone. The values of altSecurityIdentities are
 * put together here from Node's own reading of the certificates, not by the code that the gateway maps with.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { labDomain } from '../../src/lab/accounts.ts';
import { type CertificateRecipe, type Issued, restoreAuthority } from '../../src/lab/authority.ts';
import { adUser } from '../../src/lab/directory-entries.ts';
import { ask, testGateway, testLab } from '../support/gateway.ts';
import { ldifLine } from '../support/ldif.ts';
import { sambaTest, type SambaUser, startSamba } from '../support/samba.ts';
import { groupLdif, userDn } from '../support/samba-accounts.ts';
import { certificateOf, gatewayAt, showing } from '../support/samba-gateway.ts';

/** As Active Directory writes the issuing authority's name and a name below it: in encoded order. */
const issuer = 'DC=test,DC=example,DC=lab,CN=Lab Issuing CA';
const people = 'DC=test,DC=example,DC=lab,OU=People';
const accented = `${people},CN=Älice`;
const bySubject = (subject: string) => `X509:<I>${issuer}<S>${subject}`;

await sambaTest('logon against accounts of a Samba domain', async (t) => {
  const lab = await testLab(t);
  const root = await restoreAuthority(certificateOf(lab, 'root'));
  const issuing = await restoreAuthority(certificateOf(lab, 'issuing'));
  const second = await root.subordinate({ subject: 'O=Lab,CN=Second CA' });

  const client = (name: string, more: Partial<CertificateRecipe> = {}) =>
    issuing.issue({ subject: `${people},CN=${name}`, ...more });
  const sera = await client('sera');
  const kim = await client('kim');
  const paul = await client('paul');
  const dora = await client('dora');
  const eve = await client('eve');
  const lou = await client('lou');
  const tina = await client('tina');
  const late = await client('late');
  const nora = await second.issue({ subject: `${people},CN=nora` });
  const users: readonly SambaUser[] = [
    { name: 'sera', altSecurityIdentities: [bySerial(sera)] },
    { name: 'kim', altSecurityIdentities: [`X509:<SKI>${keyIdentifierOf(kim)}`] },
    { name: 'paul', altSecurityIdentities: [`X509:<SHA1-PUKEY>${thumbprintOf(paul)}`] },
    { name: 'wanda', altSecurityIdentities: [bySubject(`${people},CN=wanda`)] },
    { name: 'mel', altSecurityIdentities: ['X509:<RFC822>mel@mail.example.test'] },
    { name: 'uma' },
    { name: 'elise', altSecurityIdentities: [bySubject(accented)] },
    { name: 'dora', altSecurityIdentities: [bySerial(dora)], disabled: true },
    { name: 'eve', altSecurityIdentities: [bySerial(eve)], expires: new Date('2024-01-01T00:00:00Z') },
    { name: 'lou', altSecurityIdentities: [bySerial(lou)], locked: true },
    { name: 'tina', altSecurityIdentities: [bySerial(tina)] },
    { name: 'tina2', altSecurityIdentities: [`X509:<SHA1-PUKEY>${thumbprintOf(tina)}`] },
    { name: 'late', altSecurityIdentities: [bySerial(late)] },
    { name: 'nora', altSecurityIdentities: [bySerial(nora, 'O=Lab,CN=Second CA')] },
    { name: 'ws1', kind: 'computer', attributes: { dNSHostName: ['ws1.lab.example.test'] } },
  ];
  // The configuration of the lab names the group.
  const ldif = groupLdif('Staff', [userDn({ name: 'sera' })]);
  const samba = await startSamba(t, { ntAuth: [issuing.der], users, ldif });
  // What changes in the domain is told in another file: here it would take answers away that are to be remembered.
  const to = await gatewayAt(t, samba, lab, '  pollInterval: 0s\n');

  const sids = new Map<string, string>();
  const sidOf = async (name: string, container = 'CN=Users') => {
    const known = sids.get(name);
    if (known !== undefined) return known;
    const [sid] = await samba.read(`CN=${name},${container},${samba.suffix}`, 'objectSid');
    if (sid === undefined) throw new TypeError(`no account ${name}`);
    sids.set(name, sid);
    return sid;
  };
  const confirmed = async (name: string, more: Partial<CertificateRecipe> = {}) =>
    client(name, { sid: await sidOf(name), ...more });

  const mail = { rfc822Names: ['mel@mail.example.test'] };
  const upn = { upn: 'uma@lab.example.test' };
  const computer = { dnsNames: ['ws1.lab.example.test'] };
  const computerSid = await sidOf('ws1', 'CN=Computers');

  const accepted: readonly (readonly [title: string, account: string, certificate: Issued, path?: string])[] = [
    ['X509IssuerSerialNumber', 'sera', sera],
    ['X509SKI', 'kim', kim],
    ['X509SHA1PublicKey', 'paul', paul],
    ['X509IssuerSubject with the SID of the account', 'wanda', await confirmed('wanda')],
    ['X509RFC822 with the SID of the account', 'mel', await confirmed('mel', mail)],
    ['a UPN with the SID of the account', 'uma', await confirmed('uma', upn)],
    [
      'a computer by DNS name with its SID',
      'WS1$',
      await client('ws1', { ...computer, sid: computerSid }),
      '/computers',
    ],
  ];
  for (const [title, account, certificate, path = '/payroll'] of accepted)
    await t.test(`${title}: accepted`, async (t) => {
      const sid = account === 'WS1$' ? computerSid : await sidOf(account);
      for (const where of ['late', 'upFront'] as const) {
        const answer = await ask(to, where, { path, ...showing(certificate) });
        t.equal(answer.status, 200, answer.body);
        const line = await to.logged(answer.headers['x-request-id']);
        t.match(line, { code: 'authorised', sid, thumbprint: thumbprintOf(certificate) });
        t.equal(String(line['account']).toLowerCase(), `lab\\${account.toLowerCase()}`);
        if (path !== '/payroll') continue;
        t.equal(answer.backendHeader('x-remote-user'), `LAB\\${account}`);
        t.equal(answer.backendHeader('x-remote-sid'), sid);
      }
    });

  await t.test('a member of a group passes where it is asked for, and nobody else', async (t) => {
    t.equal((await ask(to, 'late', { path: '/staff', ...showing(sera) })).status, 200);
    const answer = await ask(to, 'late', { path: '/staff', ...showing(kim) });
    t.equal(answer.status, 403);
    t.match(await to.logged(answer.headers['x-request-id']), { code: 'notAuthorised', detail: /kim/ });
  });

  const refused: readonly (readonly [
    title: string,
    code: string,
    certificate: Issued,
    detail: RegExp,
    path?: string,
  ])[] = [
    ['X509IssuerSubject alone', 'weakMapping', await client('wanda'), /wanda/],
    ['X509RFC822 alone', 'weakMapping', await client('mel', mail), /mel/],
    ['a UPN alone', 'weakMapping', await client('uma', upn), /uma/],
    ['a computer by DNS name alone', 'weakMapping', await client('ws1', computer), /WS1\$/i, '/computers'],
    [
      'a UPN with the SID of another account',
      'sidMismatch',
      await confirmed('wanda', { subject: 'CN=x', ...upn }),
      /uma/,
    ],
    ['a disabled account', 'accountDisabled', dora, /dora/],
    ['an expired account', 'accountExpired', eve, /eve/],
    ['a locked account', 'accountLocked', lou, /lou/],
    ['a certificate of two accounts', 'ambiguous', tina, /tina.* and .*tina2|tina2.* and .*tina/],
    ['a certificate of nobody', 'notMapped', await client('nobody'), /no account/],
    ['an issuer that is not in NTAuth', 'issuerNotInNtAuth', nora, /1 certificates and not this one/],
    [
      'a computer where users are wanted',
      'notAuthorised',
      await client('ws1', { ...computer, sid: computerSid }),
      /computer/,
    ],
  ];
  for (const [title, code, certificate, detail, path = '/payroll'] of refused)
    await t.test(`${title}: ${code}`, async (t) => {
      for (const where of ['late', 'upFront'] as const) {
        const answer = await ask(to, where, { path, ...showing(certificate, second) });
        t.equal(answer.status, code === 'notMapped' ? 401 : 403);
        t.match(await to.logged(answer.headers['x-request-id']), { code, detail });
      }
    });

  await t.test('a diacritic that makes another name is another name', async (t) => {
    const stored = await client('', { subject: accented, sid: await sidOf('elise') });
    // The SID would make the mapping strong enough: nothing but the comparison of the names stands in the way.
    const shown = await client('Alice', { sid: await sidOf('elise') });
    await t.test('Samba tells them apart', async (t) => {
      t.equal((await ask(to, 'upFront', showing(stored))).backendHeader('x-remote-user'), 'LAB\\elise');
      const answer = await ask(to, 'upFront', showing(shown));
      t.equal(answer.status, 401);
      const line = await to.logged(answer.headers['x-request-id']);
      t.match(line, { code: 'notMapped' });
      t.notMatch(line, { detail: /returned/ });
    });
    await t.test('the embedded directory does not, like Active Directory, and is not believed', async (t) => {
      const embedded = await testGateway(t, { lab });
      const elise = { rid: 2001, name: 'elise', altSecurityIdentities: [bySubject(accented)] };
      lab.directory.add(adUser({ ...labDomain, ...elise }));
      const sid = `${labDomain.domainSid}-2001`;
      const good = await ask(embedded, 'upFront', showing(await client('', { subject: accented, sid })));
      t.equal(good.backendHeader('x-remote-user'), 'LAB\\elise');
      const answer = await ask(embedded, 'upFront', showing(await client('Alice', { sid })));
      t.equal(answer.status, 401);
      const detail = /the directory returned LAB\\elise, but none of its values is the one looked for/;
      t.match(await embedded.logged(answer.headers['x-request-id']), { code: 'notMapped', detail });
    });
  });

  await t.test('NTAuthCertificates decides which issuers count', async (t) => {
    const store = `CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,${samba.suffix}`;
    const who = async (certificate: Issued) => {
      const fresh = await gatewayAt(t, samba, lab);
      const answer = await ask(fresh, 'upFront', showing(certificate, second));
      return await fresh.logged(answer.headers['x-request-id']);
    };
    const added = ldifLine('cACertificate', second.der);
    await samba.modify(`dn: ${store}\nchangetype: modify\nadd: cACertificate\n${added}\n`);
    t.match(await who(nora), { status: 200, account: 'LAB\\nora' }, 'an issuer that was added');
    t.match(await who(sera), { status: 200, account: 'LAB\\sera' }, 'and the one before it');
    await samba.modify(`dn: ${store}\nchangetype: delete\n`);
    t.match(await who(sera), { status: 403, code: 'issuerNotInNtAuth', detail: /is empty/ }, 'no such object');
  });

  await t.test('a directory that is gone', async (t) => {
    const wasReady = await to.gateway.readiness();
    t.match(wasReady, { ready: true });
    await samba.kill();

    await t.test('is 503 to a certificate that was never looked up', async (t) => {
      const answer = await ask(to, 'late', showing(late));
      t.equal(answer.status, 503);
      t.match(answer.headers['retry-after'], /^\d+$/);
      t.match(await to.logged(answer.headers['x-request-id']), { code: 'directoryUnavailable', account: null });
    });
    await t.test('does not end what is known', async (t) => {
      const answer = await ask(to, 'late', showing(sera));
      t.equal(answer.backendHeader('x-remote-user'), 'LAB\\sera');
      t.match(await to.logged(answer.headers['x-request-id']), { cache: 'hit' });
      const negative = await ask(to, 'late', showing(tina));
      t.match(await to.logged(negative.headers['x-request-id']), { code: 'ambiguous' });
    });
    await t.test('shows in readiness', async (t) => t.match(await to.gateway.readiness(), { ready: false }));
    await t.test('is asked as soon as it is back: that it did not answer was not remembered', async (t) => {
      await samba.restart();
      while (!(await to.gateway.readiness()).ready) await wait(20);
      const answer = await ask(to, 'late', showing(late));
      t.equal(answer.backendHeader('x-remote-user'), 'LAB\\late');
      t.match(await to.logged(answer.headers['x-request-id']), { cache: 'miss' });
    });
  });
});

function bySerial(certificate: Issued, by = issuer): string {
  const { serialNumber } = new X509Certificate(certificate.der);
  const reversed = Buffer.from(serialNumber, 'hex').reverse().toString('hex');
  return `X509:<I>${by}<SR>${reversed}`;
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 of the public key's bits, which of a P-256 key are the last 65 octets. */
function keyIdentifierOf(certificate: Issued): string {
  const key = new X509Certificate(certificate.der).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha1').update(key.subarray(-65)).digest('hex');
}

function thumbprintOf(certificate: Issued): string {
  return new X509Certificate(certificate.der).fingerprint.replaceAll(':', '').toLowerCase();
}
