/**
 * Judges a chain together with CRLs at hand, as the gateway does with what it holds: every certificate of the accepted path below the anchor
 * must be good by a list, and where a CA is not, another path is looked for. Nothing is fetched, and unknown is refused.
 */
import type { Digest, Instant, Millis } from '../../src/base/brand.ts';
import { verdict } from '../../src/base/verdict.ts';
import { crlStatus } from '../../src/revocation/crl-status.ts';
import type { CrlQuestion } from '../../src/revocation/crl-question.ts';
import { signersFor } from '../../src/revocation/crl-signers.ts';
import type { AnswerRules, CrlAnswer, CrlStore, StoredCrl } from '../../src/revocation/revocation-contract.ts';
import { judgeChain, type JudgeInput } from '../../src/trust/judge.ts';
import type { Judgement, TrustedPath } from '../../src/trust/judgement.ts';
import type { Crl } from '../../src/x509/crl-contract.ts';
import { parseCrl } from '../../src/x509/crl.ts';
import { nameKey } from '../../src/x509/name-comparison.ts';
import { verifySignature } from '../../src/x509/signature.ts';

export const strictRules: AnswerRules = {
  clockSkew: 0 as Millis,
  maximumAge: null,
  allowSha1: false,
  minimumRsaBits: 2048,
  nonce: 'never',
};

/** What was presented, the trust and the rules: everything of a question but the certificate. */
export type Scene = Pick<CrlQuestion, 'presented' | 'store' | 'rules' | 'at' | 'staleFor'>;

/** @param lists DER; what does not parse or has no good signature is as if it were not there */
export function judgeWithCrls(input: JudgeInput, lists: readonly Buffer[], rules: AnswerRules): Judgement {
  const crls = lists.flatMap(crlOf);
  const scene: Scene = { presented: input.presented, store: input.store, rules, at: input.at, staleFor: 0 as Millis };
  const excluded = new Set<Digest>();
  let first: Judgement | null = null;
  for (;;) {
    const judgement = judgeChain({ ...input, excluded });
    if (judgement.kind === 'refused') return first ?? judgement;
    const blamed = findBlamed(judgement.path, crls, scene);
    if (blamed === null) return judgement;
    const { depth, answer } = blamed;
    const code = answer.status === 'revoked' ? 'certificateRevoked' : 'revocationUnknown';
    const why = answer.status === 'unknown' ? answer.why : `listed by ${answer.by.source}`;
    first ??= { kind: 'refused', verdict: verdict(code, `certificate ${depth}: ${why}`), deadEnds: [] };
    const certificate = judgement.path.certificates[depth];
    if (depth === 0 || certificate === undefined) return first;
    excluded.add(certificate.digest);
  }
}

/** The certificate nearest to the anchor that is not good. */
function findBlamed(
  path: TrustedPath,
  crls: readonly Crl[],
  scene: Scene,
): { readonly depth: number; readonly answer: Exclude<CrlAnswer, { status: 'good' }> } | null {
  const lists = listsFor(path, crls, scene);
  for (let depth = path.certificates.length - 2; depth >= 0; depth -= 1) {
    const answer = statusAt(depth, path, lists, scene);
    if (answer.status !== 'good') return { depth, answer };
  }
  return null;
}

export function statusAt(depth: number, path: TrustedPath, lists: Pick<CrlStore, 'issuedBy'>, scene: Scene): CrlAnswer {
  const [certificate, issuer] = path.certificates.slice(depth, depth + 2);
  if (certificate === undefined || issuer === undefined) throw new Error(`no certificate at ${depth} has an issuer`);
  return crlStatus({ ...scene, certificate, issuer, path, lists });
}

/** Takes up every list that somebody signed who may be asked for this path, as a store would. */
export function listsFor(path: TrustedPath, crls: readonly Crl[], scene: Scene): Pick<CrlStore, 'issuedBy'> {
  const stored = crls.flatMap((crl, index): StoredCrl[] => {
    const { allowSha1 } = scene.rules;
    const signer = signersFor(crl, { ...scene, path }).find(
      (key) => verifySignature(crl.signatureAlgorithm, crl.tbs, crl.signature, key, { allowSha1 }) === 'good',
    );
    if (signer === undefined) return [];
    return [{ crl, source: `list ${index}`, fetchedAt: 0 as Instant, signerKey: signer.digest }];
  });
  return listsOf(stored);
}

export function listsOf(stored: readonly StoredCrl[]): Pick<CrlStore, 'issuedBy'> {
  const byName = Map.groupBy(stored, ({ crl }) => nameKey(crl.issuer));
  return { issuedBy: (name) => byName.get(name) ?? [] };
}

/** One list, or nothing. */
export function crlOf(der: Buffer): readonly Crl[] {
  const parsed = parseCrl(der);
  return parsed.kind === 'parsed' ? [parsed.crl] : [];
}
