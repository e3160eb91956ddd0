/**
 * The embedded directory against a foreign client (ldapts) and against raw octets. What Samba says to the same questions is
 * in test/real/samba-directory.test.ts.
 */
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import * as fc from 'fast-check';
import { Client, Control, EqualityFilter } from 'ldapts';
import t from 'tap';
import { codeOf, Failure } from '../src/base/failure.ts';
import { createAuthority } from '../src/lab/authority.ts';
import { elementsOf, encode, encodeInteger, integerOf } from '../src/lab/directory-ber.ts';
import { adComputer, adGroup, adUser, escapeDnValue, fileTime } from '../src/lab/directory-entries.ts';
import { evaluate, type Filter } from '../src/lab/directory-filter.ts';
import { fold } from '../src/directory/sort-key.ts';
import { foldDn } from '../src/lab/directory-folding.ts';
import { createMessageReader } from '../src/lab/directory-messages.ts';
import { keyOf } from '../src/lab/directory-schema.ts';
import {
  type DirectoryServer,
  type DirectoryServerOptions,
  startDirectoryServer,
} from '../src/lab/directory-server.ts';
import { sidBytes, sidText } from '../src/lab/directory-sid.ts';
import { createStore } from '../src/lab/directory-store.ts';

const domain = 'lab.example.test';
const domainSid = 'S-1-5-21-2088175937-3269668285-1925657351';
const suffix = 'DC=lab,DC=example,DC=test';
const configuration = `CN=Configuration,${suffix}`;
const place = { domain, domainSid };
const authority = await createAuthority({ subject: 'O=Lab,CN=Lab Directory CA' });
const issued = await authority.issue({
  subject: 'CN=dc1.lab.example.test',
  ipAddresses: ['127.0.0.1'],
  extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
});
const reader = `reader@${domain}`;
const password = 'not a secret';

const people = [
  adUser({
    ...place,
    rid: 1001,
    name: 'alice',
    mail: 'Alice@mail.example.test',
    altSecurityIdentities: ['X509:<SKI>aa'],
  }),
  adUser({ ...place, rid: 1002, name: 'bob', disabled: true, altSecurityIdentities: ['X509:<SKI>bb', 'X509:<SKI>b2'] }),
  adUser({ ...place, rid: 1003, name: 'carol', whenCreated: new Date('2024-05-06T07:08:09Z'), upn: null }),
  adUser({ ...place, rid: 1004, name: 'dave, jr', upn: 'dave@lab.example.test', container: `OU=Staff,${suffix}` }),
  adComputer({ ...place, rid: 1005, name: 'web01' }),
  adGroup({ ...place, rid: 1100, name: 'Payroll', members: [`CN=alice,CN=Users,${suffix}`] }),
  adGroup({ ...place, rid: 1101, name: 'Everyone Paid', members: [`cn=payroll, cn=users, ${suffix}`] }),
];

interface LabTest {
  teardown(end: () => unknown): void;
}

async function start(t: LabTest, more: Partial<DirectoryServerOptions> = {}): Promise<DirectoryServer> {
  const server = await startDirectoryServer({
    ...place,
    netbiosName: 'LAB',
    tls: issued,
    bind: [{ dn: reader, password }],
    entries: people,
    ntAuth: [authority.der],
    ...more,
  });
  t.teardown(() => server.stop());
  return server;
}

async function bound(t: LabTest, server: DirectoryServer): Promise<Client> {
  const client = connectClient(t, server);
  await client.bind(reader, password);
  return client;
}

function connectClient(t: LabTest, server: DirectoryServer): Client {
  const client = new Client({ url: server.url, tlsOptions: { ca: authority.cert }, timeout: 20_000 });
  t.teardown(() => client.unbind().catch(() => {}));
  return client;
}

/** Common names found below the domain, sorted. */
async function names(client: Client, filter: string | EqualityFilter, base = suffix): Promise<string> {
  const { searchEntries } = await client.search(base, { filter, attributes: ['cn'] });
  return sorted(searchEntries.map(({ cn }) => cn)).join(' | ');
}

const sorted = (list: readonly unknown[]) => list.map(String).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

async function failure(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'no failure',
    (error: { code?: unknown; message?: unknown }) => `${String(error.code)} ${String(error.message)}`,
  );
}

