/**
 * Whether the names of each certificate are among those that the CAs above it may certify (RFC 5280 sections 4.2.1.10 and
 * 6.1.4 (b), (g)). How one name is held against one subtree is decided in `name-forms.ts` and, for directory names, in
 * `x509/`.
 *
 * A name that cannot be evaluated under a constraint of its own kind is refused, never passed over.
 */
import type { Certificate, GeneralNames } from '../x509/certificate.ts';
import { isWithinSubtree } from '../x509/name-comparison.ts';
import { isEmptyName, rfc4514Text, type Name } from '../x509/name.ts';
import { oids } from '../x509/oid.ts';
import { isSelfIssued } from './authority-role.ts';
import { quoted, type RefusalCode } from './finding.ts';
import {
  hostOfUri,
  isDnsConstraint,
  isDnsName,
  isDnsWithin,
  isIpConstraint,
  isIpWithin,
  isMailbox,
  isMailConstraint,
  isMailWithin,
  isUpn,
  isUpnConstraint,
  isUpnWithin,
  isUriConstraint,
  isUriWithin,
  type Side,
} from './name-forms.ts';
import type { SearchBudget } from './search-budget.ts';

export interface NameFault {
  readonly depth: number;
  readonly code: RefusalCode;
  readonly detail: string;
}

/** @param path leaf first, anchor last; the anchor's own names meet no constraint, because there is none above it */
export function findNameFault(path: readonly Certificate[], budget: SearchBudget): NameFault | null {
  const limits: Limit[] = [];
  for (let depth = path.length - 1; depth >= 0; depth -= 1) {
    const certificate = path[depth];
    if (certificate === undefined) break;
    // 6.1.3 (b): a CA's key-rollover certificate carries the CA's own name, which its constraints need not hold.
    const exempt = depth > 0 && isSelfIssued(certificate);
    const fault = limits.length === 0 || exempt ? null : findOutside(certificate, limits, budget);
    if (fault !== null) return { depth, ...fault };
    const added = limitsOf(certificate, depth);
    for (const { subtrees, side } of added)
      for (const kind of kinds) {
        const malformed = kind.malformedBase(subtrees, side);
        if (malformed !== null) return { depth, code: 'nameConstraints', detail: malformed };
      }
    limits.push(...added);
  }
  return null;
}

/** What one CA permits or excludes. */
interface Limit {
  readonly depth: number;
  readonly side: Side;
  readonly subtrees: GeneralNames;
}

function limitsOf({ extensions }: Certificate, depth: number): readonly Limit[] {
  const { permitted = null, excluded = null } = extensions.nameConstraints ?? {};
  return [
    ...(permitted === null ? [] : [{ depth, side: 'permitted', subtrees: permitted } as const]),
    ...(excluded === null ? [] : [{ depth, side: 'excluded', subtrees: excluded } as const]),
  ];
}

type Outside = Pick<NameFault, 'code' | 'detail'>;

function findOutside(certificate: Certificate, limits: readonly Limit[], budget: SearchBudget): Outside | null {
  for (const kind of kinds) {
    const fault = kind.findOutside(certificate, limits, budget);
    if (fault !== null) return fault;
  }
  return findUnevaluable(certificate, limits);
}

/** Kinds that we cannot compare: there must not be both such a name and such a constraint. */
function findUnevaluable({ extensions }: Certificate, limits: readonly Limit[]): Outside | null {
  const names = extensions.subjectAltName;
  if (names === null) return null;
  for (const { depth, subtrees } of limits) {
    const tag = names.unsupported.find((kind) => subtrees.unsupported.includes(kind));
    if (tag !== undefined) return violated(`a ${kindName(tag)}, a kind that certificate ${depth} constrains`);
    const other = names.otherNames.find(
      ({ oid }) => oid !== oids.userPrincipalName && subtrees.otherNames.some((base) => base.oid === oid),
    );
    if (other !== undefined) return violated(`an otherName ${other.oid}, a kind that certificate ${depth} constrains`);
    // RFC 9598 section 6: constraints on mail addresses hold for internationalised ones, which have a form of their own.
    if (subtrees.rfc822Names.length > 0 && names.otherNames.some(({ oid }) => oid === smtpUtf8Mailbox))
      return violated(`a SmtpUTF8Mailbox, and certificate ${depth} constrains mail addresses`);
  }
  return null;
}

function violated(found: string): Outside {
  return { code: 'nameConstraints', detail: `it has ${found} in a way that cannot be evaluated` };
}

function kindName(tag: number): string {
  return { 3: 'x400Address', 5: 'ediPartyName', 8: 'registeredID' }[tag] ?? `name of kind ${tag}`;
}

const smtpUtf8Mailbox = '1.3.6.1.5.5.7.8.9';

