/**
 * Random chains with CRLs, judged by `openssl verify` and by us. Where the verdicts differ, one of the reasons in `openssl-differences.json`
 * must explain it; a difference that none explains fails with the seed of its case. DSMAPPER_SEED repeats a run, DSMAPPER_CHAINS
 * says how many cases there are.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Instant } from '../../src/base/brand.ts';
import { noSteps } from '../../src/base/steps.ts';
import type { Judgement } from '../../src/trust/judgement.ts';
import { createTrustStore } from '../../src/trust/trust-store.ts';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { oids } from '../../src/x509/oid.ts';
import { pemText } from '../../src/x509/pem.ts';
import { judgedAt } from '../support/chain-drafts.ts';
import { judgeWithCrls, strictRules } from '../support/crl-judge.ts';
import { run } from '../support/processes.ts';
import { randomCase, type RandomCase } from '../support/random-chains.ts';
import { peerTest } from '../support/real-peers.ts';

/** Always the same unless told: what OpenSSL does in a case that nobody has seen yet must not fail a change that has no part in it. */
const seed = Number(process.env['DSMAPPER_SEED'] ?? 1);
const cases = Number(process.env['DSMAPPER_CHAINS'] ?? 300);
// A case takes some ten milliseconds; the whole must be let run on a busy machine as well.
const patience = 60_000 + cases * 200;
t.setTimeout(patience);
t.comment(`DSMAPPER_SEED=${seed} DSMAPPER_CHAINS=${cases}`);

/** Processes at a time: most of a case is the start of one. */
const lanes = 2;

/** One way in which the two differ on purpose. */
interface Difference {
  readonly accepts: 'we' | 'openssl';
  /** Where we accept: numbers of OpenSSL's errors (X509_V_ERR) that are meant. */
  readonly openssl?: readonly number[];
  /** Only errors about the anchor are meant. */
  readonly atAnchor?: true;
  /** Where OpenSSL accepts: our verdict. */
  readonly we?: string;
  /** Names of alterations; one of them was made. */
  readonly traits: readonly string[];
  readonly reason: string;
}

const differences = JSON.parse(
  readFileSync(new URL('openssl-differences.json', import.meta.url), 'utf8'),
) as readonly Difference[];

await peerTest(
  `${cases} random chains are judged as by OpenSSL, or differ for a known reason`,
  ['openssl'],
  'openssl',
  async (t) => {
    t.setTimeout(patience);
    const tally = new Map<string, number>();
    const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1);
    const unexplained: string[] = [];
    let next = seed;
    const lane = async () => {
      const folder = mkdtempSync(join(tmpdir(), 'dsmapper-openssl-'));
      while (next < seed + cases) {
        const made = randomCase(next++);
        const theirs = await opensslErrors(made, folder);
        const ours = judgeOurselves(made);
        const explained = explain(made, theirs, ours);
        count(explained ?? 'unexplained');
        if (explained === null)
          unexplained.push(`seed ${made.seed} [${made.traits.join(', ')}]: ${told(theirs, ours)}`);
      }
      rmSync(folder, { recursive: true });
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    for (const [what, times] of [...tally].toSorted(([, a], [, b]) => b - a)) t.comment(`${times} ${what}`);
    t.strictSame(unexplained, [], 'every difference is explained');
    const both = (what: string) => (tally.get(what) ?? 0) > cases / 10;
    t.ok(both('both accept') && both('both refuse'), 'there is enough of both kinds');
  },
);

interface OpensslError {
  readonly code: number;
  readonly depth: number;
}

