/**
 * The mapper over real connections to Samba's Active Directory: every form of mapping and what makes it strong enough, accounts that may
 * not log on, groups, controllers that fail, and changes that a live connection must feel. The values of altSecurityIdentities are
 * put together here from Node's own reading of the certificates, not by the code under test.
 */
import { createHash, hash, X509Certificate } from 'node:crypto';
import https from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'ldapts';
import type { Test } from 'tap';
import type { Digest, Millis, Sid } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { noSteps } from '../../src/base/steps.ts';
import type { DirectoryChange, ForestSettings, SearchRecord } from '../../src/directory/directory.ts';
import { createDirectory, type LiveDirectory } from '../../src/directory/forests.ts';
import { createAuthority, type CertificateRecipe, type Issued, restoreAuthority } from '../../src/lab/authority.ts';
import { adUser } from '../../src/lab/directory-entries.ts';
import { startDirectoryServer } from '../../src/lab/directory-server.ts';
import { sidText } from '../../src/lab/directory-sid.ts';
import { createMapper } from '../../src/mapping/mapper.ts';
import type { Mapper, MappingResult, MappingSettings, MappingSubject } from '../../src/mapping/mapper-contract.ts';
import { mappingProfiles } from '../../src/mapping/profiles.ts';
import { ask, type TestGateway, testLab } from '../support/gateway.ts';
import { ldifLine } from '../support/ldif.ts';
import { parsed, strictSettings } from '../support/mapping-cases.ts';
import { type Samba, sambaTest, type SambaUser, startSamba } from '../support/samba.ts';
import { changeLdif, groupLdif, userDn } from '../support/samba-accounts.ts';
import { certificateOf, gatewayAt, showing } from '../support/samba-gateway.ts';

/** As Active Directory writes names: in encoded order. */
const issuer = 'DC=test,DC=example,DC=lab,CN=Lab Issuing CA';
const people = 'DC=test,DC=example,DC=lab,OU=People';
const authority = await createAuthority({ subject: issuer });
const legacy = await createAuthority({ subject: 'O=Lab,CN=Legacy CA' });
const leafOf = (name: string, more: Partial<CertificateRecipe> = {}) =>
  authority.issue({ subject: `${people},CN=${name}`, ...more });
const subjectAndIssuer = (name: string) => `X509:<I>${issuer}<S>${people},CN=${name}`;
const sidUri = (sid: string) => `tag:microsoft.com,2022-09-14:sid:${sid}`;
const mail = 'mel@mail.example.test';

const [sera, kim, paul, tina, dora, eve, lou, many, load] = await Promise.all(
  ['sera', 'kim', 'paul', 'tina', 'dora', 'eve', 'lou', 'many', 'load'].map((name) => leafOf(name)),
);
if (!sera || !kim || !paul || !tina || !dora || !eve || !lou || !many || !load) throw new Error('no certificates');
const lockedOut = 'Wr1tes-nothing-0';
const crowd = Array.from({ length: 2000 }, (_, index) => `X509:<SKI>${index.toString(16).padStart(40, '0')}`);

