/**
 * A program to be killed: takes up list after list from a source that delivers each in small pieces, and keeps them on disk. Loads little,
 * because it is started often.
 *
 *   node crl-store-loop.ts FOLDER TEMPLATE
 *
 * TEMPLATE is JSON as `CrashTemplate`. Begins when something is written to its standard input, ends when that is closed. Says what it does, one line each: `restored N`, `fetching N`, `taken N`, `kept N`, `problem ...`.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Millis } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createCrlStore } from '../../src/revocation/crl-store.ts';
import type { Fetcher } from '../../src/revocation/revocation-contract.ts';
import { DerReader } from '../../src/x509/der.ts';
import { parsePublicKey } from '../../src/x509/public-key.ts';

/** A list that becomes another by writing a number into it and signing it again. */
export interface CrashTemplate {
  /** Base64, as all octets here. Signed with Ed25519: its last 64 octets are the signature. */
  readonly list: string;
  /** PKCS#8. */
  readonly key: string;
  /** Where the four octets of the CRL number are, and the signed octets. */
  readonly number: number;
  readonly tbs: readonly [start: number, end: number];
  readonly source: string;
}

const [, , cacheDirectory = '', templateFile = ''] = process.argv;
const template = JSON.parse(readFileSync(templateFile, 'utf8')) as CrashTemplate;
const { source } = template;
const list = Buffer.from(template.list, 'base64');
const first = list.readUInt32BE(template.number);
const key = createPrivateKey({ key: Buffer.from(template.key, 'base64'), format: 'der', type: 'pkcs8' });
const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
const publicKey = parsePublicKey(new DerReader(spki), 'key');
const rules = { allowSha1: false, clockSkew: 0 as Millis };
const say = (what: string, detail: string | number) => process.stdout.write(`${what} ${detail}\n`);
const heldNumber = () => Number(store.from(source)?.crl.crlNumber ?? 0);

const fetcher: Fetcher = {
  async fetch(url) {
    const number = Math.max(heldNumber(), first) + 1;
    say('fetching', number);
    list.writeUInt32BE(number, template.number);
    sign(null, list.subarray(...template.tbs), key).copy(list, list.length - 64);
    const bytes = Buffer.from(new SharedArrayBuffer(list.length));
    for (let at = 0; at < list.length; at += Math.ceil(list.length / 8)) {
      bytes.set(list.subarray(at, at + Math.ceil(list.length / 8)), at);
      await wait(1);
    }
    return { kind: 'fetched', bytes, from: url, validators: { etag: null, lastModified: null }, maximumAge: null };
  },
  refusalOf: () => null,
  close: async () => {},
};

const store = createCrlStore({
  fetcher,
  clock: systemClock,
  random: Math.random,
  cacheDirectory,
  onChange: (change) => {
    if (change.kind === 'taken') say('taken', Number(change.stored.crl.crlNumber));
    if (change.kind === 'cacheProblem' || change.kind === 'failed') say('problem', change.detail);
    if (change.kind !== 'kept') return;
    say('kept', heldNumber());
    void refresh();
  },
});

await once(process.stdin, 'data');
process.stdin.on('end', () => process.exit()).resume();
await store.restore(() => [publicKey], rules);
say('restored', heldNumber());
await refresh();

async function refresh(): Promise<void> {
  await store.refresh(source, () => [publicKey], { timeout: 60_000 as Millis, force: true, ...rules });
}
