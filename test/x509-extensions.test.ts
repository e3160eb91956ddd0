import t from 'tap';
import { parseCertificate, type Certificate } from '../src/x509/certificate.ts';
import { rfc4514Text } from '../src/x509/name.ts';
import { extensionOids, oidName, oids, usageOids } from '../src/x509/oid.ts';
import {
  attribute,
  element,
  extension,
  extensions,
  hex,
  name,
  octets,
  oid,
  sequence,
  shapeCertificate,
  text,
} from './support/der-shapes.ts';

function parsed(der: Buffer): Certificate {
  const result = parseCertificate(der);
  if (result.kind === 'malformed') throw new Error(`${result.reason} at ${result.offset}`);
  return result.certificate;
}

/** Why a certificate is malformed; null when it is not. */
function reasonFor(der: Buffer): string | null {
  const result = parseCertificate(der);
  return result.kind === 'malformed' ? result.reason : null;
}

const withExtension = (type: string, value: Uint8Array) =>
  shapeCertificate({ tail: extensions(extension(type, value)) });

await t.test('the frame of extensions', (t) => {
  const critical = parsed(
    shapeCertificate({
      tail: extensions(
        extension('1.2.3', hex('ff'), hex('0101ff')),
        extension('1.2.4', hex('')),
        extension('1.2.5', hex('0500'), hex('010100')),
      ),
    }),
  );
  t.same(
    critical.extensions.all,
    [
      { oid: '1.2.3', critical: true, value: hex('ff') },
      { oid: '1.2.4', critical: false, value: hex('') },
      { oid: '1.2.5', critical: false, value: hex('0500') },
    ],
    'unknown content is not looked at; an explicit FALSE is tolerated',
  );
  const cases: readonly (readonly [tail: Buffer, reason: string])[] = [
    [hex('a300'), 'extensions is missing'],
    [hex('a3023000'), 'extensions: no extension inside'],
    [element(0xa3, sequence(extension('1.2.3', hex(''))), hex('0500')), 'extensions: 2 octets too many'],
    [extensions(extension('1.2.3', hex('')), extension('1.2.3', hex(''))), 'extension 1.2.3 appears twice'],
    [
      extensions(
        extension(extensionOids.keyUsage, hex('03020780')),
        extension(extensionOids.keyUsage, hex('03020640')),
      ),
      'extension keyUsage appears twice',
    ],
    [extensions(extension('1.2.3', hex(''), hex('010101'))), '1.2.3: critical: BOOLEAN must be one octet, 00 or FF'],
    [extensions(sequence(oid('1.2.3'), hex('0101ff'))), '1.2.3 is missing'],
    [extensions(sequence(oid('1.2.3'), hex('0500'))), '1.2.3: expected tag 0x04, found 0x05'],
    [extensions(sequence(oid('1.2.3'), octets(), hex('0500'))), '1.2.3: 2 octets too many'],
    [extensions(sequence(octets(), oid('1.2.3'))), 'extension: expected tag 0x06, found 0x04'],
  ];
  for (const [tail, reason] of cases) t.equal(reasonFor(shapeCertificate({ tail })), reason, reason);
  t.end();
});

