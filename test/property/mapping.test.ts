/**
 * Mapping under arbitrary input: names of any content, serials of any size, certificates with flipped octets, stored
 * values that a directory folds. `DSMAPPER_SEED` repeats a run.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { systemClock } from '../../src/base/clock.ts';
import { noSteps } from '../../src/base/steps.ts';
import type { Instant } from '../../src/base/brand.ts';
import { adNameSpellings, adNameText } from '../../src/mapping/ad-name.ts';
import { explicitForms, serialSpellings } from '../../src/mapping/alt-security-identities.ts';
import { candidatesOf } from '../../src/mapping/candidates.ts';
import { createMapper } from '../../src/mapping/mapper.ts';
import { defaultMappingSettings } from '../../src/mapping/mapper-contract.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import type { Name } from '../../src/x509/name.ts';
import { writeCertificate, type WrittenName } from '../support/certificate-writer.ts';
import { explicitStrings } from '../support/explicit-strings.ts';
import { createFakeDirectory, fakeAccount } from '../support/fake-directory.ts';
import { diceOf, hostileCertificate } from '../support/hostile-certificates.ts';
import { parsed, strictSettings, subjectFor } from '../support/mapping-cases.ts';

const seed = Number(process.env['DSMAPPER_SEED'] ?? Date.now() % 2 ** 31);
t.comment(`seed ${seed}`);
const runs = { seed, numRuns: 400 };

/** RDNs as lists of type and value, in encoded order. */
type Plain = readonly (readonly (readonly [type: string, value: string])[])[];

const types = fc.constantFrom('CN', 'OU', 'E', 'UID', '2.5.4.97');
/** Mostly what calls for quotes, so that short names meet often. */
const value = fc.string({
  unit: fc.constantFrom('a', 'B', ',', '=', ' ', '"', '+', '<', '\\', '\n', '\r', '#'),
  maxLength: 4,
});
const anyValue = fc.oneof(value, fc.string({ unit: 'binary', maxLength: 12 }));
const nameOf = (of: fc.Arbitrary<string>): fc.Arbitrary<Plain> =>
  fc.array(fc.array(fc.tuple(types, of), { minLength: 1, maxLength: 2 }), { maxLength: 3 });

await t.test('an independent reader gets every name back from its text', async () => {
  fc.assert(
    fc.property(nameOf(anyValue), (plain) => {
      const withoutBreaks = mapValues(plain, (text) => text.replaceAll(/[\r\n]/g, '.'));
      const read = readText(adNameText(toName(withoutBreaks)));
      return JSON.stringify(read) === JSON.stringify(withoutBreaks);
    }),
    runs,
  );
});

await t.test('no two names share a spelling, but for line breaks that Windows itself turns into commas', async (t) => {
  let shared = 0;
  const small = nameOf(fc.string({ unit: fc.constantFrom('a', ',', '\n', '\r', '\\', '='), maxLength: 2 }));
  fc.assert(
    fc.property(fc.array(small, { minLength: 40, maxLength: 40 }), (plains) => {
      const owners = new Map<string, string>();
      for (const plain of plains) {
        const meaning = JSON.stringify(mapValues(plain, (text) => text.replaceAll(/\r\n|\r|\n/g, ',')));
        for (const text of adNameSpellings(toName(plain))) {
          const owner = owners.get(text);
          if (owner !== undefined) shared += 1;
          if (owner !== undefined && owner !== meaning) return false;
          owners.set(text, meaning);
        }
      }
      return true;
    }),
    { ...runs, numRuns: 200 },
  );
  t.ok(shared > 0, `names met ${shared} times`);
});

await t.test(
  'a second builder, written from the published text alone, makes the same strings of any certificate',
  async (t) => {
    const dice = diceOf(seed);
    const certificates = 10_000;
    let differ = 0;
    let parsedWhole = 0;
    let quoted = 0;
    for (let index = 0; index < certificates; index += 1) {
      const der = hostileCertificate(dice);
      const result = parseCertificate(der);
      if (result.kind === 'malformed') continue;
      parsedWhole += 1;
      const built = explicitForms(result.certificate, defaultMappingSettings.openPoints).map(({ value }) => value);
      const once = [...new Set(built)].sort();
      const again = [...explicitStrings(der)].sort();
      if (again.some((value) => value.includes('="'))) quoted += 1;
      if (JSON.stringify(once) === JSON.stringify(again)) continue;
      differ += 1;
      if (differ <= 3) t.strictSame(once, again, der.toString('hex'));
    }
    t.equal(differ, 0, 'no certificate is spelled differently');
    t.equal(parsedWhole, certificates, 'all of them, with two names each, are read');
    t.ok(quoted > certificates / 3, `${quoted} have quotes`);
  },
);

await t.test('every spelling of a serial reads back as its number, and only a sign octet has two', async () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 160n - 1n }), (number) => {
      const hex = number.toString(16);
      const magnitude = hex.length % 2 === 0 ? hex : `0${hex}`;
      const topBit = Number.parseInt(magnitude.slice(0, 2), 16) >= 0x80;
      const spellings = serialSpellings(Buffer.from(topBit ? `00${magnitude}` : magnitude, 'hex'), 'both');
      const numbers = spellings.map((text) => BigInt(`0x${text.match(/../g)?.reverse().join('') ?? ''}`));
      return (
        spellings[0]?.length === magnitude.length &&
        spellings.length === (topBit ? 2 : 1) &&
        new Set(spellings).size === spellings.length &&
        numbers.every((read) => read === number)
      );
    }),
    runs,
  );
});