const users: readonly SambaUser[] = [
  { name: 'sera', altSecurityIdentities: [bySerial(sera)] },
  { name: 'kim', altSecurityIdentities: [`X509:<SKI>${keyIdentifierOf(kim)}`] },
  { name: 'paul', altSecurityIdentities: [`X509:<SHA1-PUKEY>${thumbprintOf(paul)}`] },
  { name: 'iris' },
  { name: 'wanda', altSecurityIdentities: [subjectAndIssuer('wanda')] },
  { name: 'sue', altSecurityIdentities: [`X509:<S>${people},CN=sue`] },
  { name: 'mel', altSecurityIdentities: [`X509:<RFC822>${mail}`] },
  { name: 'uma', upn: 'somebody@lab.example.test' },
  { name: 'ian', upn: null },
  { name: 'alva', upn: 'alva.a@corp.example.test' },
  { name: 'ivo', upn: null },
  { name: 'eva', upn: 'ivan@corp.example.test' },
  { name: 'ivan', upn: null },
  { name: 'ws1', kind: 'computer', attributes: { dNSHostName: ['ws1.lab.example.test'] } },
  { name: 'ivy', altSecurityIdentities: ['X509:<I>O=Lab,CN=Legacy CA'] },
  { name: 'old', altSecurityIdentities: [subjectAndIssuer('old')], whenCreated: new Date('2015-01-01T00:00:00Z') },
  { name: 'young', altSecurityIdentities: [subjectAndIssuer('young')], whenCreated: new Date('2024-01-01T00:00:00Z') },
  { name: 'elise', altSecurityIdentities: [subjectAndIssuer('Älice')] },
  { name: 'tina', altSecurityIdentities: [bySerial(tina)] },
  { name: 'tina2', altSecurityIdentities: [bySerial(tina)] },
  { name: 'dora', altSecurityIdentities: [bySerial(dora)], disabled: true },
  { name: 'eve', altSecurityIdentities: [bySerial(eve)], expires: new Date('2024-01-01T00:00:00Z') },
  { name: 'lou', altSecurityIdentities: [bySerial(lou)], password: lockedOut },
  { name: 'many', altSecurityIdentities: [...crowd, bySerial(many)] },
  { name: 'load', altSecurityIdentities: [bySerial(load)] },
];
const suffix = 'DC=lab,DC=example,DC=test';
const dnOf = (name: string) => userDn({ name });
const ldif = [
  groupLdif('Inner', [dnOf('sera')]),
  groupLdif('Middle', [dnOf('Inner')], -2147483640),
  groupLdif('Outer', [dnOf('Middle')], -2147483644),
  groupLdif('Letters', [dnOf('sera')], 2),
  groupLdif('Readers', [dnOf('Letters')]),
  changeLdif(`CN=Partitions,CN=Configuration,${suffix}`, 'replace: uPNSuffixes\nuPNSuffixes: corp.example.test'),
  changeLdif(
    suffix,
    'replace: lockoutThreshold\nlockoutThreshold: 3\n-\nreplace: lockoutDuration\nlockoutDuration: -18000000000\n-\n' +
      'replace: lockOutObservationWindow\nlockOutObservationWindow: -18000000000',
  ),
].join('\n');

