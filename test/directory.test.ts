/**
 * The directory room part by part: addresses, framing, names, accounts, searches, and each trap of the LDAP client with a
 * real socket. What happens when servers fail is in test/behaviour/directory-outage.test.ts.
 */
import { hash } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import type { Instant, Millis } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { parseAccount } from '../src/directory/account.ts';
import { backoffDelay } from '../src/directory/backoff.ts';
import type { DirectorySearch } from '../src/directory/connection.ts';
import { Controller } from '../src/directory/controller.ts';
import type { Assertion, Forest, Located, SearchRecord } from '../src/directory/directory.ts';
import { dnOfDomain, domainOfDn, sameDn } from '../src/directory/dn.ts';
import { parseEndpoint } from '../src/directory/endpoint.ts';
import { normaliseEntry, textOf, valuesOf, type DirectoryEntry as ReadEntry } from '../src/directory/entry.ts';
import { createFact, type Reading } from '../src/directory/fact.ts';
import { anything, equalTo, filterText } from '../src/directory/filter.ts';
import { createForest } from '../src/directory/forest.ts';
import { createFramer } from '../src/directory/framing.ts';
import { outlineOf } from '../src/directory/message-shape.ts';
import { plainText } from '../src/directory/result-code.ts';
import { parseSid } from '../src/directory/sid.ts';
import { createAuthority, type Issued } from '../src/lab/authority.ts';
import { encode, encodeInteger } from '../src/lab/directory-ber.ts';
import { adComputer, adGroup, adUser } from '../src/lab/directory-entries.ts';
import { encodeDisconnection, encodeReference, encodeResult, responseTag } from '../src/lab/directory-messages.ts';
import type { DirectoryEntry, DirectoryServerOptions } from '../src/lab/directory-server.ts';
import { sidBytes } from '../src/lab/directory-sid.ts';
import {
  authority,
  base,
  bind,
  childCrossRef,
  childOptions,
  childPlace,
  domain,
  gateFor,
  domainSid,
  handClock,
  openDirectory,
  openOne,
  readyDirectory,
  serverCertificate,
  settingsFor,
  startDc,
  startScript,
  twoDomains,
  until,
  user,
  type LabTest,
} from './support/directory-world.ts';
import { asksFor, doneBytes, entryBytes, equalitiesOf, startScriptedLdap } from './support/scripted-ldap.ts';

const patience = 10_000 as Millis;

function alt(value: string): Assertion {
  return { attribute: 'altSecurityIdentities', value };
}

function upn(value: string): Assertion {
  return { attribute: 'userPrincipalName', value };
}

/** Names of the accounts, sorted; fails the test when the answer is unknown. */
function namesOf(located: Located): string[] {
  if (located.kind === 'unknown') throw new Error(`unknown: ${located.reason}`);
  return located.accounts.map(({ name }) => name).toSorted();
}

function reasonIn(located: { readonly kind: string; readonly reason?: string }): string {
  return located.kind === 'unknown' ? (located.reason ?? '') : `not unknown but ${located.kind}`;
}

await t.test('addresses: ldaps, or ldap for StartTLS, with a host and perhaps a port, nothing else', (t) => {
  const dc = parseEndpoint('ldaps://DC1.Lab.Example.test');
  t.strictSame(dc, {
    url: 'ldaps://dc1.lab.example.test:636',
    host: 'dc1.lab.example.test',
    port: 636,
    isAddress: false,
    startTls: false,
  });
  t.match(parseEndpoint('LDAPS://10.0.0.1:3269/'), { url: 'ldaps://10.0.0.1:3269', isAddress: true });
  t.match(parseEndpoint('ldaps://[2001:DB8::1]:1636'), {
    url: 'ldaps://[2001:db8::1]:1636',
    host: '2001:db8::1',
    isAddress: true,
  });
  const bad = [
    'ldap:dc1',
    'dc1',
    'ldaps://',
    'ldaps://dc1/DC=lab',
    'ldaps://u:p@dc1',
    'ldaps://dc1:0',
    'ldaps://dc1:65536',
  ];
  for (const url of [
    ...bad,
    'ldaps://dc1?x',
    'ldaps://[::g]',
    'ldaps://[1.2.3.4]',
    'ldaps://dc1:',
    'ldaps://d c',
    'https://dc1',
  ])
    t.throws(() => parseEndpoint(url), { name: 'Failure', code: 'directory-url', exitCode: 2 }, url);
  t.strictSame(parseEndpoint('LDAP://DC1'), {
    url: 'ldap://dc1:389',
    host: 'dc1',
    port: 389,
    isAddress: false,
    startTls: true,
  });
  t.end();
});

await t.test('settings that cannot work are refused before anything is connected', (t) => {
  const facilities = { clock: systemClock, random: () => 0 };
  const good = { name: domain, controllers: ['ldaps://127.0.0.1:1'], discovery: null, bind };
  const bad = {
    'no domain': [],
    'a name that is none': [{ ...good, name: 'Lab.Example' }],
    'a domain twice': [good, good],
    'no controllers': [{ ...good, controllers: [] }],
    'an empty password, which would bind as nobody': [{ ...good, bind: { ...bind, password: '' } }],
    'an empty bind name': [{ ...good, bind: { ...bind, dn: '' } }],
  };
  for (const [what, domains] of Object.entries(bad))
    t.throws(
      () => createForest({ ...settingsFor([]), domains }, facilities),
      { code: 'directory-settings', exitCode: 2 },
      what,
    );
  t.throws(() => createForest(settingsFor(['ldap:127.0.0.1']), facilities), { code: 'directory-url' });
  t.end();
});

await t.test('framing: messages come out whole however they were cut', (t) => {
  const message = fc.uint8Array({ maxLength: 300 }).map((content) => encode(0x30, content));
  const cuts = fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), cuts, (messages, sizes) => {
      const stream = Buffer.concat(messages);
      const framer = createFramer(1000);
      const out: Buffer[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        out.push(...(framer.push(stream.subarray(at, at + size)) ?? []));
        at += size;
      }
      return framer.held === 0 && Buffer.concat(out).equals(stream) && out.length === messages.length;
    }),
  );
  t.equal(createFramer(1000).push(Buffer.from('HTTP/1.1 400 Bad Request\r\n')), null, 'something other than LDAP');
  t.equal(createFramer(1000).push(Buffer.from([0x30, 0x80, 0, 0])), null, 'indefinite length');
  t.equal(createFramer(1000).push(Buffer.from([0x30, 0x85, 0, 0, 0, 0, 1])), null, 'a length of five octets');
  t.equal(createFramer(1000).push(Buffer.from([0x30, 0x82, 0x10, 0])), null, 'a message longer than the bound');
  t.strictSame(createFramer(1000).push(Buffer.from([0x30, 0x82, 3])), [], 'half a header waits');
  t.end();
});

await t.test(
  'framing: a large message in small pieces is copied once (ldapts copies what it has for each piece)',
  (t) => {
    const large = encode(0x30, Buffer.alloc(4_600_000));
    const framer = createFramer(16_000_000);
    const concat = t.capture(Buffer, 'concat', Buffer.concat.bind(Buffer));
    const { copy } = Buffer.prototype;
    const copies = t.capture(Buffer.prototype, 'copy', function (this: Buffer, ...where: Parameters<typeof copy>) {
      return copy.apply(this, where);
    });
    const out: Buffer[] = [];
    for (let at = 0; at < large.length; at += 1024) out.push(...(framer.push(large.subarray(at, at + 1024)) ?? []));
    let copied = 0;
    for (const call of [...concat(), ...copies()])
      if ('returned' in call) copied += Buffer.isBuffer(call.returned) ? call.returned.length : Number(call.returned);
    t.equal(out.length, 1);
    t.ok(out[0]?.equals(large));
    t.ok(copied >= large.length && copied <= 2 * large.length, `${copied} octets copied for ${large.length}`);
    t.end();
  },
);

