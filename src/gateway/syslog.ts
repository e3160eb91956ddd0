/**
 * Events as syslog messages (RFC 5424) over TLS with octet counting (RFC 5425). Decides how a record is spelled; how it gets there is
 * decided in `tls/secure-sender.ts`. Nothing in a record can end a field, a message or a line, or move a terminal's cursor.
 */
import type { SecureSender } from '../tls/secure-sender.ts';
import type { KdcRecord } from './kdc-event.ts';
import type { SyslogSettings } from './settings.ts';

export interface Syslog {
  /** Never blocks, never throws. */
  write(record: KdcRecord): void;
  /** Messages that were given up. */
  readonly dropped: number;
  /** Waits a moment for what has not been sent. */
  close(): Promise<void>;
}

export function createSyslog(settings: SyslogSettings, sender: SecureSender): Syslog {
  return {
    write: (record) => sender.send(frameOf(syslogMessage(record, settings))),
    get dropped() {
      return sender.dropped;
    },
    close: () => sender.close(),
  };
}

/** RFC 5425 section 4.3.1: MSG-LEN SP SYSLOG-MSG. */
export function frameOf(message: string): Buffer {
  const bytes = Buffer.from(message, 'utf8');
  return Buffer.concat([Buffer.from(`${bytes.length} `, 'ascii'), bytes]);
}

/** RFC 5425 section 4.3.1: receivers should take messages of 8192 octets. */
export const maximumMessage = 8192;

/** HEADER SP STRUCTURED-DATA SP MSG (RFC 5424 section 6), at most 8192 octets; what is too much is left out, lists first. */
export function syslogMessage(
  record: KdcRecord,
  { hostname, facility }: Pick<SyslogSettings, 'hostname' | 'facility'>,
): string {
  const { event, level, time, text, ...fields } = record;
  const priority = facility * 8 + severities[level];
  const header = `<${priority}>1 ${plain(String(time), 64)} ${plain(hostname, 255)} dsmapper ${process.pid} ${plain(event, 32)}`;
  const message = clean(String(text ?? event));
  let parameters = '';
  let size = Buffer.byteLength(`${header} [${structuredId}] ${message}`);
  for (const [name, value] of parametersOf(fields)) {
    const parameter = ` ${name}="${escaped(value)}"`;
    const length = Buffer.byteLength(parameter);
    if (size + length > maximumMessage) continue;
    parameters += parameter;
    size += length;
  }
  return `${header} [${structuredId}${parameters}] ${message}`;
}

/** RFC 5424 section 6.2.1. */
const severities: Readonly<Record<KdcRecord['level'], number>> = { error: 3, warning: 4 };

/** RFC 5424 section 7.2.2 wants an enterprise number; RFC 5612 keeps this one for whoever has none. */
const structuredId = 'dsmapper@32473';

/** Single values before lists, so that a long list costs none of them; a list is its name several times. */
function parametersOf(
  fields: Readonly<Record<string, string | readonly string[] | null>>,
): readonly (readonly [string, string])[] {
  const entries = Object.entries(fields);
  const single = entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : []));
  const lists = entries.flatMap(([name, value]) =>
    typeof value === 'string' || value === null ? [] : value.map((item) => [name, item] as const),
  );
  return [...single, ...lists];
}

/** RFC 5424 section 6.3.3: `"`, `\` and `]` are escaped, nothing else is. */
function escaped(value: string): string {
  return clean(value).replaceAll(/["\\\]]/g, (character) => `\\${character}`);
}

/** What no eye sees and what a terminal would obey is spelled out. */
function clean(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** PRINTUSASCII without blanks, never empty (RFC 5424 section 6). */
function plain(text: string, maximum: number): string {
  const visible = text.replaceAll(/[^\u0021-\u007e]/g, '').slice(0, maximum);
  return visible === '' ? '-' : visible;
}
