/**
 * Proxies that begin connections with a PROXY protocol header: addresses that can be read, and one rule for all bindings whose connections look
 * alike until their header has been read.
 */
import { proxyAddresses, sameProxies } from '../tls/proxy-protocol.ts';
import type { BindingDraft } from './bindings.ts';
import { quoted } from './complaint.ts';
import type { Reading } from './reading.ts';

export function checkProxyProtocol(drafts: readonly BindingDraft[], reading: Reading): void {
  for (const [index, draft] of drafts.entries()) {
    checkAddresses(draft, reading);
    const other = drafts.slice(0, index).find((earlier) => disagree(earlier, draft));
    if (other === undefined) continue;
    const where = draft.written.proxyProtocol === undefined ? 'endpoint' : 'proxyProtocol';
    reading.mistake([...draft.path, where], `${other.name} on the same port expects the PROXY protocol of others`, {
      hint: 'write the same `proxyProtocol` for both: the header comes before the name that tells them apart',
      on: 'key',
    });
  }
}

function checkAddresses({ written, path }: BindingDraft, reading: Reading): void {
  for (const [index, text] of (written.proxyProtocol?.from ?? []).entries())
    if (proxyAddresses({ from: [text] }) === null)
      reading.mistake(
        [...path, 'proxyProtocol', 'from', index],
        `${quoted(text)} is neither an address nor a network`,
        {
          hint: 'for example 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"',
        },
      );
}

/** Two address endpoints of one port are told apart by the address that a connection came to. */
function disagree(one: BindingDraft, other: BindingDraft): boolean {
  return (
    one.endpoint.port === other.endpoint.port &&
    one.endpoint.port !== 0 &&
    (one.endpoint.kind === 'host' || other.endpoint.kind === 'host') &&
    !sameProxies(one.written.proxyProtocol, other.written.proxyProtocol)
  );
}