/** Empty: it accepts. */
async function opensslErrors(made: RandomCase, folder: string): Promise<readonly OpensslError[]> {
  const file = (name: string, label: string, ders: readonly Buffer[]) => {
    const path = join(folder, name);
    writeFileSync(path, ders.map((der) => pemText(der, label)).join(''));
    return path;
  };
  const { acceptable, explicit, inhibitMapping, inhibitAny } = made.policies;
  const seconds = Date.parse(judgedAt) / 1000;
  const intermediates = file('ca.pem', 'CERTIFICATE', made.intermediates);
  const lists = file('lists.pem', 'X509 CRL', made.lists);
  try {
    await run('openssl', [
      ...['verify', '-no-CApath', '-no-CAstore', '-purpose', 'sslclient', '-attime', `${seconds}`],
      ...['-crl_check_all', '-extended_crl', '-use_deltas', '-policy_check'],
      ...(made.seed % 2 === 0 ? ['-x509_strict'] : []),
      // OpenSSL takes no policy at all for none that is acceptable.
      ...(acceptable.length === 0 ? [oids.anyPolicy] : acceptable).flatMap((policy) => ['-policy', policy]),
      ...(explicit ? ['-explicit_policy'] : []),
      ...(inhibitMapping ? ['-inhibit_map'] : []),
      ...(inhibitAny ? ['-inhibit_any'] : []),
      ...['-CAfile', file('root.pem', 'CERTIFICATE', [made.anchor])],
      ...(made.intermediates.length === 0 ? [] : ['-untrusted', intermediates]),
      ...(made.lists.length === 0 ? [] : ['-CRLfile', lists]),
      file('leaf.pem', 'CERTIFICATE', [made.leaf]),
    ]);
    return [];
  } catch (error) {
    const found = [...String(error).matchAll(/error (\d+) at (\d+) depth lookup/g)];
    if (found.length === 0) throw error;
    return found.map(([, code, depth]) => ({ code: Number(code), depth: Number(depth) }));
  }
}

function judgeOurselves(made: RandomCase): Judgement | null {
  const [leaf] = [made.leaf].flatMap(certificateOf);
  if (leaf === undefined) return null;
  const { acceptable, explicit, inhibitMapping, inhibitAny } = made.policies;
  const input = {
    presented: [leaf, ...made.intermediates.flatMap(certificateOf)],
    store: createTrustStore([made.anchor].flatMap(certificateOf), []),
    settings: { usageCheck: true, minimumRsaBits: 2048, allowSha1: false, allowCaAsClient: true },
    at: Date.parse(judgedAt) as Instant,
    steps: noSteps,
    policies: {
      acceptable: new Set(acceptable.length === 0 ? [oids.anyPolicy] : acceptable),
      explicitPolicy: explicit,
      inhibitMapping,
      inhibitAnyPolicy: inhibitAny,
    },
  };
  return judgeWithCrls(input, made.lists, strictRules);
}

function certificateOf(der: Buffer): readonly Certificate[] {
  const parsed = parseCertificate(der);
  return parsed.kind === 'parsed' ? [parsed.certificate] : [];
}

/** Null: nothing explains it. Where we accept, each of their errors needs a reason of its own. */
function explain(made: RandomCase, theirs: readonly OpensslError[], ours: Judgement | null): string | null {
  const weAccept = ours?.kind === 'trusted';
  const theyAccept = theirs.length === 0;
  const anchor = weAccept ? ours.path.certificates.length - 1 : null;
  if (weAccept === theyAccept) return weAccept ? 'both accept' : 'both refuse';
  const possible = differences.filter(
    ({ accepts, traits }) =>
      (accepts === 'we') === weAccept && traits.some((trait) => made.traits.some((has) => has.split(' ')[0] === trait)),
  );
  const reasons = weAccept
    ? theirs.map(
        ({ code, depth }) =>
          possible.find(
            ({ openssl = [], atAnchor = false }) => openssl.includes(code) && (!atAnchor || depth === anchor),
          )?.reason,
      )
    : [possible.find(({ we }) => we !== undefined && we === (ours?.verdict.code ?? 'malformed'))?.reason];
  if (reasons.includes(undefined)) return null;
  return `${weAccept ? 'we' : 'OpenSSL'} alone: ${[...new Set(reasons)].join('; and ')}`;
}

function told(theirs: readonly OpensslError[], ours: Judgement | null): string {
  const errors = theirs.map(({ code, depth }) => `${code} at ${depth}`).join(', ');
  const mine = ours?.kind === 'refused' ? `${ours.verdict.code}: ${ours.verdict.detail}` : (ours?.kind ?? 'malformed');
  return `OpenSSL ${errors === '' ? 'accepts' : `refuses (${errors})`}; we: ${mine}`;
}