/** A TLS connection that speaks octets. */
async function connectRaw(t: LabTest, server: DirectoryServer): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: server.port, ca: authority.cert });
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends octets and gives back everything until the server closes. */
async function exchange(t: LabTest, server: DirectoryServer, octets: Uint8Array): Promise<Buffer> {
  const socket = await connectRaw(t, server);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(octets);
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

const bindMessage = (id: number) =>
  encode(0x30, encodeInteger(id), encode(0x60, encodeInteger(3), encode(0x04, reader), encode(0x80, password)));
const unbindMessage = encode(0x30, encodeInteger(100), encode(0x42));
const present = encode(0x87, 'objectClass');

function searchMessage(id: number, base: string, scope: number, filter: Buffer, ...more: Buffer[]): Buffer {
  const zero = encodeInteger(0);
  const limits = [encodeInteger(scope, 0x0a), encodeInteger(0, 0x0a), zero, zero, encode(0x01, Buffer.alloc(1))];
  const search = encode(0x63, encode(0x04, base), ...limits, filter, encode(0x30, encode(0x04, '1.1')));
  return encode(0x30, encodeInteger(id), search, ...more);
}

function control(oid: string, value: Buffer, critical = false): Buffer {
  const flag = critical ? [encode(0x01, Buffer.from([0xff]))] : [];
  return encode(0xa0, encode(0x30, encode(0x04, oid), ...flag, encode(0x04, value)));
}

const paging = (size: number, cookie: string) =>
  control('1.2.840.113556.1.4.319', encode(0x30, encodeInteger(size), encode(0x04, Buffer.from(cookie, 'latin1'))));

/** Message id, operation tag and (for results) code of each message. */
function outline(octets: Buffer): string {
  return elementsOf(octets)
    .map(({ content }) => {
      const [id, operation] = elementsOf(content);
      if (id === undefined || operation === undefined) return '?';
      const first = elementsOf(operation.content)[0];
      const code = first?.tag === 0x0a ? `:${integerOf(first)}` : '';
      return `${integerOf(id)}/${operation.tag.toString(16)}${code}`;
    })
    .join(' ');
}

await t.test('binding', async (t) => {
  const server = await start(t);
  await t.test('nothing but the rootDSE is answered before a bind', async (t) => {
    const client = connectClient(t, server);
    t.match(await failure(client.search(suffix)), /^1 .*a successful bind must be completed/);
    const { searchEntries } = await client.search('', { scope: 'base', attributes: ['defaultNamingContext'] });
    t.match(searchEntries, [{ defaultNamingContext: suffix }]);
  });
  await t.test('a wrong password and an unknown name are invalidCredentials with data 52e', async (t) => {
    const client = connectClient(t, server);
    t.match(await failure(client.bind(reader, 'wrong')), /^49 80090308: .*data 52e/);
    t.match(await failure(client.bind('nobody@lab.example.test', password)), /^49 .*data 52e/);
  });
  await t.test('a failed bind takes the identity of the connection away', async (t) => {
    const octets = Buffer.concat([
      bindMessage(1),
      encode(0x30, encodeInteger(2), encode(0x60, encodeInteger(3), encode(0x04, reader), encode(0x80, 'wrong'))),
      searchMessage(3, suffix, 0, present),
      unbindMessage,
    ]);
    t.equal(outline(await exchange(t, server, octets)), '1/61:0 2/61:49 3/65:1');
  });
  await t.test('a bind without password succeeds as nobody', async (t) => {
    const octets = Buffer.concat([
      encode(0x30, encodeInteger(1), encode(0x60, encodeInteger(3), encode(0x04, reader), encode(0x80, ''))),
      searchMessage(2, suffix, 0, present),
      unbindMessage,
    ]);
    t.equal(outline(await exchange(t, server, octets)), '1/61:0 2/65:1');
  });
  await t.test('SASL is authMethodNotSupported', async (t) => {
    const sasl = encode(0x60, encodeInteger(3), encode(0x04, ''), encode(0xa3, encode(0x04, 'GSSAPI')));
    const octets = Buffer.concat([encode(0x30, encodeInteger(1), sasl), unbindMessage]);
    t.equal(outline(await exchange(t, server, octets)), '1/61:7');
  });
  await t.test('names of the same account in other letters bind', async (t) => {
    const client = connectClient(t, server);
    await client.bind(reader.toUpperCase(), password);
    t.equal(server.binds > 0, true);
  });
  await t.test('whoami names who is bound', async (t) => {
    const client = await bound(t, server);
    t.equal((await client.exop('1.3.6.1.4.1.4203.1.11.3')).value, `u:${reader}`);
    t.match(await failure(client.exop('1.2.3.4')), /^2 /);
  });
  await t.test('a password in clear text is strongerAuthRequired', async (t) => {
    const clear = await start(t, { tls: null });
    t.match(clear.url, /^ldap:/);
    const socket = connectTcp(clear.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.write(Buffer.concat([bindMessage(1), unbindMessage]));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(socket, 'close');
    t.equal(outline(Buffer.concat(chunks)), '1/61:8');
  });
});

await t.test('filters', async (t) => {
  const server = await start(t);
  const client = await bound(t, server);
  const table: readonly (readonly [filter: string, found: string])[] = [
    ['(cn=alice)', 'alice'],
    ['(CN=ALICE)', 'alice'],
    ['(cn~=alice)', 'alice'],
    ['(&(objectClass=user)(cn=alice))', 'alice'],
    ['(&(cn=alice)(cn=bob))', ''],
    ['(|(cn=alice)(cn=bob))', 'alice | bob'],
    ['(&(objectClass=user)(!(objectClass=computer))(!(cn=alice)))', 'bob | carol | dave, jr'],
    ['(&(objectClass=user)(!(userPrincipalName=*)))', 'carol | web01'],
    ['(cn=a*e)', 'alice'],
    ['(cn=*li*)', 'alice'],
    ['(cn=ali*ce)', 'alice'],
    ['(cn=alic*ce)', ''],
    ['(altSecurityIdentities=X509:<SKI>b*)', 'bob'],
    ['(userAccountControl:1.2.840.113556.1.4.803:=514)', 'bob'],
    ['(userAccountControl:1.2.840.113556.1.4.804:=4098)', 'bob | web01'],
    ['(&(cn=*)(userAccountControl>=514))', 'bob | web01'],
    ['(&(cn=*)(userAccountControl<=513))', 'alice | carol | dave, jr'],
    ['(userAccountControl=0512)', 'alice | carol | dave, jr'],
    ['(whenCreated>=20240506070809.0Z)', 'carol'],
    ['(&(objectClass=user)(whenCreated<=20240506070808.0Z))', 'alice | bob | dave, jr | web01'],
    [`(objectSid=${domainSid}-1005)`, 'web01'],
    ['(objectCategory=person)', 'alice | bob | carol | dave, jr'],
    ['(objectCategory=computer)', 'web01'],
    [`(memberOf=CN=Payroll,CN=Users,${suffix})`, 'alice'],
    [`(member=cn=ALICE , cn=users,${suffix})`, 'Payroll'],
    ['(servicePrincipalName=HOST/web01.lab.example.test)', 'web01'],
    ['(mail=alice@MAIL.example.test)', 'alice'],
    // Undefined: neither the assertion nor its negation holds.
    ['(noSuchAttribute=x)', ''],
    ['(!(noSuchAttribute=x))', ''],
    ['(!(noSuchAttribute=*))', ''],
    ['(|(cn=alice)(noSuchAttribute=x))', 'alice'],
    ['(&(cn=alice)(!(userAccountControl=many)))', ''],
    ['(&(cn=alice)(!(userAccountControl:1.2.3.4:=1)))', ''],
    ['(&(cn=alice)(!(tokenGroups=*)))', ''],
    ['(&(cn=alice)(!(userAccountControl=5*)))', ''],
  ];
  for (const [filter, found] of table)
    await t.test(`${filter} finds ${found || 'nothing'}`, async (t) => t.equal(await names(client, filter), found));

  await t.test('octets above 0x7f in an assertion are compared as octets', async (t) => {
    const value = sidBytes(`${domainSid}-1001`) ?? Buffer.alloc(0);
    t.ok(value.some((octet) => octet > 0x7f));
    t.equal(await names(client, new EqualityFilter({ attribute: 'objectSid', value })), 'alice');
    const guid = Buffer.from(people[0]?.attributes['objectGUID']?.[0] ?? '');
    t.equal(await names(client, new EqualityFilter({ attribute: 'objectGUID', value: guid })), 'alice');
  });
});

await t.test('equality is that of a domain controller', async (t) => {
  const equal: readonly (readonly [string, string])[] = [
    ['CN=Alice', 'cn=ALICE'],
    ['Älice', 'alice'],
    ['A\u0308lice', 'Ä\u200dlice'],
    ['Ｘ５０９', 'x509'],
    ['ｶﾅ', 'カナ'],
    ['かな', 'カナ'],
    ['straße', 'STRASSE'],
    ['Øystein', 'oystein'],
    ['so\u00adft', 'soft'],
    ['ﬁle', 'FILE'],
    ['Σίσυφος', 'σισυφοσ'],
  ];
  for (const [a, b] of equal) t.equal(fold(a), fold(b), `${a} = ${b}`);
  for (const [a, b] of [
    ['DC=a, DC=b', 'DC=a,DC=b'],
    ['a  b', 'a b'],
    [' a', 'a'],
    ['co-op', 'coop'],
    ['X509:<SR>0', 'X509:<SR>o'],
  ] as const)
    t.not(fold(a), fold(b), `${a} is not ${b}`);

  const server = await start(t);
  server.replace(`CN=bob,CN=Users,${suffix}`, 'altSecurityIdentities', ['X509:<S>CN=Älice']);
  const client = await bound(t, server);
  t.equal(await names(client, '(altSecurityIdentities=X509:<S>CN=ALICE)'), 'bob', 'so a client must compare again');
});

const awkward = fc.string({ unit: fc.constantFrom(' ', '\\', ',', '#', 'a', '5', 'c'), minLength: 1, maxLength: 6 });
/** Any octet may be written as two hex digits (RFC 4514 section 2.4). */
const escaped = (octet: number) => `\\${octet.toString(16).padStart(2, '0')}`;

await t.test('names', async (t) => {
  t.equal(foldDn('cn=a , dc=b'), foldDn('CN=A,DC=B'));
  t.equal(foldDn(String.raw`CN=a\ ,DC=b`), foldDn(String.raw`CN=a\20,DC=b`), 'an escaped blank counts');
  t.equal(
    foldDn(String.raw`CN=a\\ ,DC=b`),
    foldDn(String.raw`CN=a\5c,DC=b`),
    'one behind an escaped backslash does not',
  );
  t.equal(foldDn(`CN=a${' '.repeat(500_000)}b,DC=x`)?.length, 500_010, 'in time that grows with the length alone');
  t.equal(foldDn(String.raw`CN=a\2Cb,DC=x`), foldDn(String.raw`CN=a\,b,DC=x`));
  t.equal(foldDn(String.raw`CN=\c3\84,DC=x`), foldDn('CN=ä,DC=x'));
  t.not(foldDn(String.raw`CN=a\,CN=b,DC=x`), foldDn('CN=a,CN=b,DC=x'));
  for (const wrong of ['CN', 'CN=a,,DC=b', '=a', String.raw`CN=a,DC=b\ `.trimEnd()])
    t.equal(foldDn(wrong), null, `${wrong} is none`);
  await t.test('every text survives as the value of an RDN', (t) => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), awkward), (text) => {
        const dn = `CN=${escapeDnValue(text)},DC=x`;
        return foldDn(dn) === foldDn(`CN=${[...Buffer.from(text.toWellFormed())].map(escaped).join('')},DC=x`);
      }),
      { verbose: true },
    );
    t.end();
  });
  t.equal(sidText(sidBytes(domainSid) ?? Buffer.alloc(0)), domainSid);
  for (const wrong of ['S-1-5', 'S-2-5-21', 'S-1-5-4294967296', 'x']) t.equal(sidBytes(wrong), null, wrong);
});

