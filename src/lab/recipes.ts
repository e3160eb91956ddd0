/**
 * The recipes of the lab's certificates: what a file of `certs/recipes` may say, and what certificate it stands for.
 */
import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { extensionOids, usageOids } from '../x509/oid.ts';
import type { CertificateRecipe } from './authority.ts';
import { addressesOf } from './revocation-addresses.ts';
import type { RevocationReason } from './revocation-state.ts';

export interface Recipe {
  readonly about: string;
  /** Name of another recipe; null: self-signed. */
  readonly issuer: string | null;
  /** In encoded order, root first: at the same time what Active Directory writes between `<I>` or `<S>` and the next tag. */
  readonly subject: string;
  readonly ca?: { readonly pathLength?: number };
  /** Of a CA: the name under which its lists and its certificate are published. Without it, what it issues names no source. */
  readonly publishedAs?: string;
  /** `smartcard`: a client that may also log on to Windows; `ocsp`: signs OCSP answers for its issuer. */
  readonly usage?: 'client' | 'smartcard' | 'server' | 'ocsp';
  readonly upn?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly sid?: string;
  /** Revoked from the start, for this reason. */
  readonly revoked?: RevocationReason;
  /** First and last day, counted from the day on which it is made. */
  readonly validDays: readonly [number, number];
}

export type Recipes = ReadonlyMap<string, Recipe>;

export const day = 86_400_000;

const purposes = {
  client: [usageOids.clientAuth],
  smartcard: [usageOids.clientAuth, usageOids.smartCardLogon],
  server: [usageOids.serverAuth],
  ocsp: [usageOids.ocspSigning],
} as const;

/** @throws Failure `lab-pki` */
export async function readRecipes(folder: string): Promise<Recipes> {
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
    const entries = names.map(async (name) => {
      const recipe = JSON.parse(await readFile(join(folder, name), 'utf8')) as Recipe;
      return [basename(name, '.json'), recipe] as const;
    });
    return new Map(await Promise.all(entries));
  } catch (cause) {
    const hint = 'the recipes come with the package; restore certs/recipes';
    throw new Failure(`cannot read the certificate recipes in ${folder}`, { code: 'lab-pki', hint, cause });
  }
}

/** @param revocation URL of the revocation server that the certificate is to name */
export function certificateRecipe(
  recipe: Recipe,
  issuer: Recipe | null,
  made: { readonly now: Date; readonly revocation: string },
): CertificateRecipe {
  const midnight = Math.floor(made.now.getTime() / day) * day;
  const { subject, upn, dnsNames, ipAddresses, sid, ca, validDays } = recipe;
  return {
    subject,
    notBefore: new Date(midnight + validDays[0] * day),
    notAfter: new Date(midnight + validDays[1] * day),
    ...(ca === undefined ? { extendedKeyUsage: purposes[recipe.usage ?? 'client'] } : { ca }),
    ...(upn === undefined ? {} : { upn }),
    ...(dnsNames === undefined ? {} : { dnsNames }),
    ...(ipAddresses === undefined ? {} : { ipAddresses }),
    ...(sid === undefined ? {} : { sid }),
    ...sourcesOf(recipe, issuer?.publishedAs, made.revocation),
  };
}

function sourcesOf(recipe: Recipe, publishedAs: string | undefined, url: string): Partial<CertificateRecipe> {
  // RFC 6960 section 4.2.2.2.1: who signs answers about everybody is not asked about for as long as its certificate is valid.
  if (recipe.usage === 'ocsp')
    return { extensions: [{ oid: extensionOids.ocspNoCheck, critical: false, value: derNull }] };
  if (publishedAs === undefined) return {};
  const { crl, ocsp, certificate } = addressesOf(url, publishedAs);
  return { crlDistributionPoints: [crl], authorityInfoAccess: { ocsp, caIssuers: certificate } };
}

const derNull = Buffer.of(0x05, 0x00);