await sambaTest('mapping to accounts of a Samba domain', async (t) => {
  const samba = await startSamba(t, { ntAuth: [authority.der, legacy.der], users, ldif });
  const sids = await sidsOf(samba);
  const sidOf = (name: string) => sids.get(name) ?? '';
  const stored = `X509:<I>${issuer}<SID>${sidOf('iris')}`;
  await samba.modify(
    changeLdif(dnOf('iris'), `add: altSecurityIdentities\n${ldifLine('altSecurityIdentities', stored)}`),
  );
  const directory = await directoryOf(t, [samba]);
  const ask = asking(directory);
  const confirmed = (name: string, more: Partial<CertificateRecipe> = {}) =>
    leafOf(name, { sid: sidOf(name), ...more });

  const upn = (upn: string, of: string) => leafOf('upn', { upn, sid: sidOf(of) });
  const mapped: readonly (readonly [title: string, certificate: Issued, expected: string])[] = [
    [
      'issuer and subject with the SID of the account',
      await confirmed('wanda'),
      'wanda X509IssuerSubject sidExtension',
    ],
    ['subject alone', await confirmed('sue'), 'sue X509SubjectOnly sidExtension'],
    ['issuer and serial number', sera, 'sera X509IssuerSerialNumber method'],
    ['subject key identifier', kim, 'kim X509SKI method'],
    ['hash of the certificate', paul, 'paul X509SHA1PublicKey method'],
    ['mail address', await confirmed('mel', { rfc822Names: [mail] }), 'mel X509RFC822 sidExtension'],
    ['issuer and SID', await confirmed('iris'), 'iris X509IssuerSid method'],
    ['a UPN that is stored', await upn('somebody@lab.example.test', 'uma'), 'uma UPN sidExtension'],
    ['a UPN that is put together', await upn('ian@lab.example.test', 'ian'), 'ian UPN sidExtension'],
    ['a UPN of another suffix that is stored', await upn('alva.a@corp.example.test', 'alva'), 'alva UPN sidExtension'],
    ['a UPN of another suffix that is put together', await upn('ivo@corp.example.test', 'ivo'), 'ivo UPN sidExtension'],
    [
      'a computer by its DNS name',
      await confirmed('ws1', { dnsNames: ['ws1.lab.example.test'] }),
      'ws1$ DNS sidExtension',
    ],
    ['a SID in a URI', await leafOf('wanda', { uris: [sidUri(sidOf('wanda'))] }), 'wanda X509IssuerSubject sidUri'],
    ['a strong form with the SID of another', await another(), 'paul X509SHA1PublicKey method'],
    ['one of 2001 values', many, 'many X509IssuerSerialNumber method'],
    ['a name with a diacritic', await leafOf('Älice', { sid: sidOf('elise') }), 'elise X509IssuerSubject sidExtension'],
  ];
  for (const [title, certificate, expected] of mapped)
    await t.test(`${title}: mapped`, async (t) => t.equal(told(await ask(certificate)), expected));

  /** A certificate that names somebody else, mapped to paul by its hash. */
  async function another(): Promise<Issued> {
    const certificate = await leafOf('other', { sid: sidOf('kim') });
    const value = ldifLine('altSecurityIdentities', `X509:<SHA1-PUKEY>${thumbprintOf(certificate)}`);
    await samba.modify(changeLdif(dnOf('paul'), `add: altSecurityIdentities\n${value}`));
    return certificate;
  }

  const refused: readonly (readonly [title: string, certificate: Issued, code: string, detail: RegExp])[] = [
    ['issuer and subject alone', await leafOf('wanda'), 'weakMapping', /wanda/],
    ['the SID of another', await leafOf('wanda', { sid: sidOf('sue') }), 'sidMismatch', /wanda/],
    ['the SID of another in a URI', await leafOf('wanda', { uris: [sidUri(sidOf('sue'))] }), 'sidMismatch', /wanda/],
    ['a UPN alone', await leafOf('upn', { upn: 'ian@lab.example.test' }), 'weakMapping', /ian/],
    ['a UPN of an unknown suffix', await upn('ian@other.example.test', 'ian'), 'notMapped', /no account/],
    ['a UPN of two accounts', await upn('ivan@corp.example.test', 'ivan'), 'ambiguous', /eva.*ivan|ivan.*eva/],
    ['a value of two accounts', tina, 'ambiguous', /tina.*tina2|tina2.*tina/],
    ['the name without its diacritic', await leafOf('Alice', { sid: sidOf('elise') }), 'notMapped', /no account/],
    ['a value that nobody has', await leafOf('nobody'), 'notMapped', /no account/],
    ['a disabled account', dora, 'accountDisabled', /dora/],
    ['an expired account', eve, 'accountExpired', /eve/],
    ['an issuer alone', await legacy.issue({ subject: 'CN=ivy' }), 'notMapped', /no account/],
  ];
  for (const [title, certificate, code, detail] of refused)
    await t.test(`${title}: ${code}`, async (t) => {
      const by = code === 'notMapped' && title === 'an issuer alone' ? legacy : authority;
      const result = await ask(certificate, {}, by);
      t.equal(told(result), `refused ${code}`);
      if (result.kind === 'refused') t.match(result.verdict.detail, detail);
    });

  await t.test('other settings', async (t) => {
    const compatible = mappingProfiles['windows-2022-compat'];
    const from2020 = { notBefore: new Date('2020-01-01T00:00:00Z') };
    await t.test('an account that is older than the certificate passes where age counts', async (t) => {
      const certificate = await leafOf('old', from2020);
      t.equal(told(await ask(certificate)), 'refused weakMapping', 'and nowhere else');
      const result = await ask(certificate, compatible);
      t.equal(told(result), 'old X509IssuerSubject age');
      t.match(result, { event: { id: 39, level: 'warning' } });
    });
    await t.test('a younger one does not', async (t) => {
      const result = await ask(await leafOf('young', from2020), compatible);
      t.equal(told(result), 'refused certificatePredatesAccount');
      t.match(result, { event: { id: 40, level: 'error' } });
      await samba.modify(changeLdif(dnOf('young'), 'replace: whenCreated\nwhenCreated: 20191231235959.0Z'));
      t.equal(
        told(await ask(await leafOf('young', from2020), compatible)),
        'young X509IssuerSubject age',
        'until it is older',
      );
    });
    await t.test('Schannel takes an issuer for everybody whom it has certified', async (t) => {
      const certificate = await legacy.issue({ subject: 'CN=whoever' });
      const result = await ask(certificate, mappingProfiles['schannel-legacy'], legacy);
      t.equal(told(result), 'ivy X509IssuerOnly rcmp');
    });
    await t.test('a SID of another may end even a strong mapping', async (t) => {
      t.equal(told(await ask(await another(), { sidVeto: true })), 'refused sidMismatch');
    });
    await t.test(
      'the first method may decide among several accounts, and several by that one method are none',
      async (t) => {
        const settings = { firstMatch: true };
        const value = ldifLine('altSecurityIdentities', subjectAndIssuer('first'));
        await samba.modify(changeLdif(dnOf('sue'), `add: altSecurityIdentities\n${value}`));
        const both = await leafOf('first', { upn: 'ian@lab.example.test', sid: sidOf('ian') });
        t.equal(told(await ask(both)), 'refused ambiguous');
        t.equal(told(await ask(both, settings)), 'ian UPN sidExtension');
        t.equal(told(await ask(tina, settings)), 'refused ambiguous');
      },
    );
  });

  await t.test('failed binds lock an account out', async (t) => {
    t.equal(told(await ask(lou)), 'lou X509IssuerSerialNumber method');
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const client = new Client({ url: samba.ldapsUrl, tlsOptions: { ca: samba.caPem }, timeout: 10_000 });
      await t.rejects(client.bind(dnOf('lou'), 'not the password'));
      await client.unbind();
    }
    t.equal(told(await ask(lou)), 'refused accountLocked');
    await samba.modify(changeLdif(dnOf('lou'), 'replace: lockoutTime\nlockoutTime: 0'));
    t.equal(told(await ask(lou)), 'lou X509IssuerSerialNumber method', 'until somebody unlocks it');
  });

  await t.test('groups are those of a token, nested ones too', async (t) => {
    const result = await ask(sera);
    const [forest] = directory.forests;
    if (result.kind !== 'mapped' || forest === undefined) throw new Error('sera is not mapped');
    const groups = await forest.groupsOf(result.identity.account, 10_000 as Millis);
    if (groups.kind !== 'read') throw new Error(groups.reason);
    const names = await forest.namesOf([...groups.sids], 10_000 as Millis);
    t.strictSame(
      [...names.values()].sort(),
      ['BUILTIN\\Users', 'LAB\\Domain Users', 'LAB\\Inner', 'LAB\\Middle', 'LAB\\Outer'],
      'with that which everybody is in, without those for mail and what is behind them',
    );
    const outer = await forest.principal({ kind: 'name', domain: 'lab', name: 'outer' }, 10_000 as Millis);
    t.match(outer, { kind: 'found', principal: { name: 'LAB\\Outer', kind: 'group' } });
    if (outer.kind === 'found') t.ok(groups.sids.has(outer.principal.sid));
    const letters = await forest.principal(
      { kind: 'name', domain: 'lab.example.test', name: 'Letters' },
      10_000 as Millis,
    );
    if (letters.kind === 'found') t.notOk(groups.sids.has(letters.principal.sid));
    const builtin = await forest.principal({ kind: 'sid', sid: 'S-1-5-32-545' as Sid }, 10_000 as Millis);
    t.match(builtin, { kind: 'found' }, 'groups of BUILTIN have names as well');
  });

  await t.test('the embedded directory takes the two names for one, and is not believed', async (t) => {
    const server = await embeddedOf(t, samba, [
      adUser({
        domain: samba.domain,
        domainSid: samba.domainSid,
        rid: 7001,
        name: 'elise',
        altSecurityIdentities: [subjectAndIssuer('Älice')],
      }),
    ]);
    const ask = asking(await directoryOf(t, [server]));
    const sid = `${samba.domainSid}-7001`;
    t.equal(told(await ask(await leafOf('Älice', { sid }))), 'elise X509IssuerSubject sidExtension');
    const result = await ask(await leafOf('Alice', { sid }));
    t.equal(told(result), 'refused notMapped');
    if (result.kind === 'refused') t.match(result.verdict.detail, /the directory returned LAB\\elise/);
  });

  await t.test('controllers that fail', async (t) => {
    const second = await samba.clone(t);
    await t.test('one that is killed under load takes no logon with it', async (t) => {
      const victim = await samba.clone(t);
      const ask = asking(await directoryOf(t, [victim, second]));
      await ask(load);
      const outcomes = new Map<string, number>();
      let killed = 0;
      const worker = async () => {
        for (let after = 0; after < 40; after += killed) {
          const result = told(await ask(load));
          outcomes.set(result, (outcomes.get(result) ?? 0) + 1);
          if (killed === 0 && (outcomes.get(result) ?? 0) >= 100) {
            process.kill(victim.pid, 'SIGKILL');
            killed = 1;
          }
        }
      };
      await Promise.all(Array.from({ length: 16 }, worker));
      t.strictSame([...outcomes.keys()], ['load X509IssuerSerialNumber method']);
      t.ok((outcomes.get('load X509IssuerSerialNumber method') ?? 0) >= 16 * 40);
      t.match(served(await ask(load)), second.host);
    });
    await t.test('one that accepts and never answers is left for the other', async (t) => {
      const mute = await samba.clone(t);
      const patience = { searchTimeout: 1500 as Millis, connectTimeout: 4000 as Millis };
      const directory = await directoryOf(t, [mute, second], patience);
      const ask = asking(directory);
      await until('both are up', async () => (await directory.health()).every(({ state }) => state === 'up'));
      t.match(served(await ask(load)), mute.host, 'which is asked first while it is well');
      process.kill(mute.pid, 'SIGSTOP');
      t.teardown(() => process.kill(mute.pid, 'SIGCONT'));
      t.match(served(await ask(load)), second.host);
      const fresh = asking(await directoryOf(t, [mute, second], patience));
      t.match(served(await fresh(load)), second.host, 'by whoever has never reached it, too');
    });
    await t.test('one that answers half a message is left for the other', async (t) => {
      const half = await embeddedOf(t, samba, []);
      const ask = asking(await directoryOf(t, [half, second]));
      const alone = asking(await directoryOf(t, [half]));
      half.server.faults.halfMessage = true;
      t.match(served(await ask(load)), second.host);
      t.equal(told(await alone(load)), 'unknown directoryUnavailable', 'and is no answer by itself');
    });
  });
});

