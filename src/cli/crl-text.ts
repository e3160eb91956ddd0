/**
 * A CRL as facts and as lines for people. Every text of it is made harmless before it is printed, because whoever wrote the list may
 * be a stranger.
 */
import type { Instant } from '../base/brand.ts';
import { hexOf, sameBytes } from '../base/bytes.ts';
import { isoText } from '../base/clock.ts';
import { crlReasonName } from '../x509/crl-reason.ts';
import { serialText, type Certificate } from '../x509/certificate.ts';
import type { Crl, CrlEntry, DistributionPoint, IssuingDistributionPoint } from '../x509/crl-contract.ts';
import { sameName } from '../x509/name-comparison.ts';
import { rfc4514Text, type Name } from '../x509/name.ts';
import { oidName } from '../x509/oid.ts';
import { verifySignature } from '../x509/signature.ts';
import { printable, table } from './terminal.ts';

/** What `--json` prints; with `--all` each entry is a line of its own after it. */
export interface CrlFacts {
  readonly issuer: string;
  readonly version: number;
  readonly signatureAlgorithm: string;
  readonly thisUpdate: string;
  readonly nextUpdate: string | null;
  readonly nextPublish: string | null;
  readonly crlNumber: string | null;
  /** Not null: a delta CRL, of changes since this number. */
  readonly baseCrlNumber: string | null;
  readonly authorityKeyIdentifier: string | null;
  readonly scope: readonly string[];
  readonly freshestCrl: readonly string[];
  readonly caIssuers: readonly string[];
  readonly unknownCritical: string | null;
  readonly bytes: number;
  readonly sha256: string;
  readonly count: number;
}

export interface EntryFacts {
  readonly serial: string;
  readonly revocationDate: string;
  readonly reason: string;
  readonly invalidityDate: string | null;
  /** Where it is not the CRL's issuer. */
  readonly certificateIssuer: string | null;
}

export function crlFacts(crl: Crl): CrlFacts {
  const { authorityKeyIdentifier, issuingDistributionPoint: scope, nextUpdate, nextPublish } = crl;
  const keyIdentifier = authorityKeyIdentifier?.keyIdentifier ?? null;
  return {
    issuer: rfc4514Text(crl.issuer),
    version: crl.version,
    signatureAlgorithm: oidName(crl.signatureAlgorithm.oid),
    thisUpdate: isoText(crl.thisUpdate),
    nextUpdate: nextUpdate === null ? null : isoText(nextUpdate),
    nextPublish: nextPublish === null ? null : isoText(nextPublish),
    crlNumber: crl.crlNumber?.toString() ?? null,
    baseCrlNumber: crl.baseCrlNumber?.toString() ?? null,
    authorityKeyIdentifier: keyIdentifier === null ? null : hexOf(keyIdentifier),
    scope: scope === null ? [] : scopeOf(scope),
    freshestCrl: crl.freshestCrl.flatMap(urisOf),
    caIssuers: crl.authorityInfoAccess.caIssuers,
    unknownCritical: crl.unknownCritical ?? crl.entries.unknownCritical,
    bytes: crl.der.length,
    sha256: crl.digest,
    count: crl.entries.count,
  };
}

/** `good`, or why the issuer did not sign it. */
export function signatureOf(crl: Crl, issuer: Certificate): string {
  if (!sameName(crl.issuer, issuer.subject)) return `the list names another issuer than ${rfc4514Text(issuer.subject)}`;
  const { signatureAlgorithm, tbs, signature } = crl;
  // Shown as it is; whether SHA-1 is taken is for a configuration to say.
  const outcome = verifySignature(signatureAlgorithm, tbs, signature, issuer.publicKey, { allowSha1: true });
  if (outcome === 'good') return 'good';
  return outcome === 'bad' ? 'it is not by the key of this issuer' : `its algorithm is not taken (${outcome})`;
}

