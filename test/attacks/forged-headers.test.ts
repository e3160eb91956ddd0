/**
 * Every header that this gateway may write, sent by clients in every spelling that some backend takes for it, on every kind of listener and
 * location, as field, as trailer and named in `Connection`. What the backend receives is, but for the id, what it receives without them.
 */
import t from 'tap';
import type { Test } from 'tap';
import { defaultHeaderNames, writtenNames } from '../../src/forward/dialects.ts';
import { dialectNames } from '../../src/forward/forward-contract.ts';
import { exactNames, families } from '../../src/forward/protected-names.ts';
import type { TestGateway } from '../support/gateway.ts';
import { testGateway, testLab } from '../support/gateway.ts';
import type { Fields } from '../support/http2-wire.ts';
import { data, headers, openHttp2 } from '../support/http2-wire.ts';
import type { RecordingBackend } from '../support/recording-backend.ts';
import { startRecordingBackend } from '../support/recording-backend.ts';
import type { WireWhere } from '../support/wire.ts';
import { openWire } from '../support/wire.ts';

const lab = await testLab(t);
/** Fields of one request. */
const batch = 150;

const standard = [
  ...writtenNames(defaultHeaderNames).map(([name]) => name),
  ...exactNames,
  ...families.flatMap((prefix) => [`${prefix}forged`, prefix.replace(/-$/, '')].filter(isFamily)),
];

/** Believed by other people's software, whatever our table says. */
const believed = (
  'Remote-User REMOTE-GROUPS X-Remote-User X-Remote-Group X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username ' +
  'X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert ' +
  'X-Forwarded-Tls-Client-Cert-Info Forwarded X-Real-Ip X-Client-Ip True-Client-Ip X-Cluster-Client-Ip X-Auth-Request-User X-Auth-Request-Email ' +
  'X-WebAuth-User X-SSL-Client-Cert X-SSL-Client-S-DN X-SSL-Client-Verify X-SSL-Cert SSL-Client-Cert SSL-Client-Verify SSL-Client-Subject-DN ' +
  'X-Client-Cert X-ARR-ClientCert X-ARR-SSL X-ARR-LOG-ID Client-Cert Client-Cert-Chain MS-ASPNETCORE-CLIENTCERT MS-ASPNETCORE-TOKEN ' +
  'MS-ASPNETCORE-WINAUTHTOKEN X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-NAME X-MS-TOKEN-AAD-ID-TOKEN X-TLS-Client-Cert Front-End-Https ' +
  'X-Url-Scheme X-Original-URL X-Rewrite-URL X-Original-Host X-Original-URI Proxy X-Request-Id X-DSMapper-Verdict X-DSMapper-Assertion'
).split(' ');

/** A family whose prefix ends with a dash does not hold the name without it. */
function isFamily(name: string): boolean {
  return families.some((prefix) => name.startsWith(prefix));
}

/** CGI and its kin make one variable of all of these; some servers drop what stands at the end. */
function spellingsOf(name: string): readonly string[] {
  const other = Array.from(name, (letter, index) => (index % 2 === 0 ? letter.toUpperCase() : letter.toLowerCase()));
  return [
    name,
    name,
    name.toUpperCase(),
    name.toLowerCase(),
    other.join(''),
    name.replaceAll('-', '_'),
    name.replace('-', '_').toLowerCase(),
    name.replaceAll('-', '.'),
    name.replaceAll('-', '!'),
    name.replaceAll('-', '~').toLowerCase(),
    name.replaceAll('-', "'"),
    name.replaceAll('-', '`'),
    name.replaceAll('-', '|'),
    `${name}.`,
    `${name}-`,
    `${name.toLowerCase()}_`,
  ];
}

interface Place {
  readonly name: string;
  readonly where: WireWhere | 'h2';
  readonly path: string;
  readonly as?: string;
}

const places: readonly Place[] = [
  { name: 'an identity in every dialect, up front', where: 'upFront', path: '/payroll', as: 'alice' },
  { name: 'an identity in every dialect, by renegotiation', where: 'late', path: '/payroll', as: 'alice' },
  { name: 'an identity in every dialect, HTTP/2', where: 'h2', path: '/payroll', as: 'alice' },
  { name: 'anonymous', where: 'upFront', path: '/' },
  { name: 'anonymous, HTTP/2', where: 'h2', path: '/' },
  { name: 'anonymous, with a certificate that the location does not look at', where: 'late', path: '/', as: 'alice' },
  { name: 'plain http', where: 'http', path: '/' },
  { name: 'no dialect at all', where: 'upFront', path: '/bare', as: 'alice' },
  { name: 'no dialect at all, HTTP/2', where: 'h2', path: '/bare', as: 'alice' },
  { name: 'no dialect at all, plain http', where: 'http', path: '/bare' },
];

async function gatewayFor(t: Test, renamed: string): Promise<{ to: TestGateway; backend: RecordingBackend }> {
  const backend = await startRecordingBackend(t);
  const to = await testGateway(t, {
    lab,
    configure: (yaml) =>
      yaml
        .replace(/upstream: .*/, `upstream: ${backend.url}`)
        .replace('sslFlags: [Ssl] }', 'sslFlags: [] }')
        .replace('dialects: [remote-user, arr]', `dialects: [${dialectNames.join(', ')}]`)
        .replace('      /computers:', '      /bare:\n        identity: { dialects: [] }\n      /computers:') +
      `identity: { ancm: { token: "file:ldap-password" }, assertion: {}, headers: { ${renamed} } }\n`,
  });
  return { to, backend };
}

