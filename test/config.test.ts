import * as fc from 'fast-check';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { systemClock } from '../src/base/clock.ts';
import { Failure } from '../src/base/failure.ts';
import type { PrincipalName } from '../src/directory/directory.ts';
import { endpointKey, parseEndpoint } from '../src/config/addresses.ts';
import { bothRules, compareRules } from '../src/config/authorize-comparison.ts';
import { maximumComplaints, printable } from '../src/config/complaint.ts';
import { describeRules, rulesText } from '../src/config/describe.ts';
import { systemFacilities } from '../src/config/facilities.ts';
import { languageEntries } from '../src/config/language-map.ts';
import { loadConfiguration } from '../src/config/load.ts';
import { principal, principalText } from '../src/config/principals.ts';
import { maximumConfigurationBytes, readSource } from '../src/config/source.ts';
import { editDistance, nearest } from '../src/config/suggestion.ts';
import { configurationTemplate } from '../src/config/template.ts';
import { canonicalPath } from '../src/gateway/canonical-path.ts';
import type { AuthorizeRule, LocationSettings, Settings } from '../src/gateway/settings.ts';
import { defaultMappingSettings, type MappingProfile } from '../src/mapping/mapper-contract.ts';
import { mappingProfiles } from '../src/mapping/profiles.ts';
import { createSiteIndex } from '../src/gateway/site-index.ts';
import { parseCertificate, type Certificate } from '../src/x509/certificate.ts';
import { nameKey } from '../src/x509/name-comparison.ts';
import { readCertificates } from '../src/x509/pem.ts';
import { planListens } from '../src/tls/endpoints.ts';
import { openPfx } from '../src/tls/pfx.ts';
import { createConfigWorld } from './support/config-world.ts';

const cases = new URL('./cases/config/', import.meta.url);
const world = await createConfigWorld();
const base = await readFile(new URL('good-late/config.yaml', cases), 'utf8');

/** The good configuration with one text replaced by another. */
function changed(from: string, to: string): string {
  if (!base.includes(from)) throw new Error(`${from} is not in the base configuration`);
  return base.replace(from, () => to);
}

function derOf(file: Buffer | string | undefined): Buffer {
  const read = readCertificates(Buffer.from(file ?? ''));
  if (read.kind !== 'read' || read.blocks[0] === undefined) throw new Error('no certificate');
  return read.blocks[0].der;
}

async function settingsOf(configuration: string): Promise<Settings> {
  return (await loadConfiguration('config.yaml', world.facilities(configuration))).settings;
}