await t.test('an index changes the cost of a search, never its answer', async (t) => {
  const store = createStore();
  store.add({ dn: suffix, attributes: { objectClass: ['top', 'domainDNS'] } }, true);
  const size = 2000;
  for (let rid = 0; rid < size; rid += 1) {
    const altSecurityIdentities = [`X509:<SKI>${rid}`, `X509:<SKI>${rid % 7}`];
    store.add(adUser({ ...place, rid: 1000 + rid, name: `u${rid}`, altSecurityIdentities }));
  }
  const base = store.find(suffix);
  if (base === null || base === 'invalid') throw new Error('no base');
  const equal = (attribute: string, value: string): Filter => ({
    kind: 'equal',
    attribute,
    key: keyOf(attribute, Buffer.from(value)) ?? '',
  });
  const cost = (filter: Filter) => {
    const before = store.tried;
    store.search(base, 'subtree', filter);
    return store.tried - before;
  };
  t.equal(cost(equal('altsecurityidentities', 'X509:<SKI>1234')), 1, 'one value tries one object');
  const many = Array.from({ length: 32 }, (_, index) => equal('altsecurityidentities', `X509:<SKI>${index + 100}`));
  t.equal(cost({ kind: 'or', parts: many }), 32, 'an OR of 32 tries 32');
  t.equal(cost({ kind: 'and', parts: [equal('objectclass', 'user'), equal('cn', 'u5')] }), 1, 'an AND tries one side');
  store.replace(`CN=u9,CN=Users,${suffix}`, 'mail', ['a@b']);
  store.replace(`CN=u9,CN=Users,${suffix}`, 'mail', ['c@d']);
  t.strictSame([cost(equal('mail', 'a@b')), cost(equal('mail', 'c@d'))], [0, 1], 'an old value is forgotten');
  t.ok(cost(equal('objectclass', 'user')) >= size, 'what has no index tries everything');

  const leaf = fc.oneof(
    fc.integer({ min: 0, max: 9 }).map((n) => equal('altsecurityidentities', `X509:<SKI>${n}`)),
    fc.integer({ min: 0, max: 9 }).map((n) => equal('cn', `u${n}`)),
    fc.constant<Filter>({ kind: 'undefined' }),
    fc.constant<Filter>({ kind: 'present', attribute: 'mail' }),
  );
  const { filter: anyFilter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.record({ kind: fc.constantFrom('and', 'or'), parts: fc.array(tie('filter'), { maxLength: 3 }) }),
      fc.record({ kind: fc.constant('not'), part: tie('filter') }),
    ),
  }));
  const all = store.search(base, 'subtree', { kind: 'present', attribute: 'objectclass' });
  fc.assert(
    fc.property(anyFilter, (filter) => {
      const naive = all.filter(
        (entry) =>
          evaluate(filter, (name) => entry.attributes.get(name)?.values.map((value) => keyOf(name, value) ?? '')) ===
          true,
      );
      const found = store.search(base, 'subtree', filter);
      return new Set(found).size === found.length && found.length === naive.length;
    }),
    { numRuns: 60, verbose: true },
  );
});

await t.test('limits of an answer', async (t) => {
  const crowd = Array.from({ length: 25 }, (_, index) =>
    adUser({ ...place, rid: 2000 + index, name: `crowd${index}` }),
  );
  const server = await start(t, { entries: crowd, maxPageSize: 10 });
  const client = await bound(t, server);
  const crowdFilter = encode(0xa4, encode(0x04, 'cn'), encode(0x30, encode(0x80, 'crowd')));
  const entries = (text: string) => text.split(' ').filter((message) => message.endsWith('/64')).length;

  await t.test('more than MaxPageSize objects end with sizeLimitExceeded and the first page', async (t) => {
    const octets = Buffer.concat([bindMessage(1), searchMessage(2, suffix, 2, crowdFilter), unbindMessage]);
    const text = outline(await exchange(t, server, octets));
    t.equal(entries(text), 10);
    t.match(text, / 2\/65:4$/);
  });
  await t.test('the size limit of the request is kept', async (t) => {
    const { searchEntries } = await client.search(suffix, { filter: '(cn=crowd*)', sizeLimit: 3 });
    t.equal(searchEntries.length, 3);
  });
  await t.test('paging brings everything once, and pages are at most MaxPageSize', async (t) => {
    const before = server.searches;
    const { searchEntries } = await client.search(suffix, { filter: '(cn=crowd*)', paged: { pageSize: 500 } });
    t.equal(new Set(searchEntries.map(({ dn }) => dn)).size, 25);
    t.equal(server.searches - before, 3);
    const paged = await client.search(suffix, { filter: '(cn=crowd*)', paged: true });
    t.equal(paged.searchReferences.length, 1, 'the reference comes with the last page alone');
  });
  await t.test('a size limit ends a paged search too', async (t) => {
    const limited = Buffer.from(searchMessage(2, suffix, 2, crowdFilter, paging(4, '')));
    limited[limited.indexOf(Buffer.from([0x0a, 1, 0, 2, 1, 0])) + 5] = 3;
    const octets = Buffer.concat([bindMessage(1), limited, unbindMessage]);
    const text = outline(await exchange(t, server, octets));
    t.equal(entries(text), 3);
    t.match(text, / 2\/65:4$/);
  });
  await t.test('an unknown, used or forgotten cookie is refused', async (t) => {
    const first = Array.from({ length: 11 }, (_, index) =>
      searchMessage(10 + index, suffix, 2, crowdFilter, paging(2, '')),
    );
    const octets = Buffer.concat([
      bindMessage(1),
      searchMessage(2, suffix, 2, crowdFilter, paging(2, 'made up')),
      ...first,
      searchMessage(30, suffix, 2, crowdFilter, paging(2, '10.2')), // pushed out by the eleventh
      searchMessage(31, suffix, 2, crowdFilter, paging(2, '11.2')),
      searchMessage(32, suffix, 2, crowdFilter, paging(2, '11.2')), // used
      searchMessage(33, suffix, 2, crowdFilter, paging(0, '12.2')), // ends it
      searchMessage(34, suffix, 2, crowdFilter, paging(2, '12.2')),
      unbindMessage,
    ]);
    const answered = outline(await exchange(t, server, octets));
    const results = answered.match(/\d+\/65:\d+/g);
    t.notMatch(answered, /33\/64/, 'a page of size 0 is empty');
    t.equal(results?.[0], '2/65:53');
    t.strictSame(results?.slice(-5), ['30/65:53', '31/65:0', '32/65:53', '33/65:0', '34/65:53']);
  });
  await t.test('a critical control that is not known is refused, another is ignored', async (t) => {
    const octets = Buffer.concat([
      bindMessage(1),
      searchMessage(2, suffix, 0, present, control('1.2.3.4', Buffer.alloc(0), true)),
      searchMessage(3, suffix, 0, present, control('1.2.3.4', Buffer.alloc(0))),
      unbindMessage,
    ]);
    t.equal(outline(await exchange(t, server, octets)), '1/61:0 2/65:12 3/64 3/65:0');
  });
});

await t.test('what an object shows', async (t) => {
  const now = Date.parse('2026-11-22T12:00:00Z');
  const server = await start(t, { valueRange: 4, now: () => now });
  const client = await bound(t, server);
  const alice = `CN=alice,CN=Users,${suffix}`;
  const show = async (attributes: string[], dn = alice, more = {}) =>
    (await client.search(dn, { scope: 'base', attributes, ...more })).searchEntries[0] ?? { dn: 'none' };

  await t.test('attributes asked for, whatever their case, in the spelling of the schema', async (t) => {
    t.strictSame(await show(['samaccountname', 'nosuch']), { dn: alice, sAMAccountName: 'alice', nosuch: [] });
    t.strictSame(await show(['1.1']), { dn: alice, '1.1': [] });
  });
  await t.test('all of them without the computed ones', async (t) => {
    for (const attributes of [[], ['*']]) {
      const shown = Object.keys(await show(attributes));
      t.ok(['objectSid', 'objectGUID', 'altSecurityIdentities', 'memberOf'].every((name) => shown.includes(name)));
      t.notOk(shown.some((name) => /tokenGroups|Computed|PrincipalName$/.test(name) && name !== 'userPrincipalName'));
    }
  });
  await t.test('types only', async (t) => {
    t.strictSame(await show(['cn', 'memberOf'], alice, { returnAttributeValues: false }), {
      dn: alice,
      cn: [],
      memberOf: [],
    });
  });
  await t.test('the binary option comes back in the name', async (t) => {
    const dn = `CN=NTAuthCertificates,CN=Public Key Services,CN=Services,${configuration}`;
    t.match(await show(['cACertificate;binary'], dn), { 'cACertificate;binary': authority.der });
    t.match(await show(['cACertificate'], dn), { cACertificate: authority.der });
  });
  await t.test('more values than MaxValRange come by ranges', async (t) => {
    const values = Array.from({ length: 10 }, (_, index) => `X509:<SKI>${index}`);
    server.replace(alice, 'altSecurityIdentities', values);
    const name = 'altSecurityIdentities';
    t.strictSame(await show([name]), { dn: alice, [name]: [], [`${name};range=0-3`]: values.slice(0, 4) });
    t.match(await show(['*']), { [name]: [] }, 'the plain name is there too, empty');
    t.ok(Object.hasOwn(await show(['*']), name));
    t.match(await show([`${name};range=4-*`]), { [`${name};range=4-7`]: values.slice(4, 8) });
    t.match(await show([`${name};Range=8-*`]), { [`${name};range=8-*`]: values.slice(8) });
    t.match(await show([`${name};range=1-2`]), { [`${name};range=1-2`]: values.slice(1, 3) });
    t.notOk(
      Object.keys(await show([`${name};range=10-*`])).some(
        (shown) => /range=\d+-\*/.test(shown) && !shown.includes('10'),
      ),
    );
  });
  await t.test('tokenGroups is the closure of memberships, and only for one object', async (t) => {
    const { tokenGroups } = await show(['tokenGroups']);
    const sids = (Array.isArray(tokenGroups) ? tokenGroups : []).map((sid) => sidText(Buffer.from(sid)));
    t.strictSame(
      sorted(sids),
      [1100, 1101, 513].map((rid) => `${domainSid}-${rid}`),
    );
    t.match(await failure(client.search(suffix, { filter: '(cn=alice)', attributes: ['tokenGroups'] })), /^1 /);
    server.replace(`CN=Everyone Paid,CN=Users,${suffix}`, 'member', [alice, `CN=Payroll,CN=Users,${suffix}`]);
    server.replace(`CN=Payroll,CN=Users,${suffix}`, 'member', [`CN=Everyone Paid,CN=Users,${suffix}`]);
    const after = (await show(['tokenGroups'])).tokenGroups;
    t.equal(Array.isArray(after) ? after.length : 0, 3, 'also where groups contain each other');
  });
  await t.test('msDS-PrincipalName is DOMAIN\\name', async (t) => {
    t.match(await show(['msDS-PrincipalName']), { 'msDS-PrincipalName': String.raw`LAB\alice` });
  });
  await t.test('a lockout ends with the lockout duration', async (t) => {
    const computed = 'msDS-User-Account-Control-Computed';
    const locked = async () => (await show([computed]))[computed];
    t.equal(await locked(), '0');
    server.replace(alice, 'lockoutTime', [fileTime(new Date(now - 29 * 60_000))]);
    t.equal(await locked(), '16');
    server.replace(alice, 'lockoutTime', [fileTime(new Date(now - 31 * 60_000))]);
    t.equal(await locked(), '0');
    server.replace(suffix, 'lockoutDuration', ['0']);
    t.equal(await locked(), '16', 'a duration that is not negative lasts until an administrator ends it');
    server.replace(alice, 'userAccountControl', ['4096']);
    t.equal(await locked(), '0', 'accounts of computers are not locked out');
  });
});

