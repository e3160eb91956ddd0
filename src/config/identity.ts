/**
 * From `identity` to what the forward room takes, and whether every dialect has what it needs.
 */
import { groupDialects } from '../forward/dialects.ts';
import { isFieldValue } from '../forward/field-syntax.ts';
import type { DialectName } from '../forward/forward-contract.ts';
import type { IdentitySettings, XfccSettings } from '../forward/identity-settings.ts';
import { readAssertion } from './assertion.ts';
import type { Parts } from './parts.ts';
import { pathText, type Reading } from './reading.ts';
import { readSecret } from './references.ts';
import type { Language } from './schema.ts';
import type { SiteDraft } from './sites.ts';
import type { Path } from './source.ts';
import { headerNames } from './values.ts';

type Written = Language['identity'];

/** @param drafts the locations with what they inherit */
export async function readIdentity(
  { identity: written, sites, broken }: Pick<Parts, 'identity' | 'sites' | 'broken'>,
  drafts: readonly SiteDraft[],
  reading: Reading,
): Promise<IdentitySettings> {
  if (!broken.has('identity')) {
    checkDialects(written.dialects, ['identity'], written, reading);
    for (const [index, site] of sites.entries())
      for (const [location, { identity }] of Object.entries(site?.locations ?? {}))
        checkDialects(identity?.dialects ?? [], ['sites', index, 'locations', location, 'identity'], written, reading);
    checkGroups(drafts, reading);
  }
  return {
    headers: headerNames(written.headers, reading),
    xfcc: readXfcc(written.xfcc, reading),
    ancmToken: await readToken(written.ancm, reading),
    maximumBytes: written.maximumBytes,
    groupLimits: written.groupLimits,
    assertion: readAssertion(written.assertion, reading),
  };
}

/** Dialects that cannot write anything without settings of their own. */
function checkDialects(dialects: readonly DialectName[], path: Path, written: Written, reading: Reading): void {
  const complain = (dialect: DialectName, missing: string, hint: string) => {
    const index = dialects.indexOf(dialect);
    if (index >= 0) reading.mistake([...path, 'dialects', index], `${dialect} needs ${missing}`, { hint });
  };
  if (written.ancm === undefined)
    complain(
      'ancm',
      '`identity.ancm.token`: the application refuses every request without it',
      'write `identity: { ancm: { token: env:ASPNETCORE_TOKEN } }`',
    );
  if (written.assertion === undefined)
    complain(
      'assertion',
      '`identity.assertion`, which says how it is signed',
      'write `identity: { assertion: {} }` for the defaults',
    );
}

/** Groups that are asked for and that nobody writes. */
function checkGroups(drafts: readonly SiteDraft[], reading: Reading): void {
  const places = new Map<string, Path>();
  for (const { settings, path } of drafts.flatMap(({ locations }) => locations)) {
    if (settings.groups === 'none' || settings.dialects.some((dialect) => groupDialects.has(dialect))) continue;
    const own = [
      [...path, 'identity', 'groups'],
      [...path, 'identity', 'dialects'],
      ['identity', 'groups'],
    ];
    const place = own.find((one) => reading.source.has(one));
    if (place !== undefined) places.set(pathText(place), place);
  }
  for (const place of places.values())
    reading.warn(place, `no dialect here tells groups; those that do are ${[...groupDialects].join(', ')}`);
}

function readXfcc({ keys, by, mode, from }: Written['xfcc'], reading: Reading): XfccSettings {
  const path = ['identity', 'xfcc'];
  if (mode === 'append' && from === undefined)
    reading.mistake([...path, 'mode'], 'append believes what proxies send, and none is named', {
      hint: 'write their addresses: `from: [192.0.2.7]`',
    });
  if (mode !== 'append' && from !== undefined)
    reading.warn([...path, 'from'], 'is not asked: nothing that was sent stays unless `mode: append` is written');
  return { keys: [...new Set(keys)], by: by ?? null, appendFrom: mode === 'append' ? (from ?? []) : null };
}

/** Longer than any token that the module makes. */
const longestToken = 256;

async function readToken(ancm: Written['ancm'], reading: Reading): Promise<string | null> {
  if (ancm === undefined) return null;
  const path = ['identity', 'ancm', 'token'];
  const token = await readSecret(ancm.token, path, reading);
  if (token === null || (isFieldValue(token) && /^[\u0021-\u007e]+$/.test(token) && token.length <= longestToken))
    return token;
  reading.mistake(path, `the token is not visible ASCII of at most ${longestToken} characters`, {
    hint: 'use the same text as ASPNETCORE_TOKEN of the application, for example a GUID',
    on: 'key',
  });
  return null;
}
