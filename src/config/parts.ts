/**
 * The parts of a configuration, each read by itself against the schema. A broken part is replaced by its defaults, so that
 * the others are still looked at; the complaint keeps the whole from being used.
 */
import type { Reading } from './reading.ts';
import { binding, language, site, type Language } from './schema.ts';
import { readElements, readSection, unknownKey } from './section.ts';

type Elements<T> = { readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? readonly (E | null)[] : T[K] };
/** `unread`: endpoints of bindings that are null here, as far as they are text. */
export type Parts = Omit<Language, 'bindings' | 'sites'> &
  Elements<Pick<Language, 'bindings' | 'sites'>> & { readonly unread: readonly string[] };

/** Null where the file holds no settings at all. */
export function readParts(reading: Reading): Parts | null {
  const { value } = reading.source;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    reading.mistake([], 'the file holds no settings', {
      hint: 'a configuration is `key: value` lines; `dsmapper init` writes a first one',
    });
    return null;
  }
  const known = Object.keys(language);
  for (const key of Object.keys(value)) if (!known.includes(key)) unknownKey(key, known, [], reading);
  const part = <K extends Exclude<keyof Language, 'bindings' | 'sites'>>(key: K): Language[K] =>
    (readSection(language[key], [key], reading) ?? language[key].parse(undefined)) as Language[K];
  const bindings = readElements(binding, language.bindings, ['bindings'], reading);
  return {
    bindings,
    sites: readElements(site, language.sites, ['sites'], reading),
    unread: bindings.flatMap((read, index) => (read === null ? [endpointAt(index, reading)] : [])),
    labOnly: part('labOnly'),
    verdictHeader: part('verdictHeader'),
    clientCertificateMapping: part('clientCertificateMapping'),
    workers: part('workers'),
    trust: part('trust'),
    revocation: part('revocation'),
    directory: part('directory'),
    mapping: part('mapping'),
    identity: part('identity'),
    log: part('log'),
    admin: part('admin'),
    limits: part('limits'),
  };
}

function endpointAt(index: number, { source }: Reading): string {
  const written = source.at(['bindings', index, 'endpoint']);
  return typeof written === 'string' ? written : '';
}