await t.test('the builders make whole accounts', (t) => {
  const expires = new Date('2030-01-01T00:00:00Z');
  const user = adUser({ ...place, rid: 9, name: 'eve', locked: true, disabled: true, accountExpires: expires });
  t.match(user.attributes, {
    userAccountControl: ['514'],
    'msDS-User-Account-Control-Computed': ['16'],
    accountExpires: [fileTime(expires)],
    userPrincipalName: ['eve@lab.example.test'],
    whenCreated: ['20200101000000.0Z'],
    primaryGroupID: ['513'],
  });
  t.equal(fileTime(new Date('2026-01-01T00:00:00Z')), '134116992000000000');
  t.match(adComputer({ ...place, rid: 10, name: 'Web' }).attributes, {
    sAMAccountName: ['WEB$'],
    dNSHostName: ['web.lab.example.test'],
    servicePrincipalName: ['HOST/WEB', 'HOST/web.lab.example.test'],
    primaryGroupID: ['515'],
    userPrincipalName: [],
  });
  t.strictSame(
    adUser({ ...place, rid: 9, name: 'eve', guid: '00112233445566778899aabbccddeeff' }).attributes['objectGUID'],
    [Buffer.from('00112233445566778899aabbccddeeff', 'hex')],
  );
  t.match(adUser({ ...place, rid: 9, name: 'eve', attributes: { mail: ['x@y'] } }).attributes, { mail: ['x@y'] });
  t.throws(() => adUser({ domain, domainSid: 'S-1', rid: 9, name: 'eve' }), { code: 'lab-directory-entry' });
  t.end();
});

await t.test('the tree', async (t) => {
  const server = await start(t, { upnSuffixes: ['example.test'] });
  const client = await bound(t, server);
  await t.test('the rootDSE may tell something else', async (t) => {
    const rootDse = { defaultNamingContext: ['DC=other'], configurationNamingContext: [] };
    const liar = await bound(t, await start(t, { rootDse }));
    const { searchEntries } = await liar.search('', { scope: 'base' });
    t.match(searchEntries, [{ defaultNamingContext: 'DC=other', isGlobalCatalogReady: 'TRUE' }]);
    t.notOk(Object.hasOwn(searchEntries[0] ?? {}, 'configurationNamingContext'));
  });
  await t.test('CN=Partitions names the domain and the suffixes of the forest', async (t) => {
    const { searchEntries } = await client.search(`CN=Partitions,${configuration}`, {
      filter: '(&(objectClass=crossRef)(systemFlags:1.2.840.113556.1.4.803:=2))',
      attributes: ['nETBIOSName', 'dnsRoot', 'nCName'],
    });
    t.match(searchEntries, [{ nETBIOSName: 'LAB', dnsRoot: domain, nCName: suffix }]);
    const { searchEntries: container } = await client.search(`CN=Partitions,${configuration}`, {
      scope: 'base',
      attributes: ['uPNSuffixes'],
    });
    t.match(container, [{ uPNSuffixes: 'example.test' }]);
  });
  await t.test('NTAuthCertificates holds what it was given, and is absent without', async (t) => {
    const dn = `CN=NTAuthCertificates,CN=Public Key Services,CN=Services,${configuration}`;
    const { searchEntries } = await client.search(dn, { scope: 'base', attributes: ['cACertificate'] });
    t.match(searchEntries, [{ cACertificate: authority.der }]);
    const without = await bound(t, await start(t, { ntAuth: null }));
    t.match(await failure(without.search(dn, { scope: 'base' })), /^32 .*best match of:\n\t'CN=Public Key Services/);
    const empty = await bound(t, await start(t, { ntAuth: [] }));
    t.match((await empty.search(dn, { scope: 'base', attributes: ['cACertificate'] })).searchEntries, [
      { cACertificate: [] },
    ]);
  });
  await t.test('a search of the domain refers to the configuration and does not enter it', async (t) => {
    const filter = '(objectClass=crossRef)';
    const { searchEntries, searchReferences } = await client.search(suffix, { filter });
    t.strictSame([searchEntries.length, searchReferences], [0, [`ldap://${domain}/${configuration}`]]);
    const scope = new Control('1.2.840.113556.1.4.1339', { critical: true });
    t.strictSame((await client.search(suffix, { filter }, [scope])).searchReferences, [], 'unless told not to');
    const users = await client.search(`CN=Users,${suffix}`, { filter });
    t.strictSame(users.searchReferences, [], 'below a container there is none');
    const one = await client.search(suffix, { filter: '(cn=*)', scope: 'one', attributes: ['cn'] });
    t.strictSame(sorted(one.searchEntries.map(({ cn }) => cn)), ['Computers', 'Users'], 'one level');
    t.equal(one.searchReferences.length, 1);
  });
  await t.test('names that do not exist', async (t) => {
    const base = async (dn: string) => await failure(client.search(dn, { scope: 'base' }));
    t.match(await base(`CN=nobody,CN=Users,${suffix}`), /^32 .*best match of:\n\t'CN=Users,DC=lab/);
    t.match(await base('DC=other,DC=test'), /^10 0000202B: RefErr.*ref 1: 'other\.test'/s);
    t.match(await base('no name'), /^34 /);
    t.match(await base('<SID=S-1-5-21-9-9-9-9>'), /^32 /);
    t.match(await base('<GUID=xyz>'), /^34 /);
    t.match(await failure(client.search('', { filter: '(cn=alice)' })), /^32 /);
  });
  await t.test('a base may be given by SID or GUID', async (t) => {
    const name = async (base: string) => (await client.search(base, { scope: 'base' })).searchEntries[0]?.['cn'];
    t.equal(await name(`<SID=${domainSid}-1002>`), 'bob');
    t.equal(await name(`<SID=${sidBytes(`${domainSid}-1002`)?.toString('hex') ?? ''}>`), 'bob');
    const hex = Buffer.from(people[1]?.attributes['objectGUID']?.[0] ?? '').toString('hex');
    t.equal(await name(`<GUID=${hex}>`), 'bob');
    const pieces = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16)].map((piece) =>
      Buffer.from(piece, 'hex').reverse().toString('hex'),
    );
    t.equal(await name(`<GUID=${[...pieces, hex.slice(16, 20), hex.slice(20)].join('-')}>`), 'bob');
  });
  await t.test('a global catalog has the whole forest, partial attributes, no references', async (t) => {
    const catalog = await bound(t, await start(t, { globalCatalog: true }));
    t.equal(await names(catalog, '(|(cn=alice)(nETBIOSName=LAB))', ''), 'LAB | alice');
    const { searchEntries, searchReferences } = await catalog.search(suffix, {
      filter: '(cn=alice)',
      attributes: ['altSecurityIdentities', 'accountExpires', 'msDS-User-Account-Control-Computed'],
    });
    t.strictSame(searchEntries, [
      {
        dn: `CN=alice,CN=Users,${suffix}`,
        altSecurityIdentities: 'X509:<SKI>aa',
        accountExpires: [],
        'msDS-User-Account-Control-Computed': [],
      },
    ]);
    t.strictSame(searchReferences, []);
    t.equal(await names(catalog, '(accountExpires=*)', ''), '', 'nor filters on what it does not hold');
    const top = await catalog.search('', { scope: 'one', filter: '(objectClass=*)' });
    t.strictSame(
      top.searchEntries.map(({ dn }) => dn),
      [suffix],
    );
  });
  await t.test('objects come, change and go while it runs', async (t) => {
    const dn = `CN=zoe,OU=New,OU=Staff,${suffix}`;
    server.add(adUser({ ...place, rid: 1500, name: 'zoe', container: `OU=New,OU=Staff,${suffix}` }));
    t.equal(await names(client, '(sAMAccountName=zoe)'), 'zoe');
    server.replace(dn, 'sAMAccountName', ['zoe2']);
    t.equal(await names(client, '(sAMAccountName=zoe)'), '');
    t.equal(await names(client, '(sAMAccountName=zoe2)'), 'zoe');
    server.replace(dn, 'userPrincipalName', []);
    t.equal(await names(client, '(&(cn=zoe)(userPrincipalName=*))'), '');
    t.throws(() => server.add({ dn: dn.toUpperCase(), attributes: {} }), { code: 'lab-directory-entry' });
    server.remove(`OU=Staff,${suffix}`);
    t.equal(await names(client, '(|(sAMAccountName=zoe2)(sAMAccountName=dave, jr))'), '', 'with everything below');
    t.throws(() => server.remove(dn), { code: 'lab-directory-entry' });
    t.throws(() => server.replace(dn, 'cn', ['x']), Failure);
    t.throws(() => server.add({ dn: 'CN=x,DC=elsewhere', attributes: {} }), { code: 'lab-directory-entry' });
    t.throws(() => server.add({ dn: 'no name', attributes: {} }), { code: 'lab-directory-entry' });
  });
});

