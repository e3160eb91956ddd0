/**
 * The PROXY protocol, read: what a load balancer that passes TCP on tells of its client, before TLS or HTTP begins (haproxy.org, "The PROXY
 * protocol", sections 2.1 and 2.2). Decides what a header says and who must send one; a stranger's bytes are bounded, and what is not a header
 * to the letter is none. Additions (TLVs) are skipped: nothing that a proxy says of its client's TLS is believed.
 */
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import type { ProxyProtocolSettings } from './binding.ts';

export interface ToldClient {
  readonly address: string;
  readonly port: number;
}

export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed' }
  /** `client` is null where none is told: the proxy's own connection (LOCAL), or one that is not TCP over IP to it. */
  | { readonly kind: 'header'; readonly octets: number; readonly client: ToldClient | null };

/** @param bytes everything that the connection has brought so far, at least one octet */
export function proxyHeaderIn(bytes: Buffer): ProxyHeader {
  if (begins(bytes, signature)) return bytes.length < fixedPart ? incomplete : binaryIn(bytes);
  return begins(bytes, word) ? lineIn(bytes) : malformed;
}

/** Addresses and networks, from which a header is demanded. @returns null where one of them is neither */
export function proxyAddresses({ from }: ProxyProtocolSettings): BlockList | null {
  const list = new BlockList();
  for (const text of from) {
    const [, address = '', prefix] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : Number(prefix);
    if (version === 0 || length > bits) return null;
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** Whether two bindings expect the same of the same proxies. */
export function sameProxies(one: ProxyProtocolSettings | undefined, other: ProxyProtocolSettings | undefined): boolean {
  const textOf = (settings: ProxyProtocolSettings | undefined) =>
    [...new Set(settings?.from)]
      .map((text) => text.toLowerCase())
      .toSorted()
      .join(' ');
  return textOf(one) === textOf(other);
}

/** @param address as `socket.remoteAddress` has it */
export function isListed(address: string, list: BlockList): boolean {
  const [plain = ''] = address.split('%');
  return list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
}

const incomplete: ProxyHeader = { kind: 'incomplete' };
const malformed: ProxyHeader = { kind: 'malformed' };
const word = Buffer.from('PROXY ', 'latin1');
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family, length. */
const fixedPart = 16;
/** Section 2.1: the longest line there can be, with its end. */
const longestLine = 107;
/** Octets of addresses and additions. A proxy's additions are some hundred. */
const longestAddresses = 4096;

/** Whether the bytes are the beginning of `mark`, or begin with it. */
function begins(bytes: Buffer, mark: Buffer): boolean {
  const length = Math.min(bytes.length, mark.length);
  return bytes.compare(mark, 0, length, 0, length) === 0;
}

function lineIn(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, longestLine).indexOf('\r\n');
  if (end < 0) return bytes.length < longestLine ? incomplete : malformed;
  const line = bytes.toString('latin1', 0, end);
  const octets = end + 2;
  // What follows the word is not to be read.
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { kind: 'header', octets, client: null };
  const [, family, source = '', target = '', sourcePort, targetPort] =
    /^PROXY TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/.exec(line) ?? [];
  const isAddress = family === '4' ? isIPv4 : (text: string) => isIPv6(text) && !text.includes('%');
  if (!isAddress(source) || !isAddress(target)) return malformed;
  const port = Number(sourcePort);
  if (port > 65_535 || Number(targetPort) > 65_535) return malformed;
  return { kind: 'header', octets, client: { address: canonical(source), port } };
}

function binaryIn(bytes: Buffer): ProxyHeader {
  const [command, family, length] = [bytes[12], bytes[13], bytes.readUInt16BE(14)];
  if ((command !== local && command !== proxy) || length > longestAddresses) return malformed;
  const octets = fixedPart + length;
  const needed = command === local ? 0 : families.get(family ?? -1);
  if (needed === undefined || length < needed) return malformed;
  if (bytes.length < octets) return incomplete;
  const client = command === proxy ? clientIn(bytes.subarray(fixedPart), family) : null;
  return { kind: 'header', octets, client };
}

const local = 0x20;
const proxy = 0x21;
const tcp4 = 0x11;
const tcp6 = 0x21;

/**
 * Octets of addresses, by family and transport: none told, TCP over IPv4 and IPv6, a Unix socket. Datagrams do not come over a connection, and
 * all else is to be rejected.
 */
const families: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [tcp4, 12],
  [tcp6, 36],
  [0x31, 216],
]);

function clientIn(addresses: Buffer, family: number | undefined): ToldClient | null {
  if (family === tcp4) return { address: addresses.subarray(0, 4).join('.'), port: addresses.readUInt16BE(8) };
  if (family !== tcp6) return null;
  const groups = Array.from({ length: 8 }, (_, index) => addresses.readUInt16BE(2 * index).toString(16));
  return { address: canonical(groups.join(':')), port: addresses.readUInt16BE(32) };
}

/** As sockets spell addresses; one that only wraps an IPv4 address is that (RFC 4291 section 2.5.5.2). */
function canonical(address: string): string {
  if (isIPv4(address)) return address;
  const text = new SocketAddress({ address, family: 'ipv6' }).address;
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1] ?? text;
}
