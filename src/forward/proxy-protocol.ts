/**
 * The PROXY protocol, written: what a connection to a server begins with, before TLS and before the first request, so that the server
 * knows the client's address (haproxy.org, "The PROXY protocol", sections 2.1 and 2.2). Which connections begin so is decided in
 * `connector.ts`; reading the protocol on our own bindings is another matter.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { ForwardClient } from './forward-contract.ts';

export type ClientAddresses = Pick<ForwardClient, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>;

/** @param client null: the connection is our own (health checks, probes), and no address is told */
export function proxyHeader(version: 'v1' | 'v2', client: ClientAddresses | null): Buffer {
  return version === 'v1' ? Buffer.from(lineOf(client), 'latin1') : binaryOf(client);
}

/** Section 2.1; never longer than 107 octets. Without addresses a server takes those of the connection. */
function lineOf(client: ClientAddresses | null): string {
  const pair = client === null ? null : pairOf(client);
  if (client === null || pair === null) return 'PROXY UNKNOWN\r\n';
  const text = pair.source.length === 4 ? textOfV4 : textOfV6;
  const { remotePort, localPort } = client;
  return `PROXY TCP${pair.source.length === 4 ? 4 : 6} ${text(pair.source)} ${text(pair.target)} ${remotePort} ${localPort}\r\n`;
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Version 2 in the upper half; in the lower LOCAL, a connection of our own, or PROXY. */
const local = 0x20;
const proxy = 0x21;
/** Address family in the upper half, STREAM in the lower. */
const tcp4 = 0x11;
const tcp6 = 0x21;
const unspecified = 0x00;

/** Section 2.2. */
function binaryOf(client: ClientAddresses | null): Buffer {
  if (client === null) return Buffer.from([...signature, local, unspecified, 0, 0]);
  const pair = pairOf(client);
  if (pair === null) return Buffer.from([...signature, proxy, unspecified, 0, 0]);
  const { source, target } = pair;
  const family = source.length === 4 ? tcp4 : tcp6;
  const addresses = [...source, ...target, ...octetsOf(client.remotePort), ...octetsOf(client.localPort)];
  return Buffer.from([...signature, proxy, family, ...octetsOf(addresses.length), ...addresses]);
}

/**
 * Both addresses in one family: what a socket for both families calls `::ffff:192.0.2.1` is IPv4, and beside an IPv6 address IPv4 is
 * written as such (RFC 4291 section 2.5.5.2). Null where one of them is no address: the socket had gone when it was asked.
 */
function pairOf(
  client: ClientAddresses,
): { readonly source: readonly number[]; readonly target: readonly number[] } | null {
  const source = addressOf(client.remoteAddress);
  const target = addressOf(client.localAddress);
  if (source === null || target === null) return null;
  if (source.length === target.length) return { source, target };
  return { source: mapped(source), target: mapped(target) };
}

const mappedPrefix: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

function mapped(address: readonly number[]): readonly number[] {
  return address.length === 16 ? address : [...mappedPrefix, ...address];
}

/** 4 or 16 octets; a zone (`%eth0`) means nothing to another machine. */
function addressOf(text: string): readonly number[] | null {
  const [plain = ''] = text.split('%');
  if (isIPv4(plain)) return v4Of(plain);
  if (!isIPv6(plain)) return null;
  const octets = v6Of(plain);
  return mappedPrefix.every((octet, index) => octets[index] === octet) ? octets.slice(12) : octets;
}

function v4Of(text: string): number[] {
  return text.split('.').map(Number);
}

function v6Of(text: string): number[] {
  const [before = '', after] = text.split('::');
  const head = groupsOf(before);
  const tail = after === undefined ? [] : groupsOf(after);
  return [...head, ...Array.from({ length: 16 - head.length - tail.length }, () => 0), ...tail];
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => (group.includes('.') ? v4Of(group) : octetsOf(Number.parseInt(group, 16))));
}

function textOfV4(octets: readonly number[]): string {
  return octets.join('.');
}

/** All eight groups: section 2.1 allows `::`, and knows no dotted end. */
function textOfV6(octets: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, index) => (octets[2 * index] ?? 0) * 256 + (octets[2 * index + 1] ?? 0));
  return groups.map((group) => group.toString(16)).join(':');
}

/** In network order. */
function octetsOf(number: number): number[] {
  return [(number >> 8) & 0xff, number & 0xff];
}
