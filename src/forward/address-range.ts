/**
 * IP addresses and networks (`192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`), and whether an address is in one. Names are not looked up.
 */
import { BlockList, isIP } from 'node:net';

export interface AddressRange {
  /** As it was written. */
  readonly text: string;
  readonly list: BlockList;
}

/** @returns null where the text is neither an address nor a network */
export function parseAddressRange(text: string): AddressRange | null {
  const [, address = '', prefix] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return null;
  const bits = version === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : Number(prefix);
  if (length > bits) return null;
  const list = new BlockList();
  list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  return { text, list };
}

/** @param address as `socket.remoteAddress` has it; `::ffff:192.0.2.1` is 192.0.2.1 to `BlockList` */
export function isWithin(address: string, ranges: readonly AddressRange[]): boolean {
  const version = isIP(address);
  return version !== 0 && ranges.some(({ list }) => list.check(address, version === 4 ? 'ipv4' : 'ipv6'));
}
