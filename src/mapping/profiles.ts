/**
 * Which mapper of Windows is imitated: the settings that its name stands for. A profile is only a beginning: whatever is
 * configured besides goes over it. What each setting means is said in `mapper-contract.ts`.
 */
import type { MappingProfile, MappingSettings } from './mapper-contract.ts';

export type ProfiledSettings = Pick<
  MappingSettings,
  'strongCertificateBindingEnforcement' | 'certificateBackdatingCompensation' | 'certificateMappingMethods'
>;

/**
 * Seconds. What Windows takes by itself is not documented; AD CS dates certificates back by ten minutes (ClockSkewMinutes),
 * so that less would refuse those that are issued right after their account was made.
 */
const backdating = 600;

export const mappingProfiles: Readonly<Record<MappingProfile, ProfiledSettings>> = {
  /** A patched domain controller: full enforcement, and only the KDC maps (KB5014754, since 2025-09-09). */
  'windows-2026': {
    strongCertificateBindingEnforcement: 2,
    certificateBackdatingCompensation: backdating,
    certificateMappingMethods: 0x18,
  },
  /** Compatibility mode, the default from May 2022 to February 2025: weak mappings of accounts older than the certificate hold. */
  'windows-2022-compat': {
    strongCertificateBindingEnforcement: 1,
    certificateBackdatingCompensation: backdating,
    certificateMappingMethods: 0x18,
  },
  /** Before May 2022: nothing is enforced, and Schannel also maps by itself (MS-RCMP): names, subject and issuer, issuers. */
  'schannel-legacy': {
    strongCertificateBindingEnforcement: 0,
    certificateBackdatingCompensation: backdating,
    certificateMappingMethods: 0x1f,
  },
};