await t.test('whatever parses has candidates, and no name in them is empty or has a line break', async (t) => {
  const der = writeCertificate({
    issuer: ['DC=test', 'CN=CA'],
    subject: [
      'C=DE',
      ['CN=a,b', 'UID=1'],
      { type: 'O', as: 'bmp', text: 'Ω' },
      { type: 'OU', as: 'teletex', text: 'ü' },
    ],
    serial: '00ff',
    subjectKeyIdentifier: '0102',
    upns: ['a@lab.example.test'],
    dnsNames: ['pc1.lab.example.test'],
    rfc822Names: ['a@lab.example.test'],
    uris: ['tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-4'],
    sid: 'S-1-5-21-1-2-3-4',
  });
  const change = fc.record({ at: fc.nat(der.length - 1), to: fc.nat(255) });
  let survived = 0;
  const total = 3000;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const mutated = Buffer.from(der);
      for (const { at, to } of changes) mutated[at] = to;
      const result = parseCertificate(mutated);
      if (result.kind === 'malformed') return true;
      survived += 1;
      const candidates = candidatesOf(result.certificate, strictSettings);
      return candidates
        .filter(({ method }) => !['UPN', 'DNS', 'X509RFC822'].includes(method))
        .every(
          ({ value }) => value.startsWith('X509:<') && !/>$|><|[\r\n]/.test(value.replaceAll(/"(?:[^"]|"")*"/g, 'q')),
        );
    }),
    { seed, numRuns: total },
  );
  t.ok(survived > total / 10, `${survived} of ${total} mutations still parsed`);
});

await t.test('a stored value is believed exactly when it differs in nothing but the case of A to Z', async (t) => {
  const letters = fc.string({
    unit: fc.constantFrom('a', 'A', 'à', 'ａ', 'k', 'K', '\u212a', 'ß', 's', '\u00ad'),
    minLength: 1,
    maxLength: 3,
  });
  const issuer: WrittenName = ['CN=CA'];
  const settings = { ...strictSettings, strongCertificateBindingEnforcement: 0 } as const;
  let believed = 0;
  let folded = 0;
  await fc.assert(
    fc.asyncProperty(letters, letters, async (inCertificate, inDirectory) => {
      const subject = subjectFor(
        parsed(
          writeCertificate({ issuer, subject: [`CN=${inCertificate}`], upns: [`${inCertificate}@lab.example.test`] }),
        ),
        issuer,
      );
      const same = spelledAlike(inCertificate, inDirectory);
      for (const facts of [
        { altSecurityIdentities: [`X509:<S>CN=${inDirectory}`] },
        { upn: `${inDirectory}@LAB.example.test` },
        { name: `LAB\\${inDirectory}` },
      ]) {
        const account = fakeAccount({ name: 'LAB\\other', ...facts });
        const directory = createFakeDirectory({ accounts: [account], issuers: [subject.issuer.digest] });
        const mapper = createMapper({ directory, settings, clock: systemClock });
        const { result } = await mapper.map(subject, 0 as Instant, { maximumAge: null, steps: noSteps });
        if ((result.kind === 'mapped') !== same) return false;
        if (result.kind === 'mapped') believed += 1;
        else if (result.verdict.detail.includes('to the letter')) folded += 1;
      }
      return true;
    }),
    runs,
  );
  t.ok(believed > 0 && folded > 0, `believed ${believed}, folded by the directory and not believed ${folded}`);
});

function toName(plain: Plain): Name {
  const oids: Readonly<Record<string, string>> = {
    CN: '2.5.4.3',
    OU: '2.5.4.11',
    E: '1.2.840.113549.1.9.1',
    UID: '0.9.2342.19200300.100.1.1',
  };
  const rdns = plain.map((rdn) =>
    rdn.map(([type, text]) => ({ oid: oids[type] ?? type, tag: 12, raw: Buffer.from(text), text })),
  );
  return { der: Buffer.alloc(0), rdns };
}

function mapValues(plain: Plain, change: (text: string) => string): Plain {
  return plain.map((rdn) => rdn.map(([type, text]) => [type, change(text)] as const));
}

/** Reads AD's text of a name by its own rules: knows nothing of how it was written. */
function readText(text: string): Plain {
  if (text === '') return [];
  const rdns: [string, string][][] = [[]];
  let rest = text;
  while (rest !== '') {
    const equals = rest.indexOf('=');
    const type = rest.slice(0, equals);
    rest = rest.slice(equals + 1);
    const quoted = /^"((?:[^"]|"")*)"/.exec(rest);
    // a plain value ends at a comma, or at the blank before the next type
    const plain = /^[^,=]*?(?=,|$| [A-Za-z0-9.]+=)/.exec(rest);
    const raw = quoted?.[0] ?? plain?.[0] ?? '';
    rdns.at(-1)?.push([typeNamed(type), quoted === null ? raw : (quoted[1] ?? '').replaceAll('""', '"')]);
    rest = rest.slice(raw.length);
    if (rest.startsWith(',')) rdns.push([]);
    rest = rest.slice(1);
  }
  return rdns;
}

function typeNamed(printed: string): string {
  if (printed === 'OID.0.9.2342.19200300.100.1.1') return 'UID';
  return printed.replace(/^OID\./, '');
}

function spelledAlike(a: string, b: string): boolean {
  const plain = (text: string) => Array.from(text, (one) => (one === 'A' ? 'a' : one === 'K' ? 'k' : one)).join('|');
  return plain(a) === plain(b);
}
