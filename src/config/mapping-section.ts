/**
 * The settings of mapping in force: those of the profile, and over them what is written. What they mean is said in
 * `mapping/mapper-contract.ts`; which of them weaken, in `weaknesses.ts`.
 */
import { mappingMethods, type MappingMethod, type MappingSettings } from '../mapping/mapper-contract.ts';
import { mappingProfiles } from '../mapping/profiles.ts';
import { readNameBasedRules } from './name-based-rules.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

export function readMapping(
  { mapping, trust }: Pick<Language, 'mapping' | 'trust'>,
  reading: Reading,
): MappingSettings {
  const profile = mappingProfiles[mapping.profile];
  const { useSubjectAltName, sidVeto, firstMatch, logonHours, refuseExpiredPassword, openPoints, deadline, cache } =
    mapping;
  const settings: MappingSettings = {
    strongCertificateBindingEnforcement:
      mapping.strongCertificateBindingEnforcement ?? profile.strongCertificateBindingEnforcement,
    certificateBackdatingCompensation:
      mapping.certificateBackdatingCompensation ?? profile.certificateBackdatingCompensation,
    certificateMappingMethods: mapping.certificateMappingMethods ?? profile.certificateMappingMethods,
    useSubjectAltName,
    ntAuthMethods: ntAuthMethodsOf(mapping.ntAuthMethods, trust.ntAuth, reading),
    nameBasedRules: readNameBasedRules(mapping, reading),
    sidVeto,
    firstMatch,
    logonHours,
    refuseExpiredPassword,
    openPoints,
    deadline,
    cache,
  };
  warnOfMeaningless(settings, reading);
  return settings;
}

/** In the order of the contract, none twice. */
function ntAuthMethodsOf(
  written: readonly MappingMethod[] | undefined,
  ntAuth: Language['trust']['ntAuth'],
  reading: Reading,
): readonly MappingMethod[] {
  if (ntAuth === 'directory') return mappingMethods.filter((method) => written?.includes(method) ?? true);
  if (written !== undefined)
    reading.mistake(['mapping', 'ntAuthMethods'], 'stands beside `trust.ntAuth: off`, which asks for none', {
      hint: 'leave one of the two out',
      on: 'key',
    });
  return [];
}

/** What is written and has no effect beside the rest. */
function warnOfMeaningless(settings: MappingSettings, reading: Reading): void {
  const { strongCertificateBindingEnforcement: enforcement, useSubjectAltName, nameBasedRules } = settings;
  const warn = (path: Path, beside: string) => {
    if (reading.source.has(path)) reading.warn(path, `means nothing with ${beside}`);
  };
  if (enforcement !== 1) {
    const beside = `strongCertificateBindingEnforcement ${enforcement}`;
    warn(['mapping', 'certificateBackdatingCompensation'], beside);
    warn(['mapping', 'openPoints', 'upnIsWeakMapping'], beside);
  }
  const rules = (why: string) => {
    for (const key of ['nameBasedRules', 'strongNameMatches'])
      if (reading.source.has(['mapping', key])) reading.warn(['mapping', key], why);
  };
  if (enforcement === 0) rules('strongCertificateBindingEnforcement 0 asks for no strong mapping');
  else if (!useSubjectAltName && nameBasedRules.some(({ issuerSubject }) => !issuerSubject))
    rules('UPNs are not looked for with useSubjectAltName false: a rule with upnSuffixes alone makes nothing strong');
}
