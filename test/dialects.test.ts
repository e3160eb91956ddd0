/**
 * Header dialects: what each writes for one certificate, taken from the documents that define them; that hostile names and certificates come
 * back unchanged through readers that know only those documents; what a proxy in front may leave; which groups are told, and when. What real
 * programs make of the same values is in `real/dialect-consumers.test.ts`.
 */
import https from 'node:https';
import t, { type Test } from 'tap';
import type { Clock } from '../src/base/clock.ts';
import type { Instant, Millis, Sid } from '../src/base/brand.ts';
import { noSteps } from '../src/base/steps.ts';
import type { Verdict } from '../src/base/verdict.ts';
import type { Groups } from '../src/directory/directory.ts';
import { isWithin, parseAddressRange } from '../src/forward/address-range.ts';
import type { AssertionFacts, SignedAssertion } from '../src/forward/assertion-contract.ts';
import type { DressedClient } from '../src/forward/dialect-contract.ts';
import { checkHeaderNames, defaultHeaderNames, identityHeaders, writtenNames } from '../src/forward/dialects.ts';
import { maximumInbound, withInboundXfcc } from '../src/forward/dialects/xfcc-inbound.ts';
import { dialectNames, type DialectName, type FlatHeaders } from '../src/forward/forward-contract.ts';
import { headerBytes } from '../src/forward/header-bytes.ts';
import type { IdentitySettings } from '../src/forward/identity-settings.ts';
import { createSanitizer } from '../src/forward/sanitize.ts';
import { dress, shownHeaders } from '../src/gateway/dress.ts';
import { createGroupNames } from '../src/gateway/dressed-groups.ts';
import { remember, remembered } from '../src/gateway/memory.ts';
import type { LocationSettings } from '../src/gateway/settings.ts';
import type { Setup } from '../src/gateway/setup.ts';
import type { Authorised, Outgoing } from '../src/gateway/stages.ts';
import { isVerdict } from '../src/gateway/stages.ts';
import { defaultMappingSettings, type MapOptions, type MappedIdentity } from '../src/mapping/mapper-contract.ts';
import type { Certificate } from '../src/x509/certificate.ts';
import { DerReader } from '../src/x509/der.ts';
import { parseName } from '../src/x509/name.ts';
import { writeCertificate, writeName, type TypedAttribute } from './support/certificate-writer.ts';
import {
  readBase64,
  readByteSequences,
  readEscapedPem,
  readPercent,
  readRfc2253,
  readTraefikInfo,
  readTraefikParts,
  readX500,
  readXfcc,
} from './support/dialect-readers.ts';
import { fakeAccount } from './support/fake-directory.ts';
import { ask, testGateway } from './support/gateway.ts';
import { hostileCertificate, hostileName, hostileText } from './support/hostile-names.ts';
import { parsed } from './support/mapping-cases.ts';
import { randomFrom } from './support/mutation.ts';

process.env['DSMAPPER_TEST_TOKEN'] = 'token-1';
const seed = Number(process.env['DSMAPPER_SEED'] ?? Date.now() % 1_000_000_000);
t.comment(`seed ${seed} (DSMAPPER_SEED)`);

const settings: IdentitySettings = {
  headers: defaultHeaderNames,
  xfcc: { keys: ['Hash', 'Subject', 'URI', 'DNS'], by: null, appendFrom: null },
  ancmToken: null,
  maximumBytes: 16_384,
  groupLimits: { maximum: 1000, whenTooMany: 'refuse' },
  assertion: null,
};

/** A certificate whose names use what has a meaning in some dialect; `openssl x509` prints what the expected texts below are made of. */
const jayBase64 =
  'MIICZjCCAhigAwIBAgIFAPHi08QwBQYDK2VwMFUxFDASBgoJkiaJk/IsZAEZDAR0ZXN0MRcwFQYKCZImiZPyLGQBGQwHZXhhbXBsZTETMBEGCgmSJomT8ixkARkMA2xh' +
  'YjEPMA0GA1UEAwwGTGFiIENBMB4XDTI0MDEwMTAwMDAwMFoXDTM0MDEwMTAwMDAwMFowgY8xCzAJBgNVBAYTAlVTMRMwEQYDVQQIDApXYXNoaW5ndG9uMRYwFAYDVQQK' +
  'DA1FeGFtcGxlLCBJbmMuMS4wDgYDVQQLDAdQYXlyb2xsMBwGA1UEAwwVSsO8cmdlbiAiSmF5IiBNw7xsbGVyMSMwIQYJKoZIhvcNAQkBDBRqYXlAbGFiLmV4YW1wbGUu' +
  'dGVzdDAqMAUGAytlcAMhACtHCgYt3o9epyz+r77i+r7HOds6CR3E99L6B1ZwkiKho4HNMIHKMH0GA1UdEQR2MHSBFGpheUBsYWIuZXhhbXBsZS50ZXN0ghRwYzcubGFi' +
  'LmV4YW1wbGUudGVzdIYfc3BpZmZlOi8vbGFiLmV4YW1wbGUudGVzdC91O3Y9MYYNdXJuOm5vdCBhIHVyaYcEwAACB4cQIAENuAAAAAAAAAAAAAAAATATBgNVHSUEDDAK' +
  'BggrBgEFBQcDAjA0BgkrBgEEAYI3GQIEJzAloCMGCisGAQQBgjcZAgGgFQQTUy0xLTUtMjEtMS0yLTMtMTEwNDAFBgMrZXADQQCY6f/Gnv10qRsyPVqsT5jOYgWOg/0l' +
  '8157aOCNdzyK0vITb9LpXojN6y330onRClt1vIyaY7quuKMSW6DMt+QP';
const jay = parsed(Buffer.from(jayBase64, 'base64'));
const issuer = ['DC=test', 'DC=example', 'DC=lab', 'CN=Lab CA'];
const above = writeCertificate({ issuer, subject: issuer, ca: true });

const account = fakeAccount({ name: 'LAB\\jürgen', upn: 'jürgen@lab.example.test', rid: 1104 });
const identity: MappedIdentity = {
  account,
  method: 'X509SKI',
  methods: ['X509SKI'],
  strength: 'strong',
  strengthBy: 'method',
};
const payroll = 'S-1-5-21-1111111111-2222222222-3333333333-1200' as Sid;
const users = 'S-1-5-21-1111111111-2222222222-3333333333-513' as Sid;

const trusted: DressedClient = { leaf: jay, presentedChain: [], identity: null, groups: null, assertion: null };
const mapped: DressedClient = { ...trusted, identity };