/** One kind of name, how to find it and how to compare it. */
interface Definition<T> {
  readonly label: string;
  readonly namesOf: (certificate: Certificate) => readonly T[];
  readonly basesOf: (subtrees: GeneralNames) => readonly T[];
  readonly isName: (name: T) => boolean;
  readonly isBase: (base: T, side: Side) => boolean;
  readonly isWithin: (name: T, base: T, side: Side) => boolean;
  readonly text: (value: T) => string;
}

interface Kind {
  findOutside(certificate: Certificate, limits: readonly Limit[], budget: SearchBudget): Outside | null;
  malformedBase(subtrees: GeneralNames, side: Side): string | null;
}

function kindOf<T>({ label, namesOf, basesOf, isName, isBase, isWithin, text }: Definition<T>): Kind {
  return {
    findOutside(certificate, limits, budget) {
      const names = namesOf(certificate);
      for (const { depth, side, subtrees } of names.length === 0 ? [] : limits) {
        const bases = basesOf(subtrees);
        for (const name of bases.length === 0 ? [] : names) {
          const shown = `${label} ${quoted(text(name))}`;
          if (!isName(name))
            return outside(`${shown} is not well formed, and certificate ${depth} constrains such names`);
          // Comparisons are paid for in advance, so that an unlucky name costs no more than it is allowed.
          if (!budget.spend('nameComparisons', bases.length))
            return { code: 'searchExhausted', detail: 'there are too many names to hold against name constraints' };
          const within = bases.find((base) => isWithin(name, base, side));
          if (side === 'permitted' && within === undefined)
            return outside(`${shown} is not among what certificate ${depth} permits: ${listed(bases, text)}`);
          if (side === 'excluded' && within !== undefined)
            return outside(`${shown} lies within ${quoted(text(within))}, which certificate ${depth} excludes`);
        }
      }
      return null;
    },
    malformedBase(subtrees, side) {
      const bad = basesOf(subtrees).find((base) => !isBase(base, side));
      return bad === undefined ? null : `its ${side} subtree ${label} ${quoted(text(bad))} has no meaning`;
    },
  };
}

function outside(detail: string): Outside {
  return { code: 'nameConstraints', detail };
}

function listed<T>(bases: readonly T[], text: (value: T) => string): string {
  const shown = bases.slice(0, 5).map((base) => quoted(text(base)));
  return shown.join(', ') + (bases.length > 5 ? ` and ${bases.length - 5} more` : '');
}

const asIs = (value: string) => value;

const kinds: readonly Kind[] = [
  kindOf<Name>({
    label: 'directoryName',
    // The subject is one of them (6.1.3 (b)), unless there is none.
    namesOf: ({ subject, extensions }) => [
      ...(isEmptyName(subject) ? [] : [subject]),
      ...(extensions.subjectAltName?.directoryNames ?? []),
    ],
    basesOf: ({ directoryNames }) => directoryNames,
    isName: () => true,
    isBase: () => true,
    isWithin: isWithinSubtree,
    text: rfc4514Text,
  }),
  kindOf<string>({
    label: 'rfc822Name',
    namesOf: mailAddressesOf,
    basesOf: ({ rfc822Names }) => rfc822Names,
    isName: isMailbox,
    isBase: isMailConstraint,
    isWithin: isMailWithin,
    text: asIs,
  }),
  kindOf<string>({
    label: 'dNSName',
    namesOf: ({ extensions }) => extensions.subjectAltName?.dnsNames ?? [],
    basesOf: ({ dnsNames }) => dnsNames,
    isName: isDnsName,
    isBase: isDnsConstraint,
    isWithin: isDnsWithin,
    text: asIs,
  }),
  kindOf<string>({
    label: 'URI',
    namesOf: ({ extensions }) => extensions.subjectAltName?.uris ?? [],
    basesOf: ({ uris }) => uris,
    isName: (uri) => hostOfUri(uri) !== null,
    isBase: isUriConstraint,
    isWithin: isUriWithin,
    text: asIs,
  }),
  kindOf<Buffer>({
    label: 'iPAddress',
    namesOf: ({ extensions }) => extensions.subjectAltName?.ipAddresses ?? [],
    basesOf: ({ ipAddresses }) => ipAddresses,
    isName: () => true,
    isBase: isIpConstraint,
    isWithin: isIpWithin,
    text: (octets) => octets.toString('hex'),
  }),
  kindOf<string>({
    label: 'UPN',
    namesOf: ({ extensions }) => extensions.subjectAltName?.upns ?? [],
    basesOf: ({ upns }) => upns,
    isName: isUpn,
    isBase: isUpnConstraint,
    isWithin: isUpnWithin,
    text: asIs,
  }),
];

/** Section 4.2.1.10: without an rfc822Name, the emailAddress attributes of the subject are what is constrained. */
function mailAddressesOf({ subject, extensions }: Certificate): readonly string[] {
  const named = extensions.subjectAltName?.rfc822Names ?? [];
  if (named.length > 0) return named;
  return subject.rdns
    .flat()
    .filter(({ oid }) => oid === oids.emailAddress)
    .map(({ text }) => text ?? '');
}