/** Every entry with one of the serial numbers, whoever issued the certificates. */
export function entriesWith(serials: readonly Buffer[], crl: Crl): readonly EntryFacts[] {
  if (crl.issuingDistributionPoint?.indirect === true) {
    const found: EntryFacts[] = [];
    for (const entry of crl.entries.list())
      if (serials.some((serial) => sameBytes(serial, entry.serial))) found.push(entryFacts(entry, crl));
    return found;
  }
  return serials.flatMap((serial) => {
    const entry = crl.entries.find(serial, crl.issuer);
    return entry === null ? [] : [entryFacts({ ...entry, serial, certificateIssuer: crl.issuer }, crl)];
  });
}

export function entryFacts(
  entry: CrlEntry & { readonly serial: Buffer; readonly certificateIssuer: Name },
  crl: Pick<Crl, 'issuer'>,
): EntryFacts {
  const { certificateIssuer, invalidityDate } = entry;
  return {
    serial: serialText(entry),
    revocationDate: isoText(entry.revocationDate),
    reason: crlReasonName(entry.reason),
    invalidityDate: invalidityDate === null ? null : isoText(invalidityDate),
    certificateIssuer: sameName(certificateIssuer, crl.issuer) ? null : rfc4514Text(certificateIssuer),
  };
}

export function entryLine({ serial, revocationDate, reason, invalidityDate, certificateIssuer }: EntryFacts): string {
  const more = [
    ...(invalidityDate === null ? [] : [`invalid since ${invalidityDate}`]),
    ...(certificateIssuer === null ? [] : [`issued by ${certificateIssuer}`]),
  ];
  return printable([serial, revocationDate, reason, ...more].join('  '));
}

/** @param signature null: nobody was asked for */
export function headerLines(facts: CrlFacts, signature: string | null, now: Instant): readonly string[] {
  const passed = facts.nextUpdate !== null && Date.parse(facts.nextUpdate) < now ? ' (has passed)' : '';
  const future = Date.parse(facts.thisUpdate) > now ? ' (in the future)' : '';
  const rows: readonly (readonly [string, string | null])[] = [
    ['Issuer', facts.issuer],
    ['Kind', facts.baseCrlNumber === null ? 'complete list' : `changes since number ${facts.baseCrlNumber}`],
    ['Scope', facts.scope.join('; ')],
    ['Number', facts.crlNumber],
    ['This update', facts.thisUpdate + future],
    ['Next update', facts.nextUpdate === null ? 'none' : facts.nextUpdate + passed],
    ['Next publish', facts.nextPublish],
    ['Key identifier', facts.authorityKeyIdentifier],
    ['Freshest CRL', facts.freshestCrl.join(', ')],
    ['Issuer at', facts.caIssuers.join(', ')],
    ['Algorithm', facts.signatureAlgorithm],
    ['Signature', signature],
    [
      'Not usable',
      facts.unknownCritical === null ? null : `critical ${oidName(facts.unknownCritical)} is not understood`,
    ],
    ['Size', `${facts.bytes} bytes, SHA-256 ${facts.sha256}`],
    ['Entries', String(facts.count)],
  ];
  return table(rows.flatMap(([name, value]) => (value === null || value === '' ? [] : [[name, printable(value)]])));
}

function scopeOf(scope: IssuingDistributionPoint): readonly string[] {
  const { onlyUserCertificates, onlyCaCertificates, onlyAttributeCertificates, onlySomeReasons, indirect } = scope;
  const uris = scope.fullName?.uris ?? [];
  return [
    ...(onlyUserCertificates ? ['user certificates only'] : []),
    ...(onlyCaCertificates ? ['CA certificates only'] : []),
    ...(onlyAttributeCertificates ? ['attribute certificates only'] : []),
    ...(onlySomeReasons === null ? [] : ['some reasons only']),
    ...(indirect ? ['indirect'] : []),
    ...uris.map((uri) => `for the distribution point ${uri}`),
  ];
}

function urisOf({ fullName }: DistributionPoint): readonly string[] {
  return fullName?.uris ?? [];
}