await t.test('changes are numbered', async (t) => {
  const now = Date.UTC(2026, 10, 22, 17, 0, 0);
  const alice = `CN=alice,CN=Users,${suffix}`;
  const deleted = new Control('1.2.840.113556.1.4.417', { critical: true });
  async function begin(t: LabTest) {
    const server = await start(t, { now: () => now });
    const client = await bound(t, server);
    const show = async (base: string, attributes: string[], controls: Control[] = []) =>
      (await client.search(base, { scope: 'base', attributes, explicitBufferAttributes: ['invocationId'] }, controls))
        .searchEntries[0] ?? { dn: 'none' };
    const usn = async (dn: string) => Number((await show(dn, ['uSNChanged']))['uSNChanged']);
    const highest = async () => Number((await show('', ['highestCommittedUSN']))['highestCommittedUSN']);
    return { server, client, show, usn, highest };
  }
  await t.test('every change moves the number of its object and the highest', async (t) => {
    const { server, usn, highest, show } = await begin(t);
    const bob = `CN=bob,CN=Users,${suffix}`;
    const before = [await usn(alice), await usn(bob), await highest()] as const;
    t.equal(new Set(before).size, 3);
    const changes: readonly (() => void)[] = [
      () => server.replace(alice, 'mail', ['new@mail.example.test']),
      () => server.replace(alice, 'mail', []),
      () => server.add(adUser({ ...place, rid: 1200, name: 'zoe' })),
      () => server.move(alice, `CN=alice,OU=Staff,${suffix}`),
      () => server.delete(`CN=zoe,CN=Users,${suffix}`),
      () => server.remove(`CN=web01,CN=Computers,${suffix}`),
    ];
    for (const [index, change] of changes.entries()) {
      const last = await highest();
      change();
      t.ok((await highest()) > last, `change ${index}`);
      t.equal(server.highestCommittedUsn, await highest());
    }
    t.equal(await usn(bob), before[1], 'and no other');
    t.ok((await usn(`CN=alice,OU=Staff,${suffix}`)) > before[2]);
    t.match(await show(`CN=alice,OU=Staff,${suffix}`, ['whenChanged']), { whenChanged: '20261122170000.0Z' });
  });
  await t.test('what changed since a number is found by it', async (t) => {
    const { server, client, highest } = await begin(t);
    const since = (await highest()) + 1;
    t.equal(await names(client, `(uSNChanged>=${since})`), '');
    server.replace(alice, 'mail', ['new@mail.example.test']);
    server.replace(`CN=Payroll,CN=Users,${suffix}`, 'member', []);
    t.equal(await names(client, `(uSNChanged>=${since})`), 'Payroll | alice');
    t.equal(await names(client, `(&(uSNChanged>=${since + 1})(objectClass=group))`), 'Payroll');
  });
  await t.test('a number may be given', async (t) => {
    const { server, usn, highest } = await begin(t);
    server.replace(alice, 'uSNChanged', ['9007199254740000']);
    t.strictSame([await usn(alice), await highest()], [9007199254740000, 9007199254740000]);
    const attributes = { objectClass: ['container'], uSNChanged: ['5'], whenChanged: ['20200101000000.0Z'] };
    server.add({ dn: `CN=old,${suffix}`, attributes });
    t.equal(await usn(`CN=old,${suffix}`), 5);
    t.equal(await highest(), 9007199254740001);
  });
  await t.test('dsServiceName leads to the invocation', async (t) => {
    const { server, show } = await begin(t);
    const settings = String((await show('', ['dsServiceName']))['dsServiceName']);
    const read = await show(settings, ['objectClass', 'invocationId']);
    t.strictSame(read['invocationId'], server.invocationId);
    t.equal(server.invocationId.length, 16);
    t.ok((read['objectClass'] as string[]).includes('nTDSDSA'));
  });
  await t.test('a tombstone is found by those alone who ask for it and may', async (t) => {
    const { server, client } = await begin(t);
    const sid = `(objectSid=${domainSid}-1001)`;
    const since = server.highestCommittedUsn + 1;
    server.delete(alice);
    t.equal(await names(client, sid), '');
    t.match(await failure(client.search(alice, { scope: 'base' })), /^32 /);
    t.match(await failure(client.search(`<SID=${domainSid}-1001>`, { scope: 'base' })), /^32 /);
    server.faults.deletedObjects = true;
    const filter = `(&(isDeleted=TRUE)(uSNChanged>=${since}))`;
    const attributes = ['sAMAccountName', 'isDeleted', 'altSecurityIdentities', 'lastKnownParent', 'cn'];
    const found = (await client.search(suffix, { filter, attributes }, [deleted])).searchEntries;
    t.match(found, [
      {
        dn: /^CN=alice\\0ADEL:[0-9a-f]{32},CN=Deleted Objects,DC=lab/,
        sAMAccountName: 'alice',
        isDeleted: 'TRUE',
        altSecurityIdentities: [],
        lastKnownParent: `CN=Users,${suffix}`,
        cn: /^alice\nDEL:/,
      },
    ]);
    t.equal((await client.search(found[0]?.dn ?? '', { scope: 'base' }, [deleted])).searchEntries.length, 1);
    server.faults.deletedObjects = false;
    t.strictSame((await client.search(suffix, { filter, attributes }, [deleted])).searchEntries, []);
    const { searchEntries } = await client.search(`CN=Payroll,CN=Users,${suffix}`, { scope: 'base' });
    t.notOk(Object.hasOwn(searchEntries[0] ?? {}, 'member'), 'and its groups forget it');
    t.throws(() => server.delete(alice), { code: 'lab-directory-entry' });
    server.add(adUser({ ...place, rid: 1300, name: 'alice' }));
    server.delete(`CN=Users,${suffix}`);
    t.equal(await names(client, '(cn=bob)'), '', 'what is below goes too');
  });
  await t.test('groups and what is below follow an object that is moved', async (t) => {
    const { server, client, usn } = await begin(t);
    const group = await usn(`CN=Payroll,CN=Users,${suffix}`);
    server.move(alice, String.raw`CN=Alice\, B.,OU=Staff,${suffix}`);
    t.equal(await names(client, '(cn=alice)'), '');
    t.equal(await names(client, '(name=Alice, B.)'), 'Alice, B.');
    const paid = String.raw`(memberOf=CN=Payroll,CN=Users,${suffix})`;
    t.equal(await names(client, paid), 'Alice, B.');
    t.equal(await usn(`CN=Payroll,CN=Users,${suffix}`), group, 'which is no change of the group');
    server.move(`OU=Staff,${suffix}`, `OU=People,${suffix}`);
    t.equal(await names(client, paid, `OU=People,${suffix}`), 'Alice, B.');
    t.equal(await names(client, '(cn=dave, jr)', `OU=People,${suffix}`), 'dave, jr');
    t.equal((await client.search(suffix, { filter: '(ou=People)' })).searchEntries[0]?.dn, `OU=People,${suffix}`);
    const taken = `CN=bob,CN=Users,${suffix}`;
    t.throws(() => server.move(String.raw`CN=Alice\, B.,OU=People,${suffix}`, taken), { code: 'lab-directory-entry' });
    t.throws(() => server.move(alice, taken), { code: 'lab-directory-entry' });
  });
  await t.test('a restore brings the older state and another invocation', async (t) => {
    const { server, client, show, highest, usn } = await begin(t);
    const { invocationId } = server;
    const older = server.snapshot();
    const before = [await highest(), await usn(alice)];
    server.replace(alice, 'mail', ['new@mail.example.test']);
    server.delete(`CN=bob,CN=Users,${suffix}`);
    server.add(adUser({ ...place, rid: 1200, name: 'zoe' }));
    const ahead = await highest();
    server.restore(older);
    t.equal(await names(client, '(|(cn=alice)(cn=bob)(cn=zoe))'), 'alice | bob');
    t.match(await show(alice, ['mail']), { mail: 'Alice@mail.example.test' });
    t.equal(await usn(alice), before[1]);
    t.ok((await highest()) < ahead && (await highest()) >= (before[0] ?? 0));
    t.notSame(server.invocationId, invocationId);
    t.strictSame(
      (await show(String((await show('', ['dsServiceName']))['dsServiceName']), ['invocationId']))['invocationId'],
      server.invocationId,
    );
    const { searchReferences } = await client.search(suffix, { filter: '(cn=alice)' });
    t.equal(searchReferences.length, 1, 'naming contexts are as they were');
    server.restore(older);
    t.notSame(server.invocationId, invocationId, 'every time');
  });
});

