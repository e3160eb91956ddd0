/**
 * The settings of mapping in force as a line for people: always what decides most, and of the rest what is not as it would be
 * by itself.
 */
import { defaultMappingSettings, mappingMethods, type MappingSettings } from '../mapping/mapper-contract.ts';
import { mappingProfiles } from '../mapping/profiles.ts';
import { bitsText } from './identifiers.ts';

export function mappingLine(mapping: MappingSettings): string {
  const { strongCertificateBindingEnforcement: enforcement, certificateMappingMethods: bits } = mapping;
  const compensation = enforcement === 1 ? `, backdating ${mapping.certificateBackdatingCompensation} s` : '';
  return [
    `mapping: ${profileOf(mapping)}`,
    `strongCertificateBindingEnforcement ${enforcement}${compensation}`,
    `certificateMappingMethods 0x${bits.toString(16)} (${bitsText(bits)})`,
    `NTAuth for ${ntAuthText(mapping)}`,
    ...switches(mapping),
    ...mapping.nameBasedRules.map(
      ({ issuer, policies, upnSuffixes, issuerSubject }) =>
        `strong by name: ${[issuer, policies.join(), [...upnSuffixes.map((suffix) => `UpnSuffix=${suffix}`), ...(issuerSubject ? ['IssuerSubject'] : [])].join()].join(';')}`,
    ),
  ].join('; ');
}

/** The profile that these settings are those of; seconds of compensation make no other. */
function profileOf(mapping: MappingSettings): string {
  const same = Object.entries(mappingProfiles).find(
    ([, settings]) =>
      settings.strongCertificateBindingEnforcement === mapping.strongCertificateBindingEnforcement &&
      settings.certificateMappingMethods === mapping.certificateMappingMethods,
  );
  return same === undefined ? 'as no profile' : `as ${same[0]}`;
}

function ntAuthText({ ntAuthMethods }: MappingSettings): string {
  if (ntAuthMethods.length === mappingMethods.length) return 'all methods';
  return ntAuthMethods.length === 0 ? 'no method' : ntAuthMethods.join(', ');
}

/** Those that differ from what holds where nobody wrote anything. */
function switches(mapping: MappingSettings): readonly string[] {
  const standards = defaultMappingSettings;
  const own = (['useSubjectAltName', 'sidVeto', 'firstMatch', 'logonHours', 'refuseExpiredPassword'] as const)
    .filter((key) => mapping[key] !== standards[key])
    .map((key) => `${key} ${mapping[key]}`);
  const points = (Object.keys(mapping.openPoints) as (keyof MappingSettings['openPoints'])[])
    .filter((key) => mapping.openPoints[key] !== standards.openPoints[key])
    .map((key) => `${key} ${mapping.openPoints[key]}`);
  return [...own, ...points];
}