await t.test('known extensions become values', (t) => {
  const read = (type: string, value: Uint8Array) => parsed(withExtension(type, value)).extensions;
  const e = extensionOids;
  t.same(read(e.basicConstraints, hex('3000')).basicConstraints, { ca: false, pathLength: null });
  t.same(read(e.basicConstraints, hex('3003010100')).basicConstraints, { ca: false, pathLength: null });
  t.same(read(e.basicConstraints, hex('30030101ff')).basicConstraints, { ca: true, pathLength: null });
  t.same(read(e.basicConstraints, hex('30060101ff020103')).basicConstraints, { ca: true, pathLength: 3 });

  const usages = [
    ['digitalSignature', '03020780'],
    ['nonRepudiation', '03020640'],
    ['keyEncipherment', '03020520'],
    ['dataEncipherment', '03020410'],
    ['keyAgreement', '03020308'],
    ['keyCertSign', '03020204'],
    ['cRLSign', '03020102'],
    ['encipherOnly', '03020001'],
    ['decipherOnly', '0303070080'],
  ] as const;
  for (const [usage, value] of usages) {
    const set = Object.entries(read(e.keyUsage, hex(value)).keyUsage ?? {}).filter(([, on]) => on);
    t.same(set, [[usage, true]], usage);
  }
  t.equal(read(e.keyUsage, hex('03020080')).keyUsage?.digitalSignature, true, 'trailing zero bits are tolerated');

  t.same(read(e.extendedKeyUsage, sequence(oid(usageOids.clientAuth), oid('1.2.3'))).extendedKeyUsage, [
    usageOids.clientAuth,
    '1.2.3',
  ]);
  t.same(read(e.microsoftApplicationPolicies, sequence(sequence(oid(usageOids.smartCardLogon)))).applicationPolicies, [
    usageOids.smartCardLogon,
  ]);
  t.same(read(e.subjectKeyIdentifier, octets(hex('0102'))).subjectKeyIdentifier, hex('0102'));

  t.same(read(e.authorityKeyIdentifier, hex('3000')).authorityKeyIdentifier, {
    keyIdentifier: null,
    issuer: null,
    serial: null,
  });
  const authority = read(
    e.authorityKeyIdentifier,
    sequence(
      element(0x80, hex('0a')),
      element(0xa1, element(0xa4, name(['2.5.4.3', 12, 'CA']))),
      element(0x82, hex('0080')),
    ),
  ).authorityKeyIdentifier;
  t.same(authority?.keyIdentifier, hex('0a'));
  t.same(authority?.serial, hex('0080'));
  t.same(authority?.issuer?.directoryNames.map(rfc4514Text), ['CN=CA']);

  t.same(
    read(
      e.certificatePolicies,
      sequence(
        sequence(oid(oids.anyPolicy)),
        sequence(oid('1.2.3'), sequence(sequence(oid(oids.cpsQualifier), text(0x16, 'http://x')))),
      ),
    ).certificatePolicies,
    [
      { oid: oids.anyPolicy, qualifiers: [] },
      { oid: '1.2.3', qualifiers: [oids.cpsQualifier] },
    ],
  );
  t.same(read(e.policyMappings, sequence(sequence(oid('1.2.3'), oid('1.2.4')))).policyMappings, [
    { issuerDomain: '1.2.3', subjectDomain: '1.2.4' },
  ]);
  t.same(read(e.policyConstraints, hex('3003800100')).policyConstraints, {
    requireExplicitPolicy: 0,
    inhibitPolicyMapping: null,
  });
  t.same(read(e.policyConstraints, hex('3003810102')).policyConstraints, {
    requireExplicitPolicy: null,
    inhibitPolicyMapping: 2,
  });
  t.equal(read(e.inhibitAnyPolicy, hex('020101')).inhibitAnyPolicy, 1);

  t.equal(read(e.ocspNoCheck, hex('0500')).ocspNoCheck, true);
  t.equal(read(e.inhibitAnyPolicy, hex('020101')).ocspNoCheck, false);
  t.end();
});

const uri = (value: string) => text(0x86, value);
const fullName = (...names: readonly Uint8Array[]) => element(0xa0, element(0xa0, ...names));

await t.test('distribution points are kept whole, in order', (t) => {
  const value = sequence(
    sequence(fullName(uri('http://a/1'), uri('ldap:///x')), hex('8102016a')),
    sequence(element(0xa0, element(0xa1, attribute(['2.5.4.3', 12, 'x']))), hex('8103070080')),
    sequence(hex('8103078080'), element(0xa2, element(0xa4, name(['2.5.4.3', 12, 'x'])))),
    sequence(fullName(uri('http://b/2')), hex('810100')),
  );
  for (const [type, field] of [
    [extensionOids.crlDistributionPoints, 'crlDistributionPoints'],
    [extensionOids.freshestCrl, 'freshestCrl'],
  ] as const) {
    const points = parsed(withExtension(type, value)).extensions[field];
    t.same(
      points.map((point) => point.fullName?.uris ?? null),
      [['http://a/1', 'ldap:///x'], null, null, ['http://b/2']],
    );
    t.same(
      points.map((point) => point.relativeName?.map(({ text }) => text) ?? null),
      [null, ['x'], null, null],
    );
    t.same(
      points.map((point) => point.crlIssuer?.directoryNames.map(rfc4514Text) ?? null),
      [null, null, ['CN=x'], null],
    );
    t.same(
      points.map(({ reasons }) => reasons),
      [0b0101_0110, 0b1_0000_0000, 0b1_0000_0000, 0],
      'the unused bit and those above aACompromise say nothing',
    );
    const other = field === 'freshestCrl' ? 'crlDistributionPoints' : 'freshestCrl';
    t.same(parsed(withExtension(type, value)).extensions[other], []);
  }
  t.end();
});

