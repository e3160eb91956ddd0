/**
 * The lab's certificates: made from the recipes of `certs/recipes`, kept as files, made again only when one is missing, changed or
 * about to end. Which accounts they belong to is decided in `lab/accounts.ts`.
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { digestOf } from '../base/bytes.ts';
import { Failure, codeOf } from '../base/failure.ts';
import type { Authority, CertificateRecipe, Issued } from './authority.ts';
import { createAuthority } from './authority.ts';

export interface Pki {
  /** Absolute folder of the files below. */
  readonly folder: string;
  readonly certificates: ReadonlyMap<string, PkiCertificate>;
  /** False when everything was taken from the folder as it was. */
  readonly made: boolean;
}

export interface PkiCertificate extends Issued {
  readonly name: string;
  readonly recipe: Recipe;
  /** PEM of the leaf, then the intermediates up to but without the root: what a peer sends. */
  readonly chain: string;
  readonly chainFile: string;
  readonly keyFile: string;
}

/** A file of `certs/recipes`. */
export interface Recipe {
  readonly about: string;
  /** Name of another recipe; null: self-signed. */
  readonly issuer: string | null;
  /** In encoded order, root first: at the same time what Active Directory writes between `<I>` or `<S>` and the next tag. */
  readonly subject: string;
  readonly ca?: { readonly pathLength?: number };
  readonly usage?: 'client' | 'server';
  readonly upn?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly sid?: string;
  /** First and last day, counted from the day on which it is made. */
  readonly validDays: readonly [number, number];
}

const day = 86_400_000;
const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';

export interface PkiOptions {
  readonly recipes: string;
  readonly folder: string;
  readonly now: Date;
  readonly progress?: (done: number, total: number, name: string) => void;
}

/** @throws Failure `lab-pki` when recipes cannot be read or files cannot be written */
export async function preparePki(options: PkiOptions): Promise<Pki> {
  const recipes = await readRecipes(options.recipes);
  const stamp = digestOf(...[...recipes].map(([name, recipe]) => `${name} ${JSON.stringify(recipe)}`));
  const kept = await readPki(options, recipes, stamp);
  return kept ?? makePki(options, recipes, stamp);
}

