/**
 * Header dialects beside programs that are not ours: nginx, Apache and HAProxy tell of the same certificates what we write, and nginx, Apache,
 * HAProxy and Python read what we write. Envoy and Traefik are no Debian packages: their forms are read back in `dialects.test.ts` by readers
 * made from their documentation.
 */
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import type { Sid } from '../../src/base/brand.ts';
import type { DressedClient } from '../../src/forward/dialect-contract.ts';
import { defaultHeaderNames, identityHeaders } from '../../src/forward/dialects.ts';
import { dialectNames } from '../../src/forward/forward-contract.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import type { Certificate } from '../../src/x509/certificate.ts';
import { keyPemOf, pemOf, writeCertificate, type WrittenCertificate } from '../support/certificate-writer.ts';
import { fakeAccount } from '../support/fake-directory.ts';
import { hostileCertificate, hostileText } from '../support/hostile-names.ts';
import { parsed } from '../support/mapping-cases.ts';
import { randomFrom } from '../support/mutation.ts';
import { freePort, listening, run, startDaemon } from '../support/processes.ts';
import { peerTest } from '../support/real-peers.ts';

const seed = Number(process.env['DSMAPPER_SEED'] ?? Date.now() % 1_000_000_000);
t.comment(`seed ${seed} (DSMAPPER_SEED)`);
const random = randomFrom(seed);

const server = await createAuthority({ subject: 'CN=127.0.0.1' });

interface Client {
  readonly leaf: Certificate;
  readonly pem: string;
  readonly key: string;
  /** Every header of every dialect. */
  readonly headers: ReadonlyMap<string, string>;
  readonly user: string;
  readonly groups: readonly string[];
}

const tame: WrittenCertificate = {
  issuer: ['DC=test', 'CN=Lab CA'],
  subject: [
    'C=US',
    'ST=Washington',
    'O=Example, Inc.',
    ['OU=a+b', 'CN=Jürgen "Jay" \\ Müller'],
    'E=jay@lab.example.test',
  ],
  serial: '00f1e2d3',
  dnsNames: ['pc7.lab.example.test'],
};

// Within its time, which Apache wants of everybody.
const notBefore = '2024-01-01T00:00:00Z';
const drawn = [tame, ...Array.from({ length: 15 }, () => ({ ...hostileCertificate(random), notBefore }))];
const clients = drawn.map(clientOf);

function clientOf(facts: WrittenCertificate): Client {
  const der = writeCertificate(facts);
  const leaf = parsed(der);
  const [user, ...groups] = [0, 1, 2].map((index) => `LAB\\${hostileText(random)}${index}`);
  const account = fakeAccount({ name: user ?? '', upn: 'a@b' });
  const client: DressedClient = {
    leaf,
    presentedChain: [],
    identity: { account, method: 'UPN', methods: ['UPN'], strength: 'weak', strengthBy: 'age' },
    groups: groups.map((name, index) => ({ sid: `S-1-5-21-1-2-3-${index}` as Sid, name })),
    assertion: 'a.b.c',
  };
  const flat = identityHeaders(dialectNames, client, {
    headers: defaultHeaderNames,
    xfcc: { keys: ['Hash', 'Cert', 'Subject', 'URI', 'DNS'], by: null, appendFrom: null },
    ancmToken: 'token',
  });
  const headers = new Map(
    flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as const] : [])),
  );
  return { leaf, pem: pemOf(der), key: keyPemOf(facts.subject), headers, user: user ?? '', groups };
}

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-dialects-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'server.pem'), server.cert + server.key);
  writeFileSync(join(folder, 'ca.pem'), server.cert);
  return folder;
}

/** What the program says of a client that shows its certificate, line by line. */
async function shown(port: number, { pem, key }: Client): Promise<readonly string[]> {
  const options = { host: '127.0.0.1', port, cert: pem, key, rejectUnauthorized: false, agent: false };
  return (await answerOf(https.get(options))).split('\n');
}

/** What the program makes of our headers. */
function told(port: number, client: Client, path = '/'): Promise<string> {
  const headers = Object.fromEntries(client.headers);
  return answerOf(http.get({ host: '127.0.0.1', port, path, headers, agent: false }));
}