await t.test('of authority information access, URIs are kept by method', (t) => {
  const at = (method: string, location: Uint8Array) => sequence(oid(method), location);
  const read = (...list: readonly Uint8Array[]) =>
    parsed(withExtension(extensionOids.authorityInfoAccess, sequence(...list))).extensions.authorityInfoAccess;
  t.same(
    read(
      at(oids.caIssuersAccess, uri('http://ca/1.crt')),
      at(oids.ocspAccess, uri('http://ocsp/1')),
      at('1.2.3', uri('http://other')),
      at(oids.ocspAccess, text(0x82, 'ocsp.test')),
      at(oids.ocspAccess, uri('http://ocsp/2')),
      at(oids.caIssuersAccess, element(0xa4, name(['2.5.4.3', 12, 'x']))),
    ),
    { ocsp: ['http://ocsp/1', 'http://ocsp/2'], caIssuers: ['http://ca/1.crt'] },
  );
  t.same(read(at('1.2.3', uri('x'))), { ocsp: [], caIssuers: [] });
  t.same(parsed(shapeCertificate()).extensions.authorityInfoAccess, { ocsp: [], caIssuers: [] });
  t.end();
});

await t.test('an extension that could cost requests without end makes the certificate malformed', (t) => {
  const many = (count: number, one: Uint8Array) => sequence(...Array.from({ length: count }, () => one));
  const refused = (type: string, value: Uint8Array) => reasonFor(withExtension(type, value));
  for (const [type, label] of [
    [extensionOids.crlDistributionPoints, 'cRLDistributionPoints'],
    [extensionOids.freshestCrl, 'freshestCRL'],
  ] as const) {
    const point = sequence(fullName(uri('x')));
    const crowded = sequence(fullName(...Array.from({ length: 128 }, () => uri('x'))));
    t.equal(refused(type, many(64, point)), null);
    t.equal(refused(type, many(65, point)), `${label}: more than 64 points`);
    t.equal(refused(type, sequence(crowded)), null);
    t.equal(refused(type, sequence(crowded, point)), `${label}: more than 128 URIs`);
  }
  const description = sequence(oid('1.2.3'), uri('x'));
  t.equal(refused(extensionOids.authorityInfoAccess, many(64, description)), null);
  t.equal(refused(extensionOids.authorityInfoAccess, many(65, description)), 'authorityInfoAccess: more than 64');
  t.end();
});

await t.test('the names of subjectAltName are sorted by kind', (t) => {
  const other = (type: string, value: Uint8Array) => element(0xa0, oid(type), element(0xa0, value));
  const upn = (tag: number, value: Uint8Array) => other(oids.userPrincipalName, element(tag, value));
  const names = parsed(
    withExtension(
      extensionOids.subjectAltName,
      sequence(
        text(0x81, 'a@x'),
        text(0x82, 'x.test'),
        text(0x86, 'urn:x'),
        text(0x81, 'b@x'),
        element(0xa4, name(['2.5.4.3', 12, 'x'])),
        element(0x87, hex('7f000001')),
        element(0x87, Buffer.alloc(16)),
        upn(12, Buffer.from('älice@x')),
        upn(22, Buffer.from('ia5@x')),
        upn(19, Buffer.from('printable@x')),
        upn(30, hex('0062 0040 0078')),
        other('1.2.3', hex('0500')),
        element(0xa3, hex('3000')),
        element(0xa5, hex('a102 0c00')),
        element(0x88, hex('2a03')),
      ),
    ),
  ).extensions.subjectAltName;
  t.same(names?.rfc822Names, ['a@x', 'b@x']);
  t.same(names?.dnsNames, ['x.test']);
  t.same(names?.uris, ['urn:x']);
  t.same(names?.directoryNames.map(rfc4514Text), ['CN=x']);
  t.same(names?.ipAddresses, [hex('7f000001'), Buffer.alloc(16)]);
  t.same(names?.upns, ['älice@x', 'ia5@x', 'printable@x', 'b@x']);
  t.equal(names?.otherNames.length, 5);
  t.same(names?.otherNames.at(-1), { oid: '1.2.3', value: hex('0500') });
  t.same(names?.unsupported, [3, 5, 8]);
  t.end();
});

