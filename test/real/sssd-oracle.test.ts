/**
 * The strings that SSSD builds from certificates against ours: two programs that share no code. Only plain names: SSSD escapes by RFC
 * 2253 where Windows quotes, and splits multi-valued RDNs, so beyond those it is known to be another.
 */
import t from 'tap';
import { candidatesOf } from '../../src/mapping/candidates.ts';
import { defaultMappingSettings } from '../../src/mapping/mapper-contract.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import { startDirectoryServer } from '../../src/lab/directory-server.ts';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { pemOf, writeCertificate, type WrittenName } from '../support/certificate-writer.ts';
import { randomFrom } from '../support/mutation.ts';
import { peerTest } from '../support/real-peers.ts';
import { sssdPackages, sssdPrograms, startSssd } from '../support/sssd.ts';

const count = 200;
const base = 'DC=lab,DC=example,DC=test';
const bind = { dn: `CN=reader,${base}`, password: 'not a secret' };

/** Every form of which SSSD has the parts, in one rule: it uses one rule only. */
const rule = `LDAPU1:(|${[
  'altSecurityIdentities=X509:<I>{issuer_dn!ad_x500}<SR>{serial_number!hex_ur}',
  'altSecurityIdentities=X509:<SKI>{subject_key_id!hex_u}',
  'altSecurityIdentities=X509:<SHA1-PUKEY>{cert!sha1}',
  'altSecurityIdentities=X509:<I>{issuer_dn!ad_x500}<SID>{sid}',
  'altSecurityIdentities=X509:<I>{issuer_dn!ad_x500}<S>{subject_dn!ad_x500}',
  'altSecurityIdentities=X509:<S>{subject_dn!ad_x500}',
  'altSecurityIdentities=X509:<RFC822>{subject_rfc822_name}',
  'userPrincipalName={subject_nt_principal}',
]
  .map((part) => `(${part})`)
  .join('')})`;

/** Types whose names SSSD and Windows agree on (sss-certmap(5), `ad_x500`). */
const types = ['CN', 'OU', 'O', 'L', 'DC', 'ST', 'STREET', 'T', 'G', 'I', 'SN', 'SERIALNUMBER'] as const;

/** Nothing that either of them would quote or escape (SSSD escapes what is not ASCII); all that a filter has to escape but the backslash. */
const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const inner = `${letters}${letters} -.'()*&@/:`;

const seed = Number(process.env['DSMAPPER_SEED'] ?? Date.now() % 2 ** 31);
t.comment(`seed ${seed}`);
const random = randomFrom(seed);

if (process.getuid?.() !== 0) void t.test('SSSD builds the same strings', { skip: 'SSSD runs as root only' }, () => {});
else
  await peerTest('SSSD builds the same strings from random certificates', sssdPrograms, sssdPackages, async (t) => {
    const authority = await createAuthority({ subject: 'CN=Directory CA' });
    const server = await startDirectoryServer({
      domain: 'lab.example.test',
      netbiosName: 'LAB',
      domainSid: 'S-1-5-21-1-2-3',
      tls: await authority.issue({
        subject: 'CN=dc1',
        ipAddresses: ['127.0.0.1'],
        extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
      }),
      bind: [bind],
      entries: [],
      ntAuth: null,
    });
    t.teardown(() => server.stop());
    const sssd = await startSssd(t, {
      url: server.url,
      caPem: authority.cert,
      bindDn: bind.dn,
      password: bind.password,
      base,
      rule,
    });
    const certificates = Array.from({ length: count }, (_, index) => randomCertificate(index));
    for (const der of certificates) await sssd.lookUp(pemOf(der));

    const theirs = new Map(sssd.filters().map((values) => [thumbprintIn(values), values.map(foldHex)]));
    t.equal(theirs.size, count, 'every certificate was looked for');
    for (const der of certificates) {
      const leaf = parsed(der);
      const built = theirs.get(leaf.thumbprint) ?? [];
      t.strictSame(built.toSorted(), ours(leaf).map(foldHex).toSorted(), pemOf(der));
    }
  });

/** As assertions of a filter; of a serial's two spellings the one without its sign octet, which is SSSD's. */
function ours(leaf: Certificate): readonly string[] {
  const wanted = candidatesOf(leaf, {
    ...defaultMappingSettings,
    openPoints: { ...defaultMappingSettings.openPoints, serialSignOctet: 'dropped' },
  }).filter(({ method }) => method !== 'X509IssuerOnly' && method !== 'DNS');
  return wanted.map(
    ({ method, value }) => `${method === 'UPN' ? 'userPrincipalName' : 'altSecurityIdentities'}=${value}`,
  );
}

function parsed(der: Buffer): Certificate {
  const result = parseCertificate(der);
  if (result.kind !== 'parsed') throw new Error(result.reason);
  return result.certificate;
}

function thumbprintIn(values: readonly string[]): string {
  return values.flatMap((value) => /<SHA1-PUKEY>([0-9a-f]{40})$/i.exec(value)?.[1] ?? [])[0]?.toLowerCase() ?? '';
}

/** The case of hexadecimal digits means nothing. */
function foldHex(value: string): string {
  return value.replace(/(?<=<(?:SR|SKI|SHA1-PUKEY)>)[0-9a-f]+$/i, (hex) => hex.toLowerCase());
}

function randomCertificate(index: number): Buffer {
  const person = name(1 + random(6));
  return writeCertificate({
    issuer: ['DC=test', 'DC=example', ...name(random(3)), `CN=${text()} CA`],
    subject: [...person, `CN=${text()} ${index}`],
    serial: octets(1 + random(20)),
    subjectKeyIdentifier: octets(1 + random(20)),
    upns: [`${word()}${index}@${word()}.test`],
    rfc822Names: [`${word()}.${index}@${word()}.test`],
    sid: `S-1-5-21-${random(2 ** 31)}-${random(2 ** 31)}-${random(2 ** 31)}-${1000 + index}`,
  });
}

function name(length: number): WrittenName {
  return Array.from({ length }, () => `${types[random(types.length)] ?? 'CN'}=${text()}`);
}

function text(): string {
  const middle = Array.from({ length: random(12) }, () => inner[random(inner.length)]).join('');
  return `${letter()}${middle}${letter()}`;
}

function word(): string {
  return Array.from({ length: 1 + random(8) }, letter).join('');
}

function letter(): string {
  return letters[random(letters.length)] ?? 'x';
}

/** Without leading zeros unless the top bit asks for a sign octet: a positive INTEGER in DER. */
function octets(length: number): string {
  const digits = Array.from({ length }, () => random(256).toString(16).padStart(2, '0')).join('');
  const positive = digits.startsWith('00') ? `01${digits.slice(2)}` : digits;
  return /^[89a-f]/.test(positive) && length < 20 ? `00${positive}` : `1${positive.slice(1)}`;
}