await sambaTest('changes in a Samba domain', async (t) => {
  const lab = await testLab(t);
  const issuing = await restoreAuthority(certificateOf(lab, 'issuing'));
  const names = ['dis', 'map', 'dup', 'grp', 'del', 'mov', 'res'] as const;
  const holders = new Map<string, Issued>();
  for (const name of names) holders.set(name, await issuing.issue({ subject: `${people},CN=${name}` }));
  const holder = (name: string) => {
    const found = holders.get(name);
    if (found === undefined) throw new TypeError(`nobody called ${name}`);
    return found;
  };
  const samba = await startSamba(t, {
    ntAuth: [issuing.der],
    users: [
      ...names.map((name) => ({ name, altSecurityIdentities: name === 'res' ? [] : [bySerial(holder(name))] })),
      { name: 'map2' },
      { name: 'dup2' },
    ],
    ldif: [groupLdif('Staff', [dnOf('Team')]), groupLdif('Team', [dnOf('grp')])].toReversed().join('\n'),
  });
  const value = (name: string) => ldifLine('altSecurityIdentities', bySerial(holder(name)));

  // Most of it is waiting for the next poll: at the same time.
  t.jobs = 3;
  const telling = t.test('are told as they are', { buffered: true }, async (t) => {
    const dc = await samba.clone(t);
    const searches: SearchRecord[] = [];
    const heard: DirectoryChange[] = [];
    const directory = await directoryOf(t, [dc], { pollInterval: 1000 as Millis }, (record) => searches.push(record));
    for (const forest of directory.forests) forest.onChanges((changes) => heard.push(...changes));
    const hear = async (what: string, matches: (change: DirectoryChange) => boolean) => {
      await until(what, async () => heard.some(matches));
      return heard.splice(0).find(matches);
    };
    const kindOf = (kind: DirectoryChange['kind']) => (change: DirectoryChange) => change.kind === kind;
    await dc.modify(changeLdif(dnOf('map'), `replace: description\ndescription: first`));
    await hear('the first poll, or the change', () => true);

    await t.test('an account with what it is found by', async (t) => {
      await dc.modify(changeLdif(dnOf('map'), `replace: mail\nmail: map@mail.example.test`));
      const change = await hear('a change of map', kindOf('account'));
      const identifiers = [
        { attribute: 'altSecurityIdentities', value: bySerial(holder('map')) },
        { attribute: 'sAMAccountName', value: 'map', domain: samba.domain },
        { attribute: 'userPrincipalName', value: `map@${samba.domain}` },
      ];
      t.match(change, { kind: 'account', sid: (await dc.read(dnOf('map'), 'objectSid'))[0] });
      if (change?.kind === 'account')
        t.strictSame(
          [...change.identifiers].sort((a, b) => (a.attribute < b.attribute ? -1 : 1)),
          identifiers,
        );
    });
    await t.test('a group, whose own groups are not known', async (t) => {
      await dc.modify(changeLdif(dnOf('Team'), `add: member\nmember: ${dnOf('map')}`));
      const change = await hear('a change of Team', kindOf('group'));
      t.match(change, { kind: 'group', dn: dnOf('Team') });
      // Samba computes tokenGroups of accounts alone, so that nobody knows what the group is in: it is, for its memberOf says so.
      if (change?.kind === 'group') t.equal(change.within, null);
    });
    await t.test('a deletion as something that nobody may see', async () => {
      await dc.modify(`dn: ${dnOf('del')}\nchangetype: delete\n`);
      await hear('a deletion', kindOf('unseen'));
    });
    await t.test('NTAuth', async () => {
      const store = `CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,${suffix}`;
      await dc.modify(changeLdif(store, `add: cACertificate\n${ldifLine('cACertificate', authority.der)}`));
      await hear('a change of NTAuth', kindOf('forest'));
    });
    await t.test('and where there are none, a poll is one search', async (t) => {
      // What the change before has set going comes to its end first.
      const last = () => searches.slice(-4).map(({ base }) => base);
      await until('four polls without anything between them', async () => last().every((base) => base === ''));
      t.equal(last().length, 4);
      t.strictSame(
        heard.splice(0).filter(({ kind }) => kind !== 'forest'),
        [],
      );
    });
    await t.test('a database that was put back is another one', async (t) => {
      const backup = await dc.backUp();
      await dc.modify(changeLdif(dnOf('map'), 'replace: mail\nmail: later@mail.example.test'));
      await hear('a change of map', kindOf('account'));
      await dc.restore(backup);
      const change = await hear('a restore', kindOf('unsure'));
      t.match(change, { reason: /restored/ });
      t.strictSame(await dc.read(dnOf('map'), 'mail'), ['map@mail.example.test']);
    });
  });

  const feeling = t.test('are felt by live connections, and nothing else makes them', { buffered: true }, async (t) => {
    const dc = await samba.clone(t);
    // The interval of polling is the default; whatever else reads accounts again comes an hour later.
    const to = await gatewayAt(
      t,
      dc,
      lab,
      '',
      (yaml) => `${yaml}\nlimits: { recheck: 1h }\nmapping: { cache: { negative: 30m } }\n`,
    );
    const took: Record<string, number> = {};
    const line = (name: string, path?: string) => keepLine(t, to, holder(name), path);
    const feel = async (what: string, live: Line, expected: string) =>
      (took[what] = await until(what, async () => (await live.ask()) === expected, 10));
    const [dis, map, dup, grp, del, mov] = await Promise.all([
      line('dis'),
      line('map'),
      line('dup'),
      line('grp', '/staff'),
      line('del'),
      line('mov'),
    ]);
    for (const [name, live] of Object.entries({ dis, map, dup, grp, del, mov }))
      t.equal(await live.ask(), `LAB\\${name}`);
    // The first poll has nothing to compare with: what is felt then would not be what was told.
    let told = 0;
    for (const forest of to.gateway.setup.directory?.forests ?? []) forest.onChanges(() => (told += 1));
    await dc.modify(changeLdif(dnOf('res'), 'replace: description\ndescription: first'));
    await until('the first poll', async () => told > 0);
    const moved = `CN=mov,CN=Computers,${suffix}`;
    await dc.modify(
      [
        changeLdif(dnOf('dis'), 'replace: userAccountControl\nuserAccountControl: 546'),
        changeLdif(dnOf('map'), `delete: altSecurityIdentities\n${value('map')}`),
        changeLdif(dnOf('map2'), `add: altSecurityIdentities\n${value('map')}`),
        changeLdif(dnOf('dup2'), `add: altSecurityIdentities\n${value('dup')}`),
        changeLdif(dnOf('Team'), `delete: member\nmember: ${dnOf('grp')}`),
        `dn: ${dnOf('del')}\nchangetype: delete\n`,
        `dn: ${dnOf('mov')}\nchangetype: modrdn\nnewrdn: CN=mov\ndeleteoldrdn: 1\nnewsuperior: CN=Computers,${suffix}\n`,
      ].join('\n'),
    );
    await Promise.all([
      feel('disabled', dis, 'accountDisabled'),
      feel('mapping of another account', map, 'LAB\\map2'),
      feel('a second account', dup, 'ambiguous'),
      feel('out of the group', grp, 'notAuthorised'),
      feel('deleted', del, 'notMapped'),
    ]);
    t.equal(await mov.ask(), 'LAB\\mov', 'who was only moved is served on');
    t.equal(mov.connections, 1, 'over the same connection');
    t.equal((await dc.read(moved, 'cn'))[0], 'mov');
    for (const [name, live] of Object.entries({ dis, dup, grp, del }))
      t.equal(live.connections, 2, `${name} was ended`);

    const sameLine = dis.connections;
    await dc.modify(
      [
        changeLdif(dnOf('dis'), 'replace: userAccountControl\nuserAccountControl: 544'),
        changeLdif(dnOf('dup2'), `delete: altSecurityIdentities\n${value('dup')}`),
        changeLdif(dnOf('Team'), `add: member\nmember: ${dnOf('grp')}`),
      ].join('\n'),
    );
    await Promise.all([
      feel('enabled again', dis, 'LAB\\dis'),
      feel('the only account again', dup, 'LAB\\dup'),
      feel('in the group again', grp, 'LAB\\grp'),
    ]);
    t.equal(dis.connections, sameLine, 'over the connection that was refused');
    const figures = Object.entries(took).map(([what, ms]) => `${what} ${(ms / 1000).toFixed(1)} s`);
    t.comment(`seen after: ${figures.join(', ')}`);
  });

  const restores = t.test('a restore takes back what was let in since', { buffered: true }, async (t) => {
    const dc = await samba.clone(t);
    const change = (lines: readonly string[]) => dc.modify(lines.join('\n'));
    await change([
      changeLdif(dnOf('dup2'), `add: altSecurityIdentities\n${value('dup')}`),
      changeLdif(dnOf('Team'), `delete: member\nmember: ${dnOf('grp')}`),
    ]);
    const to = await gatewayAt(t, dc, lab, '  pollInterval: 1s\n', (yaml) => `${yaml}\nlimits: { recheck: 1h }\n`);
    const backup = await dc.backUp();
    await change([
      changeLdif(dnOf('res'), `add: altSecurityIdentities\n${value('res')}`),
      changeLdif(dnOf('dup2'), `delete: altSecurityIdentities\n${value('dup')}`),
      changeLdif(dnOf('Team'), `add: member\nmember: ${dnOf('grp')}`),
    ]);
    const lines = {
      res: [await keepLine(t, to, holder('res')), 'notMapped'],
      dup: [await keepLine(t, to, holder('dup')), 'ambiguous'],
      grp: [await keepLine(t, to, holder('grp'), '/staff'), 'notAuthorised'],
    } as const;
    for (const [name, [line]] of Object.entries(lines)) t.equal(await line.ask(), `LAB\\${name}`);
    await dc.restore(backup);
    const felt = Object.entries(lines).map(async ([name, [line, expected]]) => {
      const ms = await until(`${name} in the older state`, async () => (await line.ask()) === expected, 10);
      return `${name} ${(ms / 1000).toFixed(1)} s`;
    });
    t.comment(`seen after the start: ${(await Promise.all(felt)).join(', ')}`);
  });
  await Promise.all([telling, feeling, restores]);
});