await t.test('groups and states', async (t) => {
  const group = (rid: number, name: string, members: readonly string[], more = {}) =>
    adGroup({ ...place, rid, name, members: members.map((cn) => `CN=${cn},CN=Users,${suffix}`), ...more });
  const now = Date.UTC(2026, 10, 22);
  const hours = Buffer.alloc(21, 0xff);
  const server = await start(t, {
    now: () => now,
    entries: [
      adUser({ ...place, rid: 1001, name: 'alice', logonHours: hours }),
      adUser({ ...place, rid: 1002, name: 'bob', pwdLastSet: null }),
      adUser({ ...place, rid: 1003, name: 'carol', pwdLastSet: null, userAccountControl: 0x10200 }),
      adUser({ ...place, rid: 1004, name: 'dave', pwdLastSet: new Date(now - 86_400_000) }),
      group(1101, 'Inner', ['alice']),
      group(1102, 'Letters', ['alice'], { distribution: true }),
      group(1103, 'Readers', ['Letters']),
      group(1104, 'Local', ['Inner', 'Ring'], { scope: 'domainLocal' }),
      group(1105, 'Forest', ['Local'], { scope: 'universal' }),
      group(1106, 'Ring', ['Local']),
      group(513, 'Domain Users', []),
    ],
  });
  const client = await bound(t, server);
  const show = async (name: string, attribute: string) =>
    (
      await client.search(`CN=${name},CN=Users,${suffix}`, {
        scope: 'base',
        attributes: [attribute],
        explicitBufferAttributes: ['tokenGroups', 'tokenGroupsGlobalAndUniversal', 'logonHours'],
      })
    ).searchEntries[0]?.[attribute];
  const rids = async (attribute: string) =>
    ((await show('alice', attribute)) as Buffer[]).map((sid) => sid.readUInt32LE(24)).sort((a, b) => a - b);

  await t.test('groups that are not for security neither count nor lead on', async (t) => {
    t.strictSame(await rids('tokenGroups'), [513, 1101, 1104, 1105, 1106]);
  });
  await t.test('those of the forest alone on request', async (t) => {
    t.strictSame(await rids('tokenGroupsGlobalAndUniversal'), [513, 1101, 1105, 1106]);
  });
  await t.test('what the reader may not see is not there and cannot be asked for', async (t) => {
    server.faults.hidden = ['tokenGroups', 'mail', 'sAMAccountName'];
    t.strictSame(await show('alice', 'tokenGroups'), []);
    t.equal(await names(client, '(sAMAccountName=alice)'), '');
    t.equal(await names(client, '(!(sAMAccountName=alice))'), '');
    server.faults.hidden = [];
    t.equal((await rids('tokenGroups')).length, 5);
  });
  await t.test('an expired password shows in the computed attribute', async (t) => {
    const computed = async (name: string) => Number(await show(name, 'msDS-User-Account-Control-Computed'));
    t.strictSame(await Promise.all(['alice', 'bob', 'carol', 'dave'].map(computed)), [0, 0x800000, 0, 0]);
    server.replace(suffix, 'maxPwdAge', [String(-864_000_000_000n)]);
    t.equal(await computed('dave'), 0, 'a day old');
    server.replace(suffix, 'maxPwdAge', [String(-863_990_000_000n)]);
    t.equal(await computed('dave'), 0x800000, 'older than may be');
    server.replace(`CN=dave,CN=Users,${suffix}`, 'lockoutTime', [fileTime(new Date(now))]);
    t.equal(await computed('dave'), 0x800010, 'and locked out');
  });
  await t.test('logon hours are octets', async (t) => t.strictSame(await show('alice', 'logonHours'), hours));
});

await t.test('encryption and certificates', async (t) => {
  const badge = async (subject: string) => {
    const { cert, key, der } = await authority.issue({ subject });
    return { cert, key, print: hash('sha256', der, 'hex') };
  };
  const [alice, guest, stranger] = [await badge('CN=alice'), await badge('CN=guest'), await badge('CN=stranger')];
  const certificates = new Map([
    [alice.print, `CN=alice,CN=Users,${suffix}`],
    [guest.print, null],
  ]);
  const whoAmI = async (client: Client) => (await client.exop('1.3.6.1.4.1.4203.1.11.3')).value ?? '';
  const external = encode(
    0x30,
    encodeInteger(2),
    encode(0x60, encodeInteger(3), encode(0x04, ''), encode(0xa3, encode(0x04, 'EXTERNAL'))),
  );
  const startTlsMessage = encode(0x30, encodeInteger(1), encode(0x77, encode(0x80, '1.3.6.1.4.1.1466.20037')));
  const upgraded = async (t: LabTest, server: DirectoryServer, tls: { cert?: string; key?: string } = {}) => {
    const client = new Client({ url: server.url, timeout: 20_000 });
    t.teardown(() => client.unbind().catch(() => {}));
    await client.startTLS({ ca: authority.cert, host: '127.0.0.1', ...tls });
    return client;
  };
  await t.test('StartTLS makes a clear connection one that passwords may go over', async (t) => {
    const server = await start(t, { startTls: true });
    t.match(server.url, /^ldap:/);
    const clear = new Client({ url: server.url, timeout: 20_000 });
    t.teardown(() => clear.unbind().catch(() => {}));
    t.match(await failure(clear.bind(reader, password)), /^8 /);
    const client = await upgraded(t, server);
    await client.bind(reader, password);
    t.equal(await names(client, '(cn=alice)'), 'alice');
    t.match(await failure(client.exop('1.3.6.1.4.1.1466.20037')), /^1 /, 'once');
  });
  await t.test('it may be refused, and the connection stays clear', async (t) => {
    const server = await start(t, { startTls: true });
    for (const code of [2, 52, 53]) {
      server.faults.startTlsCode = code;
      t.match(await failure(upgraded(t, server)), new RegExp(`^${code} `));
    }
    const without = await start(t, { tls: null, startTls: true });
    t.match(await failure(upgraded(t, without)), /^52 /, 'for want of a certificate');
  });
  await t.test('octets that come along with the request do not come after it', async (t) => {
    const server = await start(t, { startTls: true });
    const socket = connectTcp(server.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(Buffer.concat([startTlsMessage, searchMessage(7, '', 0, present), unbindMessage]));
    await once(socket, 'close');
    t.match(outline(Buffer.concat(chunks)), /^1\/78:1 7\/64 7\/65:0$/, 'refused, and answered in clear');
  });
  await t.test('clear octets may be injected behind the answer', async (t) => {
    const server = await start(t, { startTls: true });
    server.faults.injection = searchMessage(9, 'CN=forged', 0, present);
    const socket = connectTcp(server.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    const held: Buffer[] = [];
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        held.push(chunk);
        if (Buffer.concat(held).includes('CN=forged')) resolve();
      });
      socket.write(startTlsMessage);
    });
    t.match(outline(Buffer.concat(held)), /^1\/78:0 9\/63$/);
  });
  await t.test('over LDAPS a certificate counts without a bind, and EXTERNAL is refused', async (t) => {
    const server = await start(t, { certificates });
    const say = async (tls: { cert?: string; key?: string }) => {
      const client = new Client({ url: server.url, tlsOptions: { ca: authority.cert, ...tls }, timeout: 20_000 });
      t.teardown(() => client.unbind().catch(() => {}));
      return await whoAmI(client);
    };
    t.strictSame(
      [await say(alice), await say(guest), await say(stranger), await say({})],
      ['u:LAB\\alice', '', '', ''],
    );
    const socket = connect({
      host: '127.0.0.1',
      port: server.port,
      ca: authority.cert,
      cert: alice.cert,
      key: alice.key,
    });
    t.teardown(() => socket.destroy());
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(
      Buffer.concat([
        searchMessage(1, suffix, 0, present),
        external,
        searchMessage(3, suffix, 0, present),
        unbindMessage,
      ]),
    );
    await once(socket, 'close');
    t.equal(outline(Buffer.concat(chunks)), '1/64 1/65:0 2/61:53 3/65:1');
  });
  await t.test('after StartTLS it counts by EXTERNAL', async (t) => {
    const server = await start(t, { startTls: true, certificates });
    const bind = async (tls: { cert?: string; key?: string }) => {
      const client = await upgraded(t, server, tls);
      const nobody = await whoAmI(client);
      const outcome = await failure(client.bind('EXTERNAL'));
      return [nobody, outcome.slice(0, 3), await whoAmI(client)];
    };
    t.strictSame(await bind(alice), ['', 'no ', 'u:LAB\\alice']);
    t.strictSame(await bind(guest), ['', 'no ', ''], 'as nobody where it stands for nobody');
    t.strictSame(await bind(stranger), ['', '49 ', '']);
    t.strictSame(await bind({}), ['', '49 ', '']);
    server.faults.refuseBind = true;
    t.strictSame(await bind(alice), ['', '49 ', '']);
  });
  await t.test('an account is named by its domain whichever name it bound by', async (t) => {
    const credentials = [`alice@${domain}`, 'LAB\\alice', `CN=alice,CN=Users,${suffix}`];
    const server = await start(t, { bind: credentials.map((dn) => ({ dn, password })) });
    for (const name of credentials) {
      const client = connectClient(t, server);
      await client.bind(name, password);
      t.equal(await whoAmI(client), 'u:LAB\\alice', name);
    }
  });
  await t.test('the rootDSE says what there is', async (t) => {
    const client = connectClient(t, await start(t));
    const { searchEntries } = await client.search('', { scope: 'base' });
    const [found = { dn: '' }] = searchEntries;
    t.ok(String(found['supportedControl']).includes('1.2.840.113556.1.4.1339'));
    t.strictSame(found['supportedExtension'], ['1.3.6.1.4.1.1466.20037', '1.3.6.1.4.1.4203.1.11.3']);
    t.equal(found['supportedSASLMechanisms'], 'EXTERNAL');
  });
});

