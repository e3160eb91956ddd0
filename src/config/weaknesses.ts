/**
 * Settings that are good for reproducing and for measuring, and a hole in production. Each is refused unless the file says
 * `labOnly: true` at its top, and then reported at every start.
 */
import { mappingMethods, type MappingSettings } from '../mapping/mapper-contract.ts';
import { bitsText, mappingMethodBits } from './identifiers.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

export type Weakenable = Pick<Language, 'labOnly' | 'verdictHeader' | 'mapping' | 'trust'>;

/** @param mapping in force: what a profile brings weakens as much as what is written */
export function checkWeaknesses(written: Weakenable, mapping: MappingSettings, reading: Reading): void {
  const found = [...weaknesses(written), ...mappingWeaknesses(mapping)].filter(({ holds }) => holds);
  if (written.labOnly) {
    const effects = found.length === 0 ? ['nothing here needs it'] : found.map(({ effect }) => effect);
    for (const effect of effects) reading.warn(['labOnly'], `not for production: ${effect}`);
    return;
  }
  for (const { path, effect } of found) {
    const profiled = !reading.source.has(path) && path[0] === 'mapping';
    reading.mistake(profiled ? ['mapping', 'profile'] : path, `weakens and needs \`labOnly: true\`: ${effect}`, {
      hint: `write \`labOnly: true\` at the top of the file if this is a lab; ${profiled ? `write another \`${path.at(-1)}\` over the profile` : 'leave the key out'} if it is not`,
    });
  }
}

interface Weakness {
  readonly path: Path;
  readonly effect: string;
  readonly holds: boolean;
}

function weaknesses({ verdictHeader, mapping, trust }: Weakenable): readonly Weakness[] {
  return [
    { path: ['verdictHeader'], effect: 'strangers see why they were refused', holds: verdictHeader },
    {
      path: ['mapping', 'outcomes'],
      effect: 'a silent directory looks like a certificate without an account, and anonymous stands in for it',
      holds: mapping.outcomes === 'iis',
    },
    { path: ['trust', 'ntAuth'], effect: 'any trusted CA can name any account', holds: trust.ntAuth === 'off' },
    {
      path: ['trust', 'minimumRsaBits'],
      effect: 'RSA keys below 2048 bits can be broken',
      holds: trust.minimumRsaBits < 2048,
    },
    {
      path: ['trust', 'allowSha1'],
      effect: 'certificates with SHA-1 signatures can be forged',
      holds: trust.allowSha1,
    },
    {
      path: ['trust', 'allowCaAsClient'],
      effect: 'the key of a CA logs on as well as issues',
      holds: trust.allowCaAsClient,
    },
  ];
}

const schannelAlone = mappingMethodBits.SubjectIssuer | mappingMethodBits.Issuer | mappingMethodBits.UPN;

function mappingWeaknesses(mapping: MappingSettings): readonly Weakness[] {
  const { openPoints, ntAuthMethods } = mapping;
  const own = mapping.certificateMappingMethods & schannelAlone;
  const open = mappingMethods.filter((method) => !ntAuthMethods.includes(method));
  return [
    {
      path: ['mapping', 'strongCertificateBindingEnforcement'],
      effect: 'names that others can choose are enough to be somebody (KB5014754)',
      holds: mapping.strongCertificateBindingEnforcement < 2,
    },
    {
      path: ['mapping', 'certificateMappingMethods'],
      effect: `what Schannel maps by itself (${bitsText(own)}) is never asked for strength, whatever is enforced`,
      holds: own !== 0,
    },
    {
      // None at all is `trust.ntAuth: off`.
      path: ['mapping', 'ntAuthMethods'],
      effect: `any trusted CA can name any account by ${open.join(', ')}`,
      holds: ntAuthMethods.length > 0 && open.length > 0,
    },
    {
      path: ['mapping', 'firstMatch'],
      effect: 'where a certificate fits several accounts one of them is taken',
      holds: mapping.firstMatch,
    },
    {
      path: ['mapping', 'openPoints', 'unquotedNames'],
      effect: 'a name with a comma in it looks like two names, so that one subject passes for another',
      holds: openPoints.unquotedNames,
    },
    {
      path: ['mapping', 'openPoints', 'computedSubjectKeyIdentifier'],
      effect: 'certificates are found by an identifier that their issuer did not write',
      holds: openPoints.computedSubjectKeyIdentifier,
    },
    {
      path: ['mapping', 'openPoints', 'severalUpns'],
      effect: 'of several UPNs in a certificate the first is believed',
      holds: openPoints.severalUpns === 'first',
    },
  ];
}
