/**
 * The part of the configuration language that says where lines and events go. What its keys must be to each other is decided in
 * `log-section.ts`.
 */
import { z } from 'zod';
import { parseEndpoint } from './addresses.ts';
import { quoted } from './complaint.ts';
import { group, maybe, needed, standard } from './keys.ts';
import { certificatesReference, fileReference, secretReference } from './references.ts';
import { choice, flag, text, unavailable, type Scalar } from './scalars.ts';

const path: Scalar<string> = text('a path', (raw) => ({ value: raw }));

/** RFC 5425 section 4.1. */
const syslogPort = 6514;

export interface SyslogServer {
  readonly host: string;
  readonly port: number;
}

const serverForm = 'write tls://host:6514';

/** `tls://host[:port]`; the host is what the server's certificate must be for. */
const syslogServer: Scalar<SyslogServer> = text('tls://host or tls://host:port', (raw) => {
  const { scheme = '', rest = '' } = /^(?<scheme>[a-z]+):\/\/(?<rest>[^/?#@]+)\/?$/i.exec(raw)?.groups ?? {};
  if (/^(?:udp|tcp|syslog)$/i.test(scheme))
    return { wrong: `${quoted(raw)} is not encrypted: events could be read and forged on the way`, hint: serverForm };
  const parsed = parseEndpoint(/:\d+$/.test(rest) ? rest : `${rest}:${syslogPort}`);
  if (scheme.toLowerCase() !== 'tls' || typeof parsed === 'string' || parsed.port === 0)
    return { wrong: `${quoted(raw)} is not a syslog server`, hint: serverForm };
  return { value: { host: parsed.kind === 'host' ? parsed.host : parsed.address, port: parsed.port } };
});

const syslogHost: Scalar<string> = text('a name of 1 to 255 visible ASCII characters', (raw) =>
  /^[!-~]{1,255}$/.test(raw)
    ? { value: raw }
    : { wrong: `${quoted(raw)} is not a host name of syslog`, hint: '1 to 255 visible ASCII characters, no blanks' },
);

/** By their numbers (RFC 5424 section 6.2.1). */
export const syslogFacilities = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp', 'ntp'],
  ...['audit', 'alert', 'clock', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
] as const;

const syslog = group(
  {
    server: needed(syslogServer, 'where it listens; port 6514 when left out'),
    ca: z
      .array(certificatesReference)
      .prefault([])
      .describe("CAs that the server's certificate must chain to; none: the public roots of Node"),
    certificate: maybe(fileReference, 'what the gateway shows the server, PEM or DER; nothing when left out'),
    key: maybe(
      secretReference('SYSLOG_KEY', 'secrets/syslog.key'),
      'PEM or DER private key of `certificate`, not encrypted',
    ),
    hostname: maybe(syslogHost, 'HOSTNAME of the messages; that of this machine when left out'),
    facility: standard(choice(syslogFacilities), 'authpriv', 'facility of the messages'),
  },
  'where events of mapping (39, 40, 41 of the KDC) go besides: syslog over TLS (RFC 5425)',
);

export const log = group(
  {
    file: standard(path, '-', 'where request lines go; - is standard output'),
    format: standard(choice(['json']), 'json', 'one JSON object a line'),
    omitNames: standard(flag, false, 'leave account names, UPNs and SIDs out'),
    syslog: syslog.optional(),
    w3c: maybe(
      unavailable('the W3C format is not written yet', 'leave it out; request lines are JSON'),
      'a log as IIS writes it',
    ),
  },
  'request lines and events',
);
