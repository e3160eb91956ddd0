/**
 * The rules of the KDC policy "Allow name-based strong mappings for certificates": as groups of settings, or as the lines
 * that the registry has under StrongNameMatches (KB5014754). On Windows an issuer that stands in two of them voids the
 * whole policy, silently; here it is a mistake.
 */
import { z } from 'zod';
import type { NameBasedRule } from '../mapping/mapper-contract.ts';
import { dnsName } from './addresses.ts';
import { quoted } from './complaint.ts';
import { policyOid, readPart, thumbprint } from './identifiers.ts';
import { group, needed, standard } from './keys.ts';
import type { Reading } from './reading.ts';
import { flag, text, type Read, type Scalar } from './scalars.ts';
import type { Path } from './source.ts';
import { nearest } from './suggestion.ts';

export const nameBasedRule = group(
  {
    issuer: needed(thumbprint, 'thumbprint of the CA certificate that issued the certificate itself'),
    policies: z.array(policyOid).min(1).describe('issuance policies; one of them in the certificate is enough'),
    upnSuffixes: z
      .array(dnsName)
      .prefault([])
      .describe('a mapping by UPN is strong where one of these stands behind its @'),
    issuerSubject: standard(flag, false, 'a mapping by X509IssuerSubject is strong'),
  },
  'a rule; users alone, never computers',
);

const form = 'write THUMBPRINT;OID,OID;UpnSuffix=DOMAIN,IssuerSubject';

/** `thumbprint;oid[,oid];method[,method]`: what stands in the registry. */
export const strongNameMatch: Scalar<NameBasedRule> = text(
  'a line of the registry: thumbprint;OIDs;UpnSuffix=domain and IssuerSubject',
  (raw): Read<NameBasedRule> => {
    const parts = raw.split(';').map((part) => part.trim());
    const [issuerText = '', policyText = '', methodText = ''] = parts;
    if (parts.length !== 3)
      return { wrong: `${quoted(raw)} has ${parts.length} parts between semicolons and not three`, hint: form };
    if (policyText === '') return { wrong: `${quoted(raw)} names no issuance policy`, hint: form };
    if (methodText === '') return { wrong: `${quoted(raw)} names no method`, hint: form };
    const issuer = readPart(thumbprint, issuerText);
    if (!('value' in issuer)) return issuer;
    const policies: string[] = [];
    for (const part of listOf(policyText)) {
      const policy = readPart(policyOid, part);
      if (!('value' in policy)) return policy;
      policies.push(policy.value);
    }
    const methods = methodsOf(listOf(methodText));
    if (!('value' in methods)) return methods;
    return { value: { issuer: issuer.value, policies: unique(policies), ...methods.value } };
  },
);

type Methods = Pick<NameBasedRule, 'upnSuffixes' | 'issuerSubject'>;

function methodsOf(methods: readonly string[]): Read<Methods> {
  const upnSuffixes: string[] = [];
  let issuerSubject = false;
  for (const method of methods) {
    if (method === 'IssuerSubject') issuerSubject = true;
    else if (method.startsWith('UpnSuffix=')) {
      const suffix = readPart(dnsName, method.slice('UpnSuffix='.length).trim());
      if (!('value' in suffix)) return suffix;
      upnSuffixes.push(suffix.value);
    } else {
      const guess = nearest(method.replace(/=.*/, ''), ['UpnSuffix', 'IssuerSubject']);
      const wrong = `${quoted(method)} is neither UpnSuffix=DOMAIN nor IssuerSubject`;
      return { wrong, hint: guess === null ? form : `did you mean \`${guess}${guess === 'UpnSuffix' ? '=' : ''}\`?` };
    }
  }
  return { value: { upnSuffixes: unique(upnSuffixes), issuerSubject } };
}

function listOf(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim());
}

interface Written {
  readonly nameBasedRules: readonly z.output<typeof nameBasedRule>[];
  readonly strongNameMatches: readonly NameBasedRule[];
}

/** Both spellings, in the order of the configuration; complains of rules that never hold and of issuers with two. */
export function readNameBasedRules(
  { nameBasedRules, strongNameMatches }: Written,
  reading: Reading,
): readonly NameBasedRule[] {
  const rules: { readonly rule: NameBasedRule; readonly path: Path; readonly at: Path; readonly where: string }[] = [];
  for (const [index, { policies, upnSuffixes, ...rest }] of nameBasedRules.entries()) {
    const path = ['mapping', 'nameBasedRules', index];
    const where = `nameBasedRules[${index}]`;
    const rule = { ...rest, policies: unique(policies), upnSuffixes: unique(upnSuffixes) };
    if (upnSuffixes.length === 0 && !rule.issuerSubject)
      reading.mistake(path, 'makes no mapping strong', {
        hint: 'write `upnSuffixes: [lab.example.test]`, `issuerSubject: true`, or both',
        on: 'key',
      });
    rules.push({ rule, path, at: [...path, 'issuer'], where });
  }
  for (const [index, rule] of strongNameMatches.entries()) {
    const path = ['mapping', 'strongNameMatches', index];
    rules.push({ rule, path, at: path, where: `strongNameMatches[${index}]` });
  }
  for (const [index, { rule, at }] of rules.entries()) {
    const twin = rules.slice(0, index).find((earlier) => earlier.rule.issuer === rule.issuer);
    if (twin !== undefined)
      reading.mistake(
        at,
        `this issuer has a rule already, mapping.${twin.where}: Windows would then ignore all rules`,
        {
          hint: 'join the two: one issuer, all its policies and methods',
        },
      );
  }
  return rules.map(({ rule }) => rule);
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
