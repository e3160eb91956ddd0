/**
 * The lab's certificates: made from the recipes of `certs/recipes`, kept as files, made again only when one is missing, changed or
 * about to end, and then all together: certificates of two makings never lie side by side. Which accounts they belong to is decided in
 * `lab/accounts.ts`.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../base/bytes.ts';
import { Failure, codeOf } from '../base/failure.ts';
import type { Authority, CertificateRecipe, Issued } from './authority.ts';
import { createAuthority } from './authority.ts';
import type { Recipe, Recipes } from './recipes.ts';
import { certificateRecipe, day, readRecipes } from './recipes.ts';
import { usualRevocationUrl } from './revocation-addresses.ts';

export interface Pki {
  /** Absolute folder of the files below. */
  readonly folder: string;
  readonly certificates: ReadonlyMap<string, PkiCertificate>;
  /** False when everything was taken from the folder as it was. */
  readonly made: boolean;
  /** Why those that were there before have been replaced; null: they have not, or there were none. */
  readonly replaced: string | null;
  /** URL of the revocation server that the certificates name. */
  readonly revocation: string;
}

export interface PkiCertificate extends Issued {
  readonly name: string;
  readonly recipe: Recipe;
  /** PEM of the leaf, then the intermediates up to but without the root: what a peer sends. */
  readonly chain: string;
  readonly chainFile: string;
  readonly keyFile: string;
}

export interface PkiOptions {
  readonly recipes: string;
  readonly folder: string;
  readonly now: Date;
  /** URL of the revocation server, written into certificates that are made; those that are kept stay as they are. */
  readonly revocation?: string;
  readonly progress?: (done: number, total: number, name: string) => void;
}

/** @throws Failure `lab-pki` when recipes cannot be read or files cannot be written */
export async function preparePki(options: PkiOptions): Promise<Pki> {
  const recipes = await readRecipes(options.recipes);
  const kept = await readPki(options, recipes);
  return 'certificates' in kept ? kept : makePki(options, recipes, kept.why);
}

/** What an earlier making left behind, beside the certificates. */
interface Stamp {
  readonly version: number;
  readonly recipes: string;
  readonly madeOn: string;
  readonly revocation: string;
}

/** Of the folder's contents. 1, which did not say so: certificates without addresses of a revocation server. */
const version = 2;

/** @returns why it cannot be used (null: there is nothing), or what is there. A certificate that had ended when made ends nothing. */
async function readPki(options: PkiOptions, recipes: Recipes): Promise<Pki | { readonly why: string | null }> {
  try {
    const { folder } = options;
    const stamp = JSON.parse(await readFile(join(folder, 'made.json'), 'utf8')) as Stamp;
    if (stamp.version !== version) return { why: 'another version of dsmapper has made them' };
    if (stamp.recipes !== stampOf(recipes)) return { why: 'their recipes have changed' };
    const age = (options.now.getTime() - Date.parse(stamp.madeOn)) / day;
    const shortest = Math.min(...[...recipes.values()].map(({ validDays }) => validDays[1]).filter((last) => last > 0));
    if (!(age >= 0 && age < shortest - 7)) return { why: 'one of them is about to end' };
    const certificates = new Map<string, PkiCertificate>();
    for (const [name, recipe] of recipes) certificates.set(name, await readCertificate(folder, name, recipe));
    return { folder, certificates, made: false, replaced: null, revocation: stamp.revocation };
  } catch (error) {
    if (error instanceof SyntaxError) return { why: 'made.json beside them is broken' };
    if (codeOf(error) !== 'ENOENT') throw error;
    return { why: await whyIncomplete(options.folder) };
  }
}

/** Null where nothing is. @throws Failure for a folder that holds something else, which must not be replaced */
async function whyIncomplete(folder: string): Promise<string | null> {
  const names = existsSync(folder) ? await readdir(folder) : [];
  if (names.length === 0) return null;
  if (names.includes('made.json')) return 'some of them are missing';
  throw new Failure(`${folder} holds something else than certificates of the lab`, {
    code: 'lab-pki',
    hint: 'choose another folder, or empty this one',
  });
}

function stampOf(recipes: Recipes): string {
  return digestOf(...[...recipes].map(([name, recipe]) => `${name} ${JSON.stringify(recipe)}`));
}

async function readCertificate(folder: string, name: string, recipe: Recipe): Promise<PkiCertificate> {
  const files = filesOf(folder, name);
  const chain = await readFile(files.chainFile, 'utf8');
  const [cert = ''] = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/) ?? [];
  const der = Buffer.from(cert.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  return { name, recipe, ...files, cert, chain, der, key: await readFile(files.keyFile, 'utf8') };
}

async function makePki(given: PkiOptions, recipes: Recipes, replaced: string | null): Promise<Pki> {
  const options = { ...given, revocation: given.revocation ?? usualRevocationUrl };
  const { folder, revocation } = options;
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
    certificates.set(name, { name, recipe, ...filesOf(folder, name), der, cert, key, chain });
  }
  const madeOn = options.now.toISOString();
  await writePki(options, certificates, { version, recipes: stampOf(recipes), madeOn, revocation });
  return { folder, certificates, made: true, replaced, revocation };
}

type Making = PkiOptions & { readonly revocation: string };

async function makeCertificate(
  name: string,
  recipes: Recipes,
  made: Map<string, Issued | Authority>,
  options: Making,
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
  const issuer = recipe.issuer === null ? null : (recipes.get(recipe.issuer) ?? null);
  const full = certificateRecipe(recipe, issuer, options);
  const issued = await issueFrom(recipe, full, recipes, made, options);
  made.set(name, issued);
  return issued;
}

async function issueFrom(
  recipe: Recipe,
  full: CertificateRecipe,
  recipes: Recipes,
  made: Map<string, Issued | Authority>,
  options: Making,
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
  const old = `${options.folder}.old`;
  await rm(old, { recursive: true, force: true });
  if (existsSync(options.folder)) await rename(options.folder, old);
  await rename(fresh, options.folder);
  await rm(old, { recursive: true, force: true });
}

function chainOf(name: string, recipes: Recipes, made: ReadonlyMap<string, Issued>): string {
  const own = made.get(name)?.cert ?? '';
  const above = recipes.get(name)?.issuer ?? null;
  const rootNext = above === null || recipes.get(above)?.issuer === null;
  return rootNext ? own : own + chainOf(above, recipes, made);
}

function filesOf(folder: string, name: string): { readonly chainFile: string; readonly keyFile: string } {
  return { chainFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
}