await t.test('requests under way', async (t) => {
  const server = await start(t);
  await t.test('an abandoned search is not answered, the others are', async (t) => {
    server.faults.hold = true;
    const socket = await connectRaw(t, server);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const wanted = server.searches + 2;
    socket.write(
      Buffer.concat([
        bindMessage(1),
        searchMessage(2, suffix, 0, present),
        searchMessage(3, suffix, 0, present),
        encode(0x30, encodeInteger(4), encodeInteger(2, 0x50)),
      ]),
    );
    await server.reached(wanted);
    // The whoami behind the abandon is answered when the abandon has been taken.
    socket.write(encode(0x30, encodeInteger(5), encode(0x77, encode(0x80, '1.3.6.1.4.1.4203.1.11.3'))));
    while (!outline(Buffer.concat(chunks)).includes('5/78')) await once(socket, 'data');
    server.faults.hold = false;
    socket.write(unbindMessage);
    await once(socket, 'close');
    t.equal(outline(Buffer.concat(chunks)), '1/61:0 5/78:0 3/64 3/65:0');
  });
  await t.test('more than a thousand are busy', async (t) => {
    server.faults.hold = true;
    const first = server.searches;
    const socket = await connectRaw(t, server);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const many = Array.from({ length: 1001 }, (_, index) => searchMessage(2 + index, suffix, 0, present));
    socket.write(Buffer.concat([bindMessage(1), ...many]));
    await server.reached(first + 1001);
    server.faults.hold = false;
    socket.write(unbindMessage);
    await once(socket, 'close');
    const text = outline(Buffer.concat(chunks));
    t.match(text, /^1\/61:0 1002\/65:51 2\/64 2\/65:0 /);
    t.equal(text.match(/65:0/g)?.length, 1000);
  });
  await t.test('a peer that does not read is not served further', async (t) => {
    const crowd = Array.from({ length: 1000 }, (_, index) =>
      adUser({ ...place, rid: 3000 + index, name: `c${index}` }),
    );
    const large = await start(t, { entries: crowd });
    const socket = await connectRaw(t, large);
    socket.pause();
    const all = encode(0xa4, encode(0x04, 'cn'), encode(0x30, encode(0x80, 'c')));
    const many = Array.from({ length: 100 }, (_, index) => searchMessage(2 + index, suffix, 2, all));
    socket.write(Buffer.concat([bindMessage(1), ...many, unbindMessage]));
    await large.reached(1);
    t.ok(large.searches < 50, `${large.searches} searches answered into nothing`);
    let octets = 0;
    socket.on('data', (chunk: Buffer) => (octets += chunk.length));
    socket.resume();
    await once(socket, 'close');
    t.equal(large.searches, 100, 'all are served once it reads');
    t.ok(octets > 100 * 1000 * 50);
  });
  await t.test('writes are unwillingToPerform', async (t) => {
    const octets = [0x66, 0x68, 0x4a, 0x6c, 0x6e].map((tag, index) =>
      encode(0x30, encodeInteger(2 + index), encode(tag, encode(0x04, suffix))),
    );
    const text = outline(await exchange(t, server, Buffer.concat([bindMessage(1), ...octets, unbindMessage])));
    t.equal(text, '1/61:0 2/67:53 3/69:53 4/6b:53 5/6d:53 6/6f:53');
  });
  await t.test('after an unbind nothing is answered', async (t) => {
    const octets = Buffer.concat([bindMessage(1), unbindMessage, searchMessage(2, suffix, 0, present)]);
    const before = server.searches;
    t.equal(outline(await exchange(t, server, octets)), '1/61:0');
    t.equal(server.searches, before, 'nor counted');
  });
});

