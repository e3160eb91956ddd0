/**
 * Who vouches for the clients of each binding: anchors and intermediates read from files, and how strictly chains are
 * judged. Certificates that are legal but of no use are warned of.
 */
import { isoText } from '../base/clock.ts';
import type { BindingTrust } from '../gateway/settings.ts';
import { assertsCa } from '../trust/authority-role.ts';
import type { TrustStore } from '../trust/judgement.ts';
import { createTrustStore } from '../trust/trust-store.ts';
import { rfc4514Text } from '../x509/name.ts';
import type { BindingDraft } from './bindings.ts';
import { readCertificates, type NamedCertificate } from './certificates.ts';
import { printable } from './complaint.ts';
import type { Reading } from './reading.ts';
import { revocationOf } from './revocation.ts';
import type { Reference } from './references.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

/** One store for all bindings that share the global trust, so that what one has verified serves the others. */
export async function readTrust(
  written: Pick<Language, 'trust' | 'revocation'>,
  drafts: readonly BindingDraft[],
  asks: (draft: BindingDraft) => boolean,
  reading: Reading,
): Promise<ReadonlyMap<string, BindingTrust>> {
  const global = await readStore(written.trust, ['trust'], reading);
  const trusts = new Map<string, BindingTrust>();
  for (const draft of drafts.filter(({ https }) => https)) {
    const own = draft.written.trust;
    const store = own === undefined ? global : await readStore(own, [...draft.path, 'trust'], reading);
    if (asks(draft) && written.trust.roots.length === 0 && own === undefined)
      reading.mistake(['trust', 'roots'], `no roots, but binding ${draft.name} asks for client certificates`, {
        hint: 'write `trust: { roots: [file:trust/root.pem] }` with the root CA of the clients',
      });
    trusts.set(draft.name, { store, judge: judgeOf(written.trust, draft), revocation: revocationOf(written, draft) });
  }
  return trusts;
}

function judgeOf(trust: Language['trust'], { written }: BindingDraft): BindingTrust['judge'] {
  const { minimumRsaBits, allowSha1, allowCaAsClient } = trust;
  return { usageCheck: written.usageCheck, minimumRsaBits, allowSha1, allowCaAsClient };
}

async function readStore(
  { roots, intermediates }: { readonly roots: readonly Reference[]; readonly intermediates: readonly Reference[] },
  path: Path,
  reading: Reading,
): Promise<TrustStore> {
  const anchors = await readCertificates(roots, [...path, 'roots'], reading);
  const others = await readCertificates(intermediates, [...path, 'intermediates'], reading);
  for (const named of [...anchors, ...others]) warnOf(named, reading);
  const store = createTrustStore(
    anchors.map(({ certificate }) => certificate),
    others.map(({ certificate }) => certificate),
  );
  for (const warning of store.warnings) reading.warn([...path, 'roots'], warning);
  return store;
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
