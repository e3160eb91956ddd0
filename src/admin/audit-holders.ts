/**
 * To which accounts the given certificates belong: by the values that a scan comes across, and by the names (UPN, DNS) that the
 * directory is asked about. Decides which certificates belong to nobody or to several; whether any may log on is decided by mapping.
 */
import type { Millis } from '../base/brand.ts';
import type { Account } from '../base/identity.ts';
import type { Forest } from '../directory/directory.ts';
import { planLookups } from '../mapping/lookup.ts';
import type { OpenPoints } from '../mapping/mapper-contract.ts';
import type { CertificateIndex, CertificateMatch, GivenCertificate } from './audit-certificates.ts';
import { auditFinding, type AuditFinding } from './audit-contract.ts';

export interface CertificateHolders {
  note(matches: readonly CertificateMatch[], account: Account): void;
  /** Asks the directory for the names in the certificates. Returns why it is not known for some. */
  askForNames(
    forests: readonly Pick<Forest, 'name' | 'domains' | 'locate'>[],
    deadline: Millis,
  ): Promise<readonly string[]>;
  /** @param complete whether every account was seen: without that nobody knows that a certificate belongs to none */
  findings(complete: boolean): Iterable<AuditFinding>;
}

/** Accounts of one certificate that are named. */
const maximumHolders = 10;
/** Certificates whose names are asked for at a time; the directory puts their questions together. */
const together = 32;

export function createCertificateHolders(
  { all }: Pick<CertificateIndex, 'all'>,
  { computerBySpn }: Pick<OpenPoints, 'computerBySpn'>,
): CertificateHolders {
  const holders = new Map<GivenCertificate, Map<string, Holding>>();
  const undecided = new Set<GivenCertificate>();
  const hold = (given: GivenCertificate, account: Account, method: string): void => {
    const known = holders.get(given) ?? new Map<string, Holding>();
    const holding = known.get(account.guid);
    if (holding !== undefined) holding.methods.add(method);
    else if (known.size < maximumHolders) known.set(account.guid, { name: account.name, methods: new Set([method]) });
    holders.set(given, known);
  };

  async function ask(
    given: GivenCertificate,
    forest: Pick<Forest, 'domains' | 'locate'>,
    deadline: Millis,
  ): Promise<string | null> {
    const names = given.claims.filter(
      ({ candidate: { method, used } }) => used && (method === 'UPN' || method === 'DNS'),
    );
    if (names.length === 0) return null;
    const domains = await forest.domains();
    if (domains.kind === 'unknown') return domains.reason;
    const dnsNames = given.leaf.extensions.subjectAltName?.dnsNames ?? [];
    const { lookups } = planLookups(names, { domains: domains.domains, dnsNames, computerBySpn });
    const located = await forest.locate(
      lookups.map(({ assertion }) => assertion),
      deadline,
    );
    if (located.kind === 'unknown') return located.reason;
    for (const account of located.accounts)
      for (const lookup of lookups)
        if (lookup.compare(account)?.believed === true) hold(given, account, lookup.candidate.method);
    return null;
  }

  return {
    note(matches, account) {
      for (const { given, candidate } of matches) if (candidate.used) hold(given, account, candidate.method);
    },
    async askForNames(forests, deadline) {
      const reasons = new Set<string>();
      for (const forest of forests)
        for (let start = 0; start < all.length; start += together)
          await Promise.all(
            all.slice(start, start + together).map(async (given) => {
              const reason = await ask(given, forest, deadline);
              if (reason === null) return;
              undecided.add(given);
              reasons.add(`${forest.name}: ${reason}`);
            }),
          );
      return [...reasons];
    },
    *findings(complete) {
      for (const given of all) {
        const known = [...(holders.get(given)?.values() ?? [])];
        const [first, ...more] = known;
        if (first === undefined) {
          if (complete && !undecided.has(given)) yield nobody(given);
        } else if (more.length > 0) yield several(given, [first, ...more]);
      }
    },
  };
}

interface Holding {
  readonly name: string;
  readonly methods: Set<string>;
}

function nobody(given: GivenCertificate): AuditFinding {
  const used = given.claims.map(({ candidate }) => candidate).filter((candidate) => candidate.used);
  const strong = used.find(({ strength, method }) => strength === 'strong' && method === 'X509IssuerSerialNumber');
  return auditFinding('certificateUnmapped', `none of the ${used.length} values of the certificate is on any account`, {
    certificate: given.file,
    value: strong?.value ?? null,
  });
}

function several(given: GivenCertificate, known: readonly Holding[]): AuditFinding {
  const claims = known.map(({ name, methods }) => `${name} by ${[...methods].join(', ')}`);
  return auditFinding('certificateAmbiguous', `the certificate belongs to ${claims.join(' and to ')}: it is refused`, {
    certificate: given.file,
    others: known.map(({ name }) => name),
  });
}