await t.test('message shape: only consistent messages of a kind that servers send reach ldapts', (t) => {
  const entry = entryBytes(7, 'CN=alice', { cn: ['alice'], objectSid: [Buffer.alloc(28, 0x80)], none: [] });
  const good: readonly [Buffer, string][] = [
    [entry, 'entry'],
    [encodeReference(300, 'ldap://x/'), 'reference'],
    [doneBytes(8), 'done'],
    [encodeResult(9, responseTag.bind, { code: 49, message: 'no', tail: [encode(0x87, 'x')] }), 'bind'],
    [encodeResult(9, responseTag.searchDone, { code: 10, referrals: ['ldap://y/'] }), 'done'],
    [encodeResult(9, responseTag.searchDone, { code: 0, controls: [encode(0x30, encode(0x04, '1.2.3'))] }), 'done'],
    [encodeDisconnection(52, 'bye'), 'extended'],
  ];
  for (const [message, operation] of good) t.equal(outlineOf(message)?.operation, operation);
  t.equal(outlineOf(encodeReference(300, 'x'))?.id, 300);
  t.equal(outlineOf(encodeDisconnection(52, 'bye'))?.id, 0);

  const message = (...parts: Buffer[]): Buffer => encode(0x30, ...parts);
  const id = encodeInteger(7);
  const looping = message(id, Buffer.from([0x73, 0x04, 0x04, 0x7f, 0x41, 0x42]));
  const bad: Record<string, Buffer> = {
    'an inner length beyond the message, where ldapts reads for ever': looping,
    'an attribute list that is no sequence': message(id, encode(0x64, encode(0x04, 'CN=a'), encode(0x04, 'x'))),
    'an attribute without values': message(
      id,
      encode(0x64, encode(0x04, 'CN=a'), encode(0x30, encode(0x30, encode(0x04, 'cn')))),
    ),
    'a value that is no octet string': message(
      id,
      encode(0x64, encode(0x04, ''), encode(0x30, encode(0x30, encode(0x04, 'cn'), encode(0x31, encodeInteger(1))))),
    ),
    'a request': message(id, encode(0x63, encode(0x04, ''))),
    'a negative id': message(Buffer.from([2, 1, 0xff]), encode(0x73, encode(0x04, 'x'))),
    'an id of five octets': message(Buffer.from([2, 5, 0, 0, 0, 0, 1]), encode(0x73, encode(0x04, 'x'))),
    'a result without a diagnostic': message(id, encode(0x65, encodeInteger(0, 0x0a), encode(0x04, ''))),
    'a result code of eight octets': message(
      id,
      encode(0x65, encode(0x0a, Buffer.alloc(8)), encode(0x04, ''), encode(0x04, '')),
    ),
    'something behind the controls': message(id, encode(0x73, encode(0x04, 'x')), encode(0xa0), encode(0x04)),
    'something else than controls': message(id, encode(0x73, encode(0x04, 'x')), encode(0xa1)),
    'a control without a name': message(id, encode(0x73, encode(0x04, 'x')), encode(0xa0, encode(0x30))),
    'two messages at once': Buffer.concat([entry, entry]),
    nothing: Buffer.alloc(0),
  };
  for (const [what, bytes] of Object.entries(bad)) t.equal(outlineOf(bytes), null, what);
  for (let length = 0; length < entry.length; length++)
    if (outlineOf(entry.subarray(0, length)) !== null) t.fail(`the first ${length} octets of an entry pass`);
  t.end();
});

await t.test('filters: text is RFC 4515 with everything odd escaped', (t) => {
  const text = (value: string | Buffer): string => filterText(equalTo('a', value));
  t.equal(text('X509:<I>L=Paris (75),CN="a*b"'), String.raw`(a=X509:<I>L=Paris \2875\29,CN="a\2ab")`);
  t.equal(text('a\\b\0c'), String.raw`(a=a\5cb\00c)`);
  t.equal(text('Ä\u202e\n'), String.raw`(a=\c3\84\e2\80\ae\0a)`, 'no control character reaches a terminal');
  t.equal(text(Buffer.from([1, 0x80, 0xff])), String.raw`(a=\01\80\ff)`);
  const both = {
    kind: 'and',
    parts: [anything, { kind: 'or', parts: [equalTo('b', 'x'), equalTo('c', 'y')] }],
  } as const;
  t.equal(filterText(both), '(&(objectClass=*)(|(b=x)(c=y)))');
  fc.assert(
    fc.property(fc.uint8Array(), (octets) => {
      const shown = text(Buffer.from(octets));
      return /^\(a=[ -~]*\)$/.test(shown) && !/[()*]/.test(shown.slice(3, -1));
    }),
  );
  t.end();
});

await t.test('diagnostics of servers become one printable line', (t) => {
  t.equal(plainText('80090308: \u001b[31mLdapErr\u0000:\r\n data 52e\u202e'), '80090308: [31mLdapErr : data 52e');
  t.equal(plainText('x'.repeat(1000)).length, 200);
  t.end();
});

await t.test('SIDs: the binary form of MS-DTYP 2.4.2.2, whole and nothing else', (t) => {
  const vectors = {
    '0105000000000005150000008e7b86119aed5bc9cde8b547e9030000': 'S-1-5-21-294026126-3378245018-1203103949-1001',
    '0105000000000005150000003a927604028aa536c502202c54040000': 'S-1-5-21-74879546-916818434-740295365-1108',
    '01050000000000051500000061eb5b8c50ef705befda808bf4010000': 'S-1-5-21-2354834273-1534127952-2340477679-500',
    '010500000000000515000000c7353a428e6b748455a1aec651040000': 'S-1-5-21-1111111111-2222222222-3333333333-1105',
    '01020000000000052000000020020000': 'S-1-5-32-544',
    '0101010000000000ffffffff': 'S-1-0x010000000000-4294967295',
  };
  for (const [hex, sid] of Object.entries(vectors)) t.equal(parseSid(Buffer.from(hex, 'hex')), sid);
  const bad = [
    '',
    '01',
    '0201000000000005200000',
    '010000000000000501',
    '01010000000000052000',
    '010100000000000520000000ff',
  ];
  for (const hex of [...bad, `0110000000000005${'00'.repeat(64)}`])
    t.equal(parseSid(Buffer.from(hex, 'hex')), null, hex);
  const sub = fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 15 });
  fc.assert(
    fc.property(
      sub,
      (parts) => parseSid(sidBytes(`S-1-5-${parts.join('-')}`) ?? Buffer.alloc(0)) === `S-1-5-${parts.join('-')}`,
    ),
  );
  t.end();
});

await t.test('names: the domain of an entry is what its DC components say, escapes or not', (t) => {
  t.equal(domainOfDn('CN=alice,OU=Staff, DC=Lab , dc=example,DC=test'), 'lab.example.test');
  t.equal(domainOfDn(String.raw`CN=x\,DC=evil,DC=lab,DC=test`), 'lab.test', 'an escaped comma ends nothing');
  t.equal(domainOfDn(String.raw`CN=x\\,DC=sub,DC=test`), 'sub.test', 'an escaped backslash does not escape');
  t.equal(domainOfDn('DC=lab,CN=x'), null);
  t.equal(domainOfDn('DC=other,OU=x,DC=lab,DC=test'), 'lab.test', 'only the trailing components');
  t.equal(domainOfDn('CN=x,DC=a+CN=b'), null, 'a multi-valued component is no domain');
  t.equal(domainOfDn(''), null);
  t.equal(dnOfDomain('lab.example.test'), base);
  t.ok(sameDn('DC=lab, DC = Test', 'dc=LAB,dc=test'));
  t.notOk(sameDn('DC=lab,DC=test', 'DC=test,DC=lab'));
  t.end();
});

await t.test('entries: every spelling that ldapts leaves us comes together', (t) => {
  const sid = Buffer.from([1, 0x80]);
  const entry = normaliseEntry({
    dn: 'CN=a',
    OBJECTSID: sid,
    'cACertificate;binary': [Buffer.from('one')],
    cACertificate: 'two',
    altSecurityIdentities: [],
    'altSecurityIdentities;range=0-1499': ['x', 'y'],
    mail: [],
    'description;range=5-*': 'last',
  });
  t.equal(entry.dn, 'CN=a');
  t.strictSame(valuesOf(entry, 'objectSid'), [sid]);
  t.strictSame(valuesOf(entry, 'caCertificate').map(String), ['one', 'two']);
  t.match(entry.attributes.get('altsecurityidentities'), { values: { length: 2 }, next: 1500 });
  t.match(entry.attributes.get('description'), { next: null });
  t.notOk(entry.attributes.has('mail'), 'an attribute without values is not there');
  t.equal(textOf(Buffer.from([0xef, 0xbb, 0xbf, 0x61])), '\ufeffa', 'a byte order mark is part of a value');
  t.equal(textOf(Buffer.from([0xff])), null);
  t.equal(normaliseEntry({ dn: Buffer.from('x') }).dn, '', 'an attribute called dn is not the name');
  t.end();
});