async function readRecipes(folder: string): Promise<ReadonlyMap<string, Recipe>> {
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

interface Stamp {
  readonly recipes: string;
  readonly madeOn: string;
}

/** @returns null when anything is missing, the recipes changed, or a certificate ends within a week that did not do so when made */
async function readPki(options: PkiOptions, recipes: ReadonlyMap<string, Recipe>, digest: string): Promise<Pki | null> {
  try {
    const stamp = JSON.parse(await readFile(join(options.folder, 'made.json'), 'utf8')) as Stamp;
    const age = (options.now.getTime() - Date.parse(stamp.madeOn)) / day;
    const shortest = Math.min(...[...recipes.values()].map(({ validDays }) => validDays[1]).filter((last) => last > 0));
    if (stamp.recipes !== digest || !(age >= 0 && age < shortest - 7)) return null;
    const certificates = new Map<string, PkiCertificate>();
    for (const [name, recipe] of recipes) certificates.set(name, await readCertificate(options.folder, name, recipe));
    return { folder: options.folder, certificates, made: false };
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
}

async function readCertificate(folder: string, name: string, recipe: Recipe): Promise<PkiCertificate> {
  const files = filesOf(folder, name);
  const chain = await readFile(files.chainFile, 'utf8');
  const [cert = ''] = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/) ?? [];
  const der = Buffer.from(cert.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  return { name, recipe, ...files, cert, chain, der, key: await readFile(files.keyFile, 'utf8') };
}

async function makePki(options: PkiOptions, recipes: ReadonlyMap<string, Recipe>, digest: string): Promise<Pki> {
  const made = new Map<string, Issued | Authority>();
  for (const name of recipes.keys()) {
    await makeCertificate(name, recipes, made, options);
    options.progress?.(made.size, recipes.size, name);
  }
  const certificates = new Map<string, PkiCertificate>();
  for (const [name, recipe] of recipes) {
    const issued = made.get(name);
    if (issued === undefined) continue;
    const { der, cert, key } = issued;
    const chain = chainOf(name, recipes, made);
    certificates.set(name, { name, recipe, ...filesOf(options.folder, name), der, cert, key, chain });
  }
  await writePki(options, certificates, { recipes: digest, madeOn: options.now.toISOString() });
  return { folder: options.folder, certificates, made: true };
}

async function makeCertificate(
  name: string,
  recipes: ReadonlyMap<string, Recipe>,
  made: Map<string, Issued | Authority>,
  options: PkiOptions,
): Promise<Issued | Authority> {
  const known = made.get(name);
  if (known !== undefined) return known;
  const recipe = recipes.get(name);
  if (recipe === undefined) {
    throw new Failure(`there is no certificate recipe ${name}`, {
      code: 'lab-pki',
      hint: 'correct the issuer in certs/recipes',
    });
  }
  const full = certificateRecipe(recipe, options.now);
  const issued = await issueFrom(recipe, full, recipes, made, options);
  made.set(name, issued);
  return issued;
}

async function issueFrom(
  recipe: Recipe,
  full: CertificateRecipe,
  recipes: ReadonlyMap<string, Recipe>,
  made: Map<string, Issued | Authority>,
  options: PkiOptions,
): Promise<Issued | Authority> {
  if (recipe.issuer === null) return createAuthority(full);
  const issuer = await makeCertificate(recipe.issuer, recipes, made, options);
  if (!('issue' in issuer)) {
    throw new Failure(`certificate recipe ${recipe.issuer} is no CA`, {
      code: 'lab-pki',
      hint: 'give it a "ca" in certs/recipes',
    });
  }
  return recipe.ca === undefined ? issuer.issue(full) : issuer.subordinate(full);
}

function certificateRecipe(recipe: Recipe, now: Date): CertificateRecipe {
  const midnight = Math.floor(now.getTime() / day) * day;
  const { subject, upn, dnsNames, ipAddresses, sid, ca, validDays } = recipe;
  return {
    subject,
    notBefore: new Date(midnight + validDays[0] * day),
    notAfter: new Date(midnight + validDays[1] * day),
    ...(ca === undefined ? { extendedKeyUsage: [recipe.usage === 'server' ? serverAuth : clientAuth] } : { ca }),
    ...(upn === undefined ? {} : { upn }),
    ...(dnsNames === undefined ? {} : { dnsNames }),
    ...(ipAddresses === undefined ? {} : { ipAddresses }),
    ...(sid === undefined ? {} : { sid }),
  };
}

/** Written to a folder beside and moved into place, so that an interrupted start leaves nothing half made. */
async function writePki(
  options: PkiOptions,
  certificates: ReadonlyMap<string, PkiCertificate>,
  stamp: Stamp,
): Promise<void> {
  const fresh = `${options.folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  for (const certificate of certificates.values()) {
    const files = filesOf(fresh, certificate.name);
    await writeFile(files.chainFile, certificate.chain);
    await writeFile(files.keyFile, certificate.key, { mode: 0o600 });
  }
  await writeFile(join(fresh, 'made.json'), `${JSON.stringify(stamp)}\n`);
  await rm(options.folder, { recursive: true, force: true });
  await rename(fresh, options.folder);
}

function chainOf(name: string, recipes: ReadonlyMap<string, Recipe>, made: ReadonlyMap<string, Issued>): string {
  const own = made.get(name)?.cert ?? '';
  const above = recipes.get(name)?.issuer ?? null;
  const rootNext = above === null || recipes.get(above)?.issuer === null;
  return rootNext ? own : own + chainOf(above, recipes, made);
}

function filesOf(folder: string, name: string): { readonly chainFile: string; readonly keyFile: string } {
  return { chainFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
}
