/**
 * The policies of single issuers: who is meant, by certificate or by name, and where its revocation data is besides. A name
 * must be that of a CA of `trust`, so that a misspelt one does not leave its issuer without the policy.
 */
import type { IssuerPolicy } from '../revocation/revocation-contract.ts';
import { assertsCa } from '../trust/authority-role.ts';
import type { Certificate } from '../x509/certificate.ts';
import { nameKey } from '../x509/name-comparison.ts';
import { rfc4514Text } from '../x509/name.ts';
import { readCertificates, readCertificatesBehind } from './certificates.ts';
import { printable, quoted } from './complaint.ts';
import { sourceUrls } from './crl-sources.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';

type Written = Language['revocation']['issuers'][number];

/** Who is meant by one entry. */
interface Meant {
  readonly nameKey: string;
  readonly keyDigest: IssuerPolicy['keyDigest'];
  readonly text: string;
}

/** @param known the CA certificates of `trust` and of bindings */
export async function readIssuerPolicies(
  { issuers, maximumCrlSize }: Pick<Language['revocation'], 'issuers' | 'maximumCrlSize'>,
  known: readonly Certificate[],
  reading: Reading,
): Promise<readonly IssuerPolicy[]> {
  const policies: { readonly policy: IssuerPolicy; readonly index: number }[] = [];
  for (const [index, written] of issuers.entries()) {
    const path: Path = ['revocation', 'issuers', index];
    const crls = await sourceUrls(written.crls, maximumCrlSize, [...path, 'crls'], reading);
    const signers = await readCertificates(written.ocspSigners, [...path, 'ocspSigners'], reading);
    const ocspSigners = signers.map(({ certificate }) => certificate);
    const all = await meantBy(written, known, path, reading);
    for (const { text, ...meant } of all) {
      const policy = {
        ...meant,
        policy: written.policy,
        crls,
        ocsp: [...new Set(written.ocsp.map(({ url }) => url))],
        ocspSigners,
      };
      const earlier = policies.find((other) => covers(other.policy, policy));
      if (earlier !== undefined && earlier.index !== index)
        reading.mistake(path, `never holds: revocation.issuers[${earlier.index}] comes first for ${text}`, {
          hint: 'join the two entries, or put the one with a certificate above the one with a name',
          on: 'key',
        });
      policies.push({ policy, index });
    }
    warnOf(written, all, path, reading);
  }
  return policies.map(({ policy }) => policy);
}

function covers(earlier: IssuerPolicy, later: IssuerPolicy): boolean {
  return earlier.nameKey === later.nameKey && (earlier.keyDigest === null || earlier.keyDigest === later.keyDigest);
}

async function meantBy(
  { certificate, name }: Written,
  known: readonly Certificate[],
  path: Path,
  reading: Reading,
): Promise<readonly Meant[]> {
  if ((certificate === undefined) === (name === undefined)) {
    const text = name === undefined ? 'does not say which issuer is meant' : 'has both `certificate` and `name`';
    reading.mistake(path, text, { hint: 'write either `certificate: file:...` or `name: "CN=..."`', on: 'key' });
    return [];
  }
  if (name !== undefined) return meantByName(name, known, [...path, 'name'], reading);
  const read =
    certificate === undefined ? [] : await readCertificatesBehind(certificate, [...path, 'certificate'], reading);
  return read.map(({ certificate: issuer, where }) => {
    const text = printable(rfc4514Text(issuer.subject));
    if (issuer.version === 3 && !assertsCa(issuer))
      reading.warn([...path, 'certificate'], `${printable(where)}, ${text}, is not a CA certificate`);
    return { nameKey: nameKey(issuer.subject), keyDigest: issuer.publicKey.digest, text };
  });
}

function meantByName(name: string, known: readonly Certificate[], path: Path, reading: Reading): readonly Meant[] {
  const texts = new Map(known.map(({ subject }) => [rfc4514Text(subject), subject]));
  const found = [...texts].find(([text]) => plain(text) === plain(name));
  if (found !== undefined) return [{ nameKey: nameKey(found[1]), keyDigest: null, text: printable(found[0]) }];
  const guess = nearest(name, [...texts.keys()]);
  reading.mistake(path, `no CA of \`trust\` is named ${quoted(name)}`, {
    hint: guess === null ? namesHint([...texts.keys()]) : `did you mean \`${guess}\`?`,
  });
  return [];
}

function namesHint(names: readonly string[]): string {
  if (names.length === 0) return 'name it by `certificate: file:...`';
  const more = names.length > 3 ? ' and others' : '';
  return `there are ${names.slice(0, 3).join('; ')}${more}; any other issuer is named by \`certificate: file:...\``;
}

/** Blanks after separators are how Windows writes names. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/\s*([,=+])\s*/g, '$1');
}

/** Says of whom: a file may hold a chain, and with it CAs that nobody thought of. */
function warnOf({ policy, crls, ocsp }: Written, meant: readonly Meant[], path: Path, reading: Reading): void {
  const who = [...new Set(meant.map(({ text }) => text))].join(' and ') || 'this issuer';
  const effects: Record<string, string> = {
    never: `revoked certificates of ${who} are accepted`,
    ifAvailable: `whoever keeps the sources of ${who} from answering keeps revoked certificates accepted`,
  };
  const effect = effects[policy];
  if (effect !== undefined) reading.warn([...path, 'policy'], effect);
  if (policy === 'never' && crls.length + ocsp.length > 0)
    reading.warn([...path, 'policy'], 'never: the sources beside it are not asked');
}