await t.test('accounts', async (t) => {
  const plain = user(1105, 'alice', {
    altSecurityIdentities: ['X509:<SKI>aa', 'X509:<RFC822>ä@x'],
    whenCreated: new Date('2022-08-31T09:09:41Z'),
    attributes: { 'msDS-User-Account-Control-Computed': ['0'] },
  });
  const entryOf = (changes: Readonly<Record<string, readonly (string | Buffer)[]>> = {}, from = plain): ReadEntry => {
    const attributes = Object.entries({ 'msDS-User-Account-Control-Computed': ['0'], ...from.attributes, ...changes });
    return normaliseEntry({
      dn: from.dn,
      ...Object.fromEntries(attributes.map(([name, values]) => [name, [...values]])),
    });
  };
  const parse = (entry: ReadEntry) => parseAccount({ entry, server: 'ldaps://dc1:636' }, 'LAB', 42 as Instant);
  const accountOf = (changes: Parameters<typeof entryOf>[0], from = plain) => {
    const parsed = parse(entryOf({ 'msDS-User-Account-Control-Computed': ['0'], ...changes }, from));
    if (parsed.kind !== 'account') throw new Error(parsed.reason);
    return parsed.account;
  };

  await t.test('everything an account says is in its value', (t) => {
    t.strictSame(accountOf({}), {
      sid: `${domainSid}-1105`,
      name: String.raw`LAB\alice`,
      samAccountName: 'alice',
      domain: 'LAB',
      upn: 'alice@lab.example.test',
      dn: `CN=alice,CN=Users,${base}`,
      guid: Buffer.from(plain.attributes['objectGUID']?.[0] ?? '').toString('hex'),
      kind: 'user',
      userAccountControl: 512,
      disabled: false,
      locked: false,
      expires: null,
      logonHours: null,
      passwordExpired: false,
      whenCreated: Date.UTC(2022, 7, 31, 9, 9, 41),
      altSecurityIdentities: ['X509:<SKI>aa', 'X509:<RFC822>ä@x'],
      servicePrincipalNames: [],
      dnsHostName: null,
      fingerprint: accountOf({}).fingerprint,
      readAt: 42,
      server: 'ldaps://dc1:636',
    });
    t.end();
  });

  await t.test('what must be there makes the entry unusable when it is not, or is twice, or is something else', (t) => {
    const needed = ['objectSid', 'objectGUID', 'sAMAccountName', 'userAccountControl', 'accountExpires', 'objectClass'];
    for (const attribute of [...needed, 'msDS-User-Account-Control-Computed'])
      t.match(parse(entryOf({ [attribute]: [] })), {
        kind: 'unusable',
        reason: new RegExp(`alice.*${attribute} is missing`),
      });
    const wrong: Record<string, readonly (string | Buffer)[]> = {
      objectSid: [Buffer.from('S-1-5-21')],
      objectGUID: [Buffer.alloc(15)],
      sAMAccountName: ['a', 'b'],
      userAccountControl: ['0x200'],
      'msDS-User-Account-Control-Computed': ['99999999999'],
      accountExpires: ['-1'],
      userPrincipalName: [Buffer.from([0xff])],
      altSecurityIdentities: ['ok', Buffer.from([0xc3])],
      objectClass: [Buffer.from([0x80])],
    };
    for (const [attribute, values] of Object.entries(wrong))
      t.match(parse(entryOf({ [attribute]: values })), { kind: 'unusable', reason: new RegExp(attribute) }, attribute);
    t.end();
  });

  await t.test('user, computer or neither: class and trust bits have to agree', (t) => {
    const computer = adComputer({ domain, domainSid, rid: 1200, name: 'web01' });
    const kinds: readonly [string, string, (string | Buffer)[], typeof plain][] = [
      ['user', '512', [], plain],
      ['user', '66050', [], plain],
      ['computer', '4096', [], computer],
      ['computer', '532480', [], computer],
      ['computer', '83890176', [], computer],
      ['other', '2080', [], plain],
      ['other', '2048', [], computer],
      ['other', '4096', [], plain],
      ['other', '512', [], computer],
      ['other', '4608', [], computer],
      ['other', '256', [], plain],
      ['other', '0', [], plain],
      ['other', '512', ['krbtgt'], plain],
      ['other', '512', ['KRBTGT_31337'], plain],
    ];
    for (const [kind, control, name, from] of kinds) {
      const changes = { userAccountControl: [control], ...(name.length === 0 ? {} : { sAMAccountName: name }) };
      t.equal(accountOf(changes, from).kind, kind, `${control} on ${from.dn} ${String(name)}`);
    }
    const fiveOhTwo = sidBytes(`${domainSid}-502`) ?? Buffer.alloc(0);
    t.equal(accountOf({ objectSid: [fiveOhTwo] }).kind, 'other', 'krbtgt under another name');
    t.equal(accountOf({ objectClass: ['top', 'group'] }).kind, 'other');
    t.equal(accountOf({ objectClass: ['TOP', 'USER', 'inetOrgPerson'] }).kind, 'user');
    t.end();
  });

  await t.test('state: disabled by the stored bit, locked by the computed one, expiry by its two nevers', (t) => {
    t.equal(accountOf({ userAccountControl: ['514'] }).disabled, true);
    t.equal(accountOf({ userAccountControl: ['528'] }).locked, false, 'the stored lockout bit is stale');
    t.equal(accountOf({ 'msDS-User-Account-Control-Computed': ['16'] }).locked, true);
    t.equal(
      accountOf({ 'msDS-User-Account-Control-Computed': ['8388608'] }).locked,
      false,
      'an expired password does not matter',
    );
    t.equal(accountOf({ userAccountControl: ['-2147483136'] }).userAccountControl, -2147483136);
    t.equal(accountOf({ accountExpires: ['0'] }).expires, null);
    t.equal(accountOf({ accountExpires: ['9223372036854775807'] }).expires, null);
    t.equal(accountOf({ accountExpires: ['134116992000000000'] }).expires, Date.UTC(2026, 0, 1));
    t.equal(accountOf({ accountExpires: ['1'] }).expires, -11_644_473_600_000, 'long ago, not never');
    t.equal(accountOf({ whenCreated: [] }).whenCreated, null);
    for (const odd of ['20221331000000.0Z', '2022-08-31', '20220831090941', '20220831090941.0+0100'])
      t.equal(accountOf({ whenCreated: [odd] }).whenCreated, null, odd);
    t.equal(accountOf({ userPrincipalName: [] }).upn, null);
    t.equal(
      accountOf({ dNSHostName: ['h.lab'], servicePrincipalName: ['host/h', 'x/y'] }).servicePrincipalNames.length,
      2,
    );
    t.end();
  });
});

await t.test('back-off doubles up to a ceiling, and half of it is random', (t) => {
  t.equal(
    backoffDelay(1, () => 0),
    100,
  );
  t.equal(
    backoffDelay(4, () => 0),
    800,
  );
  t.equal(
    backoffDelay(1000, () => 0),
    7500,
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.double({ min: 0, max: 0.999_999, noNaN: true }),
      (failures, random) => {
        const delay = backoffDelay(failures, () => random);
        return delay >= 100 && delay <= 15_000 && delay >= backoffDelay(failures, () => 0);
      },
    ),
  );
  t.end();
});

await t.test('the bind gate', async (t) => {
  const never = new AbortController().signal;
  const long = 60_000 as Millis;

  await t.test('an unproven password goes to one server at a time, a proven one to all', async (t) => {
    const gate = gateFor(bind);
    const order: string[] = [];
    const first = await gate.enter(long, never);
    const waiting = ['b', 'c'].map(async (name) => {
      const pass = await gate.enter(long, never);
      order.push(name);
      return pass;
    });
    await new Promise((resolve) => setImmediate(resolve));
    t.strictSame(order, [], 'two wait');
    first?.leave({ kind: 'unanswered' });
    const second = await waiting[0];
    await new Promise((resolve) => setImmediate(resolve));
    t.strictSame(order, ['b'], 'nothing was learnt: the next one goes alone');
    second?.leave({ kind: 'accepted' });
    (await waiting[1])?.leave({ kind: 'accepted' });
    const [one, two] = await Promise.all([gate.enter(long, never), gate.enter(long, never)]);
    t.ok(one !== null && two !== null);
  });

  await t.test('a refusal stops everybody until it is taken back', async (t) => {
    const gate = gateFor(bind);
    const first = await gate.enter(long, never);
    const second = gate.enter(long, never);
    first?.leave({ kind: 'refused', reason: 'no' });
    t.equal(await second, null);
    t.equal(await gate.enter(long, never), null);
    t.equal(gate.refusal, 'no');
    gate.reopen();
    t.not(await gate.enter(long, never), null);
  });

  await t.test('nobody waits for a bind that hangs longer than its patience, or than its own attempt', async (t) => {
    const gate = gateFor(bind);
    await gate.enter(long, never);
    t.not(await gate.enter(1 as Millis, never), null);
    t.not(await gate.enter(long, AbortSignal.abort()), null);
  });
});

