/**
 * How servers with https are trusted and what they are shown: from references to PEM.
 */
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { UpstreamTls } from '../forward/forward-contract.ts';
import { pemText } from '../x509/pem.ts';
import { readCertificates } from './certificates.ts';
import { readKeyPair } from './key-pair.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

type Written = NonNullable<Language['upstreams'][string]['tls']>;

export async function readUpstreamTls(written: Written, path: Path, reading: Reading): Promise<UpstreamTls> {
  const { roots, serverName, certificate } = written;
  const ca = roots === undefined ? [] : await readCertificates(roots, [...path, 'roots'], reading);
  const shown = certificate === undefined ? null : await readShown(certificate, [...path, 'certificate'], reading);
  return {
    ...(roots === undefined ? {} : { ca: ca.map(({ der }) => pemText(der)).join('') }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(shown === null ? {} : { certificate: shown }),
  };
}

async function readShown(
  { cert, key, passphrase }: NonNullable<Written['certificate']>,
  path: Path,
  reading: Reading,
): Promise<NonNullable<UpstreamTls['certificate']> | null> {
  const pair = await readKeyPair(
    { reference: cert, path: [...path, 'cert'] },
    { reference: key, path: [...path, 'key'] },
    passphrase && { reference: passphrase, path: [...path, 'passphrase'] },
    "gateway's own certificate",
    reading,
  );
  const [leaf] = pair?.chain ?? [];
  if (pair === null || leaf === undefined) return null;
  const until = leaf.validToDate.getTime() as Instant;
  if (until < reading.facilities.now())
    reading.warn([...path, 'cert'], `the certificate has expired on ${isoText(until)}: servers may refuse it`);
  return { cert: pair.cert, key: pair.key };
}