await t.test('no header of the gateway comes from a client', async (t) => {
  const { to, backend } = await gatewayFor(t, '');
  const names = [...new Set([...standard, ...believed])];
  const forged = names.flatMap(spellingsOf);
  t.ok(names.length >= 60, `${names.length} names`);
  t.ok(forged.length >= 900, `${forged.length} spellings`);
  for (const place of places) await t.test(place.name, async (t) => forge(t, to, backend, place, forged));
});

await t.test('renamed headers are protected beside the standard ones', async (t) => {
  const renamed = 'user: SSO-User, iisPrefix: Y-, assertion: Z.Signed, ancmToken: Pairing';
  const { to, backend } = await gatewayFor(t, renamed);
  const own = writtenNames(to.settings.identity.headers).map(([name]) => name);
  t.ok(['SSO-User', 'Y-AUTH-USER', 'Z.Signed', 'Pairing'].every((name) => own.includes(name)));
  const forged = [...new Set([...standard, ...own])].flatMap(spellingsOf);
  for (const place of places.slice(0, 5)) await t.test(place.name, async (t) => forge(t, to, backend, place, forged));
});

async function forge(
  t: Test,
  to: TestGateway,
  backend: RecordingBackend,
  place: Place,
  forged: readonly string[],
): Promise<void> {
  const send = place.where === 'h2' ? await http2Sender(to, place) : await http1Sender(to, place, place.where);
  const ask = async (request: Forged) => {
    const from = backend.requests.length;
    t.equal(await send(request), 200);
    const [seen, ...others] = backend.requests.slice(from);
    t.equal(others.length, 0);
    return textOf(seen?.text ?? '');
  };
  const clean = await ask({ fields: [], trailers: [], listed: [] });
  const cleanPost = await ask({ fields: [], trailers: [['A', 'b']], listed: [] });
  t.equal(clean.match(/^X-Request-Id: /gim)?.length, 1);
  if (place.path === '/payroll') t.match(clean, /^X-Remote-User: LAB\\alice\r$|^SSO-User: LAB\\alice\r$/m);
  if (place.path === '/bare')
    t.notMatch(clean, /^(?!X-(?:Request-Id|Forwarded-(?:For|Proto|Host)):)X-/im, 'no identity');
  const sendable = place.where === 'h2' ? forged.filter((name) => name === name.toLowerCase()) : forged;
  for (let at = 0; at < sendable.length; at += batch) {
    const names = sendable.slice(at, at + batch);
    const fields = names.map((name, index) => [name, `forged-${index}`] as const);
    t.equal(await ask({ fields, trailers: [], listed: [] }), clean, 'as fields');
    t.equal(await ask({ fields: [], trailers: fields, listed: [] }), cleanPost, 'as trailers');
    if (place.where === 'h2') continue;
    t.equal(await ask({ fields: [], trailers: [], listed: names }), clean, 'named in Connection');
    t.equal(await ask({ fields, trailers: [], listed: names }), clean, 'as fields that are named in Connection');
  }
  t.notMatch(backend.octets, /forged/i);
}

interface Forged {
  readonly fields: Fields;
  readonly trailers: Fields;
  /** Options of `Connection`. */
  readonly listed: readonly string[];
}

/** @returns what sends on one kept connection and gives the status */
async function http1Sender(to: TestGateway, { path, as }: Place, where: WireWhere) {
  const wire = await openWire(to, where, as);
  return async ({ fields, trailers, listed }: Forged): Promise<number> => {
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const connection = listed.length === 0 ? '' : `Connection: ${listed.join(', ')}\r\n`;
    const host = `Host: 127.0.0.1:${to.ports[where]}\r\n`;
    if (trailers.length === 0) wire.send(`GET ${path} HTTP/1.1\r\n${host}${connection}${lines}\r\n`);
    else {
      const last = trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
      wire.send(`POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${last}\r\n`);
    }
    return (await wire.next())?.status ?? 0;
  };
}

async function http2Sender(to: TestGateway, { path, as }: Place) {
  const wire = await openHttp2(to, as);
  let stream = -1;
  return async ({ fields, trailers }: Forged): Promise<number> => {
    stream += 2;
    const pseudo = (method: string): Fields => [
      [':method', method],
      [':scheme', 'https'],
      [':authority', `127.0.0.1:${to.ports.upFront}`],
      [':path', path],
    ];
    if (trailers.length === 0) wire.send(headers(stream, [...pseudo('GET'), ...fields]));
    else {
      const lower = trailers.map(([name, value]) => [name.toLowerCase(), value] as const);
      wire.send(headers(stream, pseudo('POST'), true), data(stream, 'hello', true), headers(stream, lower));
    }
    return (await wire.ended(stream)).status;
  };
}

/** Without what differs between two requests: the id, and the time and id of a signed statement. */
function textOf(text: string): string {
  return text
    .replace(/^X-Request-Id: [0-9a-f]{10}-[0-9a-z]+(?=\r$)/m, 'X-Request-Id: {id}')
    .replace(/^(X-DSMapper-Assertion|Z\.Signed): [\w-]+\.[\w-]+\.[\w-]+(?=\r$)/m, '$1: {signed}');
}