await t.test('a fact is believed for three refreshes, then it is unknown', async (t) => {
  const clock = handClock();
  const readings: Reading<string>[] = [{ kind: 'read', value: 'one', server: 'dc1' }];
  let reads = 0;
  const read = (): Promise<Reading<string>> => {
    reads += 1;
    return Promise.resolve(readings.shift() ?? { kind: 'unknown', reason: 'silent' });
  };
  const fact = createFact(read, { refresh: 1 as Millis, clock, random: () => 0 });
  t.teardown(() => fact.close());
  t.match(await fact.current(), { kind: 'read', value: 'one', server: 'dc1', readAt: clock.now() });
  await until(() => reads > 1);
  clock.advance(3);
  t.match(await fact.current(), { kind: 'read', value: 'one' }, 'refreshing failed, the value is still good');
  clock.advance(0.5);
  t.match(await fact.current(), { kind: 'unknown', reason: 'silent' });
  readings.push({ kind: 'read', value: 'two', server: 'dc2' });
  await until(() => readings.length === 0);
  t.match(await fact.current(), { kind: 'read', value: 'two', server: 'dc2' });
});

await t.test(
  'a fact that was not read is read when a server comes back, not only when its pause is over',
  async (t) => {
    let reads = 0;
    const read = (): Promise<Reading<string>> => {
      reads += 1;
      return Promise.resolve(
        reads < 3 ? { kind: 'unknown', reason: 'down' } : { kind: 'read', value: 'x', server: 'dc' },
      );
    };
    const fact = createFact(read, { refresh: 3_600_000 as Millis, clock: handClock(), random: () => 0.9 });
    t.match(await fact.current(), { kind: 'unknown', reason: 'down' });
    fact.nudge();
    await until(() => reads === 2);
    fact.nudge();
    await until(() => reads === 3);
    await new Promise((resolve) => setImmediate(resolve));
    t.match(await fact.current(), { kind: 'read', value: 'x' });
    fact.nudge();
    t.equal(reads, 3, 'a good value is not read again before its time');
    await fact.close();
  },
);

await t.test('one connection', async (t) => {
  const search = (value: string | Buffer, attribute = 'altSecurityIdentities'): DirectorySearch => ({
    base,
    scope: 'sub',
    filter: equalTo(attribute, value),
    attributes: ['cn'],
    sizeLimit: 0,
  });

  await t.test('assertions reach the server as the very bytes, binary ones and UTF-8 alike', async (t) => {
    const seen: Buffer[] = [];
    const server = await startScript(t, {
      search(request) {
        seen.push(...equalitiesOf(request.filter).map(({ value }) => value));
        return false;
      },
    });
    const connection = await openOne(t, server.url);
    const sid = Buffer.from('0105000000000005150000008e7b86119aed5bc9cde8b547e9030000', 'hex');
    await connection.search(search(sid, 'objectSid'), patience);
    await connection.search(search(String.raw`CN=Älice \28(*) \ff`), patience);
    t.strictSame(seen, [sid, Buffer.from(String.raw`CN=Älice \28(*) \ff`)]);
  });

  await t.test('a real directory finds by objectSid bytes above 0x7f', async (t) => {
    const server = await startDc(t, [user(0x80ff, 'alice')]);
    const connection = await openOne(t, server.url);
    const answer = await connection.search(
      search(sidBytes(`${domainSid}-33023`) ?? Buffer.alloc(0), 'objectSid'),
      patience,
    );
    t.match(answer, { kind: 'entries', entries: { length: 1 } });
  });

  await t.test('values are bytes in every spelling of the attribute, UTF-8 or not, one or many', async (t) => {
    const guid = Buffer.from('efbbbf414243444546474849505152ff'.replace('ff', '53'), 'hex');
    const server = await startScript(t, {
      search(request, connection) {
        connection.entry(request.id, 'CN=alice', {
          OBJECTguid: [guid],
          'userCertificate;binary': [Buffer.from('abc'), Buffer.from([0xff])],
        });
        connection.done(request.id);
        return true;
      },
    });
    const connection = await openOne(t, server.url);
    const answer = await connection.search(search('x'), patience);
    if (answer.kind !== 'entries' || answer.entries[0] === undefined) throw new Error(answer.kind);
    t.strictSame(valuesOf(answer.entries[0], 'objectGUID'), [guid], 'not even a byte order mark is lost');
    t.strictSame(valuesOf(answer.entries[0], 'userCertificate'), [Buffer.from('abc'), Buffer.from([0xff])]);
  });

  await t.test('ldapts never connects again by itself: after the end every search is lost', async (t) => {
    const server = await startScript(t, { search: (_request, { socket }) => !socket.destroy().writable });
    const ended: string[] = [];
    const connection = await openOne(t, server.url, { ended: (reason) => void ended.push(reason) });
    const answers = await Promise.all([
      connection.search(search('a'), patience),
      connection.search(search('b'), patience),
    ]);
    t.match(answers, [
      { kind: 'lost', silent: false },
      { kind: 'lost', silent: false },
    ]);
    t.match(await connection.search(search('c'), patience), { kind: 'lost', silent: false });
    t.equal(server.accepted, 1);
    t.equal(ended.length, 1);
  });

  await t.test('a search that gets no answer ends the connection, and with it the others on it', async (t) => {
    const server = await startScript(t, { search: () => true });
    const connection = await openOne(t, server.url);
    const [short, long] = await Promise.all([
      connection.search(search('a'), 30 as Millis),
      connection.search(search('b'), patience),
    ]);
    t.match(short, { kind: 'lost', silent: true, reason: /30 ms/ });
    t.match(long, { kind: 'lost', silent: false }, 'lost with the connection, not by its own time-out');
    t.equal(connection.outstanding, 0);
  });

  await t.test('a message cut in the middle harms nothing but its own connection', async (t) => {
    const server = await startScript(t, {
      search(request, connection) {
        if (connection.number > 1) return false;
        const bytes = entryBytes(request.id, 'CN=alice', { cn: ['alice'] });
        connection.socket.end(bytes.subarray(0, bytes.length >> 1));
        return true;
      },
    });
    const first = await openOne(t, server.url);
    t.match(await first.search(search('a'), patience), { kind: 'lost', reason: /middle of a message/ });
    const second = await openOne(t, server.url);
    t.match(await second.search(search('a'), patience), { kind: 'entries' });
  });

  const answers: Record<string, [(id: number) => Buffer, RegExp]> = {
    'something that is not LDAP': [() => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /not LDAP/],
    'an inner length beyond the message': [
      (id) => encode(0x30, encodeInteger(id), Buffer.from([0x73, 0x04, 0x04, 0x7f, 0x41, 0x42])),
      /malformed/,
    ],
    'a message of an unknown kind': [(id) => encode(0x30, encodeInteger(id), encode(0x79, 'x')), /malformed/],
    'a notice of disconnection': [() => encodeDisconnection(52, 'shutting down'), /announced/],
    'a message beyond the bound': [(id) => entryBytes(id, 'CN=x', { cn: ['x'.repeat(5000)] }), /too long/],
    'an answer without end': [
      (id) => Buffer.concat(Array.from({ length: 30 }, () => entryBytes(id, 'CN=x', { cn: ['x'.repeat(500)] }))),
      /more than an answer may hold/,
    ],
  };
  for (const [what, [bytes, reason]] of Object.entries(answers))
    await t.test(`${what} ends the connection and settles the search`, async (t) => {
      const server = await startScript(t, {
        search(request, connection) {
          connection.raw(bytes(request.id));
          return true;
        },
      });
      const connection = await openOne(t, server.url, { limits: { message: 4000, unfinished: 10_000 } });
      t.match(await connection.search(search('a'), patience), { kind: 'lost', silent: false, reason });
    });

  await t.test('messages for nobody are ignored, and answers of others in the same packet are not lost', async (t) => {
    const server = await startScript(t, {
      search(request, connection) {
        connection.raw(
          Buffer.concat([doneBytes(9999), entryBytes(request.id, 'CN=a', {}), doneBytes(request.id), doneBytes(1)]),
        );
        return true;
      },
    });
    const connection = await openOne(t, server.url);
    t.match(await connection.search(search('a'), patience), { kind: 'entries', entries: { length: 1 } });
    t.match(await connection.search(search('b'), patience), { kind: 'entries' });
  });

  await t.test('referrals are read and never followed', async (t) => {
    const trap = await startScriptedLdap(serverCertificate);
    t.teardown(() => trap.close());
    const server = await startScript(t, {
      search(request, connection) {
        connection.raw(encodeReference(request.id, `${trap.url}/CN=Configuration,${base}`));
        connection.done(request.id);
        return true;
      },
    });
    const connection = await openOne(t, server.url);
    t.match(await connection.search(search('a'), patience), { kind: 'entries', entries: { length: 0 } });
    t.equal(trap.accepted, 0);
    t.strictSame(server.searches[0]?.controls, [], 'nothing that the server does not know');
    await connection.search(search('a'), patience, true);
    t.strictSame(
      server.searches[1]?.controls.map(({ oid, critical }) => [oid, critical]),
      [['1.2.840.113556.1.4.1339', false]],
    );
  });

  await t.test('a result code is an answer; only one about the search leaves the connection as it is', async (t) => {
    let code = 0;
    const server = await startScript(t, {
      search(request, connection) {
        connection.done(request.id, code, 'because\u0007');
        return true;
      },
    });
    for (code of [4, 10, 32, 50]) {
      const connection = await openOne(t, server.url);
      t.match(await connection.search(search('a'), patience), {
        kind: 'code',
        code,
        reason: new RegExp(`\\(${code}\\): because$`),
      });
      t.match(await connection.search(search('a'), patience), { kind: 'code' }, 'the connection lives');
    }
    for (code of [1, 51, 52, 80, 4711]) {
      const connection = await openOne(t, server.url);
      t.match(await connection.search(search('a'), patience), { kind: 'code', code });
      t.match(await connection.search(search('a'), patience), { kind: 'lost' }, 'the connection is gone');
    }
  });

  await t.test('closing says goodbye; where nobody listens it ends all the same', async (t) => {
    const server = await startDc(t, []);
    const polite = await openOne(t, server.url);
    await polite.close();
    await until(() => server.connections === 0);
    await polite.close();
    const scripted = await startScript(t, { search: () => true });
    const deaf = await openOne(t, scripted.url);
    const lost = deaf.search(search('a'), patience);
    await deaf.close();
    t.match(await lost, { kind: 'lost' });
    // Nobody reads: the goodbye never leaves our buffers.
    const paused = await startScript(t, { search: (_request, { socket }) => socket.pause() === socket });
    const stuck = await openOne(t, paused.url);
    const searches = [1, 2].map(() => stuck.search(search(Buffer.alloc(15_000_000)), 60_000 as Millis));
    // They are encoded in this turn, and a goodbye before them would get through.
    await new Promise((resolve) => setImmediate(resolve));
    await stuck.close();
    for (const answer of await Promise.all(searches)) t.equal(answer.kind, 'lost');
  });
});