await t.test('name constraints keep addresses with their masks', (t) => {
  const constraints = parsed(
    withExtension(
      extensionOids.nameConstraints,
      sequence(
        element(0xa0, sequence(text(0x82, 'x.test')), sequence(element(0x87, hex('0a000000ff000000')))),
        element(0xa1, sequence(text(0x81, '.x.test'))),
      ),
    ),
  ).extensions.nameConstraints;
  t.same(constraints?.permitted?.dnsNames, ['x.test']);
  t.same(constraints?.permitted?.ipAddresses, [hex('0a000000ff000000')]);
  t.same(constraints?.excluded?.rfc822Names, ['.x.test']);
  const excludedOnly = parsed(
    withExtension(extensionOids.nameConstraints, sequence(element(0xa1, sequence(text(0x82, ''))))),
  ).extensions.nameConstraints;
  t.equal(excludedOnly?.permitted, null);
  t.end();
});

await t.test('a known extension that cannot be read makes the certificate malformed', (t) => {
  const e = extensionOids;
  const altName = (value: Uint8Array) => [e.subjectAltName, sequence(value)] as const;
  const point = (...parts: readonly Uint8Array[]) => [e.crlDistributionPoints, sequence(sequence(...parts))] as const;
  const subtree = (...parts: readonly Uint8Array[]) =>
    [e.nameConstraints, sequence(element(0xa0, sequence(...parts)))] as const;
  const cases: readonly (readonly [extension: readonly [type: string, value: Uint8Array], reason: string])[] = [
    [[e.basicConstraints, hex('30000500')], 'basicConstraints: 2 octets too many'],
    [[e.basicConstraints, hex('3003010101')], 'basicConstraints: cA: BOOLEAN must be one octet, 00 or FF'],
    [[e.basicConstraints, hex('30060101ff0201ff')], 'basicConstraints: pathLenConstraint: negative'],
    [[e.basicConstraints, hex('30080101ff0201000500')], 'basicConstraints: 2 octets too many'],
    [[e.basicConstraints, hex('0500')], 'basicConstraints: expected tag 0x30, found 0x05'],
    [[e.keyUsage, hex('030100')], 'keyUsage: no usage inside'],
    [[e.keyUsage, hex('03020700')], 'keyUsage: no usage inside'],
    [[e.keyUsage, hex('03020781')], 'keyUsage: unused bits of a BIT STRING must be zero'],
    [[e.keyUsage, hex('040180')], 'keyUsage: expected tag 0x03, found 0x04'],
    [[e.extendedKeyUsage, hex('3000')], 'extendedKeyUsage: no usage inside'],
    [[e.extendedKeyUsage, hex('30020500')], 'extendedKeyUsage: expected tag 0x06, found 0x05'],
    [[e.microsoftApplicationPolicies, hex('0101ff')], 'Application Policies: expected tag 0x30, found 0x01'],
    [[e.subjectKeyIdentifier, hex('0400')], 'subjectKeyIdentifier: empty'],
    [[e.subjectKeyIdentifier, hex('030200ff')], 'subjectKeyIdentifier: expected tag 0x04, found 0x03'],
    [[e.authorityKeyIdentifier, hex('3003820101')], 'authorityKeyIdentifier: issuer and serial number come together'],
    [
      [e.authorityKeyIdentifier, sequence(element(0xa1, text(0x82, 'x')))],
      'authorityKeyIdentifier: issuer and serial number come together',
    ],
    [
      [e.authorityKeyIdentifier, sequence(element(0xa1, text(0x82, 'x')), hex('82020001'))],
      'authorityKeyIdentifier: INTEGER is not minimal',
    ],
    [[e.authorityKeyIdentifier, sequence(element(0xa1), hex('820101'))], 'authorityKeyIdentifier: no name inside'],
    [[e.authorityKeyIdentifier, hex('30028300')], 'authorityKeyIdentifier: 2 octets too many'],
    [[e.certificatePolicies, hex('3000')], 'certificatePolicies: no policy inside'],
    [
      [e.certificatePolicies, sequence(sequence(oid('1.2.3')), sequence(oid('1.2.3')))],
      'certificatePolicies: policy 1.2.3 appears twice',
    ],
    [[e.certificatePolicies, sequence(sequence(oid('1.2.3'), sequence()))], 'certificatePolicies: no qualifier inside'],
    [
      [e.certificatePolicies, sequence(sequence(oid('1.2.3'), sequence(sequence(oid('1.2.3')))))],
      'certificatePolicies is missing',
    ],
    [
      [e.certificatePolicies, sequence(sequence(oid('1.2.3'), sequence(sequence(oid('1.2.3'), hex('300205')))))],
      'certificatePolicies: 2 octets announced, 1 present',
    ],
    [
      [e.certificatePolicies, sequence(sequence(oid('1.2.3'), sequence(sequence(oid('1.2.3'), hex('30020500 0500')))))],
      'certificatePolicies: 2 octets too many',
    ],
    [
      [
        e.certificatePolicies,
        sequence(sequence(oid('1.2.3'), sequence(sequence(oid('1.2.3'), hex('0500'))), hex('0500'))),
      ],
      'certificatePolicies: 2 octets too many',
    ],
    [[e.policyMappings, hex('3000')], 'policyMappings: no mapping inside'],
    [[e.policyMappings, sequence(sequence(oid('1.2.3')))], 'policyMappings is missing'],
    [
      [e.policyMappings, sequence(sequence(oid('1.2.3'), oid('1.2.3'), oid('1.2.3')))],
      'policyMappings: 4 octets too many',
    ],
    [[e.policyConstraints, hex('3000')], 'policyConstraints: nothing inside'],
    [[e.policyConstraints, hex('30028000')], 'policyConstraints: INTEGER without content'],
    [[e.policyConstraints, hex('3003820100')], 'policyConstraints: 3 octets too many'],
    [[e.inhibitAnyPolicy, hex('0201ff')], 'inhibitAnyPolicy: negative'],
    [[e.inhibitAnyPolicy, hex('020100 0500')], 'inhibitAnyPolicy: 2 octets too many'],
    [[e.crlDistributionPoints, hex('3000')], 'cRLDistributionPoints: no distribution point inside'],
    [point(hex('81020560')), 'cRLDistributionPoints: neither a name nor an issuer'],
    [point(hex('a000')), 'cRLDistributionPoints is missing'],
    [point(hex('a0020500')), 'cRLDistributionPoints: expected tag 0xa1, found 0x05'],
    [point(hex('a002a000')), 'cRLDistributionPoints: no name inside'],
    [point(hex('a002a100')), 'cRLDistributionPoints: RDN without attribute'],
    [point(element(0xa0, element(0xa0, text(0x86, 'x')), hex('0500'))), 'cRLDistributionPoints: 2 octets too many'],
    [
      point(element(0xa0, element(0xa0, text(0x86, 'x'))), hex('8100')),
      'cRLDistributionPoints: BIT STRING without content',
    ],
    [point(hex('a200')), 'cRLDistributionPoints: no name inside'],
    [point(element(0xa2, text(0x82, 'x')), hex('0500')), 'cRLDistributionPoints: 2 octets too many'],
    [[e.freshestCrl, hex('3000')], 'freshestCRL: no distribution point inside'],
    [[e.freshestCrl, sequence(sequence(hex('81020560')))], 'freshestCRL: neither a name nor an issuer'],
    [[e.authorityInfoAccess, hex('3000')], 'authorityInfoAccess: no description inside'],
    [[e.authorityInfoAccess, sequence(sequence(oid('1.2.3')))], 'authorityInfoAccess is missing'],
    [
      [e.authorityInfoAccess, sequence(sequence(oid('1.2.3'), text(0x86, 'x'), text(0x86, 'y')))],
      'authorityInfoAccess: 3 octets too many',
    ],
    [
      [e.authorityInfoAccess, sequence(sequence(oid('1.2.3'), hex('0500')))],
      'authorityInfoAccess: no GeneralName has tag 0x5',
    ],
    [[e.authorityInfoAccess, sequence(sequence(oid('1.2.3'), hex('860180')))], 'authorityInfoAccess: not an IA5String'],
    [[e.authorityInfoAccess, hex('3000 0500')], 'authorityInfoAccess: no description inside'],
    [[e.ocspNoCheck, hex('050100')], 'ocspNoCheck: NULL with content'],
    [[e.ocspNoCheck, hex('3000')], 'ocspNoCheck: expected tag 0x05, found 0x30'],
    [[e.ocspNoCheck, hex('05000500')], 'ocspNoCheck: 2 octets too many'],
    [[e.nameConstraints, hex('3000')], 'nameConstraints: neither permitted nor excluded'],
    [[e.nameConstraints, hex('3002a000')], 'nameConstraints: no subtree inside'],
    [[e.nameConstraints, hex('3002a100')], 'nameConstraints: no subtree inside'],
    [[e.nameConstraints, hex('30020500')], 'nameConstraints: 2 octets too many'],
    [subtree(), 'nameConstraints is missing'],
    [subtree(text(0x82, 'x'), hex('800100')), 'nameConstraints: minimum and maximum must be absent: 3 octets too many'],
    [subtree(element(0x87, hex('7f000001'))), 'nameConstraints: iPAddress of 4 octets'],
    [subtree(element(0x87, Buffer.alloc(16))), 'nameConstraints: iPAddress of 16 octets'],
    [altName(hex('')), 'subjectAltName: no name inside'],
    [[e.subjectAltName, hex('')], 'subjectAltName is missing'],
    [altName(element(0x82, hex('ff'))), 'subjectAltName: not an IA5String'],
    [altName(element(0x81, hex('80'))), 'subjectAltName: not an IA5String'],
    [altName(element(0x86, hex('c3a4'))), 'subjectAltName: not an IA5String'],
    [altName(element(0x87, Buffer.alloc(8))), 'subjectAltName: iPAddress of 8 octets'],
    [altName(element(0xa2, hex('160178'))), 'subjectAltName: no GeneralName has tag 0xa2'],
    [altName(element(0x84, name())), 'subjectAltName: no GeneralName has tag 0x84'],
    [altName(hex('160178')), 'subjectAltName: no GeneralName has tag 0x16'],
    [altName(hex('8900')), 'subjectAltName: no GeneralName has tag 0x89'],
    [altName(hex('8800')), 'subjectAltName: registeredID: OBJECT IDENTIFIER without content'],
    [altName(hex('a3023003')), 'subjectAltName: 3 octets announced, 0 present'],
    [altName(hex('a400')), 'subjectAltName: directoryName is missing'],
    [altName(element(0xa4, name(), hex('0500'))), 'subjectAltName: directoryName: 2 octets too many'],
    [altName(element(0xa0, oid('1.2.3'))), 'subjectAltName is missing'],
    [altName(element(0xa0, oid('1.2.3'), hex('a000'))), 'subjectAltName is missing'],
    [altName(element(0xa0, oid('1.2.3'), hex('a0040500 0500'))), 'subjectAltName: 2 octets too many'],
    [altName(element(0xa0, oid('1.2.3'), hex('a0020500 0500'))), 'subjectAltName: 2 octets too many'],
    [altName(element(0xa0, oid('1.2.3'), hex('a0043002 0205'))), 'subjectAltName: 5 octets announced, 0 present'],
    [altName(element(0xa0, oid('1.2.3'), hex('0c0178'))), 'subjectAltName: expected tag 0xa0, found 0x0c'],
    [
      altName(element(0xa0, oid(oids.userPrincipalName), element(0xa0, hex('0c01ff')))),
      'subjectAltName: UPN is not text',
    ],
    [
      altName(element(0xa0, oid(oids.userPrincipalName), element(0xa0, hex('040178')))),
      'subjectAltName: UPN is not text',
    ],
    [
      altName(element(0xa0, oid(oids.userPrincipalName), element(0xa0, hex('1e0178')))),
      'subjectAltName: UPN is not text',
    ],
  ];
  for (const [[type, value], reason] of cases)
    t.equal(reasonFor(withExtension(type, value)), reason, `${oidName(type)}: ${reason}`);
  t.end();
});

