/**
 * Who vouches for the clients of each binding: anchors and intermediates read from files, and the store of issuers that may
 * narrow them. Certificates that are legal but of no use are warned of.
 */
import { isoText } from '../base/clock.ts';
import type { BindingTrust } from '../gateway/settings.ts';
import { assertsCa, isSelfIssued } from '../trust/authority-role.ts';
import type { IssuerList, TrustMode, TrustStore } from '../trust/judgement.ts';
import { createTrustStore } from '../trust/trust-store.ts';
import type { Certificate } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { BindingDraft } from './bindings.ts';
import { readCertificates, type NamedCertificate } from './certificates.ts';
import { printable, quoted } from './complaint.ts';
import type { Reading } from './reading.ts';
import type { Reference } from './references.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';

/**
 * By binding name; one store for all bindings that share the same trust, so that what one has verified serves the others.
 * @param broken the section could not be read: nothing is complained of as missing from it
 */
export async function readTrust(
  written: Language['trust'],
  drafts: readonly BindingDraft[],
  asks: (draft: BindingDraft) => boolean,
  broken: boolean,
  reading: Reading,
): Promise<ReadonlyMap<string, TrustStore>> {
  const global = await readMaterial(written, ['trust'], reading);
  const lists = await readLists(written.stores, reading);
  const shared = new Map<string, TrustStore>();
  const stores = new Map<string, TrustStore>();
  for (const draft of drafts.filter(({ https }) => https)) {
    const own = draft.written.trust;
    const list = listOf(draft, broken ? null : lists, reading);
    if (
      !broken &&
      asks(draft) &&
      written.roots.length === 0 &&
      own === undefined &&
      (list ?? narrowing).mode === 'machineTrust'
    )
      reading.mistake(['trust', 'roots'], `no roots, but binding ${draft.name} asks for client certificates`, {
        hint: 'write `trust: { roots: [file:trust/root.pem] }` with the root CA of the clients',
      });
    const path = own === undefined ? ['trust'] : [...draft.path, 'trust'];
    const material = own === undefined ? global : await readMaterial(own, path, reading);
    const key = `${path.join()} ${list?.mode} ${list?.name}`;
    const store = shared.get(key) ?? createTrustStore(material.anchors, material.others, list);
    if (!shared.has(key)) for (const warning of store.warnings) reading.warn([...path, 'roots'], warning);
    shared.set(key, store);
    stores.set(draft.name, store);
  }
  for (const name of lists.keys())
    if (!drafts.some(({ written: { ctlStoreName } }) => ctlStoreName === name))
      reading.warn(['trust', 'stores', name], 'narrows nothing: no binding has it as its `ctlStoreName`');
  return stores;
}

export function judgeSettings(trust: Language['trust'], { written }: BindingDraft): BindingTrust['judge'] {
  const { minimumRsaBits, allowSha1, allowCaAsClient } = trust;
  return { usageCheck: written.usageCheck, minimumRsaBits, allowSha1, allowCaAsClient };
}

/** Every CA certificate that some binding knows, none twice. */
export function knownAuthorities(stores: Iterable<TrustStore>): readonly Certificate[] {
  const all = [...stores].flatMap(({ anchors, intermediates }) => [...anchors, ...intermediates]);
  return [...new Map(all.map((certificate) => [certificate.digest, certificate])).values()];
}

const narrowing = { mode: 'machineTrust' } as const;
const modes: Readonly<Record<string, TrustMode>> = { 0: 'machineTrust', 1: 'exclusiveRoot', 2: 'exclusiveCa' };

/** Null: no store is named, or after a complaint. */
function listOf(
  { path, written, name: binding }: BindingDraft,
  lists: ReadonlyMap<string, readonly Certificate[]> | null,
  reading: Reading,
): IssuerList | null {
  const { ctlStoreName: name, clientAuthTrustMode } = written;
  const mode = modes[clientAuthTrustMode] ?? (clientAuthTrustMode as TrustMode);
  if (name === null) {
    if (mode !== 'machineTrust')
      reading.mistake([...path, 'clientAuthTrustMode'], `${mode} needs a store, and binding ${binding} names none`, {
        hint: 'write `ctlStoreName: NAME` with a store of `trust.stores`',
      });
    return null;
  }
  if (lists === null) return null;
  const certificates = lists.get(name);
  if (certificates === undefined) {
    const names = [...lists.keys()];
    const guess = nearest(name, names);
    reading.mistake([...path, 'ctlStoreName'], `there is no store ${quoted(name)} under \`trust.stores\``, {
      hint:
        guess === null
          ? `write \`trust: { stores: { ${printable(name)}: [file:trust/ca.pem] } }\`${names.length === 0 ? '' : `; there are ${names.map(printable).join(', ')}`}`
          : `did you mean \`${guess}\`?`,
    });
    return null;
  }
  if (mode === 'exclusiveRoot' && certificates.length > 0 && !certificates.some(isSelfIssued))
    reading.mistake(
      [...path, 'clientAuthTrustMode'],
      `${mode} lets paths end in roots of the store ${printable(name)}, which holds none`,
      { hint: 'write 2 (exclusiveCa) to let them end in its CAs' },
    );
  return { name: printable(name), mode, certificates };
}

async function readLists(
  written: Language['trust']['stores'],
  reading: Reading,
): Promise<ReadonlyMap<string, readonly Certificate[]>> {
  const lists = new Map<string, readonly Certificate[]>();
  for (const [name, references] of Object.entries(written)) {
    const read = await readCertificates(references, ['trust', 'stores', name], reading);
    for (const named of read) warnOf(named, reading);
    lists.set(
      name,
      read.map(({ certificate }) => certificate),
    );
  }
  return lists;
}

interface Material {
  readonly anchors: readonly Certificate[];
  readonly others: readonly Certificate[];
}

async function readMaterial(
  { roots, intermediates }: { readonly roots: readonly Reference[]; readonly intermediates: readonly Reference[] },
  path: Path,
  reading: Reading,
): Promise<Material> {
  const anchors = await readCertificates(roots, [...path, 'roots'], reading);
  const others = await readCertificates(intermediates, [...path, 'intermediates'], reading);
  for (const named of [...anchors, ...others]) warnOf(named, reading);
  return {
    anchors: anchors.map(({ certificate }) => certificate),
    others: others.map(({ certificate }) => certificate),
  };
}

function warnOf({ certificate, where, path }: NamedCertificate, reading: Reading): void {
  const now = reading.facilities.now();
  const who = `${printable(where)}, ${printable(rfc4514Text(certificate.subject))}`;
  if (certificate.notAfter < now)
    reading.warn(path, `${who}, has expired on ${isoText(certificate.notAfter)}: chains through it are refused`);
  if (certificate.notBefore > now)
    reading.warn(path, `${who}, is not valid before ${isoText(certificate.notBefore)}: chains through it are refused`);
  if (certificate.version === 3 && !assertsCa(certificate))
    reading.warn(path, `${who}, is not a CA certificate: no chain can go through it`);
}