await t.test('one controller', async (t) => {
  const controllerFor = async (t: LabTest, url: string, maximumQueue: number): Promise<Controller> => {
    const controller = new Controller({
      endpoint: parseEndpoint(url),
      certificateAuthorities: [authority.cert],
      gate: gateFor(bind),
      connectTimeout: patience,
      searchTimeout: patience,
      connections: 2,
      maximumQueue,
      monotonic: () => performance.now(),
      random: () => 0,
      greet: () => Promise.resolve(null),
      onSearch: () => {},
    });
    t.teardown(() => controller.close());
    await controller.settled;
    return controller;
  };
  const request: DirectorySearch = { base, scope: 'sub', filter: equalTo('cn', 'x'), attributes: ['cn'], sizeLimit: 0 };

  await t.test('finishes what it has begun before it leaves', async (t) => {
    const server = await startDc(t, []);
    const controller = await controllerFor(t, server.url, 3);
    await until(() => server.connections === 2);
    server.faults.hold = true;
    const before = server.searches;
    const answer = controller.search(request, patience, []);
    await server.reached(before + 1);
    const end = controller.drain();
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(controller.state, 'up');
    server.faults.hold = false;
    t.match(await answer, { kind: 'entries' });
    await end;
    t.equal(controller.state, 'down');
    await until(() => server.connections === 0);
    await (await controllerFor(t, server.url, 3)).drain();
  });

  await t.test(
    'carries four searches a connection, holds as many as it may, and refuses the next at once',
    async (t) => {
      const server = await startDc(t, []);
      const controller = await controllerFor(t, server.url, 3);
      server.faults.hold = true;
      const start = server.searches;
      const first = Array.from({ length: 7 }, () => controller.search(request, patience, []));
      // The last of these travel when the second connection is there.
      await server.reached(start + 7);
      first.push(...Array.from({ length: 4 }, () => controller.search(request, patience, [])));
      t.match(await controller.search(request, patience, []), { kind: 'unanswered', reason: /3 searches waiting/ });
      await server.reached(start + 8);
      server.faults.hold = false;
      for (const answer of await Promise.all(first)) t.equal(answer.kind, 'entries');
      t.equal(server.searches - start, 11);
    },
  );

  await t.test('a search whose caller has left is not tried again', async (t) => {
    const server = await startDc(t, []);
    const controller = await controllerFor(t, server.url, 3);
    server.faults.hold = true;
    const records: SearchRecord[] = [];
    t.match(await controller.search(request, 20 as Millis, records), { kind: 'unanswered', reason: /20 ms/ });
    await server.stop();
    await until(() => records.length > 0);
    server.faults.hold = false;
    await server.start();
    await until(async () => (await controller.search(request, patience, [])).kind === 'entries');
    t.equal(records.length, 1);
  });
});

await t.test('who the server is', async (t) => {
  const other = await createAuthority({ subject: 'CN=Another CA' });
  const serve = async (t: LabTest, issued: Issued) => {
    const server = await startScriptedLdap(issued);
    t.teardown(() => server.close());
    return server;
  };
  const forServer = { extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] };

  await t.test('a certificate of another authority is refused, and no password is sent', async (t) => {
    const server = await startScript(t);
    await t.rejects(openOne(t, server.url, { certificateAuthorities: [other.cert] }), {
      message: /^failed: .*certificate/,
    });
    await t.rejects(
      openOne(t, server.url, { certificateAuthorities: [] }),
      { message: /^failed: .*certificate/ },
      'not among the public roots',
    );
    t.equal(server.binds, 0);
    await openOne(t, server.url, { certificateAuthorities: [other.cert, authority.cert] });
    t.equal(server.binds, 1);
  });

  await t.test('the environment cannot turn verification off', async (t) => {
    const server = await startScript(t);
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    t.teardown(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    });
    await t.rejects(openOne(t, server.url, { certificateAuthorities: [other.cert] }), { message: /^failed/ });
    t.equal(server.binds, 0);
  });

  await t.test('an address must be among the IP address names, a name among the DNS names', async (t) => {
    const named = await authority.issue({
      subject: 'CN=127.0.0.1',
      dnsNames: ['localhost', '127.0.0.1'],
      ...forServer,
    });
    const addressed = await authority.issue({ subject: 'CN=localhost', ipAddresses: ['127.0.0.1'], ...forServer });
    const onlyNamed = await serve(t, named);
    const onlyAddressed = await serve(t, addressed);
    await t.rejects(openOne(t, onlyNamed.url), { message: /^failed: .*127\.0\.0\.1/ });
    await t.rejects(openOne(t, `ldaps://localhost:${onlyAddressed.port}`), { message: /^failed: .*localhost/ });
    t.equal(onlyNamed.binds + onlyAddressed.binds, 0);
    await openOne(t, `ldaps://localhost:${onlyNamed.port}`);
    await openOne(t, onlyAddressed.url);
  });
});

