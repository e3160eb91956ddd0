/**
 * Hand-made ClientHellos, good and broken ones, for tests of whoever reads them.
 */
export interface WrittenHello {
  readonly legacyVersion?: number;
  readonly sessionId?: Buffer;
  readonly suites?: Buffer;
  readonly compressions?: Buffer;
  /** Null leaves the whole block out. */
  readonly extensions?: readonly WrittenExtension[] | null;
  /** After the last field. */
  readonly trailing?: Buffer;
}

export type WrittenExtension = readonly [type: number, content: Buffer];

/** Content of the handshake message, without its header. */
export function writeHelloBody(hello: WrittenHello = {}): Buffer {
  const { extensions = standardExtensions() } = hello;
  return Buffer.concat([
    u16(hello.legacyVersion ?? 0x0303),
    Buffer.alloc(32, 7),
    vector(1, hello.sessionId ?? Buffer.alloc(0)),
    vector(2, hello.suites ?? Buffer.concat([u16(0xc02b), u16(0xc02f)])),
    vector(1, hello.compressions ?? Buffer.from([0])),
    extensions === null ? Buffer.alloc(0) : vector(2, ...extensions.map(writeExtension)),
    hello.trailing ?? Buffer.alloc(0),
  ]);
}

/** One handshake message in records that hold as many octets as told, the rest in a last one. */
export function writeRecords(body: Buffer, sizes: readonly number[] = [], type = 1): Buffer {
  const length = Buffer.alloc(3);
  length.writeUIntBE(body.length, 0, 3);
  const message = Buffer.concat([Buffer.from([type]), length, body]);
  const records: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, Infinity]) {
    const fragment = message.subarray(at, at + size);
    at += fragment.length;
    if (fragment.length > 0) records.push(writeRecord(fragment));
  }
  return Buffer.concat(records);
}

export function writeRecord(fragment: Buffer, type = 22, major = 3): Buffer {
  return Buffer.concat([Buffer.from([type, major, 1]), vector(2, fragment)]);
}

export function writeHello(hello: WrittenHello = {}): Buffer {
  return writeRecords(writeHelloBody(hello));
}

/** What a client needs for a renegotiating binding: extended_master_secret and renegotiation_info. */
export function standardExtensions(serverName?: string): WrittenExtension[] {
  const named: WrittenExtension[] = serverName === undefined ? [] : [serverNameExtension(serverName)];
  return [...named, ...securityExtensions];
}

export function serverNameExtension(...names: readonly string[]): WrittenExtension {
  const entries = names.map((name) => Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name, 'latin1'))]));
  return [0, vector(2, ...entries)];
}

export function alpnExtension(...protocols: readonly string[]): WrittenExtension {
  return [16, vector(2, ...protocols.map((protocol) => vector(1, Buffer.from(protocol, 'latin1'))))];
}

export function versionsExtension(...versions: readonly number[]): WrittenExtension {
  return [43, vector(1, ...versions.map(u16))];
}

export function vector(lengthOctets: 1 | 2, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = Buffer.alloc(lengthOctets);
  length.writeUIntBE(content.length, 0, lengthOctets);
  return Buffer.concat([length, content]);
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** supported_groups, signature_algorithms and point formats let a real server answer. */
const securityExtensions: readonly WrittenExtension[] = [
  [10, vector(2, u16(0x0017))],
  [11, vector(1, Buffer.from([0]))],
  [13, vector(2, u16(0x0403), u16(0x0401), u16(0x0804))],
  [23, Buffer.alloc(0)],
  [0xff01, Buffer.from([0])],
];

function writeExtension([type, content]: WrittenExtension): Buffer {
  return Buffer.concat([u16(type), vector(2, content)]);
}
