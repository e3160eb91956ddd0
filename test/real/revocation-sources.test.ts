/**
 * Revocation data from the servers that publish it in practice: a web server, OpenLDAP, a domain controller, and the bundles that
 * OpenSSL writes.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Test } from 'tap';
import type { Millis } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createForest, type LiveForest } from '../../src/directory/forest.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { createFetcher, type FetcherSettings } from '../../src/revocation/fetcher.ts';
import type { Fetcher, FetchOptions, FetchOutcome } from '../../src/revocation/revocation-contract.ts';
import { parseCertificateBundle } from '../../src/x509/certificate-bundle.ts';
import { bulkEntries, signerOf, writeCrl } from '../support/crl-writer.ts';
import { sequence } from '../support/der-shapes.ts';
import { ldifLines } from '../support/ldif.ts';
import { freePort, listening, run, startDaemon } from '../support/processes.ts';
import { findProgram, peerTest } from '../support/real-peers.ts';
import { sambaTest, startSamba } from '../support/samba.ts';
import { slapdTest, startSlapd } from '../support/slapd.ts';

const authority = await createAuthority({ subject: 'O=Lab,CN=Issuing CA' });
const second = await createAuthority({ subject: 'O=Lab,CN=Second CA' });
/** Four megabytes. */
const list = writeCrl({ signer: signerOf(authority), parts: { revoked: sequence(bulkEntries(120_000)) } });

const domainSid = 'S-1-5-21-2088175937-3269668285-1925657351';
const place = { domain: 'lab.example.test', domainSid, netbiosName: 'LAB' };
const cdp = 'CN=CDP,CN=Public Key Services,CN=Services,CN=Configuration,DC=lab,DC=example,DC=test';
const point = `CN=Lab CA,CN=dc1,${cdp}`;
/** As AD CS writes it into certificates. */
const urlOf = (host: string, attribute: string, objectClass = 'cRLDistributionPoint') =>
  `ldap://${host}/${point.replaceAll(' ', '%20')}?${attribute}?base?objectClass=${objectClass}`;

type Get = (url: string, options?: Partial<FetchOptions>) => Promise<FetchOutcome>;

function open(t: Test, settings: Partial<FetcherSettings>): Fetcher & { readonly get: Get } {
  const fetcher = createFetcher({ allowedHosts: [], directory: null, ...settings }, systemClock);
  t.teardown(() => fetcher.close());
  const get: Get = (url, options) =>
    fetcher.fetch(url, { timeout: 60_000 as Millis, maximumBytes: 64_000_000, ...options });
  return Object.assign(fetcher, { get });
}

function same(t: Test, outcome: FetchOutcome, bytes: Buffer, what: string): void {
  if (outcome.kind === 'fetched') t.ok(outcome.bytes.equals(bytes), what);
  else t.fail(`${what}: ${outcome.kind === 'failed' ? outcome.detail : outcome.kind}`);
}

async function openForest(
  t: Test,
  server: { readonly ldapsUrl: string; readonly bindDn: string; readonly password: string; readonly caPem: string },
): Promise<LiveForest> {
  const bind = { kind: 'simple', dn: server.bindDn, password: server.password, reread: null } as const;
  const settings = {
    name: place.domain,
    domains: [{ name: place.domain, controllers: [server.ldapsUrl], discovery: null, bind }],
    globalCatalog: [],
    globalCatalogDiscovery: null,
    certificateAuthorities: [server.caPem],
    connectTimeout: 20_000 as Millis,
    searchTimeout: 20_000 as Millis,
    refresh: 600_000 as Millis,
    connections: 2,
    maximumQueue: 1000,
    batching: true,
    pollInterval: 0 as Millis,
  };
  const forest = createForest(settings, { clock: systemClock, random: () => 0 });
  t.teardown(() => forest.close());
  await forest.health();
  return forest;
}

/** How long the event loop was held at most while a list came; for the reader of the log. */
async function watched(t: Test, work: () => Promise<FetchOutcome>): Promise<FetchOutcome> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const outcome = await work();
  delay.disable();
  t.comment(`${list.length} octets; the event loop was held for ${Math.round(delay.max / 1e6)} ms at most`);
  return outcome;
}