/** `Name: value` lines as the flat list that headers travel in. */
const fields = (...lines: readonly string[]) => lines.flatMap((line) => /^([^:]+): (.*)$/s.exec(line)?.slice(1) ?? []);

const written = (dialect: DialectName, client: DressedClient | 'none', more: Partial<IdentitySettings> = {}) =>
  identityHeaders([dialect], client, { ...settings, ...more });

/** The value of the one header of that name. */
function valueOf(headers: FlatHeaders, name: string): string {
  const found = headers.filter((_, index) => index % 2 === 1 && headers[index - 1] === name);
  if (found.length !== 1) throw new Error(`${found.length} headers ${name}`);
  return found[0] ?? '';
}

const escapedJay = `-----BEGIN%20CERTIFICATE-----%0A${(jayBase64.match(/.{1,64}/g) ?? [])
  .join('\n')
  .replaceAll('\n', '%0A')
  .replaceAll('+', '%2B')
  .replaceAll('/', '%2F')
  .replaceAll('=', '%3D')}%0A-----END%20CERTIFICATE-----%0A`;
const sha256 = '0a9ed09cd2a3d0b43268cb6c1680eccad3e23b2f0669bc8f9bafc424dcf016ea';

await t.test('remote-user', async (t) => {
  t.strictSame(written('remote-user', 'none'), fields('X-Client-Verify: NONE'));
  t.strictSame(written('remote-user', trusted), fields('X-Client-Verify: SUCCESS'));
  const user = [
    'X-Remote-User: LAB\\j%C3%BCrgen',
    'X-Remote-Upn: j%C3%BCrgen@lab.example.test',
    'X-Remote-Sid: S-1-5-21-1111111111-2222222222-3333333333-1104',
  ];
  t.strictSame(written('remote-user', mapped), fields(...user, 'X-Client-Verify: SUCCESS'));
  const groups = [
    { sid: payroll, name: 'LAB\\Pay, Roll ü' },
    { sid: users, name: null },
  ];
  t.strictSame(
    written('remote-user', { ...mapped, groups }),
    fields(
      ...user,
      `X-Remote-Group-Sids: ${payroll},${users}`,
      'X-Remote-Groups: LAB\\Pay%2C Roll %C3%BC',
      'X-Client-Verify: SUCCESS',
    ),
    'a name that is not known leaves the SID alone',
  );
  t.strictSame(
    written('remote-user', { ...mapped, groups: [{ sid: users, name: null }] }),
    fields(...user, `X-Remote-Group-Sids: ${users}`, 'X-Client-Verify: SUCCESS'),
  );
  const nameless = { ...mapped, identity: { ...identity, account: { ...account, upn: null } } };
  t.strictSame(written('remote-user', nameless), fields(user[0] ?? '', user[2] ?? '', 'X-Client-Verify: SUCCESS'));
});

await t.test('rfc9440 (RFC 9440 section 2, RFC 8941)', async (t) => {
  t.strictSame(written('rfc9440', trusted), fields(`Client-Cert: :${jayBase64}:`));
  const both = written('rfc9440', { ...trusted, presentedChain: [above, above] });
  const one = `:${above.toString('base64')}:`;
  t.strictSame(both, fields(`Client-Cert: :${jayBase64}:`, `Client-Cert-Chain: ${one}, ${one}`));
});

await t.test('xfcc (Envoy, HTTP header manipulation)', async (t) => {
  const subject =
    'emailAddress=jay@lab.example.test,CN=J\\C3\\BCrgen \\22Jay\\22 M\\C3\\BCller+OU=Payroll,O=Example\\, Inc.,ST=Washington,C=US';
  t.strictSame(
    written('xfcc', trusted),
    fields(
      `X-Forwarded-Client-Cert: Hash=${sha256};Subject="${subject}";URI="spiffe://lab.example.test/u;v=1";DNS=pc7.lab.example.test`,
    ),
    'what is no URI is not told as one',
  );
  const by = 'spiffe://lab.example.test/gateway';
  t.strictSame(
    written('xfcc', trusted, { xfcc: { keys: ['Cert'], by, appendFrom: null } }),
    fields(`X-Forwarded-Client-Cert: By=${by};Cert="${escapedJay}"`),
  );
  const chain = { ...trusted, presentedChain: [above] };
  const [, value = ''] = written('xfcc', chain, { xfcc: { keys: ['Chain'], by: null, appendFrom: null } });
  t.ok(value.startsWith(`Chain="${escapedJay}-----BEGIN%20CERTIFICATE-----%0A`), 'the leaf comes first');
  t.strictSame(
    written(
      'xfcc',
      { ...trusted, leaf: parsed(writeCertificate({ issuer, subject: ['CN=a'] })) },
      {
        xfcc: { keys: ['URI', 'DNS'], by: null, appendFrom: null },
      },
    ),
    [],
    'no element without a pair',
  );
});

await t.test('arr, aspnetcore, ancm (Microsoft)', async (t) => {
  t.strictSame(written('arr', trusted), fields(`X-ARR-ClientCert: ${jayBase64}`));
  t.strictSame(written('aspnetcore', trusted), fields(`X-Client-Cert: ${jayBase64}`));
  const ancmToken = 'a0b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d';
  t.strictSame(
    written('ancm', trusted, { ancmToken }),
    fields(`MS-ASPNETCORE-TOKEN: ${ancmToken}`, `MS-ASPNETCORE-CLIENTCERT: ${jayBase64}`),
  );
  t.strictSame(written('ancm', 'none', { ancmToken }), fields(`MS-ASPNETCORE-TOKEN: ${ancmToken}`));
});

await t.test('traefik (PassTLSClientCert)', async (t) => {
  t.strictSame(
    written('traefik', trusted),
    fields(
      `X-Forwarded-Tls-Client-Cert: ${jayBase64}`,
      'X-Forwarded-Tls-Client-Cert-Info: Subject%3D%22C%3DUS%2CST%3DWashington%2CO%3DExample%252C+Inc.%2COU%3DPayroll%2C' +
        'CN%3DJ%C3%BCrgen+%2522Jay%2522+M%C3%BCller%22%3BIssuer%3D%22DC%3Dtest%2CDC%3Dexample%2CDC%3Dlab%2CCN%3DLab+CA%22%3B' +
        'SerialNumber%3D%224058174404%22%3BNB%3D%221704067200%22%3BNA%3D%222019686400%22%3BSAN%3D%22pc7.lab.example.test%2C' +
        'jay%40lab.example.test%2C192.0.2.7%2C2001%3Adb8%3A%3A1%2Cspiffe%3A%2F%2Flab.example.test%2Fu%253Bv%3D1%2Curn%3Anot+a+uri%22',
    ),
  );
  const chain = written('traefik', { ...trusted, presentedChain: [above, Buffer.from('3003020101', 'hex')] });
  t.equal(valueOf(chain, 'X-Forwarded-Tls-Client-Cert'), `${jayBase64},${above.toString('base64')}`);
  t.equal(
    readTraefikInfo(valueOf(chain, 'X-Forwarded-Tls-Client-Cert-Info')).length,
    2,
    'what is no certificate is left out',
  );
});

