/**
 * The parts of a configuration, each read by itself against the schema. A broken part is replaced by its defaults, so that
 * the others are still looked at; the complaint keeps the whole from being used.
 */
import type { Reading } from './reading.ts';
import { binding, language, site, type Language } from './schema.ts';
import { readElements, readSection, unknownKey } from './section.ts';

type Elements<T> = { readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? readonly (E | null)[] : T[K] };
export type Parts = Omit<Language, 'bindings' | 'sites'> &
  Elements<Pick<Language, 'bindings' | 'sites'>> & {
    /** Parts that are not as they were meant: what is missing because of that is not complained of as well. */
    readonly broken: ReadonlySet<string>;
  };

/** Null where the file holds no settings at all. */
export function readParts(reading: Reading): Parts | null {
  const { value } = reading.source;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    reading.mistake([], 'the file holds no settings', {
      hint: 'a configuration is `key: value` lines; `dsmapper init` writes a first one',
    });
    return null;
  }
  const broken = new Set<string>();
  const known = Object.keys(language);
  for (const key of Object.keys(value)) {
    const meant = known.includes(key) ? null : unknownKey(key, known, [], reading);
    if (meant !== null) broken.add(meant);
  }
  const part = <K extends Exclude<keyof Language, 'bindings' | 'sites'>>(key: K): Language[K] => {
    const read = readSection(language[key], [key], reading) as Language[K] | null;
    if (read !== null) return read;
    broken.add(key);
    return language[key].parse(undefined) as Language[K];
  };
  const bindings = readElements(binding, language.bindings, ['bindings'], reading);
  const sites = readElements(site, language.sites, ['sites'], reading);
  if (bindings.length === 0 || bindings.includes(null)) broken.add('bindings');
  if (sites.length === 0 || sites.includes(null)) broken.add('sites');
  return {
    broken,
    bindings,
    sites,
    labOnly: part('labOnly'),
    verdictHeader: part('verdictHeader'),
    clientCertificateMapping: part('clientCertificateMapping'),
    workers: part('workers'),
    trust: part('trust'),
    revocation: part('revocation'),
    directory: part('directory'),
    mapping: part('mapping'),
    upstreams: part('upstreams'),
    identity: part('identity'),
    authEndpoints: part('authEndpoints'),
    log: part('log'),
    admin: part('admin'),
    limits: part('limits'),
  };
}