async function answerOf(request: http.ClientRequest): Promise<string> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  const body = await text(response);
  if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${body}`);
  return body;
}

const header = (client: Client, name: string) => client.headers.get(name);
/** Where OpenSSL ends in an escaped blank, we write its hex pair. */
const asOurs = (name: string | undefined) => name?.replace(/\\ $/, '\\20');

await peerTest('nginx tells and reads', ['nginx'], 'nginx-light libnginx-mod-http-js', async (t) => {
  const folder = folderOf(t);
  const [tls, plain] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  const module = '/usr/lib/nginx/modules/ngx_http_js_module.so';
  const withScript = existsSync(module);
  if (!withScript && process.env['DSMAPPER_REQUIRE_PEERS'] !== undefined)
    t.fail('libnginx-mod-http-js is not installed');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const script = `
    import crypto from 'crypto';
    const digest = (base64) => crypto.createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex');
    function read(r) {
      const pem = decodeURIComponent(r.headersIn['X-SSL-Client-Cert']);
      r.return(200, [
        digest(pem.replace(/-----[A-Z ]+-----|\\n/g, '')),
        digest(r.headersIn['X-ARR-ClientCert']),
        digest(r.headersIn['Client-Cert'].slice(1, -1)),
        Buffer.from(decodeURIComponent(r.headersIn['X-Remote-User'])).toString('hex'),
      ].join('\\n'));
    }
    export default { read };`;
  writeFileSync(join(folder, 'read.js'), script);
  const variables = ['escaped_cert', 's_dn', 'i_dn', 'serial', 'fingerprint']
    .map((name) => `$ssl_client_${name}`)
    .join('\\n');
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${withScript ? `load_module ${module};` : ''}
daemon off; pid ${folder}/pid; error_log stderr; worker_processes 1; ${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off; ${temporary.join(' ')} default_type text/plain; large_client_header_buffers 8 64k;
  ${withScript ? `js_path ${folder}; js_import read.js;` : ''}
  server {
    listen 127.0.0.1:${tls} ssl; ssl_certificate ${folder}/server.pem; ssl_certificate_key ${folder}/server.pem;
    ssl_protocols TLSv1.3; ssl_verify_client optional_no_ca;
    location / { return 200 "${variables}"; }
  }
  server {
    listen 127.0.0.1:${plain};
    location / { ${withScript ? 'js_content read.read;' : 'return 200;'} }
  }
}
`,
  );
  const daemon = startDaemon('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')]);
  t.teardown(() => daemon.stop());
  await listening(daemon, '127.0.0.1', plain);
  for (const client of clients) {
    const [cert, subject, issuer, serial, fingerprint] = await shown(tls, client);
    t.equal(header(client, 'X-SSL-Client-Cert'), cert, '$ssl_client_escaped_cert');
    t.equal(header(client, 'X-SSL-Client-S-DN') ?? '', asOurs(subject), '$ssl_client_s_dn');
    t.equal(header(client, 'X-SSL-Client-I-DN'), asOurs(issuer), '$ssl_client_i_dn');
    t.equal(header(client, 'X-SSL-Client-Serial'), serial, '$ssl_client_serial');
    t.equal(header(client, 'X-SSL-Client-Fingerprint'), fingerprint, '$ssl_client_fingerprint');
    if (!withScript) continue;
    const { digest } = client.leaf;
    const user = Buffer.from(client.user, 'utf8').toString('hex');
    t.strictSame((await told(plain, client)).split('\n'), [digest, digest, digest, user], 'njs');
  }
});

await peerTest('HAProxy tells and reads', ['haproxy'], 'haproxy', async (t) => {
  const folder = folderOf(t);
  const [tls, plain] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  const facts = [
    'ssl_c_der,base64',
    'ssl_c_s_dn(,0,rfc2253)',
    'ssl_c_i_dn(,0,rfc2253)',
    'ssl_c_serial,hex',
    'ssl_c_sha1,hex',
  ];
  // `req.hdr` takes what stands behind the last comma.
  const read = [
    'req.hdr(X-ARR-ClientCert),b64dec,sha2(256),hex',
    'req.hdr(X-Client-Cert),b64dec,sha2(256),hex',
    'req.fhdr(X-Remote-User),url_dec,hex',
    'req.fhdr(X-SSL-Client-S-DN)',
  ];
  const line = (samples: readonly string[]) => samples.map((sample) => `%[${sample}]`).join('\\n');
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `global
  tune.bufsize 65536
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend tells
  bind 127.0.0.1:${tls} ssl crt ${folder}/server.pem verify optional ca-file ${folder}/ca.pem crt-ignore-err all ca-ignore-err all
  http-request return status 200 content-type text/plain lf-string "${line(facts)}"
frontend reads
  bind 127.0.0.1:${plain}
  http-request return status 200 content-type text/plain lf-string "${line(read)}"
`,
  );
  const daemon = startDaemon('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
  t.teardown(() => daemon.stop());
  await listening(daemon, '127.0.0.1', plain);
  for (const client of clients) {
    const [der, subject, issuer, serial, sha1] = await shown(tls, client);
    t.equal(header(client, 'X-ARR-ClientCert'), der, 'ssl_c_der,base64');
    t.equal(header(client, 'X-SSL-Client-S-DN') ?? '', asOurs(subject), 'ssl_c_s_dn');
    t.equal(header(client, 'X-SSL-Client-I-DN'), asOurs(issuer), 'ssl_c_i_dn');
    t.equal(header(client, 'X-SSL-Client-Serial')?.replace('-', ''), serial, 'ssl_c_serial, which has no sign');
    t.equal(header(client, 'X-SSL-Client-Fingerprint')?.toUpperCase(), sha1, 'ssl_c_sha1');
    const digest = client.leaf.digest.toUpperCase();
    const user = Buffer.from(client.user, 'utf8').toString('hex').toUpperCase();
    t.strictSame((await told(plain, client)).split('\n'), [
      digest,
      digest,
      user,
      header(client, 'X-SSL-Client-S-DN') ?? '',
    ]);
  }
});

