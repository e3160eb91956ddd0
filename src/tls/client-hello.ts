/**
 * Reads a ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2) out of the first bytes of a connection, as
 * they arrive. Decides whether the bytes are one and what it asks for; does not choose a binding and does not answer.
 * Works on a stranger's bytes before anything is known of him: bounded by bytes, linear in them, never throws.
 */
import { createByteStore, cursorOver } from './byte-cursor.ts';
import type { Cursor } from './byte-cursor.ts';

export interface ClientHello {
  /** host_name of server_name (RFC 6066 section 3), lower case; null when absent. */
  readonly serverName: string | null;
  /** Offered protocol versions (0x0304 is TLS 1.3): supported_versions, or the legacy version where that is absent. */
  readonly versions: readonly number[];
  /** Offered protocols (RFC 7301), in the client's order. */
  readonly alpn: readonly string[];
  /** extended_master_secret (RFC 7627). */
  readonly extendedMasterSecret: boolean;
  /** renegotiation_info or its signalling cipher suite (RFC 5746). */
  readonly secureRenegotiation: boolean;
}

export type MalformedReason =
  /** The first byte does not begin a TLS handshake record. */
  | 'notTls'
  /** More bytes than allowed, received or announced. */
  | 'tooLarge'
  /** A record header that no client writes. */
  | 'record'
  /** The first handshake message is not a well-formed ClientHello. */
  | 'handshake'
  /** server_name holds something that is not one host name. */
  | 'serverName';

export type ClientHelloResult =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  | { readonly kind: 'malformed'; readonly reason: MalformedReason };

export interface ClientHelloReader {
  /** Takes the next bytes of the connection. After any answer but `incomplete` the answer stays. */
  push(bytes: Buffer): ClientHelloResult;
  /** Everything pushed so far, to hand on to whoever speaks TLS. */
  received(): Buffer;
}

/** @param maximumBytes of the connection, record headers included */
export function createClientHelloReader(maximumBytes: number): ClientHelloReader {
  const stream = createByteStore();
  /** Where the first record starts that has not been taken apart. */
  let position = 0;
  const fragments: Buffer[] = [];
  let gathered = 0;
  /** Octets of the whole handshake message, once its header is there. */
  let needed: number | null = null;
  let result: ClientHelloResult = { kind: 'incomplete' };

  function advance(): ClientHelloResult {
    const bytes = stream.bytes();
    while (bytes.length > position) {
      const record = recordAt(bytes, position);
      if (typeof record === 'string') return malformed(record);
      if (record === null) break;
      position = record.end;
      fragments.push(bytes.subarray(record.start, record.end));
      gathered += record.end - record.start;
      if (needed === null && gathered >= handshakeHeader) {
        const header = Buffer.concat(fragments);
        if (header[0] !== clientHelloType) return malformed('handshake');
        needed = handshakeHeader + header.readUIntBE(1, 3);
        if (needed > maximumBytes) return malformed('tooLarge');
      }
      if (needed !== null && gathered >= needed)
        return parseBody(Buffer.concat(fragments).subarray(handshakeHeader, needed));
    }
    return bytes.length > maximumBytes ? malformed('tooLarge') : { kind: 'incomplete' };
  }

  return {
    push(bytes) {
      stream.append(bytes);
      if (result.kind === 'incomplete') result = advance();
      return result;
    },
    received: () => stream.bytes(),
  };
}

function malformed(reason: MalformedReason): ClientHelloResult {
  return { kind: 'malformed', reason };
}

const recordHeader = 5;
const handshakeHeader = 4;
const handshakeRecord = 22;
const clientHelloType = 1;
/** RFC 8446 section 5.1: a plaintext record's fragment is 1 to 2^14 octets for handshake messages. */
const longestFragment = 16_384;

