/**
 * Where request lines and events go, with the certificates of the syslog server and for it.
 */
import type { LogSettings, SyslogSettings } from '../gateway/settings.ts';
import { pemText } from '../x509/pem.ts';
import { readCertificates } from './certificates.ts';
import { readKeyPair } from './key-pair.ts';
import { syslogFacilities } from './log-schema.ts';
import type { Reading } from './reading.ts';
import { resolvePath } from './references.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

export async function readLog({ file, omitNames, syslog }: Language['log'], reading: Reading): Promise<LogSettings> {
  return {
    file: file === '-' ? '-' : resolvePath(file, reading),
    omitNames,
    syslog: syslog === undefined ? null : await readSyslog(syslog, ['log', 'syslog'], reading),
  };
}

async function readSyslog(
  written: NonNullable<Language['log']['syslog']>,
  path: Path,
  reading: Reading,
): Promise<SyslogSettings> {
  const ca = await readCertificates(written.ca, [...path, 'ca'], reading);
  return {
    server: written.server,
    certificateAuthorities: ca.map(({ certificate }) => pemText(certificate.der)),
    certificate: await readShown(written, path, reading),
    hostname: written.hostname ?? ownName(reading),
    facility: syslogFacilities.indexOf(written.facility),
  };
}

async function readShown(
  { certificate, key }: NonNullable<Language['log']['syslog']>,
  path: Path,
  reading: Reading,
): Promise<SyslogSettings['certificate']> {
  if (certificate === undefined && key === undefined) return null;
  if (certificate === undefined || key === undefined) {
    const [there, missing] = key === undefined ? ['certificate', 'key'] : ['key', 'certificate'];
    reading.mistake([...path, there], `stands alone: \`${missing}\` is missing`, {
      hint: 'write `certificate: file:...` and `key: file:...`, or neither',
      on: 'key',
    });
    return null;
  }
  const pair = await readKeyPair(
    { reference: certificate, path: [...path, 'certificate'] },
    { reference: key, path: [...path, 'key'] },
    null,
    'own certificate',
    reading,
  );
  return pair === null ? null : { cert: pair.cert, key: pair.key };
}

/** RFC 5424 section 6.2.4: `-` where nothing is known that may be written. */
function ownName({ facilities }: Reading): string {
  const name = facilities.hostname();
  return /^[!-~]{1,255}$/.test(name) ? name : '-';
}
