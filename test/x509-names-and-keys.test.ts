import { constants, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import t from 'tap';
import { DerReader } from '../src/x509/der.ts';
import { isWithinSubtree, nameKey, sameName } from '../src/x509/name-comparison.ts';
import { isEmptyName, parseName, rfc4514Text, type Name } from '../src/x509/name.ts';
import { oidName, oids } from '../src/x509/oid.ts';
import { pemText, readCertificates, readPem } from '../src/x509/pem.ts';
import { keyFacts, parseAlgorithm, parsePublicKey } from '../src/x509/public-key.ts';
import { verifySignature, type SignatureOutcome } from '../src/x509/signature.ts';
import {
  attribute,
  bits,
  element,
  extension,
  extensions,
  hex,
  integer,
  name,
  oid,
  sequence,
  set,
  shapeCertificate,
  type ShapedAttribute,
} from './support/der-shapes.ts';

const nameFrom = (der: Buffer): Name => parseName(new DerReader(der), 'name');
const nameOf = (...attributes: readonly ShapedAttribute[]): Name => nameFrom(name(...attributes));
const commonName = (tag: number, value: string | Uint8Array): Name => nameOf(['2.5.4.3', tag, value]);

await t.test('text is decoded by its string type, or not at all', (t) => {
  const cases: readonly (readonly [tag: number, raw: Buffer, expected: string | null])[] = [
    [12, Buffer.from('ä€😀'), 'ä€😀'],
    [12, hex('efbbbf61'), '\ufeffa'],
    [12, hex('ff'), null],
    [12, hex('c080'), null],
    [12, hex('eda080'), null],
    [19, Buffer.from('a_@*'), 'a_@*'],
    [19, hex('e4'), null],
    [22, hex('80'), null],
    [18, Buffer.from('12 3'), '12 3'],
    [26, Buffer.from('~'), '~'],
    [20, hex('e4'), 'ä'],
    [20, Buffer.from('ä'), 'ä'],
    [30, hex('00e4 20ac'), 'ä€'],
    [30, hex('d83d de00'), '😀'],
    [30, hex('d83d'), null],
    [30, hex('00e420'), null],
    [28, hex('000000e4 0001f600'), 'ä😀'],
    [28, hex('0000d800'), null],
    [28, hex('00110000'), null],
    [28, hex('000000'), null],
    [4, hex('61'), null],
    [27, hex('61'), null],
  ];
  for (const [tag, raw, expected] of cases) {
    const decoded = commonName(tag, raw).rdns[0]?.[0];
    t.equal(decoded?.text, expected, `tag ${tag}, ${raw.toString('hex')}`);
    t.equal(decoded?.tag, tag);
    t.same(decoded?.raw, raw);
  }
  t.end();
});

await t.test('RFC 4514 text runs from the last RDN and carries no control character', (t) => {
  const multi = nameFrom(
    sequence(
      set(attribute(['0.9.2342.19200300.100.1.25', 22, 'test'])),
      set(attribute(['2.5.4.3', 12, 'alice']), attribute(['0.9.2342.19200300.100.1.1', 12, 'a1'])),
    ),
  );
  t.equal(rfc4514Text(multi), 'CN=alice+UID=a1,DC=test');
  t.equal(rfc4514Text(nameOf()), '');
  const values: readonly (readonly [value: string, shown: string])[] = [
    ['a,b+c"d\\e<f>g;h', String.raw`a\,b\+c\"d\\e\<f\>g\;h`],
    [' a ', String.raw`\ a\ `],
    [' ', String.raw`\ `],
    ['  ', String.raw`\ \ `],
    ['\\ ', String.raw`\\\ `],
    ['#1', String.raw`\#1`],
    ['a#=1', 'a#=1'],
    ['a\n\u001b[31m\0', String.raw`a\0a\1b[31m\00`],
    ['\u202eevil\u2028', String.raw`\e2\80\aeevil\e2\80\a8`],
    ['é', 'é'],
    ['', ''],
  ];
  for (const [value, shown] of values) t.equal(rfc4514Text(commonName(12, Buffer.from(value))), `CN=${shown}`, shown);
  t.equal(rfc4514Text(nameOf(['1.2.3', 12, 'x'])), '1.2.3=x');
  t.equal(rfc4514Text(commonName(12, hex('ff'))), 'CN=#0c01ff', 'what is not text is shown as its DER');
  t.equal(rfc4514Text(commonName(12, Buffer.alloc(200, 0xff))), `CN=#0c81c8${'ff'.repeat(200)}`);
  t.end();
});

await t.test('names are the same whatever case, spaces and string type', (t) => {
  const utf8 = (value: string) => commonName(12, Buffer.from(value));
  const same: readonly (readonly [a: Name, b: Name, why: string])[] = [
    [commonName(19, 'Lab CA'), commonName(12, 'lab ca'), 'case, PrintableString and UTF8String'],
    [commonName(19, 'Lab CA'), commonName(12, '  Lab   CA '), 'spaces around and inside'],
    [commonName(19, 'Lab CA'), commonName(30, hex('004c 0061 0062 0020 0043 0041')), 'BMPString'],
    [commonName(20, hex('e4')), utf8('Ä'), 'TeletexString'],
    [utf8('Straße'), utf8('STRASSE'), 'sharp s'],
    [utf8('ΟΔΟΣ'), utf8('οδος'), 'final sigma'],
    [utf8('e\u0301'), utf8('É'), 'composed and decomposed'],
    [utf8('ﬁ'), utf8('FI'), 'compatibility forms'],
    [utf8('a\u00adb\u200b'), utf8('ab'), 'characters without appearance'],
    [utf8('a\u00a0\tb'), utf8('a b'), 'white space of every kind'],
    [
      nameFrom(sequence(set(attribute(['2.5.4.3', 12, 'x']), attribute(['2.5.4.11', 12, 'y'])))),
      nameFrom(sequence(set(attribute(['2.5.4.11', 12, 'y']), attribute(['2.5.4.3', 12, 'X'])))),
      'order inside an RDN',
    ],
    [nameOf(), nameOf(), 'both empty'],
    [commonName(4, hex('0a')), commonName(4, hex('0a')), 'not text, same octets'],
  ];
  for (const [a, b, why] of same) {
    t.ok(sameName(a, b), why);
    t.equal(nameKey(a), nameKey(b), `${why}: key`);
  }
  const different: readonly (readonly [a: Name, b: Name, why: string])[] = [
    [utf8('ab'), utf8('a b'), 'a space that is there'],
    [utf8('a'), nameOf(['2.5.4.11', 12, 'a']), 'attribute type'],
    [
      nameOf(['2.5.4.3', 12, 'a'], ['2.5.4.11', 12, 'b']),
      nameOf(['2.5.4.11', 12, 'b'], ['2.5.4.3', 12, 'a']),
      'order of RDNs',
    ],
    [
      nameOf(['2.5.4.3', 12, 'a'], ['2.5.4.3', 12, 'b']),
      nameFrom(sequence(set(attribute(['2.5.4.3', 12, 'a']), attribute(['2.5.4.3', 12, 'b'])))),
      'two RDNs and one of two attributes',
    ],
    [utf8('a\u00022.5.4.3=b'), nameOf(['2.5.4.3', 12, 'a'], ['2.5.4.3', 12, 'b']), 'a value that imitates a key'],
    [utf8(`#4:0a`), commonName(4, hex('0a')), 'a value that imitates octets'],
    [commonName(4, hex('41')), commonName(4, hex('61')), 'octets have no case'],
    [commonName(4, hex('0a')), commonName(12, hex('ff')), 'not text, other octets'],
    [utf8('ı'), utf8('i'), 'dotless i'],
    [nameOf(), utf8(''), 'no RDN and an empty value'],
  ];
  for (const [a, b, why] of different) t.notOk(sameName(a, b), why);
  t.end();
});

await t.test('a subtree holds the names that begin with its RDNs', (t) => {
  const base = nameOf(['2.5.4.6', 19, 'DE'], ['2.5.4.10', 12, 'Lab']);
  const below = nameOf(['2.5.4.6', 12, 'de'], ['2.5.4.10', 19, 'LAB'], ['2.5.4.3', 12, 'x']);
  t.ok(isWithinSubtree(below, base));
  t.ok(isWithinSubtree(base, base));
  t.ok(isWithinSubtree(below, nameOf()), 'the empty name holds all');
  t.notOk(isWithinSubtree(base, below));
  t.notOk(isWithinSubtree(nameOf(['2.5.4.6', 19, 'DE'], ['2.5.4.10', 12, 'Labor']), base), 'not a prefix of text');
  t.notOk(isWithinSubtree(nameOf(['2.5.4.10', 12, 'Lab'], ['2.5.4.6', 19, 'DE']), base));
  t.ok(isEmptyName(nameOf()));
  t.notOk(isEmptyName(base));
  t.end();
});

await t.test('files hold certificates as PEM, base64 or DER', (t) => {
  const der = shapeCertificate();
  const pem = pemText(der);
  t.match(pem, /^-----BEGIN CERTIFICATE-----\n(?:[^\n]{64}\n)+[^\n]{1,64}\n-----END CERTIFICATE-----\n$/);
  const found = (file: Buffer | string) => {
    const result = readCertificates(Buffer.from(file as string));
    return result.kind === 'read' ? result.blocks.map((block) => [block.line, block.der.equals(der)]) : result;
  };
  t.same(found(pem), [[1, true]]);
  t.same(found(`subject: x\n${pem}\n\n${pem}`), [
    [2, true],
    [11, true],
  ]);
  t.same(found(pem.replaceAll('\n', '\r\n')), [[1, true]]);
  t.same(found(pem.replaceAll('\n', ' \n')), [[1, true]]);
  t.same(found(`\ufeff${pem}`), [[1, true]], 'UTF-8 with byte order mark');
  t.same(found(Buffer.from(`\ufeff${pem}`, 'utf16le')), [[1, true]], 'UTF-16, as PowerShell writes it');
  t.same(found(der.toString('base64')), [[0, true]]);
  t.same(found(`${der.toString('base64').replaceAll(/.{50}/g, '$&\r\n')}\n`), [[0, true]]);
  t.same(found(pem.replaceAll('CERTIFICATE', 'X509 CERTIFICATE')), [[1, true]]);
  t.same(found(`-----BEGIN PRIVATE KEY-----\nanything\n-----END PRIVATE KEY-----\n${pem}`), [[4, true]]);
  const large = shapeCertificate({ tail: extensions(extension('1.2.3', Buffer.alloc(300))) });
  t.same(readCertificates(large), { kind: 'read', blocks: [{ label: 'CERTIFICATE', der: large, line: 0 }] });
  t.end();
});

await t.test('a file that is not certificates is refused with its line', (t) => {
  const lines = pemText(shapeCertificate()).split('\n');
  const broken = (index: number, line: string) => lines.with(index, line).join('\n');
  const cases: readonly (readonly [file: string, reason: string, line: number])[] = [
    ['', 'neither PEM nor base64 nor DER', 0],
    ['!!!!', 'neither PEM nor base64 nor DER', 0],
    ['QUI', 'neither PEM nor base64 nor DER', 0],
    ['QUJ=', 'neither PEM nor base64 nor DER', 0],
    [broken(2, `${lines[2]?.slice(1)}*`), 'not base64', 3],
    [broken(1, 'Proc-Type: 4,ENCRYPTED'), 'not base64', 2],
    [broken(2, `${lines[2]?.slice(1)}=`), 'not base64', 3],
    [broken(2, lines[2]?.slice(1) ?? ''), 'not base64', 1],
    [lines.toSpliced(1, lines.length - 3).join('\n'), 'not base64', 1],
    [lines.slice(0, 3).join('\n'), 'BEGIN CERTIFICATE without its END', 1],
    [[...lines.slice(0, 3), ...lines].join('\n'), 'BEGIN CERTIFICATE inside the block that began in line 1', 4],
    [['x', ...lines.slice(1)].join('\n') + lines[0], 'END CERTIFICATE without its BEGIN', lines.length - 1],
    [broken(lines.length - 2, '-----END OTHER-----'), 'END OTHER without its BEGIN', lines.length - 1],
    ['-----BEGIN X-----\n-----END X-----', 'no CERTIFICATE block inside', 0],
  ];
  for (const [file, reason, line] of cases)
    t.same(readCertificates(Buffer.from(file)), { kind: 'malformed', reason, line }, `${reason} in line ${line}`);
  t.same(readPem('no block at all', ['X509 CRL']), { kind: 'malformed', reason: 'no X509 CRL block inside', line: 0 });
  t.same(readPem(pemText(hex('0500'), 'X509 CRL'), ['X509 CRL']), {
    kind: 'read',
    blocks: [{ label: 'X509 CRL', der: hex('0500'), line: 1 }],
  });
  const block = pemText(hex('0500'));
  t.equal(readPem(block.repeat(10_000)).kind, 'read');
  t.same(readPem(block.repeat(10_001)), { kind: 'malformed', reason: 'more than 10000 blocks', line: 30_001 });
  const tooLarge = 16 * 1024 * 1024 + 1;
  t.match(readPem(' '.repeat(tooLarge)), { kind: 'malformed', reason: 'larger than 16777216 characters' });
  t.match(readCertificates(Buffer.alloc(tooLarge)), { kind: 'malformed', reason: 'larger than 16777216 octets' });
  t.end();
});

const keyOf = (key: KeyObject) => parsePublicKey(new DerReader(key.export({ format: 'der', type: 'spki' })), 'key');
const algorithm = (type: string, parameters = '') =>
  parseAlgorithm(new DerReader(sequence(oid(type), hex(parameters))), 'algorithm');
type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
const signed = Buffer.from('what was signed');
const strict = { allowSha1: false };
const lenient = { allowSha1: true };

await t.test('signatures', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
  const ed25519 = generateKeyPairSync('ed25519');
  const ed448 = generateKeyPairSync('ed448');

  await t.test('each accepted algorithm takes a good signature and refuses a changed one', (t) => {
    const cases: readonly (readonly [type: string, parameters: string, hash: string | null, pair: KeyPair])[] = [
      [oids.sha256WithRsa, '0500', 'sha256', rsa],
      [oids.sha256WithRsa, '', 'sha256', rsa],
      [oids.sha384WithRsa, '0500', 'sha384', rsa],
      [oids.sha512WithRsa, '0500', 'sha512', rsa],
      [oids.ecdsaWithSha256, '', 'sha256', p256],
      [oids.ecdsaWithSha384, '', 'sha384', p384],
      [oids.ecdsaWithSha512, '', 'sha512', p521],
      [oids.ecdsaWithSha256, '', 'sha256', p384],
      [oids.ed25519, '', null, ed25519],
      [oids.ed448, '', null, ed448],
    ];
    for (const [type, parameters, hash, pair] of cases) {
      const signature = sign(hash, signed, pair.privateKey);
      const check = (data: Buffer, bytes: Buffer) =>
        verifySignature(algorithm(type, parameters), data, bytes, keyOf(pair.publicKey), strict);
      t.equal(check(signed, signature), 'good', oidName(type));
      t.equal(check(Buffer.from('what was signeD'), signature), 'bad', `${oidName(type)}: other data`);
      t.equal(check(signed, flipped(signature)), 'bad', `${oidName(type)}: other signature`);
      t.equal(check(signed, Buffer.alloc(0)), 'bad', `${oidName(type)}: no signature`);
    }
    t.end();
  });

  await t.test('SHA-1 only when allowed, MD5 never', (t) => {
    const check = (type: string, hash: string, pair: KeyPair, rules: typeof strict) =>
      verifySignature(
        algorithm(type, pair === rsa ? '0500' : ''),
        signed,
        sign(hash, signed, pair.privateKey),
        keyOf(pair.publicKey),
        rules,
      );
    t.equal(check(oids.sha1WithRsa, 'sha1', rsa, strict), 'weak:sha1');
    t.equal(check(oids.sha1WithRsa, 'sha1', rsa, lenient), 'good');
    t.equal(check(oids.ecdsaWithSha1, 'sha1', p256, strict), 'weak:sha1');
    t.equal(check(oids.ecdsaWithSha1, 'sha1', p256, lenient), 'good');
    t.equal(check(oids.md5WithRsa, 'md5', rsa, lenient), 'weak:md5');
    const dsa = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 });
    t.equal(check(oids.dsaWithSha1, 'sha1', dsa, strict), 'weak:sha1');
    t.equal(check(oids.dsaWithSha1, 'sha1', dsa, lenient), 'good');
    t.equal(check(oids.dsaWithSha1, 'sha1', p256, lenient), 'bad', 'a key of another kind');
    t.end();
  });

  await t.test('an algorithm with parameters that it does not have is unsupported', (t) => {
    const check = (type: string, parameters: string, pair: KeyPair) =>
      verifySignature(algorithm(type, parameters), signed, Buffer.alloc(64), keyOf(pair.publicKey), strict);
    t.equal(check(oids.sha256WithRsa, '3000', rsa), 'unsupported');
    t.equal(check(oids.ecdsaWithSha256, '0500', p256), 'unsupported');
    t.equal(check(oids.ed25519, '0500', ed25519), 'unsupported');
    t.equal(check(oids.dsaWithSha1, '0500', p256), 'unsupported');
    t.equal(check('1.2.840.113549.1.1.14', '0500', rsa), 'unsupported', 'SHA-224');
    t.end();
  });

  await t.test('an algorithm and a key of another kind are bad', (t) => {
    const check = (type: string, pair: KeyPair) =>
      verifySignature(algorithm(type), signed, Buffer.alloc(64), keyOf(pair.publicKey), strict);
    t.equal(check(oids.sha256WithRsa, p256), 'bad');
    t.equal(check(oids.ecdsaWithSha256, rsa), 'bad');
    t.equal(check(oids.ed25519, ed448), 'bad');
    t.equal(check(oids.ed448, ed25519), 'bad');
    t.equal(
      verifySignature(
        algorithm(oids.ecdsaWithSha256),
        signed,
        sign('sha256', signed, rsa.privateKey),
        keyOf(rsa.publicKey),
        strict,
      ),
      'bad',
      'also when the signature is a good one of the key',
    );
    t.end();
  });

  await t.test('RSASSA-PSS by its parameters alone', (t) => {
    const sha256 = sequence(oid(oids.sha256), hex('0500'));
    const sha384 = sequence(oid(oids.sha384));
    const hashed = (hash: Buffer) => element(0xa0, hash);
    const masked = (hash: Buffer, type: string = oids.mgf1) => element(0xa1, sequence(oid(type), hash));
    const salted = (count: string) => element(0xa2, integer(count));
    const pss = (...parts: readonly Buffer[]) => algorithm(oids.rsaPss, sequence(...parts).toString('hex'));
    const outcome = (how: ReturnType<typeof pss>, hash: string, saltLength: number, rules = strict) =>
      verifySignature(
        how,
        signed,
        sign(hash, signed, { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }),
        keyOf(rsa.publicKey),
        rules,
      );
    const cases: readonly (readonly [why: string, how: ReturnType<typeof pss>, expected: SignatureOutcome])[] = [
      ['as it should be', pss(hashed(sha256), masked(sha256), salted('20')), 'good'],
      ['hash without NULL', pss(hashed(sequence(oid(oids.sha256))), masked(sha256), salted('20')), 'good'],
      ['explicit trailer', pss(hashed(sha256), masked(sha256), salted('20'), element(0xa3, integer('01'))), 'good'],
      ['other salt length', pss(hashed(sha256), masked(sha256), salted('1f')), 'bad'],
      ['default salt length', pss(hashed(sha256), masked(sha256)), 'bad'],
      ['salt longer than any key', pss(hashed(sha256), masked(sha256), salted('0201')), 'unsupported'],
      ['negative salt', pss(hashed(sha256), masked(sha256), salted('ff')), 'unsupported'],
      ['mask with another hash', pss(hashed(sha256), masked(sha384), salted('20')), 'unsupported'],
      ['default mask', pss(hashed(sha256), salted('20')), 'unsupported'],
      ['unknown hash', pss(hashed(sequence(oid('1.2.3'))), masked(sequence(oid('1.2.3')))), 'unsupported'],
      ['hash with parameters', pss(hashed(sequence(oid(oids.sha256), hex('3000'))), masked(sha256)), 'unsupported'],
      ['another mask function', pss(hashed(sha256), masked(sha256, '1.2.3'), salted('20')), 'unsupported'],
      ['mask function without hash', pss(hashed(sha256), element(0xa1, sequence(oid(oids.mgf1)))), 'unsupported'],
      ['another trailer', pss(hashed(sha256), masked(sha256), element(0xa3, integer('02'))), 'unsupported'],
      ['something after', pss(hashed(sha256), masked(sha256), salted('20'), hex('0500')), 'unsupported'],
      ['something inside', pss(element(0xa0, sha256, hex('0500')), masked(sha256)), 'unsupported'],
      ['all defaults', pss(), 'weak:sha1'],
      ['no parameters', algorithm(oids.rsaPss), 'unsupported'],
      ['not a sequence', algorithm(oids.rsaPss, '0500'), 'unsupported'],
    ];
    for (const [why, how, expected] of cases) t.equal(outcome(how, 'sha256', 32), expected, why);
    t.equal(outcome(pss(), 'sha1', 20, lenient), 'good', 'all defaults, SHA-1 allowed');
    const sha512 = sequence(oid(oids.sha512), hex('0500'));
    t.equal(outcome(pss(hashed(sha512), masked(sha512), salted('40')), 'sha512', 64), 'good');

    const restricted = generateKeyPairSync('rsa-pss', {
      modulusLength: 2048,
      hashAlgorithm: 'sha256',
      mgf1HashAlgorithm: 'sha256',
    });
    const withRestricted = (how: ReturnType<typeof algorithm>) =>
      verifySignature(how, signed, sign('sha256', signed, restricted.privateKey), keyOf(restricted.publicKey), strict);
    t.equal(withRestricted(pss(hashed(sha256), masked(sha256), salted('20'))), 'good');
    t.equal(withRestricted(algorithm(oids.sha256WithRsa, '0500')), 'bad', 'a PSS key makes no PKCS #1 signatures');
    t.equal(withRestricted(pss(hashed(sha512), masked(sha512), salted('40'))), 'bad', 'a PSS key keeps to its hash');
    t.end();
  });

  await t.test('keys are described by their DER', (t) => {
    t.same(keyFacts(keyOf(rsa.publicKey)), { kind: 'rsa', bits: 2048, pssOnly: false });
    t.same(keyFacts(keyOf(p256.publicKey)), { kind: 'ec', curve: 'P-256' });
    t.same(keyFacts(keyOf(p384.publicKey)), { kind: 'ec', curve: 'P-384' });
    t.same(keyFacts(keyOf(p521.publicKey)), { kind: 'ec', curve: 'P-521' });
    t.same(keyFacts(keyOf(ed25519.publicKey)), { kind: 'ed25519' });
    t.same(keyFacts(keyOf(ed448.publicKey)), { kind: 'ed448' });
    t.equal(keyOf(rsa.publicKey).keyObject().asymmetricKeyType, 'rsa');
    const once = keyOf(p256.publicKey);
    t.equal(once.keyObject(), once.keyObject(), 'imported once');
    t.match(once.digest, /^[0-9a-f]{64}$/);
    t.end();
  });

  await t.test('keys that nobody may use are unsupported, for signatures too', (t) => {
    const key = (algorithm: Buffer, content: Uint8Array) =>
      parsePublicKey(new DerReader(sequence(algorithm, bits(0, content))), 'key');
    const rsaKey = (...parts: readonly Uint8Array[]) =>
      key(sequence(oid(oids.rsaEncryption), hex('0500')), sequence(...parts));
    const modulus = integer(`00${'ff'.repeat(256)}`);
    const explicitCurve = sequence(integer('01'), sequence(oid('1.2.840.10045.1.1'), integer('07')));
    const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    const cases: readonly (readonly [key: ReturnType<typeof key>, reason: string])[] = [
      [rsaKey(modulus, integer('01')), 'RSA exponent is even, below 3 or above 64 bits'],
      [rsaKey(modulus, integer('02')), 'RSA exponent is even, below 3 or above 64 bits'],
      [rsaKey(modulus, integer(`01${'00'.repeat(8)}01`)), 'RSA exponent is even, below 3 or above 64 bits'],
      [rsaKey(integer('80'), integer('03')), 'negative RSA number'],
      [rsaKey(modulus, integer('81')), 'negative RSA number'],
      [rsaKey(integer(`01${'00'.repeat(2048)}`), integer('03')), 'RSA modulus of 16385 bits'],
      [rsaKey(modulus), 'RSA exponent is missing'],
      [rsaKey(modulus, integer('03'), integer('03')), 'RSA key: 3 octets too many'],
      [key(sequence(oid(oids.rsaEncryption)), hex('30060201010201030500')), 'RSA key: 2 octets too many'],
      [key(sequence(oid(oids.ecPublicKey), explicitCurve), hex('04')), 'EC curve name: expected tag 0x06, found 0x30'],
      [key(sequence(oid(oids.ecPublicKey), hex('0500')), hex('04')), 'EC curve name: expected tag 0x06, found 0x05'],
      [key(sequence(oid(oids.ecPublicKey)), hex('04')), 'EC key without a curve'],
      [keyOf(secp256k1.publicKey), 'curve 1.3.132.0.10'],
      [key(sequence(oid(oids.ed25519), hex('0500')), Buffer.alloc(32)), 'ed25519 key with parameters'],
      [key(sequence(oid(oids.ed25519)), Buffer.alloc(31)), 'ed25519 key of 31 octets'],
      [key(sequence(oid(oids.ed448)), Buffer.alloc(32)), 'ed448 key of 32 octets'],
      [key(sequence(oid('1.2.840.10040.4.1')), Buffer.alloc(32)), 'DSA key without parameters of its own'],
    ];
    for (const [weak, reason] of cases) {
      t.same(keyFacts(weak), { kind: 'unsupported', reason }, reason);
      for (const type of [oids.sha256WithRsa, oids.ecdsaWithSha256, oids.ed25519, oids.ed448])
        t.equal(verifySignature(algorithm(type), signed, Buffer.alloc(64), weak, strict), 'unsupported');
    }
    t.same(keyFacts(rsaKey(integer(`01${'00'.repeat(2047)}`), integer('03'))), {
      kind: 'rsa',
      bits: 16_377,
      pssOnly: false,
    });
    const offCurve = key(sequence(oid(oids.ecPublicKey), oid(oids.p256)), Buffer.alloc(65, 4));
    t.same(keyFacts(offCurve), { kind: 'ec', curve: 'P-256' });
    t.equal(
      verifySignature(algorithm(oids.ecdsaWithSha256), signed, Buffer.alloc(64), offCurve, strict),
      'unsupported',
      'a point off its curve',
    );
    t.end();
  });
  t.end();
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}