await t.test('locating', async (t) => {
  const people = [
    user(1001, 'alice', { altSecurityIdentities: ['X509:<SKI>aa', 'X509:<RFC822>alice@x'] }),
    user(1002, 'bob', { disabled: true, altSecurityIdentities: ['X509:<SKI>bb'] }),
    user(1003, 'zoë', { altSecurityIdentities: ['X509:<S>CN=Zoë'], upn: null }),
    adComputer({ domain, domainSid, rid: 1004, name: 'web01' }),
    adGroup({ domain, domainSid, rid: 1100, name: 'Payroll' }),
  ];

  await t.test('one locate for one domain is exactly one search, whatever it asserts', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const before = server.searches;
    const located = await forest.locate(
      [
        alt('X509:<SKI>aa'),
        alt('X509:<SKI>aa'),
        alt(''),
        upn('alice@lab.example.test'),
        { attribute: 'servicePrincipalName', value: 'host/web01.lab.example.test' },
        { attribute: 'sAMAccountName', value: 'bob', domain: 'Lab.Example.Test' },
      ],
      patience,
    );
    t.strictSame(
      namesOf(located),
      ['LAB\\WEB01$', 'LAB\\alice', 'LAB\\bob'],
      'a disabled account is found like any other',
    );
    t.equal(server.searches - before, 1);
    t.equal(located.searches.length, 1);
    t.match(located.searches[0], {
      server: server.url,
      base,
      filter:
        '(&(objectClass=user)(|(altSecurityIdentities=X509:<SKI>aa)(userPrincipalName=alice@lab.example.test)' +
        '(servicePrincipalName=host/web01.lab.example.test)(sAMAccountName=bob)))',
      result: '3 entries',
    });
    t.match(forest.records.at(-1), { filter: located.searches[0]?.filter });
    const nobody = await forest.locate([alt('X509:<SKI>none')], patience);
    t.match(nobody, { kind: 'answered', accounts: { length: 0 }, searches: [{ result: '0 entries' }] });
    t.match(await forest.locate([], patience), { kind: 'answered', accounts: { length: 0 }, searches: { length: 0 } });
    t.equal(server.searches - before, 2, 'nothing to ask is not asked');
  });

  await t.test('more than 32 values are asked in several searches, all of which must answer', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const many = Array.from({ length: 70 }, (_, index) => alt(`X509:<SKI>${index}`));
    const before = server.searches;
    t.strictSame(namesOf(await forest.locate([...many, alt('X509:<SKI>bb')], patience)), ['LAB\\bob']);
    t.equal(server.searches - before, 3);
    server.faults.judge = (request) => (asksFor(request, 'X509:<SKI>69') ? 51 : null);
    t.match(reasonIn(await forest.locate(many, patience)), /busy/);
  });

  await t.test('a group with the value is no account, a looser match of the server is handed on', async (t) => {
    const group = adGroup({ domain, domainSid, rid: 1101, name: 'Wheel' });
    const wheel = { ...group, attributes: { ...group.attributes, altSecurityIdentities: ['X509:<SKI>aa'] } };
    const server = await startDc(t, [...people, wheel]);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    t.strictSame(namesOf(await forest.locate([alt('X509:<SKI>aa')], patience)), ['LAB\\alice']);
    t.strictSame(namesOf(await forest.locate([alt('X509:<S>CN=Zoe')], patience)), ['LAB\\zoë']);
  });

  await t.test(
    'a sAMAccountName is asked in its own domain only; a domain that is not configured is unknown',
    async (t) => {
      const lab = await startDc(t, people);
      const child = await startDc(t, [adUser({ ...childPlace, rid: 1001, name: 'alice' })], childOptions);
      const forest = await readyDirectory(t, twoDomains([lab.url], [child.url]));
      const before = [lab.searches, child.searches];
      const assertion: Assertion = { attribute: 'sAMAccountName', value: 'alice', domain: childPlace.domain };
      t.match(await forest.locate([assertion], patience), { kind: 'unknown', reason: /does not list child/ });
      t.strictSame([lab.searches, child.searches], [before[0], (before[1] ?? 0) + 1]);
      t.match(
        reasonIn(await forest.locate([{ ...assertion, domain: 'elsewhere.test' }], patience)),
        /elsewhere.test is not configured/,
      );
      t.strictSame([lab.searches, child.searches], [before[0], (before[1] ?? 0) + 1]);
    },
  );

  await t.test('without a global catalog every domain is asked at once, and all must answer', async (t) => {
    const lab = await startDc(t, [...people, childCrossRef]);
    const twin = adUser({
      ...childPlace,
      rid: 1001,
      name: 'alice',
      upn: 'a2@x',
      altSecurityIdentities: ['X509:<SKI>aa'],
    });
    const child = await startDc(t, [twin], childOptions);
    const forest = await readyDirectory(t, twoDomains([lab.url], [child.url]));
    const located = await forest.locate([alt('X509:<SKI>aa')], patience);
    t.strictSame(namesOf(located), ['CHILD\\alice', 'LAB\\alice']);
    t.equal(located.searches.length, 2);
    child.faults.resultCode = 52;
    t.match(
      reasonIn(await forest.locate([alt('X509:<SKI>aa')], patience)),
      /unavailable/,
      'never the half that is known',
    );
  });

  await t.test('lookups of one turn travel in one search, and each gets its own accounts', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const before = server.searches;
    const asked = [
      [alt('X509:<SKI>aa')],
      [alt('x509:<ski>BB')],
      [alt('X509:<S>CN=Zoe')],
      [alt('none')],
      [upn('alice@lab.example.test')],
    ];
    const located = await Promise.all(asked.map((assertions) => forest.locate(assertions, patience)));
    t.strictSame(located.map(namesOf), [['LAB\\alice'], ['LAB\\bob'], ['LAB\\zoë'], [], ['LAB\\alice']]);
    t.equal(server.searches - before, 1);
  });

  await t.test('one value that a server does not take spoils nobody else', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    for (const code of [21, 10, 11, 1, 80]) {
      server.faults.judge = (request) => (asksFor(request, 'poison') ? code : null);
      const asked = ['X509:<SKI>aa', 'poison', 'X509:<SKI>bb', 'none'].map((value) =>
        forest.locate([alt(value)], patience),
      );
      const [alice, poison, bob, none] = await Promise.all(asked);
      t.match(alice, { accounts: [{ samAccountName: 'alice' }] });
      t.match(poison, { kind: 'unknown', reason: new RegExp(`\\(${code}\\)`) });
      t.match(bob, { accounts: [{ samAccountName: 'bob' }] });
      t.match(none, { kind: 'answered', accounts: { length: 0 } });
    }
  });

  await t.test('a server that has too much to do is not asked for each value as well', async (t) => {
    const server = await startDc(t, people);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const before = server.searches;
    server.faults.judge = (request) => (asksFor(request, 'X509:<SKI>aa') ? 51 : null);
    const asked = ['X509:<SKI>aa', 'X509:<SKI>bb'].map((value) => forest.locate([alt(value)], patience));
    for (const located of await Promise.all(asked)) t.match(reasonIn(located), /busy/);
    t.equal(server.searches - before, 1);
  });

  await t.test('an entry that resembles nobody, or whose values are not all there, goes to everybody', async (t) => {
    const server = await startScript(t, {
      search(request, connection) {
        if (request.scope !== 'subtree') return false;
        connection.entry(request.id, `CN=odd,${base}`, { altSecurityIdentities: ['something else'] });
        connection.done(request.id);
        return true;
      },
    });
    const forest = openDirectory(t, settingsFor([server.url]));
    const both = await Promise.all(['a', 'b'].map((value) => forest.locate([alt(value)], patience)));
    for (const located of both) t.match(reasonIn(located), /CN=odd.* with gaps/);
  });
});