await peerTest('a web server publishes a list', ['nginx'], 'nginx-light', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-nginx-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'www'));
  writeFileSync(join(folder, 'www/Lab CA.crl'), list);
  const port = await freePort('127.0.0.1');
  const conf = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  writeFileSync(
    conf,
    `daemon off; pid ${folder}/pid; error_log stderr; worker_processes 1; ${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off; ${temporary.join(' ')} types { application/pkix-crl crl; } gzip on; gzip_types *;
  server {
    listen 127.0.0.1:${port}; root ${folder}/www;
    location / { expires 1h; }
    location /moved/ { rewrite ^/moved/(.*)$ /$1 permanent; }
    location /away/ { return 302 http://elsewhere.example/; }
    location /loop/ { return 302 /loop/; }
    location /slow/ { alias ${folder}/www/; limit_rate 10k; }
  }
}
`,
  );
  const daemon = startDaemon(findProgram('nginx') ?? 'nginx', ['-p', folder, '-c', conf]);
  t.teardown(() => daemon.stop());
  await listening(daemon, '127.0.0.1', port);

  const at = `http://127.0.0.1:${port}`;
  const fetcher = open(t, { allowedHosts: [`127.0.0.1:${port}`] });
  const outcome = await fetcher.get(`${at}/Lab%20CA.crl`);
  same(t, outcome, list, 'whole and not compressed');
  if (outcome.kind !== 'fetched') return;
  t.equal(outcome.maximumAge, 3_600_000);
  t.strictSame(await fetcher.get(`${at}/Lab%20CA.crl`, { validators: outcome.validators }), { kind: 'notModified' });
  const { lastModified } = outcome.validators;
  t.strictSame(await fetcher.get(`${at}/Lab%20CA.crl`, { validators: { etag: null, lastModified } }), {
    kind: 'notModified',
  });
  same(t, await fetcher.get(`${at}/moved/Lab%20CA.crl`), list, 'through a redirect');
  t.match(await fetcher.get(`${at}/away/x`), { code: 'hostNotAllowed' });
  t.match(await fetcher.get(`${at}/loop/x`), { code: 'tooManyRedirects' });
  t.match(await fetcher.get(`${at}/none.crl`), { code: 'httpStatus', detail: /404/ });
  t.match(await fetcher.get(`${at}/Lab%20CA.crl`, { maximumBytes: list.length - 1 }), {
    code: 'tooLarge',
    detail: /announced/,
  });
  t.match(await fetcher.get(`${at}/slow/Lab%20CA.crl`, { timeout: 300 as Millis }), { code: 'timeout' });
});

await slapdTest('OpenLDAP publishes a list', async (t) => {
  const slapd = await startSlapd(t, {
    ...place,
    anonymous: true,
    entries: [
      { dn: `CN=dc1,${cdp}`, attributes: { objectClass: ['container'], cn: ['dc1'] } },
      {
        dn: point,
        attributes: {
          objectClass: ['cRLDistributionPoint', 'pkiCA'],
          cn: ['Lab CA'],
          'certificateRevocationList;binary': [list],
          cACertificate: [authority.der, second.der],
        },
      },
    ],
  });
  const host = `127.0.0.1:${slapd.plainPort}`;
  const fetcher = open(t, { allowedHosts: [host] });
  same(t, await watched(t, () => fetcher.get(urlOf(host, 'certificateRevocationList'))), list, 'by the plain name');
  same(t, await fetcher.get(urlOf(host, 'certificateRevocationList;binary')), list, 'by the name with its option');
  const certificates = await fetcher.get(urlOf(host, 'cACertificate', 'certificationAuthority'));
  if (certificates.kind === 'fetched')
    t.match(parseCertificateBundle(certificates.bytes), { kind: 'parsed', certificates: { length: 2 } });
  else t.fail(certificates.kind);
  t.match(await fetcher.get(urlOf(host, 'deltaRevocationList')), { code: 'notFound' });
  t.match(await fetcher.get(urlOf(host, 'certificateRevocationList').replace('Lab', 'No')), { code: 'notFound' });
  t.match(await fetcher.get(urlOf(host, 'certificateRevocationList'), { maximumBytes: 1_000_000 }), {
    code: 'tooLarge',
  });

  const directory = await openForest(t, slapd);
  const bound = open(t, { directory });
  same(t, await bound.get(urlOf('', 'certificateRevocationList')), list, 'as the configured directory');
});

await sambaTest('a domain controller publishes a list where AD CS puts it', async (t) => {
  const objects = [
    [`CN=dc1,${cdp}`, { objectClass: ['container'] }],
    [point, { objectClass: ['cRLDistributionPoint'], certificateRevocationList: [list] }],
  ] as const;
  const ldif = objects.map(([dn, values]) => `dn: ${dn}\nchangetype: add\n${ldifLines(values)}`).join('\n');
  const samba = await startSamba(t, { ldif });
  const directory = await openForest(t, samba);
  const fetcher = open(t, { directory });
  same(
    t,
    await watched(t, () => fetcher.get(urlOf('', 'certificateRevocationList'))),
    list,
    'without a server in the URL',
  );
  same(
    t,
    await fetcher.get(urlOf(samba.host, 'certificateRevocationList;binary')),
    list,
    'at a server that is configured',
  );
  t.match(await fetcher.get(urlOf('', 'deltaRevocationList')), { code: 'notFound' });
  t.match(await fetcher.get(urlOf('', 'certificateRevocationList').replace('Lab', 'No')), { code: 'notFound' });
  t.match(await fetcher.get(urlOf('', 'certificateRevocationList'), { maximumBytes: 1_000_000 }), { code: 'tooLarge' });
  t.match(await directory.health(), [{ state: 'up' }]);
});

await peerTest('OpenSSL writes bundles of certificates', ['openssl'], 'openssl', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-bundle-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [pem, p7c] = [join(folder, 'both.pem'), join(folder, 'both.p7c')];
  writeFileSync(pem, authority.cert + second.cert);
  await run('openssl', ['crl2pkcs7', '-nocrl', '-certfile', pem, '-outform', 'DER', '-out', p7c]);
  const outcome = await open(t, { files: [p7c] }).get(p7c);
  if (outcome.kind !== 'fetched') return void t.fail(outcome.kind);
  const parsed = parseCertificateBundle(outcome.bytes);
  const thumbprints =
    parsed.kind === 'parsed' ? parsed.certificates.map(({ der }) => der.toString('hex')) : parsed.reason;
  t.strictSame(
    thumbprints,
    [authority, second].map(({ der }) => der.toString('hex')),
  );
});
