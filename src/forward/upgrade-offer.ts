/**
 * What a client offers to switch to, and whether a 101 takes up that very offer (RFC 9110 section 7.8, RFC 6455 section 4). Whether a location
 * lets a protocol in is decided elsewhere.
 */
import { createHash } from 'node:crypto';
import { isFieldValue, isToken } from './field-syntax.ts';
import type { FlatHeaders } from './forward-contract.ts';

export interface UpgradeOffer {
  /** In lower case, as it is sent upstream: `websocket`. */
  readonly protocol: string;
  readonly webSocket: WebSocketOffer | null;
}

/** What of an opening handshake binds the answer to it. */
export interface WebSocketOffer {
  /** As sent: base64 of 16 octets. */
  readonly key: string;
  readonly subprotocols: readonly string[];
  /** Names alone, without their parameters. */
  readonly extensions: readonly string[];
}

/**
 * The one protocol that a request asks to switch to, in lower case; null where it asks for none or leaves a choice: a choice could be made
 * differently by us and by the backend.
 */
export function protocolAsked(raw: FlatHeaders): string | null {
  const connection = valuesOf(raw, 'connection').flatMap(elementsOf);
  if (!connection.some((option) => option.toLowerCase() === 'upgrade')) return null;
  const [asked, ...more] = valuesOf(raw, 'upgrade').flatMap(elementsOf);
  if (asked === undefined || more.length > 0) return null;
  const protocol = asked.toLowerCase();
  return /^[^/]+(\/[^/]+)?$/.test(protocol) && protocol.split('/').every(isToken) ? protocol : null;
}

/**
 * Protocols behind which there would be requests that nobody looks at (RFC 9113, RFC 2817), whatever a configuration lists. What
 * CONNECT makes is no upgrade.
 */
export function neverUpgraded(protocol: string): boolean {
  return /^(h2c?|http|tls)(\/|$)/.test(protocol.toLowerCase());
}

/** @returns the offer, or what is wrong with the opening handshake (RFC 6455 section 4.2.1), method and body aside */
export function readWebSocketOffer(raw: FlatHeaders): WebSocketOffer | string {
  const [key = '', ...moreKeys] = valuesOf(raw, 'sec-websocket-key');
  if (moreKeys.length > 0 || !sixteenOctets.test(key)) return 'Sec-WebSocket-Key is not one nonce of 16 octets';
  const version = valuesOf(raw, 'sec-websocket-version');
  if (version.length !== 1 || version[0] !== webSocketVersion) return 'Sec-WebSocket-Version is not 13';
  // What is listed there is removed on the way, and what arrives would be another handshake.
  const listed = valuesOf(raw, 'connection').flatMap(elementsOf);
  if (listed.some((option) => option.toLowerCase().startsWith('sec-websocket')))
    return 'Connection lists the handshake';
  return { key, subprotocols: subprotocolsOf(raw), extensions: extensionsOf(raw) };
}

export const webSocketVersion = '13';

/** 22 characters and the padding; the last one carries two bits (RFC 4648 section 4). */
const sixteenOctets = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/**
 * Compares a 101 with the offer.
 * @param raw name, value, name, value, in latin1
 * @returns null where it is right; else what is wrong
 */
export function faultOfSwitch(offer: UpgradeOffer, status: number, raw: FlatHeaders): string | null {
  if (status !== 101) return `the status is ${status}`;
  for (let i = 0; i < raw.length; i += 2) {
    if (!isToken(raw[i] ?? '') || !isFieldValue(raw[i + 1] ?? '')) return 'a field is not well-formed';
  }
  const connection = valuesOf(raw, 'connection').flatMap(elementsOf);
  if (!connection.some((option) => option.toLowerCase() === 'upgrade')) return 'Connection does not say upgrade';
  const [protocol, ...more] = valuesOf(raw, 'upgrade');
  if (protocol?.toLowerCase() !== offer.protocol || more.length > 0) return 'Upgrade is not what was asked for';
  // RFC 9112 section 6.1 and RFC 9110 section 8.6: a body here would be read by some as the tunnel's first octets, by others not.
  for (const name of ['content-length', 'transfer-encoding']) {
    if (valuesOf(raw, name).length > 0) return `it has ${name}`;
  }
  return offer.webSocket === null ? null : faultOfHandshake(offer.webSocket, raw);
}

function faultOfHandshake(offer: WebSocketOffer, raw: FlatHeaders): string | null {
  const accept = valuesOf(raw, 'sec-websocket-accept');
  if (accept.length !== 1 || accept[0] !== acceptOf(offer.key)) return 'Sec-WebSocket-Accept is wrong';
  const [chosen, ...more] = valuesOf(raw, 'sec-websocket-protocol');
  if (more.length > 0 || (chosen !== undefined && !offer.subprotocols.includes(chosen)))
    return 'Sec-WebSocket-Protocol was not offered';
  if (extensionsOf(raw).some((name) => !offer.extensions.includes(name)))
    return 'Sec-WebSocket-Extensions were not offered';
  return null;
}

/** RFC 6455 section 4.2.2, item 5.4. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

function subprotocolsOf(raw: FlatHeaders): string[] {
  return valuesOf(raw, 'sec-websocket-protocol').flatMap(elementsOf);
}

function extensionsOf(raw: FlatHeaders): string[] {
  // A quoted parameter may hold a comma (RFC 6455 section 9.1).
  const unquoted = valuesOf(raw, 'sec-websocket-extensions').map((value) => value.replace(/"(?:[^"\\]|\\.)*"/g, '""'));
  return unquoted.flatMap(elementsOf).map((element) => (element.split(';')[0] ?? '').trim().toLowerCase());
}

export function valuesOf(raw: FlatHeaders, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() === name) values.push((raw[i + 1] ?? '').trim());
  }
  return values;
}

/** Elements of a comma-separated list, empty ones left out (RFC 9110 section 5.6.1.2). */
function elementsOf(value: string): string[] {
  return value
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '');
}