/** Real extension of an AD CS certificate (SSSD's and MS-WCCE's form): GeneralNames, otherName, OCTET STRING. */
const realSid =
  '303fa03d060a2b060104018237190201a02f042d532d312d352d32312d3239343032363132362d333337383234353031382d313230333130333934392d31303031';

await t.test('the SID extension of AD CS yields the SID', (t) => {
  const sidOf = (value: Buffer) => parsed(withExtension(extensionOids.microsoftSid, value)).extensions.sid;
  t.equal(sidOf(hex(realSid)), 'S-1-5-21-294026126-3378245018-1203103949-1001');
  const second = 'S-1-5-21-74879546-916818434-740295365-1108';
  t.equal(
    sidOf(Buffer.concat([hex('303ca03a060a2b060104018237190201a02c042a'), Buffer.from(second, 'ascii')])),
    second,
  );
  t.equal(parsed(shapeCertificate()).extensions.sid, null);
  t.end();
});

await t.test('a SID extension that says anything else makes the certificate malformed', (t) => {
  const type = oid(oids.objectSid);
  const sidText = (value: string) => element(0xa0, type, element(0xa0, text(0x04, value)));
  const good = 'S-1-5-21-1-2-3-1001';
  const notSid = "SID extension: not the text of an account's SID";
  const cases: readonly (readonly [value: Uint8Array, reason: string])[] = [
    [hex(`${realSid}00`), 'microsoftSid: 1 octets too many'],
    [sequence(sidText(good), sidText(good)), 'SID extension: more than one name: 37 octets too many'],
    [sequence(), 'SID extension is missing'],
    [sidText(good), 'SID extension: expected tag 0x30, found 0xa0'],
    [sequence(text(0x82, good)), 'SID extension: expected tag 0xa0, found 0x82'],
    [
      sequence(element(0xa0, oid('1.3.6.1.4.1.311.25.2.2'), element(0xa0, text(0x04, good)))),
      'SID extension: otherName of type 1.3.6.1.4.1.311.25.2.2',
    ],
    [sequence(element(0xa0, type, element(0xa0, text(0x0c, good)))), 'SID extension: the SID is not an OCTET STRING'],
    [sequence(element(0xa0, type, element(0xa0, text(0x04, good), hex('0500')))), 'SID extension: 2 octets too many'],
    [sequence(element(0xa0, type, text(0x04, good))), 'SID extension: expected tag 0xa0, found 0x04'],
    ...[
      '',
      's-1-5-21-1-2-3-1001',
      'S-1-5-32-544',
      'S-1-5-21-1-2',
      'S-1-5-21-1-2-3-',
      'S-1-5-21-1-2-3-01',
      'S-1-5-21-1-2-3-4294967296',
      'S-1-5-21-1-2-3-1001\0',
      'S-1-5-21-1-2-3-1001\n',
      ' S-1-5-21-1-2-3-1001',
      'S-1-5-21-1-2-3--1',
      'S-1-5-21-1-2-3-0x1',
      'S-1-12-1-1-2-3-4',
      `S-1-5-21${'-1'.repeat(15)}`,
    ].map((value) => [sequence(sidText(value)), notSid] as const),
  ];
  for (const [value, reason] of cases)
    t.equal(reasonFor(withExtension(extensionOids.microsoftSid, value)), reason, reason);
  t.equal(reasonFor(withExtension(extensionOids.microsoftSid, sequence(sidText(good)))), null);
  t.equal(reasonFor(withExtension(extensionOids.microsoftSid, sequence(sidText('S-1-5-21-4294967295-0-1-500')))), null);
  t.equal(
    reasonFor(
      shapeCertificate({
        tail: extensions(
          extension(extensionOids.microsoftSid, hex(realSid)),
          extension(extensionOids.microsoftSid, hex(realSid)),
        ),
      }),
    ),
    'extension microsoftSid appears twice',
  );
  t.end();
});
