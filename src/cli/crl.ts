/**
 * `dsmapper crl show`: what is in a CRL, as the gateway reads it, and whether an issuer signed it. Exit 1: the serial number asked for is
 * revoked, or the signature is not the issuer's.
 */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { systemFacilities } from '../config/facilities.ts';
import { whyUnreadable } from '../config/references.ts';
import { parseCrl } from '../x509/crl.ts';
import type { Crl } from '../x509/crl-contract.ts';
import { readCrl } from '../x509/pem.ts';
import { loadFile, readChain } from './configuration.ts';
import { crlFacts, entriesWith, entryFacts, entryLine, headerLines, signatureOf } from './crl-text.ts';
import type { EntryFacts } from './crl-text.ts';
import { failedFetch, fetchTimeout, isUrl, maximumCrlBytes, openFetcher } from './fetching.ts';
import type { ExitCode } from './program.ts';
import { jsonText, terminal } from './terminal.ts';

export interface CrlOptions {
  readonly config?: string;
  readonly all?: boolean;
  readonly entries?: string;
  readonly serial?: string;
  readonly issuer?: string;
  readonly json?: boolean;
}

const shownEntries = 20;

export async function showCrl(source: string, options: CrlOptions): Promise<ExitCode> {
  const wanted = options.serial === undefined ? null : serialsOf(options.serial);
  const limit = countOf(options);
  const issuer = options.issuer === undefined ? null : (await readChain(options.issuer, null)).leaf;
  const crl = parsed(await bytesOf(source, options), source);
  const signature = issuer === null ? null : signatureOf(crl, issuer);
  const found = wanted === null ? null : entriesWith(wanted, crl);
  if (options.json === true) await printJson(crl, signature, found, limit);
  else await printText(crl, signature, found, limit);
  return (found ?? []).length > 0 || (signature !== null && signature !== 'good') ? 1 : 0;
}

async function printJson(
  crl: Crl,
  signature: string | null,
  found: readonly EntryFacts[] | null,
  limit: number,
): Promise<void> {
  const entries = found ?? (limit === Infinity ? null : [...firstEntries(crl, limit, same)]);
  terminal.json({ ...crlFacts(crl), signature, entries });
  if (entries === null) await terminal.lines(firstEntries(crl, limit, jsonText));
}

async function printText(
  crl: Crl,
  signature: string | null,
  found: readonly EntryFacts[] | null,
  limit: number,
): Promise<void> {
  for (const line of headerLines(crlFacts(crl), signature, systemClock.now())) terminal.line(line);
  if (found !== null) {
    for (const entry of found) terminal.line(entryLine(entry));
    if (found.length === 0) terminal.line('the serial number is not on this list');
    return;
  }
  const { count } = crl.entries;
  await terminal.lines(firstEntries(crl, limit, entryLine));
  if (count > limit) terminal.line(`and ${count - limit} more; --all prints all`);
}

function* firstEntries<T>(crl: Crl, limit: number, form: (entry: EntryFacts) => T): Iterable<T> {
  let left = limit;
  for (const entry of crl.entries.list()) {
    if (left <= 0) return;
    left -= 1;
    yield form(entryFacts(entry, crl));
  }
}

function same(entry: EntryFacts): EntryFacts {
  return entry;
}

async function bytesOf(source: string, { config }: CrlOptions): Promise<Buffer> {
  if (!isUrl(source)) return fileBytes(source);
  const opened = openFetcher([source], config === undefined ? null : await loadFile(config));
  try {
    const outcome = await opened.fetcher.fetch(source, { timeout: fetchTimeout, maximumBytes: maximumCrlBytes });
    if (outcome.kind === 'fetched') return outcome.bytes;
    return outcome.kind === 'failed' ? failedFetch(source, outcome.code, outcome.detail) : Buffer.alloc(0);
  } finally {
    await opened.close();
  }
}

async function fileBytes(file: string): Promise<Buffer> {
  try {
    return await systemFacilities(systemClock, {}).readFile(file, maximumCrlBytes);
  } catch (cause) {
    throw new Failure(`cannot read ${file}: ${whyUnreadable(cause)}`, {
      code: 'crl-file',
      hint: 'name a file with a CRL in DER or PEM, or a URL',
      exitCode: 2,
      cause,
    });
  }
}

/** @throws Failure `crl-file` for what is no CRL */
function parsed(bytes: Buffer, source: string): Crl {
  const read = readCrl(bytes);
  const result = read.kind === 'read' ? parseCrl(read.der) : read;
  if (result.kind === 'parsed') return result.crl;
  const place = 'offset' in result ? ` (at byte ${result.offset})` : result.line > 0 ? ` (line ${result.line})` : '';
  throw new Failure(`${source}: not a valid CRL: ${result.reason}${place}`, {
    code: 'crl-file',
    hint: 'the gateway does not take it either; `openssl crl -inform DER -text` may show what it is',
  });
}

/** One number can be written with and without the octet that carries its sign. @throws Failure for what is no number */
function serialsOf(text: string): readonly Buffer[] {
  const hex = text.replaceAll(/[\s:]/g, '').replace(/^0x/i, '');
  if (!/^(?:[0-9a-f]{2}){1,21}$/i.test(hex))
    throw new Failure(`--serial ${text} is not a serial number`, {
      code: 'flag',
      hint: 'write it in hex as `dsmapper cert show` prints it, two digits an octet',
      exitCode: 2,
    });
  const plain = Buffer.from(hex, 'hex');
  return [plain, Buffer.concat([Buffer.alloc(1), plain])];
}

function countOf({ all, entries: text }: CrlOptions): number {
  if (all === true) return Infinity;
  if (text === undefined) return shownEntries;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Failure(`--entries ${text} is not a number`, {
    code: 'flag',
    hint: 'give the number of entries to print, or --all',
    exitCode: 2,
  });
}