interface Line {
  /** The account that the backend is told, or the code of the refusal. */
  ask(): Promise<string>;
  /** Connections that it took so far. */
  readonly connections: number;
}

/** One client with one connection that it keeps for as long as the gateway does. */
async function keepLine(t: Test, to: TestGateway, certificate: Issued, path = '/payroll'): Promise<Line> {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
  t.teardown(() => agent.destroy());
  let connections = 0;
  const counting = agent.createConnection.bind(agent);
  agent.createConnection = (...args) => {
    connections += 1;
    return counting(...args);
  };
  return {
    async ask() {
      // A connection that ends while the request is on its way is what a client of HTTP tries again.
      const answer = await ask(to, 'upFront', { path, agent, ...showing(certificate) }).catch(() => null);
      if (answer === null) return 'ended';
      if (answer.status === 200) return answer.backendHeader('x-remote-user') ?? '';
      return String((await to.logged(answer.headers['x-request-id']))['code']);
    },
    get connections() {
      return connections;
    },
  };
}

/** Asks again until it holds. @throws Error after `seconds`; @returns milliseconds that it took */
async function until(what: string, holds: () => Promise<boolean>, seconds = 20): Promise<number> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > seconds * 1000) throw new Error(`${what}: not within ${seconds} s`);
    await wait(20);
  }
  return performance.now() - began;
}