await peerTest('Apache tells and reads', ['apache2'], 'apache2', async (t) => {
  const folder = folderOf(t);
  const [tls, plain] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  mkdirSync(join(folder, 'www'));
  writeFileSync(join(folder, 'www/index.html'), '');
  const modules = ['mpm_event', 'authz_core', 'dir', 'headers', 'ssl', 'socache_shmcb', 'setenvif'];
  const root = process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : '';
  writeFileSync(
    join(folder, 'apache.conf'),
    `ServerRoot ${folder}
ServerName localhost
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
DefaultRuntimeDir ${folder}
Mutex default:${folder}
${root}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
Listen 127.0.0.1:${tls}
Listen 127.0.0.1:${plain}
LimitRequestFieldSize 65536
DocumentRoot ${folder}/www
DirectoryIndex index.html
<VirtualHost 127.0.0.1:${tls}>
  SSLEngine on
  SSLCertificateFile ${folder}/server.pem
  SSLVerifyClient optional_no_ca
  Header always set X-Facts "%{SSL_CLIENT_M_SERIAL}s"
  Header always set X-Cert "%{SSL_CLIENT_CERT}s"
  Header always set X-Issuer "%{SSL_CLIENT_I_DN}s"
</VirtualHost>
<VirtualHost 127.0.0.1:${plain}>
  SetEnvIf X-SSL-Client-S-DN "^(.*)$" subject=$1
  Header always set X-User "expr=%{req:X-Remote-User}"
  Header always set X-Client-Cert "expr=%{req:Client-Cert}"
  Header always set X-Subject "%{subject}e"
</VirtualHost>
`,
  );
  const daemon = startDaemon('apache2', ['-DFOREGROUND', '-d', folder, '-f', join(folder, 'apache.conf')]);
  t.teardown(() => daemon.stop());
  await listening(daemon, '127.0.0.1', plain);
  const headersOf = (request: http.ClientRequest) =>
    new Promise<http.IncomingHttpHeaders>((resolve, reject) => {
      request.once('error', reject).once('response', (response) => {
        response.resume();
        resolve(response.headers);
      });
    });
  for (const client of clients) {
    const said = await headersOf(
      https.get({
        host: '127.0.0.1',
        port: tls,
        cert: client.pem,
        key: client.key,
        rejectUnauthorized: false,
        agent: false,
      }),
    );
    t.equal(header(client, 'X-SSL-Client-Serial'), said['x-facts'], 'SSL_CLIENT_M_SERIAL');
    const pem = decodeURIComponent(header(client, 'X-SSL-Client-Cert') ?? '')
      .replaceAll('\n', ' ')
      .trim();
    t.equal(pem, String(said['x-cert']).trim(), 'SSL_CLIENT_CERT, whose line breaks Apache turns into blanks');
    const heard = await headersOf(
      http.get({ host: '127.0.0.1', port: plain, headers: Object.fromEntries(client.headers), agent: false }),
    );
    t.equal(heard['x-user'], header(client, 'X-Remote-User'));
    t.equal(heard['x-client-cert'], header(client, 'Client-Cert'));
    if (client.headers.has('X-SSL-Client-S-DN')) t.equal(heard['x-subject'], header(client, 'X-SSL-Client-S-DN'));
  }
  const [first] = clients;
  if (first === undefined) return;
  const said = await headersOf(
    https.get({
      host: '127.0.0.1',
      port: tls,
      cert: first.pem,
      key: first.key,
      rejectUnauthorized: false,
      agent: false,
    }),
  );
  t.equal(said['x-issuer'], header(first, 'X-SSL-Client-I-DN'), 'SSL_CLIENT_I_DN');
});

// Debian's own: another python3 that comes first in PATH does not know the packages of Debian.
const python = '/usr/bin/python3';
await peerTest('Python reads', existsSync(python) ? [] : ['python3'], 'python3 python3-cryptography', async (t) => {
  const script = join(import.meta.dirname, '../support/read-identity.py');
  // cryptography takes no RDN whose attributes are not in the order of DER.
  const single = ({ subject, issuer, ...facts }: WrittenCertificate) =>
    clientOf({ ...facts, subject: subject.flat(), issuer: issuer.flat() });
  const orderly = drawn.map(single);
  const input = orderly.map(({ headers }) => `${JSON.stringify(Object.fromEntries(headers))}\n`).join('');
  const output = await run(python, [script], { input });
  const answers = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.equal(answers.length, orderly.length);
  for (const [index, client] of orderly.entries()) {
    const { serial } = client.leaf;
    t.strictSame(answers[index], {
      certificates: Array<string>(7).fill(hash('sha256', client.leaf.der, 'hex')),
      serial: BigInt.asIntN(serial.length * 8, BigInt(`0x${serial.toString('hex')}`)).toString(),
      user: client.user,
      groups: client.groups,
      name: client.user,
    });
  }
});
