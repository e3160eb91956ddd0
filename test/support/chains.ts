/**
 * Asks `judgeChain` about certificates that a test has just made, with defaults for all that the test does not care about.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { Instant } from '../../src/base/brand.ts';
import { noSteps, type Steps } from '../../src/base/steps.ts';
import { createAuthority, type Authority, type CertificateRecipe, type Issued } from '../../src/lab/authority.ts';
import { judgeChain, type JudgeInput } from '../../src/trust/judge.ts';
import type { Judgement, JudgeSettings } from '../../src/trust/judgement.ts';
import type { SearchBudget } from '../../src/trust/search-budget.ts';
import { createTrustStore } from '../../src/trust/trust-store.ts';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { bits, sequence, shapeCertificate, type CertificateParts } from './der-shapes.ts';

export interface Asked extends Partial<
  Pick<JudgeInput, 'store' | 'purpose' | 'policies' | 'maximumDepth' | 'excluded'>
> {
  readonly presented: readonly Made[];
  readonly roots?: readonly Made[];
  readonly intermediates?: readonly Made[];
  readonly settings?: Partial<JudgeSettings>;
  /** ISO text. */
  readonly at?: string;
  readonly steps?: Steps;
  readonly budget?: SearchBudget;
}

export type Made = Pick<Issued, 'der'>;

export const productionSettings: JudgeSettings = {
  usageCheck: true,
  minimumRsaBits: 2048,
  allowSha1: false,
  allowCaAsClient: false,
};

export function judge(asked: Asked): Judgement {
  const { presented, roots = [], intermediates = [], settings = {}, at = '2026-11-22T12:00:00Z', ...rest } = asked;
  return judgeChain({
    store: createTrustStore(roots.map(certificateOf), intermediates.map(certificateOf)),
    steps: noSteps,
    ...rest,
    presented: presented.map(certificateOf),
    settings: { ...productionSettings, ...settings },
    at: Date.parse(at) as Instant,
  });
}

export type Recipe = Partial<CertificateRecipe>;

export interface Questioner {
  readonly root: Authority;
  readonly issuing: Authority;
  /** What becomes of a leaf below `root` and a CA that has these limits; without any, below `issuing`. */
  readonly ask: (leaf: Recipe, ca?: Recipe, rest?: Omit<Asked, 'presented'>) => Promise<string>;
  /** What becomes of a leaf directly below a root of this kind. */
  readonly askRoot: (recipe: Recipe, leaf?: Recipe, rest?: Omit<Asked, 'presented'>) => Promise<string>;
}

export async function createQuestioner(): Promise<Questioner> {
  const key = 'ed25519';
  const root = await createAuthority({ subject: 'O=Lab,CN=Root', key });
  const issuing = await root.subordinate({ subject: 'O=Lab,CN=Issuing', key });
  return {
    root,
    issuing,
    async ask(leaf, ca, rest = {}) {
      const authority = ca === undefined ? issuing : await root.subordinate({ subject: 'O=Lab,CN=CA', key, ...ca });
      const issued = await authority.issue({ subject: 'O=Lab,CN=alice', key, ...leaf });
      return outcome(judge({ presented: [issued, authority], roots: [root], ...rest }));
    },
    async askRoot(recipe, leaf = {}, rest = {}) {
      const anchor = await createAuthority({ subject: 'CN=Special Root', key, ...recipe });
      const issued = await anchor.issue({ subject: 'CN=alice', key, ...leaf });
      return outcome(judge({ presented: [issued], roots: [anchor], ...rest }));
    },
  };
}

/** `accepted`, or `code: detail`, for one assertion that shows everything when it fails. */
export function outcome(judgement: Judgement): string {
  return judgement.kind === 'trusted' ? 'accepted' : `${judgement.verdict.code}: ${judgement.verdict.detail}`;
}

export function certificateOf({ der }: Made): Certificate {
  const parsed = parseCertificate(der);
  if (parsed.kind === 'malformed') throw new Error(`${parsed.reason} at ${parsed.offset}`);
  return parsed.certificate;
}

/** A certificate built by hand and signed for good with an Ed25519 key. */
export function shapeSigned(parts: Partial<CertificateParts>, signer: Pick<Issued, 'key'>): Made {
  const { tbs } = certificateOf({ der: shapeCertificate(parts) });
  return { der: shapeCertificate({ ...parts, signature: bits(0, sign(null, tbs, createPrivateKey(signer.key))) }) };
}

/** SubjectPublicKeyInfo of the key that belongs to a certificate. */
export function publicKeyOf({ key }: Pick<Issued, 'key'>): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

/** The same certificate with one bit of its signature changed. */
export function withBrokenSignature({ der }: Made): Made {
  const { tbs, signature } = certificateOf({ der });
  const broken = Buffer.from(signature);
  // Ed25519 keeps S in the second half; any bit of R makes a wrong signature and none a malformed one.
  broken[8] = (broken[8] ?? 0) ^ 1;
  const algorithm = der.subarray(der.indexOf(tbs) + tbs.length, der.length - signature.length - 3);
  return { der: sequence(tbs, algorithm, bits(0, broken)) };
}
