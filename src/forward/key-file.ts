/**
 * A key as text: what has to be known of it, then PKCS#8 as PEM. RFC 7468 section 2 allows text before the boundary, so that other programs can read
 * the file as it is. One file, so that a key and its dates cannot come apart.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import { signingKeyOf, type SigningAlgorithm, type SigningKey } from './signing-key.ts';

export function keyFileText({ kid, algorithm, created, signsFrom, signsUntil, privateKey }: SigningKey): string {
  const period = `signs from: ${isoText(signsFrom)}\nsigns until: ${isoText(signsUntil)}`;
  const facts = `kid: ${kid}\nalg: ${algorithm}\ncreated: ${isoText(created)}\n${period}`;
  return `${firstLine}\n${facts}\n${privateKey.export({ type: 'pkcs8', format: 'pem' })}`;
}

export type ReadKey =
  { readonly kind: 'read'; readonly key: SigningKey } | { readonly kind: 'broken'; readonly reason: string };

/** @param place what the file's name says */
export function parseKeyFile(text: string, place: Pick<SigningKey, 'algorithm' | 'number'>): ReadKey {
  const [, kid, algorithm, dates = '', pem = ''] = shape.exec(text) ?? [];
  if (kid === undefined) return broken('it is not written as the gateway writes keys');
  if (algorithm !== place.algorithm) return broken(`it holds a key for ${algorithm ?? ''}, against its name`);
  const [created, signsFrom, signsUntil] = dates.split('\n').map(instantOf);
  if (!created || !signsFrom || !signsUntil) return broken('a date in it is none');
  const privateKey = privateKeyOf(pem);
  if (privateKey === null) return broken('its private key cannot be read');
  const key = signingKeyOf({ ...place, created, signsFrom, signsUntil }, privateKey);
  if (key === null) return broken(`its private key is not one for ${place.algorithm}`);
  return key.kid === kid ? { kind: 'read', key } : broken('its kid is not the thumbprint of its key');
}

const firstLine = 'dsmapper assertion key';
const shape = new RegExp(
  `^${firstLine}\nkid: ([\\w-]{43})\nalg: (\\w+)\n(created: \\S+\nsigns from: \\S+\nsigns until: \\S+)\n` +
    '(-----BEGIN PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END PRIVATE KEY-----\n)$',
);

/** One spelling alone: what `isoText` writes. */
function instantOf(line: string): Instant | null {
  const text = line.slice(line.indexOf(': ') + 2);
  const instant = Date.parse(text) as Instant;
  return !Number.isNaN(instant) && isoText(instant) === text ? instant : null;
}

function privateKeyOf(pem: string): KeyObject | null {
  try {
    return createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' });
  } catch {
    return null;
  }
}

function broken(reason: string): ReadKey {
  return { kind: 'broken', reason };
}

export function algorithmOf(text: string): SigningAlgorithm | null {
  return text === 'EdDSA' || text === 'ES256' ? text : null;
}
