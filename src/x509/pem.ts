/**
 * Certificates and CRLs in files: PEM (RFC 7468) with anything around it, DER, or for certificates bare base64 as Windows and
 * `altSecurityIdentities` tools print it. Yields the octets; what they are is decided in `certificate.ts` and `crl.ts`.
 */
export type PemResult =
  | { readonly kind: 'read'; readonly blocks: readonly PemBlock[] }
  /** `line` counts from 1; 0 when the input as a whole is wrong. */
  | { readonly kind: 'malformed'; readonly reason: string; readonly line: number };

export type CrlFileResult = { readonly kind: 'read'; readonly der: Buffer } | Extract<PemResult, { kind: 'malformed' }>;

export interface PemBlock {
  readonly label: string;
  readonly der: Buffer;
  /** The line of BEGIN, counted from 1; 0 for input that is not PEM. */
  readonly line: number;
}

/** Bounds of one input: 16 MiB hold every public root thirty times over. */
const maximumSize = 16 * 1024 * 1024;
const maximumBlocks = 10_000;

/** Octets of a CRL as text: a million entries and more. */
const maximumCrlText = 64 * 1024 * 1024;

const certificateLabels: readonly string[] = ['CERTIFICATE', 'X509 CERTIFICATE'];

/** RFC 7468 section 6, and what some tools write. */
const crlLabels: readonly string[] = ['X509 CRL', 'CRL'];

/**
 * All certificates of a file, in order; at least one. Detects DER by its first octet, and text in UTF-16 by its byte order
 * mark, because PowerShell writes such files.
 */
export function readCertificates(file: Buffer): PemResult {
  if (file.length > maximumSize) return malformed(`larger than ${maximumSize} octets`, 0);
  if (looksLikeDer(file)) {
    return { kind: 'read', blocks: [{ label: 'CERTIFICATE', der: file, line: 0 }] };
  }
  const text = textOf(file);
  return text.includes('-----BEGIN ') ? readPem(text) : readBase64(text);
}

/** The one CRL of a file: DER, or PEM with anything but another CRL around it. Large ones are better kept as DER. */
export function readCrl(file: Buffer): CrlFileResult {
  if (looksLikeDer(file)) return { kind: 'read', der: file };
  if (file.length > maximumCrlText) return malformed(`PEM of more than ${maximumCrlText} octets`, 0);
  const text = textOf(file);
  if (!text.includes('-----BEGIN ')) return malformed('neither DER nor PEM', 0);
  const result = readPem(text, crlLabels, maximumCrlText);
  if (result.kind === 'malformed') return result;
  const [block, another] = result.blocks;
  if (block === undefined || another !== undefined) return malformed('more than one CRL', another?.line ?? 0);
  return { kind: 'read', der: block.der };
}

/**
 * `0` begins base64 as well as a SEQUENCE, but a SEQUENCE of such a size goes on with an octet that is not ASCII.
 */
function looksLikeDer(file: Buffer): boolean {
  return file[0] === 0x30 && (file[1] ?? 0) >= 0x80;
}

/**
 * Blocks with one of `labels`; others, a private key for one, are passed over but must end properly.
 *
 * @param maximum characters
 */
export function readPem(
  text: string,
  labels: readonly string[] = certificateLabels,
  maximum: number = maximumSize,
): PemResult {
  if (text.length > maximum) return malformed(`larger than ${maximum} characters`, 0);
  const blocks: PemBlock[] = [];
  let open: { label: string; line: number; base64: string[] } | null = null;
  let line = 0;
  for (const raw of text.split(/\r\n|\n|\r/)) {
    line += 1;
    const content = raw.trim();
    const marker = /^-----(BEGIN|END) ([^-]*)-----$/.exec(content);
    if (marker === null) {
      open?.base64.push(content);
      continue;
    }
    const label = marker[2] ?? '';
    if (marker[1] === 'BEGIN') {
      if (open !== null) return malformed(`BEGIN ${label} inside the block that began in line ${open.line}`, line);
      open = { label, line, base64: [] };
      continue;
    }
    if (open?.label !== label) return malformed(`END ${label} without its BEGIN`, line);
    if (labels.includes(label)) {
      const der = decodeBase64(open.base64.join(''));
      if (der === null) return malformed('not base64', firstBadLine(open.base64, open.line));
      if (blocks.length === maximumBlocks) return malformed(`more than ${maximumBlocks} blocks`, open.line);
      blocks.push({ label, der, line: open.line });
    }
    open = null;
  }
  if (open !== null) return malformed(`BEGIN ${open.label} without its END`, open.line);
  if (blocks.length === 0) return malformed(`no ${labels[0] ?? 'PEM'} block inside`, 0);
  return { kind: 'read', blocks };
}

/** RFC 7468 text with 64 characters a line and a line feed at the end. */
export function pemText(der: Uint8Array, label = 'CERTIFICATE'): string {
  const lines = Buffer.from(der.buffer, der.byteOffset, der.byteLength)
    .toString('base64')
    .replaceAll(/.{1,64}/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}

function readBase64(text: string): PemResult {
  const der = decodeBase64(text.replaceAll(/\s+/g, ''));
  if (der === null) return malformed('neither PEM nor base64 nor DER', 0);
  return { kind: 'read', blocks: [{ label: 'CERTIFICATE', der, line: 0 }] };
}

/** Buffer.from skips what is not base64; two parsers must not read two certificates, so it has to be exact. */
function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return text !== '' && bytes.toString('base64') === text ? bytes : null;
}

/** The first line with a character that cannot be there, else the line of BEGIN. */
function firstBadLine(lines: readonly string[], begin: number): number {
  const index = lines.findIndex((line, at) =>
    at === lines.length - 1 ? !/^[A-Za-z0-9+/]*={0,2}$/.test(line) : !/^[A-Za-z0-9+/]*$/.test(line),
  );
  return index === -1 ? begin : begin + 1 + index;
}

/** A byte order mark of UTF-8 counts as white space, which is trimmed. */
function textOf(file: Buffer): string {
  return file[0] === 0xff && file[1] === 0xfe ? file.toString('utf16le', 2) : file.toString('utf8');
}

function malformed(reason: string, line: number): Extract<PemResult, { kind: 'malformed' }> {
  return { kind: 'malformed', reason, line };
}