await t.test('hostile octets end the connection, never the server', async (t) => {
  const server = await start(t);
  const search = searchMessage(2, suffix, 2, present);
  let deep = present;
  for (let level = 0; level < 65; level += 1) deep = encode(0xa2, deep);
  const wide = encode(0xa1, ...Array.from({ length: 1024 }, () => present));
  const pair = (value: Buffer) => encode(0xa3, encode(0x04, 'cn'), value);
  const cases: readonly (readonly [what: string, octets: Buffer])[] = [
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['an indefinite length', Buffer.from([0x30, 0x80, 0, 0])],
    ['a length of five octets', Buffer.from([0x30, 0x85, 0, 0, 0, 0, 1])],
    ['a message longer than a mebibyte', Buffer.from([0x30, 0x84, 0, 0x10, 0, 1])],
    ['a message of four gibibytes', Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])],
    ['a high tag number', encode(0x30, encodeInteger(1), Buffer.from([0x7f, 0x81, 1, 0]))],
    ['an empty message', encode(0x30)],
    ['no operation', encode(0x30, encodeInteger(1))],
    ['a negative message id', encode(0x30, encodeInteger(-1), encode(0x42))],
    ['a request with message id 0', searchMessage(0, suffix, 0, present)],
    ['a message id of five octets', encode(0x30, encode(0x02, Buffer.alloc(5, 1)), encode(0x42))],
    ['an unknown operation', encode(0x30, encodeInteger(1), encode(0x7e))],
    ['an LDAP 2 bind', encode(0x30, encodeInteger(1), encode(0x60, encodeInteger(2), encode(0x04), encode(0x80)))],
    ['a bind without credentials', encode(0x30, encodeInteger(1), encode(0x60, encodeInteger(3), encode(0x04)))],
    ['a child longer than its parent', encode(0x30, encodeInteger(1), Buffer.from([0x63, 0x05, 0x04, 0x09, 1]))],
    ['a truncated search', encode(0x30, encodeInteger(1), encode(0x63, encode(0x04)))],
    ['an unknown scope', searchMessage(1, suffix, 3, present)],
    ['an unknown filter choice', searchMessage(1, suffix, 0, encode(0xaa))],
    ['a not filter of two parts', searchMessage(1, suffix, 0, encode(0xa2, present, present))],
    ['a not filter of none', searchMessage(1, suffix, 0, encode(0xa2))],
    ['an assertion without value', searchMessage(1, suffix, 0, encode(0xa3, encode(0x04, 'cn')))],
    ['an assertion of another type', searchMessage(1, suffix, 0, pair(encodeInteger(1)))],
    ['substrings without a piece', searchMessage(1, suffix, 0, encode(0xa4, encode(0x04, 'cn'), encode(0x30)))],
    [
      'an initial substring that is not first',
      searchMessage(1, suffix, 0, encode(0xa4, encode(0x04, 'cn'), encode(0x30, encode(0x81, 'a'), encode(0x80, 'b')))),
    ],
    [
      'an unknown kind of substring',
      searchMessage(1, suffix, 0, encode(0xa4, encode(0x04, 'cn'), encode(0x30, encode(0x83, 'a')))),
    ],
    ['an extensible match without value', searchMessage(1, suffix, 0, encode(0xa9, encode(0x82, 'cn')))],
    ['something else where controls belong', searchMessage(1, suffix, 0, present, encode(0xa1))],
    [
      'a paging control without value',
      searchMessage(1, suffix, 0, present, control('1.2.840.113556.1.4.319', Buffer.alloc(0))),
    ],
  ];
  for (const [what, octets] of cases)
    await t.test(`${what} is answered by a notice of disconnection`, async (t) => {
      const answer = await exchange(t, server, Buffer.concat([bindMessage(9), octets]));
      t.match(outline(answer), /(?:^| )0\/78:2$/);
      t.ok(answer.includes('1.3.6.1.4.1.1466.20036'));
    });
  await t.test('a negative size limit too', async (t) => {
    const octets = Buffer.from(searchMessage(2, suffix, 0, present));
    octets[octets.indexOf(Buffer.from([0x0a, 1, 0, 2, 1, 0])) + 5] = 0xff;
    t.match(outline(await exchange(t, server, octets)), /^0\/78:2$/);
  });
  for (const [what, filter] of [
    ['too deep', deep],
    ['too large', wide],
  ] as const)
    await t.test(`a filter that is ${what} is adminLimitExceeded`, async (t) => {
      const octets = Buffer.concat([bindMessage(1), searchMessage(2, suffix, 2, filter), unbindMessage]);
      t.equal(outline(await exchange(t, server, octets)), '1/61:0 2/65:11');
    });
  await t.test('filters just within the limits are answered', async (t) => {
    const { content } = elementsOf(deep)[0] ?? { content: Buffer.alloc(0) };
    const { content: inner } = elementsOf(content)[0] ?? { content: Buffer.alloc(0) };
    const octets = Buffer.concat([
      bindMessage(1),
      searchMessage(2, suffix, 0, inner),
      searchMessage(3, suffix, 0, encode(0xa1, ...Array.from({ length: 1023 }, () => present))),
      unbindMessage,
    ]);
    t.equal(outline(await exchange(t, server, octets)), '1/61:0 2/65:0 3/64 3/65:0');
  });
  await t.test('what is not BER as LDAP restricts it is malformed', (t) => {
    for (const octets of [[0x1f, 1, 0], [0x30, 0x80, 0, 0], [0x30, 0x85, 0, 0, 0, 0, 0], [0x30], [0x30, 0x82, 1]])
      t.throws(() => elementsOf(Buffer.from(octets)), { code: 'ldap-malformed' });
    for (const length of [0, 5])
      t.throws(() => integerOf({ tag: 2, content: Buffer.alloc(length) }), { code: 'ldap-malformed' });
    for (const value of [0, 1, 127, 128, 255, 256, -1, -128, -129, 65_535, 2 ** 31 - 1, -(2 ** 31)]) {
      const encoded = encodeInteger(value);
      t.equal(integerOf(elementsOf(encoded)[0] ?? { tag: 0, content: encoded }), value);
    }
    t.equal(encodeInteger(127).length, 3, 'in as few octets as can be');
    t.end();
  });
  await t.test('messages may come octet by octet', async (t) => {
    const octets = Buffer.concat([bindMessage(1), search, unbindMessage]);
    const stream = createMessageReader(1000);
    const whole = [...octets].flatMap((octet) => stream.read(Buffer.from([octet])));
    t.strictSame(Buffer.concat(whole), octets);
    t.equal(whole.length, 3);
    t.throws(() => createMessageReader(10).read(octets), { code: 'ldap-malformed' });
  });
  await t.test('random damage never ends the server', async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }), async (damage) => {
        const octets = Buffer.concat([bindMessage(1), search, searchMessage(3, suffix, 2, deep.subarray(0, 40))]);
        for (const [at, octet] of damage) octets[at % octets.length] = octet;
        const socket = await connectRaw(t, server);
        socket.resume();
        socket.end(octets);
        await once(socket, 'close');
      }),
      { numRuns: 60, verbose: true },
    );
    t.equal(await names(await bound(t, server), '(cn=alice)'), 'alice');
  });
  await t.test('a peer that is no TLS client, or leaves, does no harm', async (t) => {
    const socket = connectTcp(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('not a ClientHello at all\r\n');
    socket.resume();
    await once(socket, 'close');
    t.equal(await names(await bound(t, server), '(cn=alice)'), 'alice');
  });
});

await t.test('faults', async (t) => {
  const fresh = async (t: LabTest) => {
    const server = await start(t);
    return { server, client: await bound(t, server) };
  };
  await t.test('a held search is answered when let go', async (t) => {
    const { server, client } = await fresh(t);
    server.faults.hold = true;
    let answered = false;
    const search = names(client, '(cn=alice)').finally(() => (answered = true));
    await server.reached(1);
    t.equal(answered, false);
    server.faults.hold = false;
    t.equal(await search, 'alice');
  });
  await t.test('a delayed search is overtaken by one that is not', async (t) => {
    const { server, client } = await fresh(t);
    const order: string[] = [];
    server.faults.delay = 150;
    const slow = names(client, '(cn=alice)').then((found) => order.push(found));
    await server.reached(1);
    server.faults.delay = 0;
    order.push(await names(client, '(cn=bob)'));
    await slow;
    t.strictSame(order, ['bob', 'alice']);
  });
  await t.test('silence is no answer to searches and binds, on a connection that stays', async (t) => {
    const { server, client } = await fresh(t);
    server.faults.silent = true;
    const lost = failure(client.search(suffix, { filter: '(cn=alice)' }));
    await server.reached(1);
    t.equal(server.connections, 1);
    server.faults.silent = false;
    t.equal(await names(client, '(cn=alice)'), 'alice', 'later searches on the same connection are answered');
    await client.unbind();
    await lost;
  });
  await t.test('half a message, then the end', async (t) => {
    const { server } = await fresh(t);
    server.faults.halfMessage = true;
    const answer = await exchange(t, server, Buffer.concat([bindMessage(1), searchMessage(2, suffix, 0, present)]));
    t.throws(() => elementsOf(answer), { code: 'ldap-malformed' });
  });
  await t.test('so many searches end their connection', async (t) => {
    const { server, client } = await fresh(t);
    server.faults.dropNext = 1;
    t.not(await failure(client.search(suffix, { filter: '(cn=alice)' })), 'no failure');
    t.equal(await names(await bound(t, server), '(cn=alice)'), 'alice');
  });
  await t.test('refused binds and connections', async (t) => {
    const { server } = await fresh(t);
    server.faults.refuseBind = true;
    t.match(await failure(connectClient(t, server).bind(reader, password)), /^49 /);
    server.faults.refuseBind = false;
    server.faults.refuseConnections = true;
    t.not(await failure(connectClient(t, server).bind(reader, password)), 'no failure');
    server.faults.refuseConnections = false;
    t.equal(await names(await bound(t, server), '(cn=alice)'), 'alice');
  });
  await t.test('any result code, for all searches or for those that a test chooses', async (t) => {
    const { server, client } = await fresh(t);
    server.faults.resultCode = 51;
    t.match(await failure(client.search(suffix, { filter: '(cn=alice)' })), /^51 /);
    server.faults.resultCode = null;
    server.faults.judge = ({ filter }) => (filter.tag === 0xa1 ? 4 : null);
    t.match(await failure(client.search(suffix, { filter: '(|(cn=alice)(cn=bob))' })), /^4 /);
    t.equal(await names(client, '(cn=alice)'), 'alice');
  });
  await t.test('clients are sent elsewhere, with entries or without', async (t) => {
    const { server, client } = await fresh(t);
    server.faults.references = ['ldap://elsewhere.example.test/DC=elsewhere', 'ldap://127.0.0.1:1/'];
    const found = await client.search(`CN=Users,${suffix}`, { filter: '(cn=alice)' });
    t.strictSame([found.searchEntries.length, found.searchReferences], [1, server.faults.references]);
    server.faults.references = [];
    server.faults.referral = ['ldap://elsewhere.example.test/DC=elsewhere'];
    t.match(await failure(client.search(suffix, { filter: '(cn=alice)' })), /^10 /);
    t.equal((await client.search('', { scope: 'base' })).searchEntries.length, 1, 'but for the rootDSE');
  });
  await t.test('it stops and starts on its port, keeping objects and counts', async (t) => {
    const { server, client } = await fresh(t);
    const { port } = server;
    await names(client, '(cn=alice)');
    await server.stop();
    await server.stop();
    t.equal(server.connections, 0);
    t.not(await failure(connectClient(t, server).bind(reader, password)), 'no failure');
    await server.start();
    await server.start();
    t.equal(server.port, port);
    t.equal(await names(await bound(t, server), '(cn=alice)'), 'alice');
    t.equal(server.searches, 2);
    t.ok(server.accepted >= 2);
    const second = await start(t, { port }).catch((error: unknown) => codeOf(error));
    t.equal(second, 'lab-directory-listen', 'a port in use is told');
  });
});