async function failureOf(configuration: string | Buffer): Promise<Failure> {
  try {
    await loadConfiguration('config.yaml', world.facilities(configuration));
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('the configuration was loaded');
}

void t.test('cases: each configuration means, or is refused, exactly as written down', async (t) => {
  const entries = await readdir(cases, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  t.ok(names.length >= 100, `${names.length} cases`);
  for (const name of names) {
    const folder = new URL(`${name}/`, cases);
    const expected = await readFile(new URL('expected.txt', folder), 'utf8');
    t.equal(await world.outcome(await readFile(new URL('config.yaml', folder))), expected, name);
    const good = name.startsWith('good-') || name.startsWith('warned-');
    t.equal(expected.startsWith('error: '), !good, `${name} is ${good ? 'good' : 'refused'}`);
  }
});

void t.test('no complaint is in words of zod, yaml or node', async (t) => {
  const foreign =
    /invalid input|expected string|unrecognized|implicit key|flow (?:map|seq)|ENOENT|EACCES|DECODER|undefined|\[object/i;
  for (const name of await readdir(cases)) {
    if (name.startsWith('.')) continue;
    const expected = await readFile(new URL(`${name}/expected.txt`, cases), 'utf8');
    const messages = expected.split('\n').filter((line) => !/^ +\d* \|/.test(line));
    t.notMatch(messages.join('\n'), foreign, name);
  }
});

void t.test('settings: the defaults of a small configuration', async (t) => {
  const settings = await settingsOf(base);
  t.match(settings, {
    source: 'config.yaml',
    labOnly: false,
    outcomes: 'safe',
    verdictHeader: false,
    identity: {
      headers: {
        user: 'X-Remote-User',
        upn: 'X-Remote-Upn',
        sid: 'X-Remote-Sid',
        verify: 'X-Client-Verify',
        arr: 'X-ARR-ClientCert',
      },
    },
    mapping: {
      strongCertificateBindingEnforcement: 2,
      useSubjectAltName: true,
      ntAuthMethods: { length: 10 },
      sidVeto: false,
      cache: { positive: 900_000, negative: 60_000, stale: 600_000, maximum: 200_000 },
    },
    limits: {
      uploadReadAheadSize: 49_152,
      renegotiationTimeout: 60_000,
      recheck: 60_000,
      connections: { headersTimeout: 30_000 },
    },
    log: { file: '-', omitNames: false, syslog: null },
    admin: { listen: null, socket: null },
    warnings: [],
  });
  const [binding] = settings.bindings;
  t.match(binding, {
    name: '0.0.0.0:443',
    endpoint: { kind: 'address', address: '0.0.0.0', port: 443 },
    clientCertificate: 'late',
    dsMapperUsage: true,
    disableHttp2: false,
    disableTls13: false,
    disableTls12: false,
    enableSessionTicket: false,
  });
  t.match(settings.trust.get('0.0.0.0:443')?.judge, {
    usageCheck: true,
    minimumRsaBits: 2048,
    allowSha1: false,
    allowCaAsClient: false,
  });
  t.same(settings.trust.get('0.0.0.0:443')?.revocation, {
    mode: 'online',
    scope: 'chain',
    prefer: 'crl',
    freshnessTime: 0,
    retrievalTimeout: 15_000,
    whenUnknown: 'refuse',
    maximumStale: 86_400_000,
    noDistributionPoint: 'accept',
    issuers: [],
    rules: { clockSkew: 300_000, maximumAge: null, allowSha1: false, minimumRsaBits: 2048, nonce: 'send' },
  });
  t.same(settings.revocation, {
    hosts: ['pki.example.test'],
    cacheDirectory: null,
    crls: [],
    maximumCrlBytes: 67_108_864,
    aia: false,
  });
  t.match(settings.directory?.forests[0], {
    domains: [
      {
        name: 'lab.example.test',
        controllers: ['ldaps://dc1.lab.example.test:636'],
        bind: { password: 'correct horse' },
      },
    ],
  });
  t.same(
    settings.sites[0]?.locations.map(({ path, exact }) => [path, exact]),
    [
      ['/payroll', false],
      ['/', false],
    ],
  );
});

void t.test(
  'settings: a directory that no location needs is not contacted; NTAuth can be given up in a lab',
  async (t) => {
    const unasked = await settingsOf(
      changed('clientCertificateMapping: enabled', 'clientCertificateMapping: disabled'),
    );
    t.equal(unasked.directory, null);
    const lab = await settingsOf(await readFile(new URL('good-lab-only/config.yaml', cases), 'utf8'));
    t.match(lab, {
      labOnly: true,
      outcomes: 'iis',
      verdictHeader: true,
      mapping: { ntAuthMethods: [], strongCertificateBindingEnforcement: 1, certificateBackdatingCompensation: 600 },
    });
    t.match(lab.trust.get('0.0.0.0:443')?.judge, { minimumRsaBits: 1024, allowSha1: true, allowCaAsClient: true });
  },
);

async function caseSettings(name: string): Promise<Settings> {
  return settingsOf(await readFile(new URL(`${name}/config.yaml`, cases), 'utf8'));
}

void t.test('mapping: every key has its effect, and what a profile sets gives way to what is written', async (t) => {
  const plain = (await settingsOf(base)).mapping;
  t.same(plain, defaultMappingSettings, 'nothing written: what a domain controller of 2026 does');
  for (const profile of Object.keys(mappingProfiles) as MappingProfile[])
    t.match(
      (await settingsOf(`labOnly: true\nmapping: { profile: ${profile} }\n${base}`)).mapping,
      mappingProfiles[profile],
      profile,
    );
  t.match((await caseSettings('good-mapping-settings')).mapping, {
    nameBasedRules: [
      {
        issuer: '0123456789abcdef0123456789abcdef01234567',
        policies: ['1.3.6.1.4.1.311.21.8.1', '2.16.840.1.101.3.2.1.3.13'],
        upnSuffixes: ['lab.example.test', 'example.test'],
        issuerSubject: true,
      },
      {
        issuer: 'fedcba9876543210fedcba9876543210fedcba98',
        policies: ['1.3.6.1.4.1.311.21.8.2', '1.3.6.1.4.1.311.21.8.3'],
        upnSuffixes: ['example.test'],
        issuerSubject: true,
      },
      { issuer: '0000000000000000000000000000000000000001', upnSuffixes: [], issuerSubject: true },
    ],
    sidVeto: true,
    logonHours: true,
    refuseExpiredPassword: true,
    openPoints: {
      sha1PublicKey: 'both',
      serialSignOctet: 'dropped',
      rfc822Blank: true,
      quotedBackslash: false,
      rfc822FromSubject: true,
      sidUriMismatchRefuses: false,
      computerBySpn: true,
    },
  });
  const legacy = (await caseSettings('good-mapping-legacy')).mapping;
  t.match(legacy, {
    strongCertificateBindingEnforcement: 1,
    certificateMappingMethods: 0x1f,
    firstMatch: true,
    openPoints: {
      unquotedNames: true,
      computedSubjectKeyIdentifier: true,
      severalUpns: 'first',
      upnIsWeakMapping: false,
    },
  });
  t.strictSame(legacy.ntAuthMethods, ['UPN', 'DNS'], 'in the order of the contract');
});

void t.test('mapping: the methods of Schannel are the number of the registry, or names', async (t) => {
  const read = async (methods: string) =>
    (await settingsOf(`labOnly: true\nmapping: { certificateMappingMethods: ${methods} }\n${base}`)).mapping
      .certificateMappingMethods;
  for (const [written, bits] of [
    ['0x18', 0x18],
    ['24', 0x18],
    ['"0x1F"', 0x1f],
    ['[S4U2SelfExplicit, S4U2Self]', 0x18],
    ['[UPN, UPN]', 0x4],
    ['[SubjectIssuer, Issuer]', 0x3],
  ] as const)
    t.equal(await read(written), bits, written);
  for (const [written, sentence] of [
    ['0', /leaves no method/],
    ['[]', /leaves no method/],
    ['0x20', /bits that stand for no method/],
    ['-1', /neither a number nor a list/],
    ['1.5', /neither a number nor a list/],
    ['UPN', /neither a number nor a list/],
    ['"24 "', /neither a number nor a list/],
    ['[Kerberos]', /`Kerberos` is not a method/],
    ['[[UPN]]', /a list is not a method/],
  ] as const)
    await t.rejects(read(written), { message: sentence }, written);
});

void t.test('mapping: whatever weakens needs labOnly, each for itself, and is said at every start', async (t) => {
  const weak = [
    'profile: windows-2022-compat',
    'profile: schannel-legacy',
    'strongCertificateBindingEnforcement: 1',
    'strongCertificateBindingEnforcement: 0',
    'certificateMappingMethods: 0x19',
    'certificateMappingMethods: 0x1a',
    'certificateMappingMethods: [UPN, S4U2Self]',
    'ntAuthMethods: [UPN]',
    'firstMatch: true',
    'openPoints: { unquotedNames: true }',
    'openPoints: { computedSubjectKeyIdentifier: true }',
    'openPoints: { severalUpns: first }',
    'outcomes: iis',
  ];
  for (const setting of weak) {
    const text = `mapping: { ${setting} }\n${base}`;
    t.match((await failureOf(text)).message, /weakens and needs `labOnly: true`/, setting);
    t.match((await settingsOf(`labOnly: true\n${text}`)).warnings, [/not for production: (?!nothing)/], setting);
  }
  const all = `[${defaultMappingSettings.ntAuthMethods.join(', ')}]`;
  t.same((await settingsOf(`mapping: { ntAuthMethods: ${all} }\n${base}`)).warnings, []);
});

void t.test('directory: forests, servers by DNS, StartTLS, and who logs on', async (t) => {
  const { directory } = await caseSettings('good-directory-forests');
  const certificate = String(world.files.get('tls/web.pem'));
  t.match(directory, {
    forests: [
      {
        name: 'Lab',
        domains: [
          {
            name: 'lab.example.test',
            controllers: ['ldap://dc1.lab.example.test:389', 'ldaps://dc2.lab.example.test:636'],
            discovery: null,
            bind: { kind: 'simple', dn: 'svc@lab.example.test', password: 'correct horse' },
          },
          {
            name: 'child.lab.example.test',
            controllers: [],
            discovery: {
              site: 'Berlin-Mitte',
              names: ['dcs.example.test'],
              refresh: 60_000,
              resolver: ['192.0.2.53', '[2001:db8::53]:1053'],
            },
            bind: { kind: 'external', key: /BEGIN PRIVATE KEY/, authorizationId: 'dn:CN=svc,DC=lab' },
          },
        ],
        globalCatalog: ['ldap://dc1.lab.example.test:3268'],
        globalCatalogDiscovery: { site: null, names: [], refresh: 600_000, resolver: [] },
        certificateAuthorities: { length: 1 },
      },
      {
        name: 'partner.example',
        domains: [{ name: 'partner.example', discovery: { site: null } }],
        globalCatalog: [],
        globalCatalogDiscovery: null,
        certificateAuthorities: [],
      },
    ],
  });
  t.match(directory?.forests, [
    { batching: false, pollInterval: 0 },
    { batching: false, pollInterval: 0 },
  ]);
  const external = directory?.forests[0]?.domains[1]?.bind;
  t.ok(external?.kind === 'external' && derOf(external.certificate).equals(derOf(certificate)), 'leaf first');
  t.match((await settingsOf(base)).directory, { forests: [{ batching: true, pollInterval: 5000 }] });
});

void t.test('directory: a password that is changed behind its reference is read again', async (t) => {
  const files = new Map([...world.files, ['secrets/ldap', 'old\n']]);
  const text = changed('env:LDAP_PASSWORD', 'file:secrets/ldap');
  const env: Record<string, string> = { LDAP_PASSWORD: 'first' };
  const over = { ...world.facilities(text), env };
  const facilities = {
    ...over,
    readFile: (path: string, maximum: number) => {
      const content = path === 'secrets/ldap' ? files.get(path) : undefined;
      if (path === 'secrets/ldap' && content === undefined) return Promise.reject(new Error('gone'));
      return content === undefined ? over.readFile(path, maximum) : Promise.resolve(Buffer.from(content));
    },
  };
  const bindOf = ({ settings }: { settings: Settings }) => {
    const bind = settings.directory?.forests[0]?.domains[0]?.bind;
    if (bind?.kind !== 'simple' || bind.reread === null) throw new Error('no simple bind');
    return { password: bind.password, reread: bind.reread };
  };
  const fromFile = bindOf(await loadConfiguration('config.yaml', facilities));
  t.equal(fromFile.password, 'old');
  files.set('secrets/ldap', 'new\r\n');
  t.equal(await fromFile.reread(), 'new');
  files.set('secrets/ldap', '\n');
  t.equal(await fromFile.reread(), null, 'an empty file is no password');
  files.delete('secrets/ldap');
  t.equal(await fromFile.reread(), null);

  const fromEnv = bindOf(await loadConfiguration('config.yaml', { ...world.facilities(base), env }));
  env['LDAP_PASSWORD'] = 'second';
  t.equal(await fromEnv.reread(), 'second');
  env['LDAP_PASSWORD'] = '';
  t.equal(await fromEnv.reread(), null);
  delete env['LDAP_PASSWORD'];
  t.equal(await fromEnv.reread(), null);
});

void t.test('log: a syslog server, and by what name messages come', async (t) => {
  t.match((await caseSettings('good-syslog')).log, {
    file: 'var/access.log',
    syslog: {
      server: { host: 'siem.example.test', port: 6514 },
      certificateAuthorities: { length: 1 },
      certificate: { cert: /BEGIN CERTIFICATE/, key: /BEGIN PRIVATE KEY/ },
      hostname: 'gw1.example.test',
      facility: 20,
    },
  });
  const small = `log: { syslog: { server: "tls://[2001:db8::1]:6515" } }\n${base}`;
  const plain = { server: { host: '2001:db8::1', port: 6515 }, certificateAuthorities: [], certificate: null };
  t.strictSame((await settingsOf(small)).log.syslog, { ...plain, hostname: 'gateway.example.test', facility: 10 });
  const odd = { ...world.facilities(small), hostname: () => 'büro pc' };
  t.equal((await loadConfiguration('config.yaml', odd)).settings.log.syslog?.hostname, '-', 'what RFC 5424 cannot say');
});

void t.test('authorize: is inherited key by key; null takes a list away', async (t) => {
  const { sites } = await caseSettings('good-authorize');
  const at = (path: string) =>
    sites[0]?.locations.find((one) => one.path === path && (one.exact || path === '/strong'));
  const payroll = { kind: 'name', domain: 'lab', name: 'Payroll' };
  t.match(sites[0]?.locations.at(-1), {
    path: '/',
    whoami: true,
    authorize: {
      accounts: ['user'],
      minimumStrength: 'weak',
      groups: [
        payroll,
        { kind: 'name', domain: 'lab.example.test', name: 'Domain Users' },
        { kind: 'sid', sid: 'S-1-5-21-1-2-3-513' },
        { kind: 'sid', sid: 'S-1-5-32-544' },
      ],
      users: [{ kind: 'name', domain: 'lab.example.test', name: 'alice' }],
      reportOnly: false,
      alsoRequires: null,
    },
  });
  t.match(at('/strong'), {
    whoami: true,
    authorize: {
      minimumStrength: 'strong',
      issuancePolicies: ['1.3.6.1.4.1.311.21.8.1'],
      extendedKeyUsages: ['1.3.6.1.4.1.311.20.2.2', '1.3.6.1.5.5.7.3.2'],
      issuers: [{ digest: issuingCa?.digest }],
      groups: { length: 4 },
      users: { length: 1 },
    },
  });
  t.match(at('/strong/bob'), {
    whoami: false,
    authorize: {
      minimumStrength: 'strong',
      groups: [],
      users: [
        { domain: 'lab', name: 'bob' },
        { domain: 'lab', name: 'svc-web$' },
        { domain: 'lab.example.test', name: 'carol' },
      ],
    },
  });
  t.match(at('/strong/any')?.authorize, { issuers: [], issuancePolicies: [], extendedKeyUsages: { length: 2 } });
  t.match(at('/trial')?.authorize, { groups: [{ name: 'Machines' }], users: { length: 1 }, reportOnly: true });
  t.match(at('/trial/real')?.authorize, { groups: [{ name: 'Machines' }], reportOnly: false });
  const rules = describeRules(await caseSettings('good-authorize'));
  t.match(
    rules.locations.find(({ path }) => path === '/strong'),
    {
      accounts: ['user'],
      whoami: true,
      authorize: { issuers: ['CN=Issuing,O=Lab'], groups: { length: 4 }, users: ['alice@lab.example.test'] },
    },
  );
});

void t.test('authorize: names are read as they are shown, and nothing that is not one', (t) => {
  for (const text of ['LAB\\Payroll', 'Domain Users@lab.example.test', 'S-1-5-21-1-2-3-4294967295', 'LAB\\web$'])
    t.equal(principalText(principal.parse(text)), text);
  t.equal(principalText(principal.parse('lab.example.test\\x')), 'x@lab.example.test');
  for (const text of ['S-1-5', 'S-2-5-21-1', 'S-1-5-4294967296', `S-1-5${'-1'.repeat(16)}`, 'S-1-5-x', 'S-1-5-21-'])
    t.notOk(principal.safeParse(text).success, text);
  for (const text of [
    '',
    'a',
    'a@',
    '@b',
    '\\a',
    'A\\',
    'A\\b\\c',
    'A\\b@c',
    'a@b@c',
    'A\\ b',
    ' A\\b',
    `A\\${'x'.repeat(257)}`,
  ])
    t.notOk(principal.safeParse(text).success, text);
  for (const letter of '"/[]:;|=,+*?<>\n\0') t.notOk(principal.safeParse(`LAB\\a${letter}b`).success, letter);
  t.end();
});

void t.test('settings: every limit is read from its own key', async (t) => {
  const durations = ['handshakeTimeout', 'headersTimeout', 'requestTimeout', 'keepAliveTimeout', 'idleTimeout'];
  const counts = [
    'maximumConnections',
    'maximumConnectionsPerAddress',
    'maximumHandshakes',
    'maximumHeaderCount',
    'maximumStreams',
    'maximumRequestsPerConnection',
  ];
  const sizes = ['maximumClientHello', 'maximumHeaderBytes'];
  const further = ['renegotiationTimeout', 'lingerTimeout', 'recheck', 'drainTimeout'];
  const furtherSizes = ['uploadReadAheadSize', 'uploadReadAheadTotal', 'maximumBody', 'lingerBytes'];
  const lines = [
    ...[...durations, ...further].map((key, index) => `  ${key}: ${index + 10}s`),
    ...counts.map((key, index) => `  ${key}: ${index + 20}`),
    ...[...sizes, ...furtherSizes].map((key, index) => `  ${key}: ${index + 40}KiB`),
    '  maximumCertificates: 77',
    '  upstream: { maximumConnections: 3, maximumQueue: 4, connectTimeout: 5s, headersTimeout: 6s, bodyTimeout: 0s, queueTimeout: 7s, tunnelTimeout: 8s }',
  ];
  const { limits, sites } = await settingsOf(changed('trust:', `limits:\n${lines.join('\n')}\ntrust:`));
  const flat: Record<string, unknown> = { ...limits, ...limits.connections };
  for (const [index, key] of [...durations, ...further].entries()) t.equal(flat[key], (index + 10) * 1000, key);
  for (const [index, key] of counts.entries()) t.equal(flat[key], index + 20, key);
  for (const [index, key] of [...sizes, ...furtherSizes].entries()) t.equal(flat[key], (index + 40) * 1024, key);
  t.equal(limits.maximumCertificates, 77);
  t.same(sites[0]?.locations[0]?.upstream.servers[0], {
    origin: 'http://127.0.0.1:8080',
    maximumConnections: 3,
    maximumQueue: 4,
    connectTimeout: 5000,
    headersTimeout: 6000,
    bodyTimeout: 0,
    queueTimeout: 7000,
    tunnelTimeout: 8000,
  });
});

void t.test('settings: limits of a backend are inherited key by key from limits, site and location', async (t) => {
  const { sites } = await settingsOf(
    changed(
      '    upstream: http://127.0.0.1:8080\n',
      '    upstream: http://127.0.0.1:8080\n    upstreamLimits: { maximumQueue: 7, maximumConnections: 8 }\n',
    ).replace('      /payroll:\n', '      /payroll:\n        upstreamLimits: { maximumQueue: 9, bodyTimeout: 0s }\n'),
  );
  const [payroll, root] = sites[0]?.locations ?? [];
  t.match(root?.upstream.servers[0], {
    maximumQueue: 7,
    maximumConnections: 8,
    bodyTimeout: 90_000,
    connectTimeout: 5000,
  });
  t.match(payroll?.upstream.servers[0], {
    maximumQueue: 9,
    maximumConnections: 8,
    bodyTimeout: 0,
    connectTimeout: 5000,
  });
});

void t.test('settings: paths are relative to the configuration file', async (t) => {
  const files = new Map([...world.files].map(([path, content]) => [`etc/dsmapper/${path}`, content]));
  const { facilities } = { facilities: world.facilities('') };
  const text = changed(
    'trust:',
    'log: { file: var/access.log, omitNames: true }\nadmin: { listen: "[::1]:9090", socket: /run/admin.sock }\ntrust:',
  );
  const seen: string[] = [];
  const { settings } = await loadConfiguration('etc/dsmapper/main.yaml', {
    ...facilities,
    async readFile(path) {
      seen.push(path);
      return path === 'etc/dsmapper/main.yaml' ? Buffer.from(text) : Buffer.from(files.get(path) ?? 'missing');
    },
  });
  t.ok(seen.includes('etc/dsmapper/trust/root.pem'));
  t.same(settings.log, { file: 'etc/dsmapper/var/access.log', omitNames: true, syslog: null });
  t.same(settings.admin, { listen: { address: '::1', port: 9090 }, socket: '/run/admin.sock' });
});

void t.test('settings: header names can be changed, also with each other', async (t) => {
  const { identity } = await settingsOf(
    changed('trust:', 'identity: { headers: { user: X-Remote-Upn, upn: X-Remote-User, arr: X-Cert } }\ntrust:'),
  );
  t.match(identity.headers, { user: 'X-Remote-Upn', upn: 'X-Remote-User', sid: 'X-Remote-Sid', arr: 'X-Cert' });
  const clash = await failureOf(changed('trust:', 'identity: { headers: { user: x_remote_upn } }\ntrust:'));
  t.match(
    clash.message,
    /identity\.headers\.user: header name "x_remote_upn"/,
    'the complaint stands where somebody wrote',
  );
});

void t.test('trust digest: follows the trust and how it is used, nothing else', async (t) => {
  const digest = async (text: string) => (await settingsOf(text)).bindings[0]?.trustDigest;
  const before = await digest(base);
  t.equal(await digest(base), before, 'the same file again, as a reload reads it');
  t.equal(await digest(changed('http://127.0.0.1:8080', 'http://127.0.0.1:8081')), before, 'another backend');
  t.not(
    await digest(changed('dsMapperUsage: enabled', 'dsMapperUsage: enabled\n    usageCheck: disabled')),
    before,
    'usageCheck',
  );
  t.not(await digest(changed(', intermediates: [file:trust/ca/issuing.pem]', '')), before, 'intermediates');
  t.not(
    await digest(changed('[file:trust/root.pem]', '[file:trust/root.pem, file:trust/expired.pem]')),
    before,
    'roots',
  );
});

void t.test('trust: bindings without a trust of their own share one store', async (t) => {
  const text = changed(
    'sites:',
    `  - endpoint: 127.0.0.1:8443
    certificate: { cert: file:tls/web.pem, key: file:tls/web.key }
    verifyClientCertificateRevocation: disabled
  - endpoint: 127.0.0.1:9443
    certificate: { cert: file:tls/web.pem, key: file:tls/web.key }
    verifyClientCertificateRevocation: disabled
    trust: { roots: [file:trust/utf16.pem] }
sites:`,
  );
  const { trust } = await settingsOf(text);
  const [first, second, own] = ['0.0.0.0:443', '127.0.0.1:8443', '127.0.0.1:9443'].map(
    (name) => trust.get(name)?.store,
  );
  t.equal(first, second);
  t.not(first, own);
  t.equal(own?.intermediates.length, 0, 'its own trust stands in place of the global one, as a whole');
  t.equal(own?.anchors[0]?.digest, first?.anchors[0]?.digest, 'the same root, read from UTF-16');
});

void t.test('revocation: every key has its effect', async (t) => {
  const { trust, revocation } = await settingsOf(
    (await readFile(new URL('good-revocation/config.yaml', cases), 'utf8'))
      .replace('verifyClientCertificateRevocation: enabled', 'revocationFreshnessTime: 1h\n    urlRetrievalTimeout: 4s')
      .replace('scope: chain', 'scope: leaf')
      .replace('whenUnknown: refuse', 'whenUnknown: acceptStale\n  maximumStale: 2h')
      .replace('policy: required', 'policy: ifAvailable, ocspSigners: [file:trust/root.pem]')
      .replace('crls: [', 'crls: [file:crls/root.crl, dir:crls, '),
  );
  const { issuers, ...checked } = trust.get('0.0.0.0:443')?.revocation ?? {};
  t.match(checked, {
    mode: 'online',
    scope: 'leaf',
    prefer: 'ocsp',
    freshnessTime: 3_600_000,
    retrievalTimeout: 4000,
    whenUnknown: 'acceptStale',
    maximumStale: 7_200_000,
    noDistributionPoint: 'refuse',
    rules: { clockSkew: 120_000, maximumAge: 200 * 86_400_000, nonce: 'require' },
  });
  const [byCertificate, byName] = issuers ?? [];
  const issuing = parseCertificate(derOf(world.files.get('trust/ca/issuing.pem')));
  const root = parseCertificate(derOf(world.files.get('trust/root.pem')));
  if (issuing.kind !== 'parsed' || root.kind !== 'parsed') throw new Error('no certificates');
  t.same(byCertificate, {
    nameKey: nameKey(issuing.certificate.subject),
    keyDigest: issuing.certificate.publicKey.digest,
    policy: 'required',
    crls: ['http://crl.example.test/issuing.crl'],
    ocsp: ['http://ocsp.example.test/'],
    ocspSigners: [],
  });
  t.same(byName, {
    nameKey: nameKey(root.certificate.subject),
    keyDigest: null,
    policy: 'ifAvailable',
    crls: [],
    ocsp: [],
    ocspSigners: [root.certificate],
  });
  const file = (path: string) => pathToFileURL(path).href;
  t.match(revocation, {
    cacheDirectory: '/var/lib/dsmapper/revocation',
    crls: [file('crls/root.crl'), file('crls/issuing.crl'), 'http://crl.example.test:81/ca.crl', /^ldap:/],
    maximumCrlBytes: 200 * 1024 * 1024,
  });
});

void t.test('revocation: the mode of a binding is the weaker one of its own and the global one', async (t) => {
  const mode = async (own: string, global: string) =>
    (
      await settingsOf(
        changed('    verifyClientCertificateRevocation: enabled\n', own).replace('hosts:', `mode: ${global}, hosts:`),
      )
    ).trust.get('0.0.0.0:443')?.revocation.mode;
  const cached = '    verifyRevocationWithCachedClientCertificateOnly: enabled\n';
  const off = '    verifyClientCertificateRevocation: disabled\n';
  t.equal(await mode('', 'online'), 'online');
  t.equal(await mode('', 'cachedOnly'), 'cachedOnly');
  t.equal(await mode('', 'disabled'), 'disabled');
  t.equal(await mode(cached, 'online'), 'cachedOnly');
  t.equal(await mode(off + cached, 'online'), 'disabled');
});

void t.test('revocation: a CRL file is no longer than maximumCrlSize', async (t) => {
  const failure = await failureOf(changed('hosts:', 'maximumCrlSize: 1KiB, crls: [file:trust/wide.pem], hosts:'));
  t.match(failure.message, /revocation\.crls\[0\]: `trust\/wide\.pem` cannot be read: it is larger than 1024 bytes/);
});

void t.test('trust: stores narrow, and fill the names that clients are sent', async (t) => {
  const withStore = (binding: string, list: string) =>
    settingsOf(
      changed('    dsMapperUsage: enabled\n', `    dsMapperUsage: enabled\n${binding}`).replace(
        'trust: {',
        `trust: { stores: { Partners: ${list} },`,
      ),
    );
  const ca = '[file:trust/ca/issuing.pem]';
  const own = '    ctlStoreName: Partners\n';
  const narrowed = await withStore(own, ca);
  const store = ({ trust }: Settings) => trust.get('0.0.0.0:443')?.store;
  t.match(store(narrowed)?.list, { name: 'Partners', mode: 'machineTrust' });
  t.same(narrowed.bindings[0]?.issuerHints, [], 'no names unless wanted');
  t.not(store(narrowed)?.digest, store(await withStore('', ca))?.digest);
  t.not(narrowed.bindings[0]?.trustDigest, (await withStore('', ca)).bindings[0]?.trustDigest);
  for (const [mode, name] of [
    [1, 'exclusiveRoot'],
    ['exclusiveRoot', 'exclusiveRoot'],
    [2, 'exclusiveCa'],
  ] as const) {
    const settings = await withStore(`${own}    clientAuthTrustMode: ${mode}\n`, '[file:trust/root.pem]');
    t.equal(store(settings)?.list?.mode, name, `${mode}`);
  }
  const names = async (binding: string, list: string) =>
    (await withStore(`    sendTrustedIssuerList: enabled\n${binding}`, list)).bindings[0]?.issuerHints?.map(
      (pem) => new X509Certificate(pem).subject,
    );
  t.same(await names(own, ca), ['O=Lab\nCN=Issuing']);
  t.same(await names('', ca), ['O=Lab\nCN=Root'], 'without a store those of the roots');
  const mixed = '[file:trust/leaf.pem, file:trust/root.pem, file:trust/namesake.pem]';
  t.same(await names(own, mixed), ['O=Lab\nCN=Root'], 'each name once, CAs alone');
});

void t.test('trust: bindings share a store of the same list and mode alone', async (t) => {
  const https = '    certificate: { cert: file:tls/web.pem, key: file:tls/web.key }\n';
  const binding = (port: number, more: string) => `  - endpoint: 127.0.0.1:${port}\n${https}${more}`;
  const { trust } = await settingsOf(
    changed(
      'sites:',
      `${binding(1, '    ctlStoreName: A\n')}${binding(2, '    ctlStoreName: A\n')}${binding(3, '    ctlStoreName: B\n')}${binding(4, '    ctlStoreName: A\n    clientAuthTrustMode: 2\n')}sites:`,
    ).replace('trust: {', 'trust: { stores: { A: [file:trust/root.pem], B: [file:trust/root.pem] },'),
  );
  const stores = [1, 2, 3, 4].map((port) => trust.get(`127.0.0.1:${port}`)?.store);
  t.equal(stores[0], stores[1]);
  t.equal(new Set([...stores, trust.get('0.0.0.0:443')?.store]).size, 4);
});

void t.test('trust: what is legal but of no use is warned of', async (t) => {
  const roots = '[file:trust/root.pem, file:trust/future.pem, file:trust/namesake.pem]';
  const { warnings } = await settingsOf(changed('[file:trust/root.pem]', roots));
  t.match(warnings, [
    /trust\.roots: 2 trusted roots are named CN=Root,O=Lab and have different keys/,
    /trust\.roots\[1\]: trust\/future\.pem, block 1 \(line 1\), CN=New Root, is not valid before 2027/,
  ]);
});

void t.test('trust: a directory of more files than any trust has is refused unread', async (t) => {
  const names = Array.from({ length: 5001 }, (_, index) => `${index}.pem`);
  const facilities = {
    ...world.facilities(changed('file:trust/root.pem', 'dir:trust/ca')),
    listDirectory: async () => names,
  };
  await t.rejects(loadConfiguration('config.yaml', facilities), {
    message: /`trust\/ca` has more than 5000 certificate files/,
  });
});

void t.test('certificates: what is served is what the files hold', async (t) => {
  for (const key of [
    'file:tls/web.key',
    'file:tls/key.der',
    'file:tls/sec1.der',
    'file:tls/encrypted.key, passphrase: env:TLS_PASSPHRASE',
  ]) {
    const { bindings } = await settingsOf(changed('file:tls/web.key', key));
    const certificate = bindings[0]?.certificate;
    if (certificate === null || certificate === undefined || !('cert' in certificate))
      throw new Error('no certificate');
    t.equal(
      certificate.cert.replaceAll('\n', ''),
      String(world.files.get('tls/web.pem')).replaceAll('\n', ''),
      `${key}: leaf and intermediate`,
    );
    t.equal(certificate.key, world.files.get('tls/web.key'), `${key}: PKCS#8, not encrypted`);
  }
});

void t.test('certificates: a PKCS#12 is opened before it is needed', (t) => {
  const pfx = world.files.get('tls/web.pfx');
  if (!Buffer.isBuffer(pfx)) throw new Error('no PKCS#12');
  t.equal(openPfx(pfx, 'open sesame').kind, 'opened');
  t.equal(openPfx(pfx, 'wrong').kind, 'passphrase');
  t.equal(openPfx(pfx, '').kind, 'passphrase');
  t.equal(openPfx(pfx.subarray(0, 200), 'open sesame').kind, 'malformed');
  t.end();
});

void t.test('certificates: an OCSP answer is stapled where the responder may be asked', async (t) => {
  const { stapling } = await settingsOf(
    changed('file:tls/web.pem', 'file:tls/stapled.pem').replace('web.key', 'stapled.key'),
  );
  t.same([...stapling.keys()], [], 'its host is not allowed');
  const allowed = (more: string) =>
    settingsOf(
      changed('file:tls/web.pem', more.includes('alone') ? 'file:tls/stapled-alone.pem' : 'file:tls/stapled.pem')
        .replace('web.key', 'stapled.key')
        .replace('pki.example.test', 'ocsp.example.test')
        .replace('    dsMapperUsage', `    ${more}dsMapperUsage`),
    );
  const good = await allowed('');
  const question = good.stapling.get('0.0.0.0:443');
  t.same(question?.responders, ['http://ocsp.example.test/stapled']);
  t.equal(question?.issuer.der.equals(derOf(world.files.get('trust/ca/issuing.pem'))), true);
  t.same(good.warnings, []);
  t.equal((await allowed('disableOcspStapling: true\n    ')).stapling.size, 0);
  const alone = await allowed('usageCheck: enabled # alone\n    ');
  t.equal(alone.stapling.size, 0);
  t.match(alone.warnings, [
    /disableOcspStapling: nothing is stapled: the certificate of the issuer does not stand below/,
  ]);
  const unable = await settingsOf(changed('    dsMapperUsage', '    disableOcspStapling: false\n    dsMapperUsage'));
  t.match(unable.warnings, [/disableOcspStapling: nothing is stapled: the server certificate names no OCSP responder/]);
});

void t.test('locations: a rule holds for every spelling of its path, and a looser one only for its own', async (t) => {
  const { sites } = await settingsOf(await readFile(new URL('good-looser-and-stricter/config.yaml', cases), 'utf8'));
  const site = createSiteIndex(sites).site('0.0.0.0:443', 'any.example.test');
  const ruleFor = (target: string) => {
    const path = canonicalPath(target, 'refuse');
    if (typeof path === 'string' || site === null) throw new Error(target);
    return site.location(path);
  };
  t.same(ruleFor('/machines/x').authorize.accounts, ['computer']);
  t.same(ruleFor('/MACHINES').authorize.accounts, ['computer'], 'case is no spelling');
  const other = ruleFor('/machines;v=1/x');
  t.match(
    other,
    {
      authorize: { accounts: ['computer'], alsoRequires: { accounts: ['user'], alsoRequires: null } },
      maximumAge: 60_000,
      clientCertificateMapping: true,
    },
    'in another spelling both rules hold',
  );
  t.same(ruleFor('/machines/all').authorize.accounts, ['user', 'computer']);
  t.match(
    ruleFor('/machines;v=1/all').authorize,
    { accounts: ['computer'], alsoRequires: { accounts: ['user'] } },
    'a child of the looser one is no way around the stricter one',
  );
  t.match(ruleFor('/payroll;v=1'), { path: '/payroll', authorize: { accounts: ['user'] } });
});

void t.test(
  'locations: beside a rule that maps nobody, its kinds of accounts and its age demand nothing',
  async (t) => {
    const open = '      /: { authentication: { anonymous: fallback }, maximumAge: 1m }\n      /payroll:\n';
    const text = changed('      /payroll:\n', open).replace(
      'enabled }\nrevocation',
      'enabled }\n        authorize: { accounts: [computer] }\n        maximumAge: 5m\nrevocation',
    );
    const { sites, warnings } = await settingsOf(text);
    t.match(sites[0]?.locations, [
      { path: '/payroll', exact: false, authorize: { accounts: ['computer'] }, maximumAge: 300_000 },
      { path: '/' },
    ]);
    t.equal(sites[0]?.locations.length, 2);
    t.same(warnings, []);
  },
);

/** A client, as far as rules about accounts go. */
interface Shown {
  readonly kind: 'user' | 'computer';
  readonly strong: boolean;
  readonly policies: readonly string[];
  readonly usages: readonly string[];
  readonly issuers: readonly Certificate[];
  readonly principals: readonly string[];
}

/** What a rule means, said once more and without regard to how rules are combined. */
function serves(rule: AuthorizeRule, client: Shown): boolean {
  const names = [...rule.groups, ...rule.users].map(principalText);
  const meets =
    rule.accounts.some((kind) => kind === client.kind) &&
    (rule.minimumStrength === 'weak' || client.strong) &&
    (rule.issuancePolicies.length === 0 || rule.issuancePolicies.some((oid) => client.policies.includes(oid))) &&
    rule.extendedKeyUsages.every((oid) => client.usages.includes(oid)) &&
    (rule.issuers.length === 0 || rule.issuers.some((issuer) => client.issuers.includes(issuer))) &&
    (names.length === 0 || names.some((name) => client.principals.includes(name)));
  return (meets || rule.reportOnly) && (rule.alsoRequires === null || serves(rule.alsoRequires, client));
}

const [rootCa, issuingCa] = ['trust/root.pem', 'trust/ca/issuing.pem'].map((file) => {
  const parsed = parseCertificate(derOf(world.files.get(file)));
  if (parsed.kind !== 'parsed') throw new Error(file);
  return parsed.certificate;
});

const policyOids = ['1.3.6.1.4.1.311.21.8.1', '1.3.6.1.4.1.311.21.8.2'];
const usages = ['1.3.6.1.4.1.311.20.2.2', '1.3.6.1.5.5.7.3.2'];
const groupNames = ['LAB\\A', 'LAB\\B', 'LAB\\C'];
const userNames = ['LAB\\u'];
const some = <T>(values: readonly T[]) => fc.option(fc.subarray([...values], { minLength: 1 }));

const writtenRule = fc
  .record({
    access: fc.record({ sslFlags: fc.subarray(['Ssl', 'SslNegotiateCert', 'SslRequireCert', 'Ssl128']) }),
    authentication: fc.record({
      anonymous: fc.constantFrom('disabled', 'disabled', 'fallback', 'suppressesMapping'),
      clientCertificateMapping: fc.constantFrom('enabled', 'enabled', 'disabled'),
    }),
    authorize: fc.record({ accounts: fc.subarray(['user', 'computer'], { minLength: 1 }) }),
    demands: fc.record(
      {
        minimumStrength: fc.constantFrom('weak', 'strong'),
        issuancePolicies: some(policyOids),
        extendedKeyUsages: some(usages),
        issuers: some(['file:trust/root.pem', 'file:trust/ca/issuing.pem']),
        groups: some(groupNames),
        users: some(userNames),
        reportOnly: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    maximumAge: fc.constantFrom(null, '1m', '5m'),
  })
  .map(({ demands, ...rule }) => {
    const { anonymous, clientCertificateMapping } = rule.authentication;
    const maps = clientCertificateMapping === 'enabled' && anonymous !== 'suppressesMapping';
    return maps ? { ...rule, authorize: { ...rule.authorize, ...demands } } : rule;
  });

const shownClient: fc.Arbitrary<Shown> = fc.record({
  kind: fc.constantFrom('user', 'computer'),
  strong: fc.boolean(),
  policies: fc.subarray(policyOids),
  usages: fc.subarray(usages),
  issuers: fc.subarray([rootCa, issuingCa].filter((ca) => ca !== undefined)),
  principals: fc.subarray([...groupNames, ...userNames]),
});

void t.test('locations: what holds for other spellings is as strict as every rule above it', async (t) => {
  const rank = { ignore: 0, accept: 1, require: 2, suppressesMapping: 0, fallback: 1, disabled: 2 };
  const maps = (rule: LocationSettings) => rule.clientCertificateMapping && rule.anonymous !== 'suppressesMapping';
  let twins = 0;
  let chained = 0;
  await fc.assert(
    fc.asyncProperty(
      writtenRule,
      writtenRule,
      writtenRule,
      fc.array(shownClient, { minLength: 20, maxLength: 40 }),
      async (root, child, grandchild, clients) => {
        const locations = JSON.stringify({ '/': root, '/a': child, '/a/b': grandchild });
        const text = base.replace(/    locations:\n(?: {6}.*\n)+/, `    locations: ${locations}\n`);
        // Certificates are read anew for each location: by digest they are those that clients show.
        const { sites } = await settingsOf(text);
        const all = (sites[0]?.locations ?? []).map((location) => ({
          ...location,
          authorize: withKnownIssuers(location.authorize),
        }));
        const above = all.find(({ path }) => path === '/');
        if (above === undefined) return false;
        const own = (path: string) => all.find((one) => one.path === path && one.exact);
        const refusing = above.anonymous === 'disabled' && !above.clientCertificateMapping;
        return all
          .filter(({ exact }) => !exact)
          .every((others) => {
            const written = own(others.path);
            if (written !== undefined) twins += 1;
            if (others.authorize.alsoRequires !== null) chained += 1;
            const stricter =
              Number(others.access.ssl) >= Number(above.access.ssl) &&
              Number(others.access.ssl128) >= Number(above.access.ssl128) &&
              rank[others.access.clientCertificate] >= rank[above.access.clientCertificate] &&
              rank[others.anonymous] >= rank[above.anonymous] &&
              Number(others.clientCertificateMapping) >= Number(above.clientCertificateMapping) &&
              (!maps(above) || (others.maximumAge ?? Infinity) <= (above.maximumAge ?? Infinity));
            const asStrict = clients.every(
              (client) =>
                !maps(others) ||
                ((!maps(above) || !serves(others.authorize, client) || serves(above.authorize, client)) &&
                  (written === undefined ||
                    !maps(written) ||
                    !serves(others.authorize, client) ||
                    serves(written.authorize, client))),
            );
            return (others === above && refusing) || (stricter && asStrict);
          });
      },
    ),
    { numRuns: 300, seed: 20_261_122 },
  );
  t.ok(twins > 100 && chained > 50, `${twins} locations stood twice, ${chained} needed both rules`);
});

function withKnownIssuers(rule: AuthorizeRule): AuthorizeRule {
  return {
    ...rule,
    issuers: rule.issuers.flatMap(({ digest }) => [rootCa, issuingCa].find((ca) => ca?.digest === digest) ?? []),
    alsoRequires: rule.alsoRequires === null ? null : withKnownIssuers(rule.alsoRequires),
  };
}

void t.test('locations: both of two rules hold exactly where both would', (t) => {
  const rule: fc.Arbitrary<AuthorizeRule> = fc.record({
    accounts: fc.subarray<'user' | 'computer'>(['user', 'computer'], { minLength: 1 }),
    minimumStrength: fc.constantFrom('weak', 'strong'),
    issuancePolicies: fc.subarray(policyOids),
    extendedKeyUsages: fc.subarray(usages),
    issuers: fc.subarray([rootCa, issuingCa].filter((ca) => ca !== undefined)),
    groups: fc.subarray(groupNames.map((name) => nameOf(name))),
    users: fc.subarray(userNames.map((name) => nameOf(name))),
    reportOnly: fc.boolean(),
    alsoRequires: fc.constant(null),
  });
  const clients = fc.array(shownClient, { minLength: 20, maxLength: 40 });
  fc.assert(
    fc.property(rule, rule, rule, clients, (first, second, third, shown) => {
      const two = bothRules(first, second);
      const three = bothRules(two, third);
      const { looser } = compareRules(first, second);
      return shown.every((client) => {
        const [one, other, last] = [first, second, third].map((each) => serves(each, client));
        return (
          serves(two, client) === (one === true && other === true) &&
          serves(three, client) === (one === true && other === true && last === true) &&
          (looser.length > 0 || other === false || one === true)
        );
      });
    }),
    { numRuns: 2000, seed: 20_261_123 },
  );
  t.end();
});

function nameOf(text: string): PrincipalName {
  return principal.parse(text);
}

void t.test('bindings: what loads can be listened on', async (t) => {
  for (const name of ['good-plain-and-host', 'good-late', 'good-inheritance']) {
    const { bindings } = await settingsOf(await readFile(new URL(`${name}/config.yaml`, cases), 'utf8'));
    t.ok(planListens(bindings).length > 0, name);
  }
});

void t.test('bindings: a host endpoint listens where it says, else everywhere', async (t) => {
  const host = (listen: string) =>
    changed('0.0.0.0:443\n', `www.example.test:443\n${listen}`).replace('["0.0.0.0:443"]', '["WWW.example.test:443"]');
  t.match((await settingsOf(host(''))).bindings[0]?.endpoint, {
    kind: 'host',
    host: 'www.example.test',
    listen: '0.0.0.0',
  });
  t.match((await settingsOf(host('    listen: "::1"\n'))).bindings[0]?.endpoint, { listen: '::1' });
});

void t.test('bindings: port 0 is a port of its own each time', async (t) => {
  const text = changed('0.0.0.0:443\n', '127.0.0.1:0\n')
    .replace('sites:', '  - endpoint: 127.0.0.2:0\nsites:')
    .replace('["0.0.0.0:443"]', '["127.0.0.1:0", "127.0.0.2:0"]');
  t.equal((await settingsOf(text)).bindings.length, 2, 'https and http');
});

void t.test('bindings: endpoints have one key each, however they are written', (t) => {
  const key = (text: string) => {
    const parsed = parseEndpoint(text);
    return typeof parsed === 'string' ? null : endpointKey(parsed);
  };
  t.equal(key('[0:0::0]:443'), '[::]:443');
  t.equal(key('[::FFFF]:1'), '[::ffff]:1');
  t.equal(key('WWW.Example.test:443'), 'www.example.test:443');
  for (const wrong of [
    '443',
    ':443',
    '*:443',
    '*.a.test:443',
    '1.2.3:443',
    '256.1.1.1:80',
    '[::1]',
    '[1.2.3.4]:1',
    '::1:443',
    'a:65536',
    'a:-1',
    'a:+1',
    'a b:1',
    'http://a:1',
    'a..b:1',
    '-a:1',
    'a:1e1',
  ])
    t.equal(key(wrong), null, wrong);
  t.end();
});

void t.test('secrets: a literal is never shown, wherever it stands and whatever else is wrong', async (t) => {
  const secret = fc.stringMatching(/^[A-Za-z0-9]{12,20}$/);
  const places = [
    (text: string) => changed('password: env:LDAP_PASSWORD', `password: ${text}`),
    (text: string) => changed('password: env:LDAP_PASSWORD', `password: "${text}", dn: 1`),
    (text: string) => changed('password: env:LDAP_PASSWORD', `passwrod: ${text}`),
    (text: string) => changed('password: env:LDAP_PASSWORD', `PASSWORD: [${text}]`),
    (text: string) => changed('password: env:LDAP_PASSWORD', `password: env:${text}-x`),
    (text: string) => changed('password: env:LDAP_PASSWORD', `password: env:LDAP_PASSWORD, bindPassword: ${text}`),
    (text: string) => changed('key: file:tls/web.key', `key: file:tls/web.key, passphrase: ${text}`),
    (text: string) => changed('password: env:LDAP_PASSWORD }', `password: ${text}`),
    (text: string) =>
      changed(', password: env:LDAP_PASSWORD }', ` }\n    password: |\n      first line\n      ${text}`),
    (text: string) => changed('bind: {', `password:\n        ${text}: [\n      bind: {`),
    (text: string) => changed('bind: {', `password: >-\n        ${text}\n       x\n      bind: {`),
    (text: string) => changed('http://127.0.0.1:8080', `http://user:${text}@127.0.0.1:8080`),
    (text: string) => changed('file:tls/web.key', `"-----BEGIN PRIVATE KEY----- ${text}"`),
  ];
  await fc.assert(
    fc.asyncProperty(secret, fc.nat(places.length - 1), async (text, place) => {
      const { message, hint } = await failureOf(places[place]?.(text) ?? '');
      return !message.includes(text) && !hint.includes(text);
    }),
    { numRuns: 200, seed: 7 },
  );
  const whole = await failureOf(changed('password: env:LDAP_PASSWORD', 'password: env:LDAP_PASSWORD, x: 1'));
  t.match(whole.message, 'password: env:LDAP_PASSWORD, x: 1', 'a reference is shown');
});

void t.test('secrets: from a file without its line break, from the environment as it is', async (t) => {
  const password = async (reference: string) => {
    const { directory } = await settingsOf(changed('env:LDAP_PASSWORD', reference));
    const bind = directory?.forests[0]?.domains[0]?.bind;
    return bind?.kind === 'simple' ? bind.password : null;
  };
  t.equal(await password('file:secrets/ldap'), 'correct horse');
  t.equal(await password('env:LDAP_PASSWORD'), 'correct horse');
});

void t.test('hostile YAML ends at a bound, with a sentence', async (t) => {
  const refused = async (configuration: string | Buffer, message: RegExp, claim: string) => {
    const failure = await failureOf(configuration);
    t.match(failure.message, message, claim);
    t.equal(failure.exitCode, 2, claim);
    t.equal(failure.code, 'configuration', claim);
    t.ok(failure.message.length < 40_000, `${claim}: ${failure.message.length} characters`);
  };
  const lines = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join('\n');
  await refused(
    Buffer.alloc(10 * 1024 * 1024, 'a: b\n'),
    /config\.yaml cannot be read: it is larger than 524288 bytes/,
    '10 MB',
  );
  await refused(
    'a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]',
    /uses more than 1000 aliases/,
    'billion laughs',
  );
  await refused(
    `a: &a\n${lines(1000, (index) => `  k${index}: 1`)}\nb: [${'*a, '.repeat(60)}*a]`,
    /holds more than 50000 values, aliases included/,
    'few aliases of much',
  );
  await refused(`a: [${'x, '.repeat(50_000)}x]`, /holds more than 50000 values/, 'many values');
  await refused('['.repeat(20_000), /nested too deep/, 'unclosed brackets');
  await refused(`${'['.repeat(100)}${']'.repeat(100)}`, /is nested more than 24 levels deep/, 'closed brackets');
  await refused(
    lines(40, (index) => `${' '.repeat(index)}a:`),
    /is nested more than 24 levels deep/,
    'indentation',
  );
  await refused('- '.repeat(20_000), /nested too deep/, 'hyphens');
  await refused(
    lines(2000, () => 'bindings: []'),
    /has 20\d\d mistakes[^]*and 19\d\d more$/,
    'duplicate keys',
  );
  await refused(
    lines(2000, (index) => `unknown${index}: 1`),
    new RegExp(`has 200\\d mistakes[^]*and ${2002 - maximumComplaints} more$`),
    'unknown keys',
  );
  await refused(`a: ${'!x '.repeat(5000)}`, /several tags/, 'tags');
  await refused(
    lines(5000, () => 'a: ]'),
    /this cannot stand here/,
    'syntax errors',
  );
  await refused(`${'k'.repeat(100_000)}: 1`, /a key is longer than 1024 characters|unknown key/, 'a long key');
  await refused(`bindings: "${'x'.repeat(100_000)}"`, /is not a list/, 'a long value');
  await refused(Buffer.from([0x61, 0x3a, 0xff, 0xfe]), /is not UTF-8 text/, 'no UTF-8');
  await refused(Buffer.from(`\ufeff${base}`, 'utf16le'), /is not UTF-8 text/, 'UTF-16');
  await refused('a: b\0c: d', /mistake/, 'NUL');
  await refused(base.replace('dsMapperUsage', 'constructor'), /constructor: unknown key/, 'a name of Object.prototype');
  await refused(base.replace('  - endpoint', '  - __proto__: {}\n    endpoint'), /not a key of anything/, '__proto__');
});

void t.test('any text is either loaded or refused in printable lines', async () => {
  const fragments = fc.array(
    fc.constantFrom(
      ...base.split(/(?<=\n)|(?=[:{}[\],])/),
      '&a ',
      '*a',
      '? ',
      '!!x ',
      '\t',
      '"',
      "'",
      '|\n',
      '# ',
      '\u001b[31m',
      '\u202e',
      '\ud800',
      'null',
      '9'.repeat(30),
    ),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(fragments, async (pieces) => {
      const outcome = await world.outcome(pieces.join(''));
      return outcome.replaceAll('\n', '') === printable(outcome.replaceAll('\n', ''));
    }),
    { numRuns: 300, seed: 11 },
  );
});

void t.test('a byte order mark and Windows line ends change nothing', async (t) => {
  t.equal(await world.outcome(`\ufeff${base.replaceAll('\n', '\r\n')}`), await world.outcome(base));
  const failure = await failureOf(changed('dsMapperUsage', 'dsMapperUsgae').replaceAll('\n', '\r\n'));
  t.match(
    failure.message,
    'config.yaml:4:5: bindings[0].dsMapperUsgae: unknown key\n  4 |     dsMapperUsgae: enabled\n    |     ^^^^^^^^^^^^^\n',
  );
});

void t.test('JSON is read as well', async (t) => {
  const locations = { '/': { authentication: { anonymous: 'fallback' } } };
  const json = {
    bindings: [{ endpoint: '127.0.0.1:80' }],
    sites: [{ name: 'x', bindings: ['127.0.0.1:80'], upstream: 'http://b.test', locations }],
  };
  t.match((await settingsOf(JSON.stringify(json))).sites, [{ name: 'x' }]);
});

void t.test('suggestions: near words are named, far ones are not', (t) => {
  t.equal(editDistance('abc', 'abc'), 0);
  t.equal(editDistance('abcd', 'abdc'), 1, 'neighbours that changed places');
  t.equal(editDistance('', 'abc'), 3);
  t.equal(nearest('dsMapperUsgae', ['usageCheck', 'dsMapperUsage']), 'dsMapperUsage');
  t.equal(nearest('DSMAPPERUSAGE', ['dsMapperUsage']), 'dsMapperUsage', 'case is the smallest of mistakes');
  t.equal(nearest('x', ['listen', 'socket']), null);
  t.equal(nearest('y'.repeat(65), ['y'.repeat(65)]), null, 'nobody meant that');
  t.end();
});

void t.test('a failure of files alone is not one of the configuration', async (t) => {
  t.equal((await failureOf(changed('tls/web.key', 'tls/denied.key'))).exitCode, 1);
  t.equal((await failureOf(changed('tls/web.key', 'tls/denied.key').replace('dsMapperUsage', 'x'))).exitCode, 2);
  await t.rejects(loadConfiguration('nowhere.yaml', world.facilities(base)), {
    code: 'configuration',
    exitCode: 2,
    message: 'configuration nowhere.yaml cannot be read: there is no such file',
  });
});

void t.test('describe: JSON and text say which location made a binding late, and what that costs', async (t) => {
  const rules = describeRules(await settingsOf(base));
  t.match(JSON.parse(JSON.stringify(rules)), {
    bindings: [
      {
        binding: '0.0.0.0:443',
        scheme: 'https',
        clientCertificate: 'late',
        lateBecauseOf: ['Default Web Site /payroll'],
        protocols: ['TLS 1.2'],
        http2: false,
        roots: 1,
        intermediates: 1,
      },
    ],
    locations: [
      { path: '/', spelling: 'any' },
      { path: '/payroll', clientCertificateMapping: true, accounts: ['user'], maximumAge: null },
    ],
    warnings: [],
  });
  t.ok(rulesText(rules).every((line) => line === printable(line)));
});

void t.test('language: every key says what it is for, and its default is of its kind', async (t) => {
  const entries = languageEntries();
  t.ok(entries.length > 100, `${entries.length} keys`);
  t.same(
    entries.filter(({ description }) => description === '').map(({ path }) => path),
    [],
  );
  t.equal(new Set(entries.map(({ path }) => path)).size, entries.length);
  t.match(
    entries.find(({ path }) => path === 'limits.recheck'),
    { fallback: '60s', required: false, kind: 'a duration of at least 1s such as 15s, 10m or 1h30m' },
  );
  t.match(entries.find(({ path }) => path === 'sites[].locations.*.access.sslFlags')?.kind, /Ssl128/);
  t.match(
    entries.find(({ path }) => path === 'bindings[].endpoint'),
    { required: true, fallback: null, kind: 'ip:port, "[v6]:port" or host:port' },
  );
});

void t.test('template: the first configuration loads with the files it names', async (t) => {
  const facts = {
    domain: 'lab.example.test',
    roots: ['trust/root.pem', 'trust/ca'],
    intermediates: ['file:trust/ca/issuing.pem'],
    controllers: ['dc1.lab.example.test', 'ldaps://dc2.lab.example.test:636'],
    bindDn: 'CN=svc "map",DC=lab',
  };
  const certificate = { cert: 'tls/web.pem', key: 'tls/web.key' };
  const settings = await settingsOf(configurationTemplate({ ...facts, certificate }));
  t.match(settings, {
    bindings: [{ name: '0.0.0.0:443', clientCertificate: 'late', dsMapperUsage: true }],
    directory: {
      forests: [
        {
          domains: [
            {
              name: 'lab.example.test',
              controllers: ['ldaps://dc1.lab.example.test:636', 'ldaps://dc2.lab.example.test:636'],
              bind: { dn: 'CN=svc "map",DC=lab', password: 'correct horse' },
            },
          ],
        },
      ],
    },
    sites: [
      {
        locations: [
          {
            path: '/',
            clientCertificateMapping: true,
            anonymous: 'disabled',
            access: { clientCertificate: 'require', ssl: true },
          },
        ],
      },
    ],
  });
  const full = await settingsOf(
    configurationTemplate({
      ...facts,
      certificate,
      endpoint: 'www.example.test:8443',
      location: '/pay roll'.replace(' ', '%20'),
      upstream: 'https://backend.test',
      directoryAuthorities: ['trust/root.pem'],
      bindPassword: 'file:secrets/ldap',
    }),
  );
  t.match(full.sites[0], {
    hosts: ['www.example.test'],
    locations: [{ path: '/pay%20roll' }, { path: '/', anonymous: 'fallback' }],
  });
  t.equal(full.directory?.forests[0]?.certificateAuthorities.length, 1);
});

void t.test('template: nothing from outside becomes YAML of its own', async (t) => {
  const pieces = [
    'a',
    '\n',
    '"',
    "'",
    '#',
    ': ',
    '{',
    '}',
    '\\',
    '\u2028',
    '\t',
    '\nlabOnly: true\n',
    '\u0085',
    '${x}',
  ];
  const hostile = fc.string({ unit: fc.constantFrom(...pieces) });
  const known = new Set(languageEntries().map(({ path }) => path));
  await fc.assert(
    fc.asyncProperty(hostile, async (text) => {
      const facts = { domain: text, roots: [text], controllers: [text], bindDn: text, upstream: text };
      const source = readSource(
        'x',
        Buffer.from(configurationTemplate({ ...facts, endpoint: `${text}:1`, location: text })),
      );
      t.same(source.mistakes, []);
      t.equal(source.at(['labOnly']), undefined);
      t.ok(Object.keys(source.value as object).every((key) => known.has(key)));
      t.equal(source.at(['directory', 'domains', 0, 'bind', 'dn']), text, 'as it came');
    }),
    { numRuns: 100, seed: 3 },
  );
});

void t.test('facilities: plain files within their bounds, nothing else', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-config-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const facilities = systemFacilities(systemClock, { A: 'b' });
  await writeFile(join(folder, 'ten'), '0123456789');
  await mkdir(join(folder, 'sub'));
  await symlink('ten', join(folder, 'link'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  t.equal(String(await facilities.readFile(join(folder, 'ten'), 10)), '0123456789');
  t.equal(String(await facilities.readFile(join(folder, 'link'), 10)), '0123456789', 'through a link');
  await t.rejects(facilities.readFile(join(folder, 'ten'), 9), { code: 'file-too-large' });
  await t.rejects(facilities.readFile('/dev/zero', 10), { code: 'not-a-file' }, 'a device that never ends');
  await t.rejects(facilities.readFile(join(folder, 'pipe'), 10), { code: 'not-a-file' }, 'a pipe that nobody writes');
  await t.rejects(facilities.readFile(join(folder, 'sub'), 10), { code: 'EISDIR' });
  await t.rejects(facilities.readFile(join(folder, 'none'), 10), { code: 'ENOENT' });
  t.same([...(await facilities.listDirectory(folder))].sort(), ['link', 'pipe', 'sub', 'ten']);
  t.ok((await facilities.readFile('/proc/self/status', 65_536)).length > 100, 'a file whose size is not known before');
  t.ok(maximumConfigurationBytes < 1024 * 1024);
});

void t.test('facilities: a configuration on disk is loaded', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-config-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const [path, content] of world.files) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  await writeFile(join(folder, 'config.yaml'), changed('[file:trust/ca/issuing.pem]', '[dir:trust/ca]'));
  const { settings, warnings } = await loadConfiguration(
    join(folder, 'config.yaml'),
    systemFacilities(systemClock, { LDAP_PASSWORD: 'x' }),
  );
  t.equal(settings.trust.get('0.0.0.0:443')?.store.intermediates.length, 1);
  t.match(warnings, [/1 file in `trust\/ca` not read/]);
});
