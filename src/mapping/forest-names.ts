/**
 * Whether accounts of several forests can be told apart by name. `CORP\alice` is who upstreams, logs and rules mean, and forests that know nothing of
 * each other may both have a domain CORP: then one of two people would pass for the other. Which forests are asked is decided elsewhere.
 */
import type { DomainNames } from '../directory/directory.ts';
import { foldText } from './ad-text.ts';

export interface NamedForest {
  readonly name: string;
  readonly domains: readonly DomainNames[];
}

/** Null where every NetBIOS name belongs to one forest; else one sentence. */
export function sharedDomainName(forests: readonly NamedForest[]): string | null {
  const owners = new Map<string, { readonly forest: string; readonly dnsName: string }>();
  for (const { name, domains } of forests)
    for (const { netbiosName, dnsName } of domains) {
      const key = foldText(netbiosName);
      const other = owners.get(key);
      if (other !== undefined && other.forest !== name)
        return `the forests ${other.forest} (${other.dnsName}) and ${name} (${dnsName}) both have a domain ${netbiosName}: their accounts cannot be told apart by name`;
      owners.set(key, { forest: name, dnsName });
    }
  return null;
}
