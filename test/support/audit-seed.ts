/**
 * A directory of many accounts with defects planted in their mappings, and what an audit has to find in it. The same for one seed.
 */
import { adUser, domainDn } from '../../src/lab/directory-entries.ts';
import type { DirectoryEntry } from '../../src/lab/directory-server.ts';

export interface SeedDomain {
  readonly domain: string;
  readonly netbiosName: string;
  readonly domainSid: string;
}

export interface SeededDirectory {
  /** In the order of `domains`. */
  readonly entries: readonly (readonly DirectoryEntry[])[];
  /** `code account`, or `code problem account` for malformed values; sorted. */
  readonly expected: readonly string[];
}

/** What is wrong with one account. */
interface Defect {
  readonly values: readonly string[];
  /** `code` or `code problem`. */
  readonly found: readonly string[];
  readonly attributes?: Readonly<Record<string, readonly string[]>>;
}

/** @param issuer name of the authority in NTAuthCertificates, as values spell it */
export function seedDirectory(
  domains: readonly SeedDomain[],
  { accounts, defects, seed, issuer }: { accounts: number; defects: number; seed: number; issuer: string },
): SeededDirectory {
  const random = mulberry(seed);
  const strong = (n: number) => `X509:<I>${issuer}<SR>${n.toString(16).padStart(8, '0')}cafe`;
  const places = new Set<number>();
  // The first accounts stay well: duplicates are of them, and are met after them.
  const first = Math.floor(accounts / 10);
  while (places.size < defects) places.add(first + Math.floor(random() * (accounts - first)));
  const ordered = [...places].toSorted((a, b) => a - b);
  const kinds = kindsOf(issuer, strong);

  const entries: DirectoryEntry[][] = domains.map(() => []);
  const expected: string[] = [];
  let planted = 0;
  for (let n = 0; n < accounts; n += 1) {
    const at = Math.min(domains.length - 1, Math.floor((n * domains.length) / accounts));
    const place = domains[at];
    if (place === undefined) throw new TypeError('no domain');
    const name = `u${n}`;
    const rid = 2000 + n;
    const defect =
      ordered[planted] === n
        ? kinds[planted % kinds.length]?.(n, planted, place.domainSid, Math.floor(planted / kinds.length))
        : undefined;
    if (defect !== undefined) {
      planted += 1;
      expected.push(...defect.found.map((found) => `${found} ${place.netbiosName}\\${name}`));
    }
    const well = [strong(n), ...(n % 7 === 0 ? [`X509:<SKI>${n.toString(16).padStart(40, 'a')}`] : [])];
    const altSecurityIdentities = defect?.values ?? well;
    const attributes = defect?.attributes ?? {};
    entries[at]?.push(
      adUser({
        ...place,
        rid,
        name,
        altSecurityIdentities,
        attributes,
        container: `CN=Users,${domainDn(place.domain)}`,
      }),
    );
  }
  return { entries, expected: expected.toSorted() };
}

type Kind = (n: number, planted: number, domainSid: string, round: number) => Defect;

function kindsOf(issuer: string, strong: (n: number) => string): readonly Kind[] {
  const reversed = issuer.split(',').toReversed().join(',');
  const malformed = (problem: string, value: (n: number) => string): Kind => {
    return (n) => ({ values: [value(n)], found: [`malformedValue ${problem}`] });
  };
  const beside = (code: string, value: (n: number, domainSid: string) => string): Kind => {
    return (n, _, domainSid) => ({ values: [strong(n), value(n, domainSid)], found: [code] });
  };
  const stateOf = (code: string, attributes: Defect['attributes']): Kind => {
    return (n) => ({ values: [strong(n)], found: [code], ...(attributes === undefined ? {} : { attributes }) });
  };
  return [
    (_, planted) => ({ values: [strong(planted).toUpperCase().replace('X509', 'x509')], found: ['duplicateValue'] }),
    // In every second round the accent to the plain value of the round before.
    (n, _, __, round) => ({
      values: [strong(n), `X509:<I>${issuer}<S>CN=${round % 2 === 0 ? 'Jose' : 'Jos\u00e9'} ${Math.floor(round / 2)}`],
      found: round % 2 === 0 ? [] : ['duplicateInDirectory'],
    }),
    malformed('ldapOrder', (n) => `X509:<I>${reversed}<SR>${n.toString(16).padStart(8, '0')}`),
    malformed('blanks', (n) => `X509:<I>${issuer.replaceAll(',', ', ')}<SR>${n.toString(16).padStart(8, '0')}`),
    malformed('attributeName', (n) => `X509:<I>C=US,ST=Ohio,CN=CA ${n}<SR>abcd`),
    malformed('plusSign', (n) => `X509:<I>${issuer}<S>C=FR,CN=CN ${n} + SN=TEST + G=CARTE`),
    malformed('oddHex', () => `X509:<SHA1-PUKEY>abcde`),
    malformed('noTag', (n) => `X509:nothing ${n}`),
    beside('emptyPart', () => 'X509:<S>'),
    beside('issuerOnly', (n) => `X509:<I>O=CA ${n}`),
    beside('issuerNotInNtAuth', (n) => `X509:<I>O=Foreign CA<SR>${n.toString(16).padStart(8, '0')}`),
    beside('sidMismatch', (n, domainSid) => `X509:<I>${issuer}<SID>${domainSid}-${90_000 + n}`),
    beside('kerberosValue', (n) => `Kerberos:u${n}@EXAMPLE.COM`),
    beside('foreignValue', (n) => `urn:vendor:${n}`),
    (n) => ({ values: [`X509:<RFC822>u${n}@example.test`], found: ['weakOnly'] }),
    stateOf('accountDisabled', { userAccountControl: ['514'] }),
    stateOf('accountExpired', { accountExpires: ['132223104000000000'] }),
  ];
}

/** A small generator of numbers from 0 to 1, the same for one seed. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