await t.test('nginx (ngx_http_ssl_module)', async (t) => {
  t.strictSame(
    written('nginx', trusted),
    fields(
      'X-SSL-Client-Verify: SUCCESS',
      `X-SSL-Client-Cert: ${escapedJay}`,
      'X-SSL-Client-S-DN: emailAddress=jay@lab.example.test,CN=J\\C3\\BCrgen \\"Jay\\" M\\C3\\BCller+OU=Payroll,O=Example\\, Inc.,ST=Washington,C=US',
      'X-SSL-Client-I-DN: CN=Lab CA,DC=lab,DC=example,DC=test',
      'X-SSL-Client-Serial: F1E2D3C4',
      'X-SSL-Client-Fingerprint: 454bca640da35a1abdd07998b8c512fdedb0f543',
    ),
  );
  t.strictSame(written('nginx', 'none'), fields('X-SSL-Client-Verify: NONE'));
  const serial = (hex: string) => {
    const leaf = parsed(writeCertificate({ issuer, subject: [], serial: hex }));
    const headers = written('nginx', { ...trusted, leaf });
    t.notOk(headers.includes('X-SSL-Client-S-DN'), 'nginx does not send what is empty');
    return valueOf(headers, 'X-SSL-Client-Serial');
  };
  t.strictSame(['00', '7f', '0080', '80', 'ff', '0123'].map(serial), ['00', '7F', '80', '-80', '-01', '0123']);
});

await t.test('iis (server variables)', async (t) => {
  const certificate = [
    `X-IIS-CERT-COOKIE: ${sha256}`,
    'X-IIS-CERT-FLAGS: 1',
    'X-IIS-CERT-ISSUER: DC=test, DC=example, DC=lab, CN=Lab CA',
    'X-IIS-CERT-SERIALNUMBER: f1-e2-d3-c4',
    'X-IIS-CERT-SUBJECT: C=US, S=Washington, O="Example, Inc.", OU=Payroll + CN="J%C3%BCrgen ""Jay"" M%C3%BCller", E=jay@lab.example.test',
  ];
  t.strictSame(written('iis', trusted), fields(...certificate));
  const user = ['AUTH-USER', 'LOGON-USER', 'REMOTE-USER', 'UNMAPPED-REMOTE-USER'].map(
    (name) => `X-IIS-${name}: LAB\\j%C3%BCrgen`,
  );
  t.strictSame(written('iis', mapped), fields(...certificate, 'X-IIS-AUTH-TYPE: SSL/PCT', ...user));
  const renamed = { ...defaultHeaderNames, iisPrefix: 'HTTP-' };
  t.equal(written('iis', trusted, { headers: renamed })[0], 'HTTP-CERT-COOKIE');
});

