/**
 * Runs a corpus of foreign cases against an exceptions file. A case that disagrees must be listed there with a reason, and one
 * that is listed must disagree, in the direction that is listed: both kinds of surprise fail the test.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { readPem } from '../../src/x509/pem.ts';

export interface CorpusCase {
  readonly id: string;
  readonly shouldAccept: boolean;
  /** Null when the leaf or the anchor could not be read. */
  readonly judge: () => Judged | null;
}

/** A `Judgement`, or anything else that accepts or says why not. */
export type Judged =
  | { readonly kind: 'trusted' }
  | { readonly kind: 'refused'; readonly verdict: { readonly code: string; readonly detail: string } };

/** A subtest that gets the folder of one corpus, or is skipped with one line that says why. */
export function testWithCorpus(t: Test, name: string, title: string, body: (t: Test, path: string) => void): void {
  const root = process.env['DSMAPPER_VECTORS'] ?? '';
  const path = join(root, name);
  const missing =
    root === ''
      ? `${name}: DSMAPPER_VECTORS names no folder of test vectors`
      : existsSync(path)
        ? false
        : `${name}: there is no ${path}`;
  void t.test(title, { skip: missing }, (t) => {
    body(t, path);
    t.end();
  });
}

export function runCorpus(t: Test, name: string, cases: readonly CorpusCase[], exceptionsFile: string): void {
  const exceptions = readExceptions(new URL(exceptionsFile, import.meta.url));
  const counts = { agree: 0, wronglyAccepted: 0, wronglyRefused: 0 };
  const surprises: string[] = [];
  const unseen = new Set(exceptions.keys());
  for (const { id, shouldAccept, judge } of cases) {
    unseen.delete(id);
    const judgement = judge();
    const outcome = outcomeOf(shouldAccept, judgement);
    counts[outcome] += 1;
    const listed = exceptions.get(id)?.outcome ?? 'agree';
    if (outcome !== listed) surprises.push(`${id}: ${outcome}, listed as ${listed}${explained(judgement)}`);
  }
  const { agree, wronglyAccepted, wronglyRefused } = counts;
  t.comment(
    `${name}: ${agree} of ${cases.length} agree, ${wronglyAccepted} wrongly accepted, ${wronglyRefused} wrongly refused`,
  );
  t.strictSame(surprises, [], `${name}: nothing disagrees but the exceptions, and every exception still disagrees`);
  t.strictSame([...unseen], [], `${name}: every exception names a case`);
}

/** Certificates of PEM texts that parse; a case with others is about refusing them. */
export function certificatesOf(pems: readonly string[]): readonly Certificate[] {
  return pems.flatMap((pem) => {
    const read = readPem(pem);
    return read.kind === 'read' ? read.blocks.flatMap(({ der }) => certificateOf(der)) : [];
  });
}

/** One certificate, or nothing. */
export function certificateOf(der: Buffer): readonly Certificate[] {
  const parsed = parseCertificate(der);
  return parsed.kind === 'parsed' ? [parsed.certificate] : [];
}

type Outcome = 'agree' | 'wronglyAccepted' | 'wronglyRefused';

interface Exception {
  readonly outcome: Outcome;
  readonly reason: string;
}

/** `{ outcome: { reason: [id, ...] } }`; an id stands there once. */
function readExceptions(file: URL): ReadonlyMap<string, Exception> {
  type File = Record<Exclude<Outcome, 'agree'>, Record<string, readonly string[]>>;
  const content = JSON.parse(readFileSync(file, 'utf8')) as File;
  const exceptions = new Map<string, Exception>();
  for (const outcome of ['wronglyAccepted', 'wronglyRefused'] as const)
    for (const [reason, ids] of Object.entries(content[outcome]))
      for (const id of ids) {
        if (exceptions.has(id)) throw new Error(`${id} is listed twice`);
        exceptions.set(id, { outcome, reason });
      }
  return exceptions;
}

function outcomeOf(shouldAccept: boolean, judgement: Judged | null): Outcome {
  const accepted = judgement?.kind === 'trusted';
  if (accepted === shouldAccept) return 'agree';
  return accepted ? 'wronglyAccepted' : 'wronglyRefused';
}

function explained(judgement: Judged | null): string {
  if (judgement === null) return ' (did not parse)';
  return judgement.kind === 'refused' ? ` (${judgement.verdict.code}: ${judgement.verdict.detail})` : '';
}
