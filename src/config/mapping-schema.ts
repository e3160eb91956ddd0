/**
 * The part of the configuration language that says how a certificate becomes an account. What a profile sets has no default
 * here: it comes from the profile (`mapping-section.ts`).
 */
import { z } from 'zod';
import { defaultMappingSettings, mappingMethods, type MappingProfile } from '../mapping/mapper-contract.ts';
import { mappingProfiles, type ProfiledSettings } from '../mapping/profiles.ts';
import { certificateMappingMethods } from './identifiers.ts';
import { group, maybe, standard } from './keys.ts';
import { nameBasedRule, strongNameMatch } from './name-based-rules.ts';
import { choice, count, duration, flag } from './scalars.ts';

const standards = defaultMappingSettings;
const points = defaultMappingSettings.openPoints;

const openPoints = group(
  {
    sha1PublicKey: standard(
      choice(['certificate', 'both']),
      points.sha1PublicKey,
      'what the digest in `<SHA1-PUKEY>` is of: the whole certificate, as practice says, or its key, as the name says; both looks for either',
    ),
    serialSignOctet: standard(
      choice(['both', 'dropped', 'kept']),
      points.serialSignOctet,
      'whether the octet 00 that keeps a serial number positive stands in `<SR>`: documents and tools drop it, .NET keeps it',
    ),
    rfc822Blank: standard(
      flag,
      points.rfc822Blank,
      'whether a blank may stand before `<RFC822>`: MS-PKCA prints one, nothing else has it; true also looks for that',
    ),
    quotedBackslash: standard(
      flag,
      points.quotedBackslash,
      'whether a backslash in a name is a reason for quotes: the SDK can be read so; true looks for both spellings',
    ),
    unquotedNames: standard(
      flag,
      points.unquotedNames,
      'whether the KDC writes names without quotes; true also looks for those, and then one name can look like another; needs labOnly',
    ),
    computedSubjectKeyIdentifier: standard(
      flag,
      points.computedSubjectKeyIdentifier,
      'whether a certificate without subjectKeyIdentifier is looked for by SHA-1 of its key; needs labOnly',
    ),
    rfc822FromSubject: standard(
      flag,
      points.rfc822FromSubject,
      'whether `<RFC822>` is also looked for with the e-mail address of the subject, as an API of Windows would, Samba not',
    ),
    severalUpns: standard(
      choice(['refuse', 'first']),
      points.severalUpns,
      'a certificate with several UPNs: Windows probably takes the first, Heimdal none; first needs labOnly',
    ),
    sidUriMismatchRefuses: standard(
      flag,
      points.sidUriMismatchRefuses,
      "whether another account's SID in a URI of the subjectAltName refuses, as one in the SID extension does",
    ),
    upnIsWeakMapping: standard(
      flag,
      points.upnIsWeakMapping,
      'whether a UPN is a weak mapping under enforcement 1, as with Windows, or none, as with Samba',
    ),
    computerBySpn: standard(
      flag,
      points.computerBySpn,
      'whether computers are also found by host/NAME among their servicePrincipalNames, as MS-RCMP does',
    ),
  },
  'where it is not known for certain what Windows does',
);

export const mapping = group(
  {
    outcomes: standard(
      choice(['safe', 'iis']),
      'safe',
      'iis answers as IIS does also where that hides a failure; needs labOnly',
    ),
    profile: standard(
      choice(Object.keys(mappingProfiles) as MappingProfile[]),
      'windows-2026',
      'which Windows is imitated; single settings go over it. windows-2026: full enforcement; windows-2022-compat: compatibility mode; schannel-legacy: before May 2022. The last two need labOnly',
    ),
    strongCertificateBindingEnforcement: maybe(
      choice([0, 1, 2]),
      `KB5014754: 2 full enforcement, 1 compatibility, 0 off; below 2 needs labOnly. Left out: ${ofProfiles('strongCertificateBindingEnforcement')}`,
    ),
    certificateMappingMethods: maybe(
      certificateMappingMethods,
      `bits of Schannel: SubjectIssuer 0x1, Issuer 0x2 and UPN 0x4 need labOnly; S4U2Self 0x8, S4U2SelfExplicit 0x10. Left out: ${ofProfiles('certificateMappingMethods')}`,
    ),
    certificateBackdatingCompensation: maybe(
      count(0, 4_294_967_295),
      `seconds by which a certificate may be older than its account; only with enforcement 1. Left out: ${ofProfiles('certificateBackdatingCompensation')}`,
    ),
    useSubjectAltName: standard(
      flag,
      standards.useSubjectAltName,
      'whether UPN and DNS names of the certificate may map',
    ),
    ntAuthMethods: z
      .array(choice(mappingMethods))
      .min(1)
      .optional()
      .describe(
        'methods for which the issuer must be in the NTAuth store, all when left out; fewer needs labOnly. What Windows asks for X509 mappings is disputed',
      ),
    nameBasedRules: z
      .array(nameBasedRule)
      .prefault([])
      .describe('KDC policy "Allow name-based strong mappings for certificates"; no issuer twice'),
    strongNameMatches: z
      .array(strongNameMatch)
      .prefault([])
      .describe('the same rules as the registry has them, after those of nameBasedRules'),
    sidVeto: standard(
      flag,
      standards.sidVeto,
      "refuse when the certificate names another account's SID, also beside a strong mapping; stricter than Windows",
    ),
    firstMatch: standard(
      flag,
      standards.firstMatch,
      'take the account of the first method that finds one, as the KDC does, where several accounts would be refused; needs labOnly',
    ),
    logonHours: standard(
      flag,
      standards.logonHours,
      'keep the logonHours of accounts, taken as UTC: tools write them so, a KDC may read its local time',
    ),
    refuseExpiredPassword: standard(
      flag,
      standards.refuseExpiredPassword,
      'refuse accounts whose password has expired or must be changed',
    ),
    openPoints: openPoints.prefault({}),
    deadline: standard(duration(1), '5s', 'bound on one mapping; beyond, the answer is 503'),
    cache: group(
      {
        positive: standard(duration(1000), '15m', 'how long an account is believed'),
        negative: standard(duration(1000), '1m', 'how long "not mapped" is believed'),
        stale: standard(
          duration(),
          '10m',
          'how long beyond `positive` an account serves while no newer one can be had',
        ),
        maximum: standard(count(1, 10_000_000), 200_000, 'entries'),
      },
      'answers that are kept',
    ).prefault({}),
  },
  'from certificate to account',
);

/** What each profile sets, for the reference. */
function ofProfiles(key: keyof ProfiledSettings): string {
  const shown = (value: number) => (key === 'certificateMappingMethods' ? `0x${value.toString(16)}` : String(value));
  return Object.entries(mappingProfiles)
    .map(([profile, settings]) => `${shown(settings[key])} of ${profile}`)
    .join(', ');
}