await t.test('answers that are not whole', async (t) => {
  const same = (rid: number, name: string, value: string) => user(rid, name, { altSecurityIdentities: [value] });

  await t.test('a truncated batch is asked again value by value', async (t) => {
    const server = await startDc(t, [same(1, 'a', 'A'), same(2, 'b', 'B'), same(3, 'c', 'C')], { maxPageSize: 2 });
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const before = server.searches;
    t.strictSame(namesOf(await forest.locate([alt('A'), alt('B'), alt('C')], patience)), [
      'LAB\\a',
      'LAB\\b',
      'LAB\\c',
    ]);
    t.equal(server.searches - before, 4);
  });

  await t.test('a value on more accounts than the server gives: two that carry it prove as much', async (t) => {
    const server = await startDc(t, [same(1, 'a', 'X'), same(2, 'b', 'x'), same(3, 'c', 'X')], { maxPageSize: 2 });
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const located = await forest.locate([alt('X')], patience);
    t.ok(namesOf(located).length === 2, 'ambiguous, and that is certain');
    t.match(located.searches.at(0), { result: /sizeLimitExceeded/ });
  });

  await t.test('where loose matches crowd out the exact one, nobody knows', async (t) => {
    const crowd = ['zoe', 'zöe', 'zoé'].map((name, index) => same(index + 1, `user${index}`, `X509:<S>CN=${name}`));
    const server = await startDc(t, [...crowd, same(9, 'last', 'X509:<S>CN=zoë')], { maxPageSize: 2 });
    const forest = await readyDirectory(t, settingsFor([server.url]));
    t.match(reasonIn(await forest.locate([alt('X509:<S>CN=zoë')], patience)), /sizeLimitExceeded/);
  });

  await t.test('one that carries it, among more than the server gives, proves nothing', async (t) => {
    const exact = same(1, 'first', 'X509:<S>CN=zoë');
    const crowd = ['zoe', 'zöe'].map((name, index) => same(index + 2, `user${index}`, `X509:<S>CN=${name}`));
    const server = await startDc(t, [exact, ...crowd], { maxPageSize: 2 });
    const forest = await readyDirectory(t, settingsFor([server.url]));
    t.match(reasonIn(await forest.locate([alt('X509:<S>CN=zoë')], patience)), /sizeLimitExceeded/);
  });

  await t.test('a single value that is refused for another reason is asked once', async (t) => {
    const server = await startDc(t, []);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const before = server.searches;
    server.faults.resultCode = 50;
    t.match(reasonIn(await forest.locate([alt('X')], patience)), /insufficientAccessRights/);
    t.equal(server.searches - before, 1);
  });

  await t.test('altSecurityIdentities in ranges are fetched to the end', async (t) => {
    const values = Array.from({ length: 25 }, (_, index) => `X509:<SKI>${index}`);
    const server = await startDc(t, [user(1, 'many', { altSecurityIdentities: values })], { valueRange: 10 });
    const forest = await readyDirectory(t, settingsFor([server.url]));
    const located = await forest.locate([alt('X509:<SKI>24')], patience);
    t.match(located, { kind: 'answered', searches: { length: 3 } });
    t.strictSame(
      located.kind === 'answered' && located.accounts[0]?.altSecurityIdentities.toSorted(),
      values.toSorted(),
    );
    const [first, second] = await Promise.all(
      [0, 24].map((index) => forest.locate([alt(`X509:<SKI>${index}`)], patience)),
    );
    t.match([first, second], [{ accounts: { length: 1 } }, { accounts: { length: 1 } }], 'also out of a shared search');
  });

  const rest: Record<string, [(from: number) => [string, string[]] | number, RegExp]> = {
    'never end': [(from) => [`altSecurityIdentities;range=${from}-${from + 1}`, ['x', 'y']], /more than 40 values/],
    'go back': [() => ['altSecurityIdentities;range=0-1', ['x', 'y']], /twice/],
    'stop coming': [() => ['cn', ['x']], /nothing from 2/],
    'are refused': [() => 50, /insufficientAccessRights/],
  };
  for (const [what, [answer, reason]] of Object.entries(rest))
    await t.test(`ranges that ${what} make the answer unknown`, async (t) => {
      const server = await startScript(t, {
        search(request, connection) {
          const from = /range=(\d+)-\*/.exec(request.attributes.join())?.[1];
          const next = from === undefined ? null : answer(Number(from));
          if (next === null && request.scope !== 'subtree') return false;
          if (typeof next === 'number') connection.done(request.id, next);
          else {
            const [name, values] = next ?? ['altSecurityIdentities;range=0-1', ['a', 'b']];
            connection.entry(request.id, `CN=alice,${base}`, { [name]: values });
            connection.done(request.id);
          }
          return true;
        },
      });
      const forest = openDirectory(t, settingsFor([server.url]));
      t.match(reasonIn(await forest.locate([alt('a')], patience)), reason);
      t.ok(server.searches.length < 30, 'and the asking is bounded');
    });

  await t.test('parts of one attribute never come from two servers', async (t) => {
    const values = Array.from({ length: 25 }, (_, index) => `X509:<SKI>${index}`);
    const entries = [user(1, 'many', { altSecurityIdentities: values })];
    const [first, second] = await Promise.all([1, 2].map(() => startDc(t, entries, { valueRange: 10 })));
    if (first === undefined || second === undefined) return;
    const forest = await readyDirectory(t, settingsFor([first.url, second.url]));
    await until(async () => (await forest.health()).every(({ state }) => state === 'up'));
    first.faults.judge = ({ attributes }) => (attributes.some((name) => name.includes('range=')) ? 51 : null);
    t.match(
      reasonIn(await forest.locate([alt('X509:<SKI>0')], patience)),
      /gave a part, and the rest has to come from/,
    );
  });

  await t.test('an entry of another domain than was asked is unknown', async (t) => {
    const server = await startScript(t, {
      search(request, connection) {
        if (request.scope !== 'subtree') return false;
        connection.entry(request.id, 'CN=x,DC=elsewhere,DC=test', { altSecurityIdentities: ['A'] });
        connection.done(request.id);
        return true;
      },
    });
    const forest = openDirectory(t, settingsFor([server.url]));
    t.match(
      reasonIn(await forest.locate([alt('A')], patience)),
      /answered for lab.example.test with CN=x,DC=elsewhere/,
    );
  });

  await t.test('the deadline holds also where every step is in time but there are too many of them', async (t) => {
    const server = await startScript(t, {
      search(request, connection) {
        const from = Number(/range=(\d+)-\*/.exec(request.attributes.join())?.[1] ?? 0);
        if (from === 0 && request.scope !== 'subtree') return false;
        const answer = (): void => {
          connection.entry(request.id, `CN=alice,${base}`, { [`altSecurityIdentities;range=${from}-${from}`]: ['x'] });
          connection.done(request.id);
        };
        setTimeout(answer, 40);
        return true;
      },
    });
    // A clock that stands still: nothing below notices that time passes.
    const forest = openDirectory(t, settingsFor([server.url]), { clock: handClock() });
    t.match(reasonIn(await forest.locate([alt('x')], 200 as Millis)), /no complete answer within 200 ms/);
  });

  await t.test('an account that we may not read is unknown, never left out', async (t) => {
    const server = await startDc(t, [user(1, 'a', { altSecurityIdentities: ['A'], attributes: { objectSid: [] } })]);
    const forest = await readyDirectory(t, settingsFor([server.url]));
    t.match(reasonIn(await forest.locate([alt('A')], patience)), /CN=a,.*objectSid is missing/);
    t.match(await forest.locate([alt('B')], patience), { kind: 'answered' }, 'who does not meet it does not mind');
  });
});

await t.test('facts of the forest', async (t) => {
  const digestOf = (der: Buffer): string => hash('sha256', der, 'hex');
  /** How many issuers; null when they are not known. */
  const sizeOf = async (forest: Forest): Promise<number | null> => {
    const known = await forest.ntAuth();
    return known.kind === 'read' ? known.issuers.size : null;
  };

  await t.test(
    'NTAuth: digests of what is there, an empty set where there is nothing, unknown where it was not read',
    async (t) => {
      const others = await Promise.all([1, 2].map(() => createAuthority({ subject: 'CN=More' })));
      const ders = [authority.der, ...others.map(({ der }) => der)];
      const server = await startDc(t, [], { ntAuth: ders, valueRange: 1 });
      const full = await readyDirectory(t, settingsFor([server.url]));
      const read = await full.ntAuth();
      t.match(read, { kind: 'read', server: server.url });
      t.strictSame(
        read.kind === 'read' && [...read.issuers].toSorted(),
        ders.map(digestOf).toSorted(),
        'in ranges too',
      );

      const absent = await readyDirectory(t, settingsFor([(await startDc(t, [], { ntAuth: null })).url]));
      t.equal(await sizeOf(absent), 0);
      const empty = await readyDirectory(t, settingsFor([(await startDc(t, [], { ntAuth: [] })).url]));
      t.equal(await sizeOf(empty), 0);

      const closed = await startDc(t, []);
      closed.faults.judge = ({ base }) => (base.startsWith('CN=NTAuth') ? 50 : null);
      const unread = await readyDirectory(t, settingsFor([closed.url]));
      t.match(await unread.ntAuth(), { kind: 'unknown', reason: /NTAuthCertificates.*insufficientAccessRights/ });
      t.match(await unread.domains(), { kind: 'read' }, 'the one does not take the other down');
    },
  );

  await t.test('domains: NetBIOS name, and who may stand behind the @', async (t) => {
    const server = await startDc(t, [], { upnSuffixes: ['Corp.Example', 'lab.example.test'] });
    const forest = await readyDirectory(t, settingsFor([server.url]));
    t.strictSame(await forest.domains(), {
      kind: 'read',
      domains: [{ dnsName: domain, netbiosName: 'LAB', upnSuffixes: [domain, 'corp.example'] }],
    });
    const child = await startDc(t, [], childOptions);
    const both = await readyDirectory(t, twoDomains([server.url], [child.url]));
    t.match(await both.domains(), { kind: 'unknown', reason: /does not list child/ });
    server.add(childCrossRef);
    const known = await readyDirectory(t, twoDomains([server.url], [child.url]));
    t.match(await known.domains(), {
      domains: [
        { netbiosName: 'LAB' },
        { dnsName: childPlace.domain, netbiosName: 'CHILD', upnSuffixes: [childPlace.domain] },
      ],
    });
  });

  await t.test('a cross reference that is not of a domain names none', async (t) => {
    const lab = await startDc(t, [
      { ...childCrossRef, attributes: { ...childCrossRef.attributes, systemFlags: ['5'] } },
    ]);
    const child = await startDc(t, [], childOptions);
    const forest = await readyDirectory(t, twoDomains([lab.url], [child.url]));
    t.match(await forest.domains(), { kind: 'unknown', reason: /does not list child/ });
  });

  await t.test('they are read as soon as a server is there, however long the pause would have been', async (t) => {
    const server = await startDc(t, []);
    server.faults.refuseBind = true;
    const forest = openDirectory(t, settingsFor([server.url]), { random: () => 1_000_000 });
    t.match(await forest.ntAuth(), { kind: 'unknown' });
    t.match(await forest.domains(), { kind: 'unknown' });
    server.faults.refuseBind = false;
    forest.retry();
    await until(async () => (await forest.ntAuth()).kind === 'read' && (await forest.domains()).kind === 'read');
    t.match(await forest.domains(), { kind: 'read' });
  });

  await t.test('they are read again in the background, and the last value stays while that fails', async (t) => {
    const server = await startDc(t, [], { ntAuth: null });
    const forest = await readyDirectory(t, settingsFor([server.url], { refresh: 20 as Millis }), {
      clock: handClock(),
    });
    server.faults.resultCode = 50;
    await server.reached(server.searches + 4);
    t.equal(await sizeOf(forest), 0);
    server.add({
      dn: `CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,${base}`,
      attributes: { objectClass: ['certificationAuthority'], cACertificate: [authority.der] },
    });
    server.faults.resultCode = null;
    await until(async () => (await sizeOf(forest)) === 1);
  });

  await t.test('the configuration is read at another domain where the first is down', async (t) => {
    const configuration = `CN=Configuration,DC=child,${base}`;
    const child = await startDc(t, [], { ...childOptions, rootDse: { configurationNamingContext: [configuration] } });
    const forest = await readyDirectory(t, twoDomains(['ldaps://127.0.0.1:1'], [child.url]));
    t.match(await forest.ntAuth(), { kind: 'read', server: child.url });
  });

  const wrong: Record<string, [Partial<DirectoryServerOptions>, RegExp]> = {
    'of another domain': [
      { rootDse: { defaultNamingContext: ['DC=other,DC=test'] } },
      /controller of DC=other,DC=test, not of DC=lab/,
    ],
    'of another forest': [{ rootDse: { configurationNamingContext: ['CN=Configuration,DC=x'] } }, /another forest/],
  };
  for (const [what, [options, reason]] of Object.entries(wrong))
    await t.test(`a server ${what} is not taken`, async (t) => {
      const good = await startDc(t, [user(1, 'alice', { altSecurityIdentities: ['A'] })]);
      const bad = await startDc(t, [user(2, 'mallory', { altSecurityIdentities: ['A'] })], options);
      const first = await readyDirectory(t, settingsFor([good.url]));
      t.match(await first.health(), [{ state: 'up', reason: '' }]);
      const forest = openDirectory(t, settingsFor([good.url, bad.url]));
      await forest.locate([alt('A')], patience);
      const health = await forest.health();
      t.match(
        health.toSorted((a, b) => Number(b.state === 'up') - Number(a.state === 'up')),
        [{ state: 'up' }, { state: 'down' }],
      );
      if (what === 'of another domain') t.match(health[1], { url: bad.url, state: 'down', reason });
      else
        t.ok(
          health.some((one) => reason.test(one.reason)),
          'the first to answer says which forest it is',
        );
    });

  await t.test(
    'a server without naming contexts is asked all the same, but nobody knows what its domain is called',
    async (t) => {
      const server = await startScript(t, {
        search(request, connection) {
          if (request.base === '') connection.entry(request.id, '', { namingContexts: [base] });
          else if (request.scope === 'subtree') return false;
          connection.done(request.id);
          return true;
        },
      });
      const forest = await readyDirectory(t, settingsFor([server.url]));
      t.match(await forest.health(), [{ state: 'up' }]);
      t.match(await forest.domains(), { kind: 'unknown', reason: /no configuration naming context/ });
      t.match(await forest.locate([alt('A')], patience), { kind: 'answered', accounts: { length: 0 } });
    },
  );
});