interface Controller {
  readonly ldapsUrl: string;
  readonly caPem: string;
  readonly bindDn: string;
  readonly password: string;
  readonly domain: string;
}

async function directoryOf(
  t: Test,
  controllers: readonly Controller[],
  more: Partial<ForestSettings> = {},
  onSearch: (record: SearchRecord) => void = () => {},
): Promise<LiveDirectory> {
  const [first] = controllers;
  if (first === undefined) throw new TypeError('a directory has a controller');
  const bind = { kind: 'simple', dn: first.bindDn, password: first.password, reread: null } as const;
  const directory = createDirectory(
    {
      forests: [
        {
          name: first.domain,
          domains: [
            { name: first.domain, controllers: controllers.map(({ ldapsUrl }) => ldapsUrl), discovery: null, bind },
          ],
          globalCatalog: [],
          globalCatalogDiscovery: null,
          certificateAuthorities: controllers.map(({ caPem }) => caPem),
          connectTimeout: 5000 as Millis,
          searchTimeout: 5000 as Millis,
          refresh: 600_000 as Millis,
          connections: 2,
          maximumQueue: 1000,
          batching: true,
          pollInterval: 0 as Millis,
          ...more,
        },
      ],
    },
    { clock: systemClock, random: () => 0, onSearch },
  );
  t.teardown(() => directory.close());
  await until('the facts of the forest', async () => {
    const facts = directory.forests.flatMap((forest) => [forest.ntAuth(), forest.domains()]);
    return (await Promise.all(facts)).every(({ kind }) => kind === 'read');
  });
  return directory;
}