/** Null while the record is incomplete; a reason as soon as the bytes that are there cannot begin one. */
function recordAt(bytes: Buffer, position: number): { start: number; end: number } | MalformedReason | null {
  if (bytes[position] !== handshakeRecord) return position === 0 ? 'notTls' : 'record';
  if (bytes.length > position + 1 && bytes[position + 1] !== 3) return 'record';
  if (bytes.length < position + recordHeader) return null;
  const length = bytes.readUInt16BE(position + 3);
  if (length === 0 || length > longestFragment) return 'record';
  const start = position + recordHeader;
  return bytes.length < start + length ? null : { start, end: start + length };
}

const extension = {
  serverName: 0,
  alpn: 16,
  extendedMasterSecret: 23,
  supportedVersions: 43,
  renegotiationInfo: 0xff01,
} as const;
const renegotiationScsv = 0x00ff;

function parseBody(body: Buffer): ClientHelloResult {
  const cursor = cursorOver(body);
  const legacyVersion = cursor.number(2);
  cursor.skip(32);
  const sessionId = cursor.vector(1);
  const suites = cursor.vector(2).numbers(2);
  const compressions = cursor.vector(1);
  const extensions = cursor.atEnd() ? new Map<number, Buffer>() : extensionsIn(cursor.vector(2));
  const sound = cursor.ended() && sessionId.size <= 32 && suites !== null && suites.length > 0 && compressions.size > 0;
  if (!sound || extensions === null) return malformed('handshake');

  const serverName = serverNameIn(extensions.get(extension.serverName));
  if (serverName === undefined) return malformed('serverName');
  const versions = versionsIn(extensions.get(extension.supportedVersions)) ?? [legacyVersion];
  const alpn = protocolsIn(extensions.get(extension.alpn));
  if (versions.length === 0 || alpn === null) return malformed('handshake');

  return {
    kind: 'hello',
    hello: {
      serverName,
      versions,
      alpn,
      extendedMasterSecret: extensions.has(extension.extendedMasterSecret),
      secureRenegotiation: extensions.has(extension.renegotiationInfo) || suites.includes(renegotiationScsv),
    },
  };
}

/** Null when one is malformed or there twice (RFC 8446 section 4.2). */
function extensionsIn(list: Cursor): Map<number, Buffer> | null {
  const found = new Map<number, Buffer>();
  while (!list.atEnd()) {
    const type = list.number(2);
    const content = list.vector(2).rest();
    if (found.has(type)) return null;
    found.set(type, content);
  }
  return list.ended() ? found : null;
}

/** Null when absent, undefined when it is not exactly one host name. */
function serverNameIn(content: Buffer | undefined): string | null | undefined {
  if (content === undefined) return null;
  const outer = cursorOver(content);
  const list = outer.vector(2);
  const type = list.number(1);
  const name = list.vector(2).rest().toString('latin1').toLowerCase();
  if (!outer.ended() || !list.ended() || type !== 0) return undefined;
  return isHostName(name) ? name : undefined;
}

/** Letters, digits, hyphens and (as real hosts have them) underscores; no trailing dot (RFC 6066 section 3). */
function isHostName(name: string): boolean {
  return (
    name.length <= 253 && name.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
  );
}

/** Null when absent; an empty list when it is malformed. */
function versionsIn(content: Buffer | undefined): readonly number[] | null {
  if (content === undefined) return null;
  const outer = cursorOver(content);
  const versions = outer.vector(1).numbers(2);
  return outer.ended() ? (versions ?? []) : [];
}

/** Null when it is malformed. */
function protocolsIn(content: Buffer | undefined): readonly string[] | null {
  if (content === undefined) return [];
  const outer = cursorOver(content);
  const list = outer.vector(2);
  const protocols: string[] = [];
  while (!list.atEnd()) protocols.push(list.vector(1).rest().toString('latin1'));
  const sound = outer.ended() && list.ended() && protocols.length > 0 && !protocols.includes('');
  return sound ? protocols : null;
}