await t.test('the global catalog', async (t) => {
  const child = { ...childPlace, rid: 1001 };
  const bob = adUser({ ...child, name: 'bob', altSecurityIdentities: ['B'], accountExpires: new Date('2030-01-01') });
  const childTree: DirectoryEntry[] = ['DC=child', 'CN=Users,DC=child'].map((rdn) => ({
    dn: `${rdn},${base}`,
    attributes: { objectClass: ['top', 'container'] },
  }));
  const alice = user(1001, 'alice', { altSecurityIdentities: ['A'] });
  const setUp = async (
    t: LabTest,
    catalogEntries: readonly DirectoryEntry[],
    catalogOptions: Partial<DirectoryServerOptions> = {},
  ) => {
    const lab = await startDc(t, [alice, childCrossRef]);
    const childDc = await startDc(t, [bob], childOptions);
    const catalog = await startDc(t, [...childTree, ...catalogEntries], { globalCatalog: true, ...catalogOptions });
    const settings = { ...twoDomains([lab.url], [childDc.url]), globalCatalog: [catalog.url] };
    return { lab, childDc, catalog, forest: await readyDirectory(t, settings) };
  };

  await t.test('says where an account is; the account is read at a controller of its own domain', async (t) => {
    const { lab, childDc, catalog, forest } = await setUp(t, [alice, bob]);
    const before = [catalog, lab, childDc].map(({ searches }) => searches);
    const located = await forest.locate([alt('B'), upn('nobody@x')], patience);
    t.match(located, {
      kind: 'answered',
      accounts: [{ name: 'CHILD\\bob', expires: Date.UTC(2030, 0, 1), server: childDc.url }],
      searches: [
        { server: catalog.url, base: '' },
        { server: childDc.url, base: `CN=bob,CN=Users,DC=child,${base}` },
      ],
    });
    t.strictSame(
      [catalog, lab, childDc].map(({ searches }, index) => searches - (before[index] ?? 0)),
      [1, 0, 1],
    );
    t.match(await forest.health(), [
      { domain },
      { domain: childPlace.domain },
      { domain: 'globalCatalog', state: 'up' },
    ]);
  });

  await t.test('a sAMAccountName goes past it, and an account found twice is one', async (t) => {
    const { lab, catalog, forest } = await setUp(t, [alice, bob]);
    const before = [catalog, lab].map(({ searches }) => searches);
    const name: Assertion = { attribute: 'sAMAccountName', value: 'alice', domain };
    t.strictSame(namesOf(await forest.locate([name], patience)), ['LAB\\alice']);
    t.strictSame(
      [catalog, lab].map(({ searches }, index) => searches - (before[index] ?? 0)),
      [0, 1],
    );
    t.strictSame(namesOf(await forest.locate([name, alt('A'), upn('alice@lab.example.test')], patience)), [
      'LAB\\alice',
    ]);
  });

  const stray = adUser({
    domain,
    domainSid,
    rid: 7,
    name: 'stray',
    container: `CN=Users,DC=third,${base}`,
    altSecurityIdentities: ['S'],
  });
  const thirdTree = ['DC=third', 'CN=Users,DC=third'].map((rdn) => ({
    dn: `${rdn},${base}`,
    attributes: { objectClass: ['top', 'container'] },
  }));
  const unsure: Record<string, [readonly DirectoryEntry[], string, RegExp]> = {
    'an account of a domain that is not configured': [[...thirdTree, stray], 'S', /CN=stray.*not configured/],
    'an account that its own domain does not have': [
      [user(9, 'ghost', { altSecurityIdentities: ['G'] })],
      'G',
      /CN=ghost.*noSuchObject/,
    ],
    'another object of the same name': [
      [{ ...alice, attributes: { ...alice.attributes, objectGUID: [Buffer.alloc(16, 7)] } }],
      'A',
      /another object/,
    ],
    'an account without objectGUID': [
      [{ ...alice, attributes: { ...alice.attributes, objectGUID: [] } }],
      'A',
      /without an objectGUID/,
    ],
  };
  for (const [what, [entries, value, reason]] of Object.entries(unsure))
    await t.test(`${what} is unknown`, async (t) => {
      const { forest } = await setUp(t, entries);
      t.match(reasonIn(await forest.locate([alt(value)], patience)), reason);
    });

  await t.test('a silent domain behind it, or a catalog that fails, is unknown', async (t) => {
    const { childDc, catalog, forest } = await setUp(t, [alice, bob]);
    childDc.faults.resultCode = 51;
    t.match(reasonIn(await forest.locate([alt('B')], patience)), /CN=bob.*busy/);
    t.strictSame(
      namesOf(await forest.locate([alt('A')], patience)),
      ['LAB\\alice'],
      'who is not there does not need it',
    );
    catalog.faults.resultCode = 52;
    t.match(reasonIn(await forest.locate([alt('A')], patience)), /unavailable/);
  });

  await t.test('many accounts with one value: enough are read again to prove it, and not more', async (t) => {
    const crowd = Array.from({ length: 40 }, (_, index) =>
      user(2000 + index, `u${index}`, { altSecurityIdentities: ['CROWD'] }),
    );
    const loose = Array.from({ length: 40 }, (_, index) =>
      user(3000 + index, `v${index}`, { altSecurityIdentities: ['LÖÖSE'] }),
    );
    loose.push(user(3999, 'exact', { altSecurityIdentities: ['LOOSE'] }));
    const { lab, forest } = await setUp(t, [...crowd, ...loose]);
    for (const entry of [...crowd, ...loose]) lab.add(entry);
    const before = lab.searches;
    t.equal(namesOf(await forest.locate([alt('crowd')], patience)).length, 16);
    t.equal(lab.searches - before, 16);
    t.match(reasonIn(await forest.locate([alt('LOOSE')], patience)), /41 accounts, which is too many/);
    t.equal(lab.searches - before, 16);
  });

  await t.test('one that is not ready is not asked', async (t) => {
    const { forest } = await setUp(t, [alice], { rootDse: { isGlobalCatalogReady: ['FALSE'] } });
    t.match((await forest.health())[2], { state: 'down', reason: /not ready/ });
    t.match(reasonIn(await forest.locate([alt('A')], patience)), /not ready/);
  });
});