/** By common name. */
async function sidsOf(samba: Samba): Promise<ReadonlyMap<string, string>> {
  const client = new Client({ url: samba.ldapsUrl, tlsOptions: { ca: samba.caPem }, timeout: 20_000 });
  await client.bind(samba.bindDn, samba.password);
  const { searchEntries } = await client.search(samba.suffix, {
    filter: '(objectClass=user)',
    attributes: ['cn', 'objectSid'],
    explicitBufferAttributes: ['objectSid'],
  });
  await client.unbind();
  return new Map(searchEntries.map(({ cn, objectSid }) => [String(cn), sidText(objectSid as Buffer) ?? '']));
}

/** A mapper for each question: what is asked here is never remembered. */
function asking(directory: LiveDirectory) {
  return async (certificate: Issued, settings: Partial<MappingSettings> = {}, by: Issued = authority) => {
    const mapper: Mapper = createMapper({
      directory,
      settings: { ...strictSettings, ...settings },
      clock: systemClock,
    });
    const options = { maximumAge: null, steps: noSteps };
    return (await mapper.map(subjectOf(certificate, by), systemClock.now(), options)).result;
  };
}

function subjectOf(certificate: Issued, by: Issued): MappingSubject {
  const [leaf, issuer] = [parsed(certificate.der), parsed(by.der)];
  return { leaf, issuer, path: [leaf, issuer], trustDigest: '00' as Digest };
}

