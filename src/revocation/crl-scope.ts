/**
 * Which certificates a CRL speaks about: the distribution points of a certificate held against the issuing distribution point of the list
 * (RFC 5280 section 6.3.3 (b), (d)). Who may sign it is decided in `crl-authority.ts`, what it says in `crl-status.ts`.
 */
import { assertsCa } from '../trust/authority-role.ts';
import type { Certificate, GeneralNames } from '../x509/certificate.ts';
import type { CrlHeader, DistributionPoint, IssuingDistributionPoint } from '../x509/crl-contract.ts';
import { nameKey, nameKeyBelow } from '../x509/name-comparison.ts';
import type { Name } from '../x509/name.ts';

/** ReasonFlags 1 to 8: who is not revoked for any of these is not revoked. */
export const allReasons = 0x1fe;

export interface CrlCoverage {
  /** Bit n set: reason n is covered. */
  readonly reasons: number;
  /** The list carries the name of a distribution point that the certificate has too: it was made for it, whoever signed it. */
  readonly named: boolean;
}

/** The names (`nameKey`) under which lists about a certificate are issued: its issuer's, and those that it names. */
export function crlIssuersOf({ issuer, extensions }: Certificate): readonly string[] {
  const named = extensions.crlDistributionPoints.flatMap(({ crlIssuer }) => crlIssuer?.directoryNames ?? []);
  return named.length === 0 ? [nameKey(issuer)] : [...new Set([issuer, ...named].map(nameKey))];
}

/** What a list says about all of this certificate's distribution points taken together; null: nothing. */
export function coverageOf(list: CrlHeader, certificate: Certificate): CrlCoverage | null {
  const scope = list.issuingDistributionPoint;
  const direct = nameKey(list.issuer) === nameKey(certificate.issuer);
  if (scope === null) return direct ? everything : null;
  if (!speaksOfKind(scope, certificate)) return null;
  const names = namesOf(scope, list.issuer);
  let reasons = 0;
  let named = false;
  for (const point of pointsOf(certificate)) {
    if (!isIssuedFor(point, list, direct, scope.indirect)) continue;
    const sharesName = names !== null && shareName(names, pointNames(point, certificate.issuer));
    if (names !== null && !sharesName) continue;
    reasons |= (point.reasons ?? allReasons) & (scope.onlySomeReasons ?? allReasons);
    named ||= sharesName && point !== fallbackPoint;
  }
  return reasons === 0 ? null : { reasons, named };
}

const everything: CrlCoverage = { reasons: allReasons, named: false };

/** The end of section 6.3.3: any list of the certificate's issuer may be used as if a point without limits named it. */
const fallbackPoint: DistributionPoint = { fullName: null, relativeName: null, reasons: null, crlIssuer: null };

function pointsOf({ extensions }: Certificate): readonly DistributionPoint[] {
  return [...extensions.crlDistributionPoints, fallbackPoint];
}

/** Step (b)(2)(ii) to (iv). Whoever does not say that it is a CA is a user, also in versions 1 and 2. */
function speaksOfKind(scope: IssuingDistributionPoint, certificate: Certificate): boolean {
  if (scope.onlyAttributeCertificates) return false;
  return assertsCa(certificate) ? !scope.onlyUserCertificates : !scope.onlyCaCertificates;
}

/**
 * Step (b)(1). Whoever else signs must say that the list is about others as well; a point that names the certificate's own issuer says no
 * more than one that names nobody.
 */
function isIssuedFor({ crlIssuer }: DistributionPoint, list: CrlHeader, direct: boolean, indirect: boolean): boolean {
  if (crlIssuer === null) return direct;
  const key = nameKey(list.issuer);
  return (direct || indirect) && crlIssuer.directoryNames.some((name) => nameKey(name) === key);
}

/** Names of a distribution point that are comparable; those of other kinds lead to no list. */
interface PointNames {
  readonly uris: readonly string[];
  /** `nameKey` of each. */
  readonly directoryNames: readonly string[];
}

/** Step (b)(2)(i): a point without a name has those of its CRL issuer, and the assumed one has its issuer's. */
function pointNames(point: DistributionPoint, certificateIssuer: Name): PointNames {
  const { crlIssuer } = point;
  const base = crlIssuer?.directoryNames[0] ?? certificateIssuer;
  return namesOf(point, base) ?? (crlIssuer === null ? directoryName(nameKey(base)) : comparable(crlIssuer));
}

/** Null: it has no name, so there is nothing to match. @param base whom a relative name is below */
function namesOf(
  { fullName, relativeName }: Pick<DistributionPoint, 'fullName' | 'relativeName'>,
  base: Name,
): PointNames | null {
  if (fullName !== null) return comparable(fullName);
  return relativeName === null ? null : directoryName(nameKeyBelow(base, relativeName));
}

function comparable({ uris, directoryNames }: GeneralNames): PointNames {
  return { uris, directoryNames: directoryNames.map(nameKey) };
}

function directoryName(key: string): PointNames {
  return { uris: [], directoryNames: [key] };
}

/** URIs as they are written: a server may tell them apart. */
function shareName(a: PointNames, b: PointNames): boolean {
  return a.uris.some((uri) => b.uris.includes(uri)) || a.directoryNames.some((key) => b.directoryNames.includes(key));
}
