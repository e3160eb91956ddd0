/**
 * Settings that are good for reproducing and for measuring, and a hole in production. Each is refused unless the file says
 * `labOnly: true` at its top, and then reported at every start.
 */
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import type { Path } from './source.ts';

export type Weakenable = Pick<Language, 'labOnly' | 'verdictHeader' | 'mapping' | 'trust'>;

export function checkWeaknesses(written: Weakenable, reading: Reading): void {
  const found = weaknesses.filter(({ holds }) => holds(written));
  if (written.labOnly) {
    const list = found.length === 0 ? 'nothing here needs it' : found.map(({ effect }) => effect).join('; ');
    reading.warn(['labOnly'], `not for production: ${list}`);
    return;
  }
  for (const { path, effect } of found)
    reading.mistake(path, `weakens and needs \`labOnly: true\`: ${effect}`, {
      hint: 'write `labOnly: true` at the top of the file if this is a lab; leave the key out if it is not',
    });
}

const weaknesses: readonly {
  readonly path: Path;
  readonly effect: string;
  readonly holds: (written: Weakenable) => boolean;
}[] = [
  {
    path: ['verdictHeader'],
    effect: 'strangers see why they were refused',
    holds: ({ verdictHeader }) => verdictHeader,
  },
  {
    path: ['mapping', 'outcomes'],
    effect: 'a silent directory looks like a certificate without an account, and anonymous stands in for it',
    holds: ({ mapping }) => mapping.outcomes === 'iis',
  },
  {
    path: ['mapping', 'strongCertificateBindingEnforcement'],
    effect: 'names that others can choose are enough to be somebody (KB5014754)',
    holds: ({ mapping }) => mapping.strongCertificateBindingEnforcement < 2,
  },
  {
    path: ['trust', 'ntAuth'],
    effect: 'any trusted CA can name any account',
    holds: ({ trust }) => trust.ntAuth === 'off',
  },
  {
    path: ['trust', 'minimumRsaBits'],
    effect: 'RSA keys below 2048 bits can be broken',
    holds: ({ trust }) => trust.minimumRsaBits < 2048,
  },
  {
    path: ['trust', 'allowSha1'],
    effect: 'certificates with SHA-1 signatures can be forged',
    holds: ({ trust }) => trust.allowSha1,
  },
  {
    path: ['trust', 'allowCaAsClient'],
    effect: 'the key of a CA logs on as well as issues',
    holds: ({ trust }) => trust.allowCaAsClient,
  },
];