/** `alice X509SKI method`: account, method and what made it strong enough; or what else came of it. */
function told(result: MappingResult): string {
  if (result.kind !== 'mapped') return `${result.kind} ${result.verdict.code}`;
  const { account, method, strengthBy } = result.identity;
  return `${account.samAccountName} ${method} ${strengthBy}`;
}

/** The server that gave the account. */
function served(result: MappingResult): string {
  return result.kind === 'mapped' ? result.identity.account.server : told(result);
}

/** The embedded directory as a controller of the same domain. */
async function embeddedOf(t: Test, samba: Samba, entries: readonly ReturnType<typeof adUser>[]) {
  const tls = await authority.issue({
    subject: 'CN=dc1',
    ipAddresses: ['127.0.0.1'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  });
  const { domain, netbiosName, domainSid, bindDn, password } = samba;
  const server = await startDirectoryServer({
    domain,
    netbiosName,
    domainSid,
    tls,
    bind: [{ dn: bindDn, password }],
    entries,
    ntAuth: [authority.der],
  });
  t.teardown(() => server.stop());
  return { server, ldapsUrl: server.url, caPem: authority.cert, bindDn, password, domain };
}

function bySerial(certificate: Issued): string {
  const { serialNumber } = new X509Certificate(certificate.der);
  return `X509:<I>${issuer}<SR>${Buffer.from(serialNumber, 'hex').reverse().toString('hex')}`;
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 of the public key's bits, which of a P-256 key are the last 65 octets. */
function keyIdentifierOf(certificate: Issued): string {
  const key = new X509Certificate(certificate.der).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha1').update(key.subarray(-65)).digest('hex');
}

function thumbprintOf(certificate: Issued): string {
  return hash('sha1', certificate.der, 'hex');
}