await t.test('ms-client-principal (Azure App Service)', async (t) => {
  const groups = [
    { sid: payroll, name: 'LAB\\Payroll' },
    { sid: users, name: null },
  ];
  const headers = written('ms-client-principal', { ...mapped, groups });
  t.strictSame(
    headers.slice(2),
    fields(
      `X-MS-CLIENT-PRINCIPAL-ID: ${account.sid}`,
      'X-MS-CLIENT-PRINCIPAL-NAME: LAB\\j%C3%BCrgen',
      'X-MS-CLIENT-PRINCIPAL-IDP: dsmapper',
    ),
  );
  t.strictSame(JSON.parse(readBase64(valueOf(headers, 'X-MS-CLIENT-PRINCIPAL')).toString('utf8')), {
    auth_typ: 'dsmapper',
    claims: [
      { typ: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier', val: account.sid },
      { typ: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid', val: account.sid },
      { typ: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name', val: 'LAB\\jürgen' },
      { typ: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn', val: 'jürgen@lab.example.test' },
      { typ: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/groupsid', val: payroll },
      { typ: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/groupsid', val: users },
      { typ: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role', val: 'LAB\\Payroll' },
    ],
    name_typ: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name',
    role_typ: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role',
  });
});

await t.test('nothing that was not earned is written, by no dialect', async (t) => {
  const verify = ['X-Client-Verify', 'X-SSL-Client-Verify'];
  const namesIn = (headers: FlatHeaders) => headers.filter((_, index) => index % 2 === 0);
  const all = { ...settings, xfcc: { ...settings.xfcc, by: 'urn:x' } };
  t.strictSame(identityHeaders(dialectNames, 'none', all), fields(`${verify[0]}: NONE`, `${verify[1]}: NONE`));
  const unmapped = identityHeaders(dialectNames, { ...trusted, groups: null }, all);
  for (const name of namesIn(unmapped))
    t.notMatch(name, /User|Upn|Sid|Group|Principal|AUTH|LOGON|Assertion/i, `${name} without an account`);
  t.strictSame(
    identityHeaders(dialectNames, { ...mapped, assertion: 'a.b.c' }, all).slice(-2),
    fields('X-DSMapper-Assertion: a.b.c'),
  );
  t.strictSame(identityHeaders([], mapped, all), []);
  t.strictSame(identityHeaders(['arr', 'arr'], mapped, all), written('arr', mapped), 'each dialect once');
});

await t.test('every header that any dialect writes is protected, under every name and in every spelling', async (t) => {
  const renamed = Object.fromEntries(
    Object.keys(defaultHeaderNames).map((key) => [key, `Z-${key}${key === 'iisPrefix' ? '-' : ''}`]),
  ) as unknown as typeof defaultHeaderNames;
  t.doesNotThrow(() => checkHeaderNames(renamed));
  const client = { ...mapped, presentedChain: [above], groups: [{ sid: users, name: 'a' }], assertion: 'a.b.c' };
  for (const headers of [defaultHeaderNames, renamed]) {
    const sanitizer = createSanitizer({ names: headers });
    const out = identityHeaders(dialectNames, client, { ...settings, headers, ancmToken: 'x' });
    const told = new Set(out.filter((_, index) => index % 2 === 0));
    t.strictSame(
      [...told].toSorted(),
      writtenNames(headers)
        .map(([name]) => name)
        .toSorted(),
      'the list of names is that of the writers',
    );
    const standard = writtenNames(defaultHeaderNames).map(([name]) => name);
    for (const name of [...told, ...standard])
      for (const spelling of [name, name.toLowerCase(), name.replaceAll('-', '_').toUpperCase(), `${name}.`])
        t.match(sanitizer.request([spelling, 'forged', 'Accept', 'a']), { headers: ['Accept', 'a'] }, spelling);
  }
});

/** How a described attribute looks to readers of RFC 2253 and of CertNameToStr. */
function inRfc2253({ type, as, text = '' }: TypedAttribute) {
  const named = type === 'SERIALNUMBER' ? 'serialNumber' : type;
  const octets = as === 'bmp' ? Buffer.from(text, 'utf16le').swap16() : Buffer.from(text, 'utf8');
  const hex = `${as === 'bmp' ? '1e' : '0c'}${octets.length.toString(16).padStart(2, '0')}${octets.toString('hex')}`;
  return { type: named, value: /^\d/.test(type) ? { hex } : text };
}

function inX500({ type, text = '' }: TypedAttribute) {
  return { type: /^\d/.test(type) ? `OID.${type}` : type === 'ST' ? 'S' : type, value: text };
}

type Described = readonly (readonly TypedAttribute[])[];
const reversed = (name: Described) => name.map((rdn) => rdn.map(inRfc2253).toReversed()).toReversed();
const forward = (name: Described) => name.map((rdn) => rdn.map(inX500));

/** Fails the test with the value that did not come back, and says nothing 10,000 times. */
function everyTime(t: Test, count: number, body: (random: (below: number) => number) => unknown): void {
  const random = randomFrom(seed);
  for (let round = 0; round < count; round += 1) {
    try {
      body(random);
    } catch (error) {
      t.fail(`round ${round} of seed ${seed}: ${String(error)}`);
      return;
    }
  }
  t.pass(`${count} came back`);
}

function same(found: unknown, wanted: unknown, what: string): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted))
    throw new Error(`${what}: ${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
}

/** Visible ASCII and blanks within: what no parser of fields changes. */
function safe(headers: FlatHeaders): FlatHeaders {
  for (const [index, value] of headers.entries())
    if (index % 2 === 1 && !/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value))
      throw new Error(`not safe: ${JSON.stringify(value)}`);
  return headers;
}

await t.test('10,000 hostile certificates come back from every certificate dialect', async (t) => {
  everyTime(t, 10_000, (random) => {
    const facts = hostileCertificate(random);
    const der = writeCertificate(facts);
    const leaf: Certificate = parsed(der);
    const client = { ...trusted, leaf, presentedChain: random(2) === 0 ? [] : [above, der] };
    const subject = facts.subject as Described;
    const xfcc = { keys: ['Hash', 'Cert', 'Chain', 'Subject', 'URI', 'DNS'], by: null, appendFrom: null } as const;
    const headers = safe(identityHeaders(dialectNames, client, { ...settings, xfcc }));
    const value = (name: string) => valueOf(headers, name);
    const isSame = (found: Uint8Array | undefined, what: string) =>
      same(found && Buffer.from(found).toString('hex'), der.toString('hex'), what);

    isSame(readByteSequences(value('Client-Cert'))[0], 'Client-Cert');
    if (client.presentedChain.length > 0) {
      const [first, second] = readByteSequences(value('Client-Cert-Chain'));
      same(first?.equals(above), true, 'Client-Cert-Chain');
      isSame(second, 'Client-Cert-Chain');
    }
    isSame(readBase64(value('X-ARR-ClientCert')), 'X-ARR-ClientCert');
    isSame(readBase64(value('X-Client-Cert')), 'X-Client-Cert');
    isSame(readBase64(value('MS-ASPNETCORE-CLIENTCERT')), 'MS-ASPNETCORE-CLIENTCERT');
    isSame(readEscapedPem(value('X-SSL-Client-Cert'))[0], 'X-SSL-Client-Cert');
    if (subject.length > 0) same(readRfc2253(value('X-SSL-Client-S-DN')), reversed(subject), 'S-DN');
    same(readX500(readPercent(value('X-IIS-CERT-SUBJECT'))), forward(subject), 'CERT_SUBJECT');
    same(readX500(readPercent(value('X-IIS-CERT-ISSUER'))), forward(facts.issuer as Described), 'CERT_ISSUER');

    const [element = []] = readXfcc(value('X-Forwarded-Client-Cert'));
    const of = (key: string) => element.flatMap(([name, text]) => (name === key ? [text] : []));
    same(of('Hash'), [leaf.digest], 'Hash');
    isSame(readEscapedPem(of('Cert')[0] ?? '')[0], 'Cert');
    same(readEscapedPem(of('Chain')[0] ?? '').length, 1 + client.presentedChain.length, 'Chain');
    same(readRfc2253(of('Subject')[0] ?? ''), reversed(subject), 'Subject');
    same(
      of('URI'),
      facts.uris?.filter((uri) => /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/.test(uri)),
      'URI',
    );
    same(
      of('DNS'),
      facts.dnsNames?.filter((name) => /^[A-Za-z0-9._*-]+$/.test(name)),
      'DNS',
    );

    isSame(readBase64(value('X-Forwarded-Tls-Client-Cert').split(',')[0] ?? ''), 'X-Forwarded-Tls-Client-Cert');
    const [info] = readTraefikInfo(value('X-Forwarded-Tls-Client-Cert-Info'));
    const ofType = (type: string) => subject.flat().flatMap((one) => (one.type === type && one.text ? [one.text] : []));
    const plain = ['DC', 'C', 'ST', 'L', 'O', 'OU'].flatMap((type) => ofType(type).map((text) => `${type}=${text}`));
    const last = [
      ['SN', 'SERIALNUMBER'],
      ['CN', 'CN'],
    ].flatMap(([key, type = '']) =>
      ofType(type)
        .slice(-1)
        .map((text) => `${key}=${text}`),
    );
    const parts = [...plain, ...last];
    same(info?.['Subject'] === undefined ? [] : readTraefikParts(info['Subject']), parts, 'Subject of Info');
    const addresses =
      facts.ipAddresses?.map((hex) =>
        leaf.extensions.subjectAltName?.ipAddresses.find((one) => one.toString('hex') === hex),
      ) ?? [];
    same(addresses.includes(undefined), false, 'addresses');
    const names = [
      ...(facts.dnsNames ?? []),
      ...(facts.rfc822Names ?? []),
      ...addresses.map(() => '*'),
      ...(facts.uris ?? []),
    ];
    const sans = info?.['SAN'] === undefined ? [] : readTraefikParts(info['SAN']);
    same(
      sans.map((text, index) => (names[index] === '*' ? '*' : text)),
      names,
      'SAN',
    );
  });
});

await t.test('10,000 hostile names come back from every encoding of text', async (t) => {
  const { leaf } = trusted;
  everyTime(t, 10_000, (random) => {
    const [name, upn, group, other] = [
      hostileText(random),
      hostileText(random),
      hostileText(random),
      hostileText(random),
    ];
    const groups = [
      { sid: payroll, name: group },
      { sid: users, name: other },
    ];
    const one = { ...identity, account: { ...account, name, upn } };
    const client = { ...mapped, leaf, identity: one, groups };
    const headers = safe(identityHeaders(['remote-user', 'ms-client-principal', 'iis'], client, settings));
    same(readPercent(valueOf(headers, 'X-Remote-User')), name, 'user');
    same(readPercent(valueOf(headers, 'X-Remote-Upn')), upn, 'upn');
    same(
      valueOf(headers, 'X-Remote-Groups')
        .split(',')
        .map((text) => readPercent(text)),
      [group, other],
      'groups',
    );
    same(readPercent(valueOf(headers, 'X-IIS-REMOTE-USER')), name, 'REMOTE_USER');
    same(readPercent(valueOf(headers, 'X-MS-CLIENT-PRINCIPAL-NAME')), name, 'NAME');
    const principal = JSON.parse(readBase64(valueOf(headers, 'X-MS-CLIENT-PRINCIPAL')).toString('utf8')) as {
      claims: readonly { typ: string; val: string }[];
    };
    const claim = (type: string) => principal.claims.filter(({ typ }) => typ.endsWith(type)).map(({ val }) => val);
    same([claim('/claims/name'), claim('/upn'), claim('/role')], [[name], [upn], [group, other]], 'claims');
  });
});

await t.test('10,000 hostile distinguished names come back from every encoding of names', async (t) => {
  everyTime(t, 10_000, (random) => {
    const name = hostileName(random);
    const leaf = { ...jay, subject: parseName(new DerReader(writeName(name)), 'subject') };
    const headers = safe(identityHeaders(['xfcc', 'nginx', 'iis'], { ...trusted, leaf }, settings));
    const [element = []] = readXfcc(valueOf(headers, 'X-Forwarded-Client-Cert'));
    same(readRfc2253(element.find(([key]) => key === 'Subject')?.[1] ?? ''), reversed(name), 'Subject');
    if (name.length > 0) same(readRfc2253(valueOf(headers, 'X-SSL-Client-S-DN')), reversed(name), 'S-DN');
    same(readX500(readPercent(valueOf(headers, 'X-IIS-CERT-SUBJECT'))), forward(name), 'CERT_SUBJECT');
  });
});

await t.test('addresses and networks', async (t) => {
  const ranges = ['192.0.2.7', '198.51.100.0/24', '2001:db8::/32', '0.0.0.0/32'].map((text) => parseAddressRange(text));
  const good = ranges.filter((range) => range !== null);
  t.equal(good.length, 4);
  for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '198.51.100.255', '2001:db8:ffff::1', '0.0.0.0'])
    t.ok(isWithin(address, good), address);
  for (const address of [
    '192.0.2.8',
    '198.51.101.0',
    '2001:db9::1',
    '::ffff:192.0.2.8',
    '',
    'localhost',
    '::192.0.2.7',
  ])
    t.notOk(isWithin(address, good), address);
  for (const text of [
    '',
    'localhost',
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2.0/-1',
    '/8',
    '::/129',
    'fe80::1%eth0',
    '10/8',
  ])
    t.equal(parseAddressRange(text), null, text);
});

await t.test('what a proxy in front has said of its client stays before our own element', async (t) => {
  const from = parseAddressRange('192.0.2.7');
  const append = { ...settings, xfcc: { ...settings.xfcc, appendFrom: from === null ? [] : [from] } };
  const own = written('xfcc', trusted);
  const passed = (raw: FlatHeaders, address = '192.0.2.7', how: IdentitySettings = append) =>
    valueOf(withInboundXfcc(own, raw, address, how), 'X-Forwarded-Client-Cert');
  const alone = valueOf(own, 'X-Forwarded-Client-Cert');
  const inbound = 'By=spiffe://a;Hash=00ff;Subject="CN=\\"a\\", O=b\\\\,";URI=;DNS=x';
  t.equal(passed(['x-forwarded-client-cert', inbound]), `${inbound},${alone}`);
  t.equal(
    passed(['X-FORWARDED-CLIENT-CERT', 'Hash=1 , Hash=2', 'A', 'b', 'X-Forwarded-Client-Cert', 'hash=3']),
    `Hash=1,Hash=2,hash=3,${alone}`,
    'several lines are one list',
  );
  t.equal(passed(['X-Forwarded-Client-Cert', 'Hash=1'], '192.0.2.8'), alone, 'not from an address that is named');
  t.equal(passed(['X-Forwarded-Client-Cert', 'Hash=1'], '192.0.2.7', settings), alone, 'not unless it is wanted');
  t.equal(passed(['X_Forwarded_Client_Cert', 'Hash=1']), alone, 'not in another spelling');
  t.equal(passed([]), alone);
  const dropped = [
    'Hash',
    'Hash=1;',
    'Hash=1,',
    ',Hash=1',
    ';Hash=1',
    'Hash=1;;DNS=a',
    'Hash=1,,Hash=2',
    'User=alice',
    'Hash=1;User=a',
    'Subject="CN=a',
    'Subject="a"b',
    'Subject="a""b"',
    'Subject=a"b"',
    'URI=a=b',
    'Hash=a b',
    'Hash=\u00e4',
    'Subject="\u0001"',
    'Subject="CN=a\\\\";URI=spiffe://b',
    'Subject="CN=a\\\\\\\\"',
    'Hash=1 ;DNS=a',
    'Hash =1',
    ' Hash=1',
    'DNS=a\r\nX: y',
  ];
  for (const text of dropped) t.equal(passed(['X-Forwarded-Client-Cert', text]), alone, JSON.stringify(text));
  t.equal(passed(['X-Forwarded-Client-Cert', 'Hash=1', 'X-Forwarded-Client-Cert', 'x']), alone, 'all or nothing');
  const long = (length: number) => `DNS=${'a'.repeat(length - 4)}`;
  t.not(passed(['X-Forwarded-Client-Cert', long(maximumInbound)]), alone);
  t.equal(passed(['X-Forwarded-Client-Cert', long(maximumInbound + 1)]), alone, 'too long');
  t.not(passed(['X-Forwarded-Client-Cert', Array(16).fill('Hash=1').join(',')]), alone);
  t.equal(passed(['X-Forwarded-Client-Cert', Array(17).fill('Hash=1').join(',')]), alone, 'too many elements');
  const room = headerBytes(own) + 'Hash=1,'.length;
  t.not(passed(['X-Forwarded-Client-Cert', 'Hash=1'], '192.0.2.7', { ...append, maximumBytes: room }), alone);
  t.equal(passed(['X-Forwarded-Client-Cert', 'Hash=1'], '192.0.2.7', { ...append, maximumBytes: room - 1 }), alone);
  const none = identityHeaders(['arr'], trusted, append);
  t.equal(
    withInboundXfcc(none, ['X-Forwarded-Client-Cert', 'Hash=1'], '192.0.2.7', append),
    none,
    'never without our own',
  );
  const started = process.cpuUsage().user;
  passed(['X-Forwarded-Client-Cert', `Subject="${'\\"'.repeat(4000)}`]);
  t.ok(process.cpuUsage().user - started < 1_000_000, 'in linear time');
});

const now = Date.parse('2026-11-22T12:00:00Z') as Instant;
const minute = 60_000;

interface DressScene {
  readonly dialects?: readonly DialectName[];
  readonly groups?: LocationSettings['groups'];
  readonly maximumAge?: number | null;
  readonly read?: Groups;
  readonly names?: ReadonlyMap<Sid, string>;
  readonly settings?: Partial<IdentitySettings>;
  readonly sign?: (facts: AssertionFacts) => SignedAssertion;
  readonly connection?: object | null;
  readonly mapped?: boolean;
}

const readGroups = (sids: readonly Sid[], readAt = now): Groups => ({
  kind: 'read',
  sids: new Set(sids),
  readAt,
  server: 'dc',
});

/** `dress` for Jay at a location, with a mapper that knows his groups and a forest that knows names. */
async function dressed(scene: DressScene) {
  const asked: MapOptions[] = [];
  const named: (readonly Sid[])[] = [];
  const location = {
    path: '/payroll',
    dialects: scene.dialects ?? ['remote-user'],
    groups: scene.groups ?? 'none',
    maximumAge: scene.maximumAge ?? null,
    audience: null,
    upstream: { name: 'payroll-servers' },
  } as unknown as LocationSettings;
  const validUntil = (now + 60 * minute) as Instant;
  const trustedStage = {
    presented: { rule: { location }, shown: { chain: [jay.der, above] } },
    path: { certificates: [jay], validUntil },
    until: now,
  };
  const authorised = {
    mapped: { trusted: trustedStage, identity: scene.mapped === false ? null : identity },
    wouldRefuse: null,
    until: Infinity,
  } as unknown as Authorised;
  const connection = scene.connection ?? null;
  const setup = {
    settings: {
      identity: { ...settings, ...scene.settings },
      limits: { recheck: minute },
      mapping: defaultMappingSettings,
    },
    clock: { now: () => now, monotonic: () => 0 },
    mapper: {
      groupsOf: (_account: unknown, _now: unknown, options: MapOptions) => {
        asked.push(options);
        return scene.read ?? readGroups([payroll, users]);
      },
    },
    directory: {
      forests: [
        {
          holds: () => true,
          namesOf: async (sids: readonly Sid[]) => {
            named.push(sids);
            return scene.names ?? new Map([[payroll, 'LAB\\Payroll']]);
          },
        },
      ],
    },
    assertions: scene.sign === undefined ? null : { sign: async (facts: AssertionFacts) => scene.sign?.(facts) },
  } as unknown as Setup;
  const way = { connection } as unknown as Parameters<typeof dress>[1];
  const result = dress(authorised, way, setup, now, noSteps);
  return { result, outgoing: await result, asked, named, location };
}

function headersOf(outgoing: Outgoing | Verdict): FlatHeaders {
  if (isVerdict(outgoing)) throw new Error(`${outgoing.code}: ${outgoing.detail}`);
  return outgoing.identityHeaders;
}

await t.test('groups are told where the location wants them, and asked for only then', async (t) => {
  const none = await dressed({});
  t.notOk(none.result instanceof Promise, 'at once');
  t.strictSame(none.asked, []);
  const sids = await dressed({ groups: 'sids' });
  t.equal(valueOf(headersOf(sids.outgoing), 'X-Remote-Group-Sids'), `${payroll},${users}`, 'sorted');
  t.strictSame(sids.named, [], 'no names');
  const names = await dressed({ groups: 'names' });
  t.equal(valueOf(headersOf(names.outgoing), 'X-Remote-Groups'), 'LAB\\Payroll');
  t.strictSame(names.named, [[payroll, users]]);
  t.strictSame((await dressed({ groups: 'sids', dialects: ['arr', 'nginx'] })).asked, [], 'no dialect tells them');
  const anonymous = await dressed({ groups: 'sids', mapped: false });
  t.strictSame([anonymous.asked, headersOf(anonymous.outgoing)], [[], fields('X-Client-Verify: SUCCESS')]);
});

await t.test('groups that are not known refuse, and are never an empty list', async (t) => {
  const unknown = await dressed({ groups: 'sids', read: { kind: 'unknown', reason: 'dc is silent' } });
  t.match(unknown.outgoing, { code: 'groupsUnknown', detail: /dc is silent/, account: { name: account.name } });
  const old = await dressed({
    groups: 'sids',
    maximumAge: minute,
    read: readGroups([users], (now - minute - 1) as Instant),
  });
  t.match(old.outgoing, { code: 'groupsUnknown', detail: /longer ago than maximumAge/ });
});

await t.test('groups are not older than the location allows, and are read anew for a live connection', async (t) => {
  const young = await dressed({
    groups: 'sids',
    maximumAge: 10 * minute,
    read: readGroups([users], (now - minute) as Instant),
  });
  t.match(young.outgoing, { until: now + 9 * minute });
  t.match(
    young.asked,
    [{ maximumAge: minute, current: true }],
    'not older than the recheck interval where they can be read',
  );
  t.match((await dressed({ groups: 'sids' })).outgoing, { until: Infinity });
  const location = young.location;
  const earned = new Map([[location, {}]]);
  // Whatever location it is asked about: this one is made anew in each scene.
  earned.has = () => true;
  const kept = await dressed({ groups: 'sids', connection: { memory: { generation: 1, earned } } });
  t.match(kept.asked, [{ maximumAge: minute / 2, current: true }], 'half of the recheck interval');
});

await t.test('too many groups refuse, or are left out where that is configured', async (t) => {
  const many = Array.from({ length: 5 }, (_, index) => `S-1-5-21-1-2-3-${1000 + index}` as Sid);
  const limit = (maximum: number, whenTooMany: 'refuse' | 'omit', maximumBytes = 16_384) =>
    dressed({
      groups: 'sids',
      read: readGroups(many),
      settings: { groupLimits: { maximum, whenTooMany }, maximumBytes },
    }).then(({ outgoing }) => outgoing);
  const plain = headersOf((await dressed({})).outgoing);
  const full = headersOf(await limit(5, 'refuse'));
  t.ok(full.includes('X-Remote-Group-Sids'));
  t.match(await limit(4, 'refuse'), { code: 'identityTooLarge', detail: /is in 5 groups.*tells 4 at most/ });
  t.strictSame(headersOf(await limit(4, 'omit')), plain);
  const bytes = headerBytes(full);
  t.strictSame(headersOf(await limit(5, 'refuse', bytes)), full);
  t.match(await limit(5, 'refuse', bytes - 1), { code: 'identityTooLarge', detail: new RegExp(`have ${bytes} bytes`) });
  t.strictSame(headersOf(await limit(5, 'omit', bytes - 1)), plain);
  t.match(
    await limit(5, 'omit', headerBytes(plain) - 1),
    { code: 'identityTooLarge' },
    'too long without them as well',
  );
  const certificate = await dressed({ dialects: ['arr'], mapped: false, settings: { maximumBytes: 100 } });
  t.match(certificate.outgoing, { code: 'identityTooLarge' }, 'certificates too');
});

await t.test('octets are counted as they travel', async (t) => {
  t.equal(headerBytes(['A', 'b', 'Name', 'value']), 'A: b\r\nName: value\r\n'.length);
});

await t.test('an assertion is signed for the location, renewed in time, and never left out', async (t) => {
  const facts: AssertionFacts[] = [];
  const sign = (one: AssertionFacts): SignedAssertion => {
    facts.push(one);
    return { kind: 'signed', token: 'a.b.c', renewAt: (now + 30_000) as Instant };
  };
  const signed = await dressed({ dialects: ['assertion'], groups: 'names', sign });
  t.strictSame(headersOf(signed.outgoing), fields('X-DSMapper-Assertion: a.b.c'));
  t.match(signed.outgoing, { until: now + 30_000 });
  t.match(facts, [
    {
      audience: 'payroll-servers',
      notAfter: now + 60 * minute,
      groups: [
        { sid: payroll, name: 'LAB\\Payroll' },
        { sid: users, name: null },
      ],
    },
  ]);
  await dressed({ dialects: ['assertion'], maximumAge: minute, sign });
  t.match(
    facts[1],
    { notAfter: now + 2000, groups: null },
    'read longer ago, it lives as long as it takes to read it again',
  );
  t.match((await dressed({ dialects: ['assertion'] })).outgoing, { code: 'internalError' }, 'nobody signs');
  const outlived = await dressed({ dialects: ['assertion'], sign: () => ({ kind: 'outlived' }) });
  t.match(outlived.outgoing, { code: 'certificateExpired' });
  const tooLarge = (one: AssertionFacts): SignedAssertion =>
    one.groups === null ? sign(one) : { kind: 'tooLarge', bytes: 9000, limit: 8192 };
  t.match((await dressed({ dialects: ['assertion'], groups: 'sids', sign: tooLarge })).outgoing, {
    code: 'identityTooLarge',
    detail: /9000 bytes, 8192/,
  });
  const omitted = await dressed({
    dialects: ['assertion'],
    groups: 'sids',
    sign: tooLarge,
    settings: { groupLimits: { maximum: 9, whenTooMany: 'omit' } },
  });
  t.strictSame(headersOf(omitted.outgoing), fields('X-DSMapper-Assertion: a.b.c'));
  t.strictSame(
    headersOf((await dressed({ dialects: ['assertion'], mapped: false, sign })).outgoing),
    [],
    'for an account alone',
  );
});

await t.test('a kept connection has its headers until they must be written anew', async (t) => {
  const signed = await dressed({
    dialects: ['assertion'],
    sign: () => ({ kind: 'signed', token: 'a.b.c', renewAt: (now + 30_000) as Instant }),
  });
  const { outgoing } = signed;
  if (isVerdict(outgoing)) throw new Error(outgoing.code);
  const { trusted: stage } = outgoing.authorised.mapped;
  // Nothing else ends sooner.
  const lasting = { ...stage, until: (now + 60 * minute) as Instant };
  const kept = { ...outgoing, authorised: { ...outgoing.authorised, mapped: { trusted: lasting, identity } } };
  const setup = { generation: 1, settings: { limits: { recheck: minute }, mapping: defaultMappingSettings } };
  const connection = { memory: undefined } as unknown as Parameters<typeof remembered>[0];
  const at = (instant: number) => remembered(connection, stage.presented, setup as Setup, instant as Instant);
  remember(connection, kept, setup as Setup, now);
  t.equal(at(now + 29_999), kept);
  t.equal(at(now + 30_000), null);
});

await t.test('who looks at headers is not shown what would let him pass for the gateway', async (t) => {
  const headers = { ...defaultHeaderNames, assertion: 'X-Token' };
  const identityHeaders = fields(
    'X-Token: a.b.c',
    'MS-ASPNETCORE-TOKEN: secret',
    'X-Remote-User: X-Token',
    'X-Remote-Upn: u',
  );
  const setup = { settings: { identity: { ...settings, headers } } } as Setup;
  t.strictSame(
    shownHeaders({ authorised: {} as Authorised, identityHeaders, until: now }, setup),
    fields(
      'X-Token: (signed, not shown)',
      'MS-ASPNETCORE-TOKEN: (secret, not shown)',
      'X-Remote-User: X-Token',
      'X-Remote-Upn: u',
    ),
  );
});

await t.test('names of groups are asked for once, by everybody together, and again when they are old', async (t) => {
  let time = 0;
  const questions: (readonly Sid[])[] = [];
  const forest = {
    namesOf: async (sids: readonly Sid[], deadline: Millis) => {
      t.equal(deadline, 5000);
      questions.push(sids);
      return new Map(sids.includes(payroll) ? [[payroll, `LAB\\Payroll ${questions.length}`]] : []);
    },
  };
  const cache = { positive: (10 * minute) as Millis, negative: minute as Millis, stale: 0 as Millis, maximum: 10 };
  const namesOf = createGroupNames(forest, { deadline: 5000 as Millis, cache }, { monotonic: () => time });
  const first = new Map([[payroll, 'LAB\\Payroll 1']]);
  t.strictSame(await Promise.all([namesOf([payroll, users]), namesOf([payroll])]), [first, first]);
  t.strictSame(questions, [[payroll, users]]);
  t.strictSame(await namesOf([users, payroll]), first);
  t.equal(questions.length, 1);
  time = minute;
  t.strictSame(await namesOf([users, payroll]), first);
  t.strictSame(questions.slice(1), [[users]], 'that there is none is asked again sooner');
  time = 10 * minute;
  t.strictSame(await namesOf([payroll]), new Map([[payroll, 'LAB\\Payroll 3']]));
});

await t.test('through the gateway', { timeout: 120_000 }, async (t) => {
  let offset = 0;
  const clock: Clock = { now: () => (Date.now() + offset) as Instant, monotonic: () => performance.now() + offset };
  const to = await testGateway(t, {
    facilities: { clock },
    configure: (yaml) =>
      `${yaml.replace(
        'identity: { dialects: [remote-user, arr] }\n',
        'identity: { dialects: [remote-user, xfcc, ms-client-principal, ancm], groups: names }\n',
      )}
identity: { xfcc: { mode: append, from: [127.0.0.1] }, ancm: { token: env:DSMAPPER_TEST_TOKEN } }
limits: { recheck: 10m }
`,
  });
  const { lab } = to;
  const sid = (rid: number) => `S-1-5-21-1004336348-1177238915-682003330-${rid}`;
  const listOf = (value: string | null, pattern: RegExp) => value?.split(',').filter((one) => pattern.test(one)) ?? [];
  const groupsOf = (answer: Awaited<ReturnType<typeof ask>>) => [
    listOf(answer.backendHeader('X-Remote-Group-Sids'), /-23\d\d$/),
    listOf(answer.backendHeader('X-Remote-Groups'), /Payroll|Staff/),
  ];
  const both = [
    [sid(2301), sid(2302)],
    ['LAB\\Payroll', 'LAB\\Staff'],
  ];

  await t.test('the backend hears of groups, and of nothing that the client forged', async (t) => {
    const names = writtenNames(defaultHeaderNames).map(([name]) => name);
    const forged = Object.fromEntries(
      names.flatMap((name) => [
        [name, 'forged-9f2c'],
        [name.replaceAll('-', '_'), 'forged-9f2c'],
      ]),
    );
    for (const where of ['upFront', 'late'] as const) {
      const answer = await ask(to, where, { as: 'alice', headers: forged });
      t.strictSame(groupsOf(answer), both);
      const { headers } = answer.echo();
      t.notMatch(JSON.stringify(headers), /forged-9f2c/);
      t.equal(answer.backendHeader('MS-ASPNETCORE-TOKEN'), 'token-1');
      const own = readXfcc(answer.backendHeader('X-Forwarded-Client-Cert') ?? '');
      t.equal(own.length, 1);
      const open = await ask(to, where, { as: 'alice', path: '/', headers: forged });
      t.strictSame(
        open.echo().headers.filter(([name]) => names.includes(name)),
        [['X-Client-Verify', 'NONE']],
        'what was earned at one location is not told at another',
      );
    }
  });

  await t.test('elements of a proxy in front stay, request by request', async (t) => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    for (const inbound of ['Hash=aa', 'Hash=bb', 'not an element']) {
      const answer = await ask(to, 'upFront', { as: 'alice', agent, headers: { 'X-Forwarded-Client-Cert': inbound } });
      const elements = readXfcc(answer.backendHeader('X-Forwarded-Client-Cert') ?? '');
      t.strictSame(
        elements.slice(0, -1),
        inbound.startsWith('Hash') ? [[['Hash', inbound.slice(5)]]] : [],
        'that of the request before is gone',
      );
      t.ok(elements.at(-1)?.some(([key, value]) => key === 'Subject' && /alice/i.test(value)));
    }
  });

  await t.test('a kept connection tells groups as they are after a recheck', async (t) => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    const kept = () => ask(to, 'upFront', { as: 'alice', agent });
    t.strictSame(groupsOf(await kept()), both);
    const { searches } = lab.directory;
    await kept();
    t.equal(lab.directory.searches, searches, 'nobody is asked for a request of a kept connection');
    const payrollDn = 'CN=Payroll,CN=Users,DC=lab,DC=example,DC=test';
    lab.directory.replace(payrollDn, 'member', []);
    t.teardown(() => lab.directory.replace(payrollDn, 'member', ['CN=alice,CN=Users,DC=lab,DC=example,DC=test']));
    t.strictSame(groupsOf(await kept()), both, 'within the interval');
    offset += 6 * minute;
    t.equal(await to.gateway.recheck(), 0, 'the connection lives on');
    t.strictSame(groupsOf(await kept()), [[], []]);
    t.equal(Object.values(agent.freeSockets).flat().length, 1);
  });

  await t.test('groups that may not be read are 503, and end no connection', async (t) => {
    lab.directory.faults.hidden = ['tokenGroups'];
    t.teardown(() => (lab.directory.faults.hidden = []));
    to.gateway.setup.mapper?.forget();
    const unknown = await ask(to, 'upFront', { as: 'alice' });
    t.equal(unknown.status, 503);
    t.match(await to.logged(unknown.headers['x-request-id']), { code: 'groupsUnknown', account: 'LAB\\alice' });
    t.equal(await to.gateway.recheck(), 0);
    lab.directory.faults.hidden = [];
    t.equal((await ask(to, 'upFront', { as: 'alice' })).status, 200, 'and it is not remembered');
  });
});
