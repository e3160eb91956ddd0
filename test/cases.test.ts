/**
 * Cases kept as data: a folder each, see `test/cases/`. `DSMAPPER_CASES=stored-` runs those whose name has that text.
 */
import t, { type Test } from 'tap';
import type { Instant } from '../src/base/brand.ts';
import { noSteps } from '../src/base/steps.ts';
import { equalTo, filterText } from '../src/directory/filter.ts';
import { candidatesOf } from '../src/mapping/candidates.ts';
import { createMapper } from '../src/mapping/mapper.ts';
import type { MappingMethod, MappingResult, MappingSubject } from '../src/mapping/mapper-contract.ts';
import { pemOf, writeCertificate } from './support/certificate-writer.ts';
import { createFakeDirectory, fakeAccount, joinForests, labDomain } from './support/fake-directory.ts';
import {
  parsed,
  readMappingCases,
  settingsOf,
  subjectFor,
  type CandidatesUnder,
  type ChosenSettings,
  type ForestRun,
  type MappingCase,
  type MappingRun,
} from './support/mapping-cases.ts';

const filter = process.env['DSMAPPER_CASES'] ?? '';
const cases = readMappingCases(filter);
/** D-06, D-14 and D-18 have nothing to switch: docs/mapping.md says why. */
const switchablePoints = [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 19, 20];
const now = Date.parse('2026-11-22T12:00:00Z') as Instant;

for (const one of cases) {
  await t.test(`mapping: ${one.name}: ${one.claim}`, async (t) => {
    const der = writeCertificate(one.certificate);
    t.equal(one.pem, pemOf(der), 'certificate.pem is the certificate of the description');
    const subject = subjectFor(parsed(der), one.certificate.issuer, one.above);
    checkCandidates(t, one, subject);
    for (const run of one.runs ?? []) await t.test(run.title, (t) => checkRun(t, one, run, subject));
  });
}

await t.test(
  'mapping: every published vector is a case',
  { skip: filter !== '' && 'some cases are left out' },
  async (t) => {
    const covered = new Set(cases.flatMap(({ vectors }) => vectors));
    for (const vector of publishedVectors()) t.ok(covered.has(vector), vector);
  },
);

function checkCandidates(t: Test, one: MappingCase, subject: MappingSubject): void {
  const { leaf, path } = subject;
  const under = (chosen: ChosenSettings) => candidatesOf(leaf, settingsOf(chosen, subject), path);
  const unused = Object.fromEntries((one.unused ?? []).map((value) => [value, '']));
  const itself: CandidatesUnder = {
    title: 'as is',
    unused,
    ...(one.candidates === undefined ? {} : { candidates: one.candidates }),
  };
  for (const chosen of [itself, ...(one.alternatives ?? [])]) {
    const { title, used = [], candidates: expected = {} } = chosen;
    const candidates = under(chosen);
    for (const [method, values] of Object.entries(expected) as [MappingMethod, readonly string[]][])
      t.strictSame(
        candidates.filter((candidate) => candidate.method === method).map(({ value }) => value),
        values,
        `${title}: ${method}`,
      );
    for (const [value, reason] of Object.entries(chosen.unused ?? {})) {
      const shown = candidates.filter((candidate) => candidate.value === value);
      t.match(shown, [{ used: false, why: /: \w/ }], `${title}: ${value} is not looked up`);
      t.ok(shown[0]?.why.includes(reason), `${title}: ${shown[0]?.why} says ${reason}`);
    }
    for (const value of used)
      t.match(
        candidates.filter((candidate) => candidate.value === value),
        [{ used: true, why: /\w/ }],
        `${title}: ${value} is looked up`,
      );
  }
  for (const { attribute, value, text } of one.filters ?? []) {
    t.equal(filterText(equalTo(attribute, value)), text, 'text of the filter');
    t.ok(
      under({}).some((candidate) => candidate.value === value),
      'which a candidate asks for',
    );
  }
}

/** One forest where the run does not tell of several. */
function forestsOf(one: MappingCase, run: MappingRun, subject: MappingSubject) {
  const { domains = [labDomain] } = one;
  const single: ForestRun = { domains, accounts: run.accounts ?? [], asked: true, ntAuth: run.ntAuth ?? 'holds' };
  return (run.forests ?? [single]).map((told) => {
    const forest = createFakeDirectory({
      accounts: told.accounts.map(fakeAccount),
      domains: told.domains,
      issuers: (told.ntAuth ?? 'holds') === 'holds' ? [subject.issuer.digest] : [],
    });
    if (told.ntAuth === 'unread') forest.ntAuthMood = 'silent';
    if (told.mood === 'silent') forest.mood = 'silent';
    if (told.mood === 'unread') forest.domainsMood = 'silent';
    return { told, forest };
  });
}

async function checkRun(t: Test, one: MappingCase, run: MappingRun, subject: MappingSubject): Promise<void> {
  const forests = forestsOf(one, run, subject);
  const directory = joinForests(forests.map(({ forest }) => forest));
  const instant = run.at === undefined ? now : (Date.parse(run.at) as Instant);
  const clock = { now: () => instant, monotonic: () => 0 };
  const mapper = createMapper({ directory, settings: settingsOf(run, subject), clock });
  const { result } = await mapper.map(subject, instant, { maximumAge: null, steps: noSteps });

  const questions = forests.flatMap(({ forest }) => forest.asked.flat().map((asked) => JSON.stringify(asked)));
  for (const assertion of run.asked ?? [])
    t.ok(questions.includes(JSON.stringify(assertion)), `asks ${JSON.stringify(assertion)}`);
  for (const assertion of run.notAsked ?? [])
    t.notOk(questions.includes(JSON.stringify(assertion)), `does not ask ${JSON.stringify(assertion)}`);
  for (const { told, forest } of forests)
    t.equal(forest.asked.length, told.asked ? 1 : 0, `${forest.name} is ${told.asked ? 'asked once' : 'not asked'}`);

  checkEvent(t, run, subject, result);
  if ('code' in run.expect) {
    const { code, account, detail = [] } = run.expect;
    if (result.kind === 'mapped') return void t.fail(`expected ${code}, got ${result.identity.account.name}`);
    t.equal(result.verdict.code, code, result.verdict.detail);
    t.equal(result.kind, code === 'directoryUnavailable' ? 'unknown' : 'refused');
    if (account !== undefined) t.equal(result.verdict.account?.name, account, 'names the account');
    for (const text of detail) t.ok(result.verdict.detail.includes(text), `says ${text}: ${result.verdict.detail}`);
  } else {
    const { account, event: _event, ...expected } = run.expect;
    if (result.kind !== 'mapped') return void t.fail(`expected ${account}, got ${JSON.stringify(result.verdict)}`);
    t.equal(result.identity.account.name, account);
    t.match(result.identity, expected);
  }
}

/** What the KDC would log, with all that it would log of it; and nothing where it would not. */
function checkEvent(t: Test, run: MappingRun, subject: MappingSubject, result: MappingResult): void {
  const { leaf, issuer, path } = subject;
  const event = result.kind === 'unknown' ? undefined : result.event;
  const { event: expected = null } = run.expect;
  if (event === undefined) return void t.equal(null, expected, 'no event');
  const sid = event.certificateSid === null ? '' : ` ${event.certificateSid}`;
  t.equal(`${event.id} ${event.level}${sid}`, expected, 'event');
  t.equal(event.leaf, leaf);
  t.equal(event.issuer, issuer);
  t.equal(event.account, result.kind === 'mapped' ? result.identity.account : result.verdict.account);
  t.ok(event.matched.length > 0 && event.matched.every((one) => event.candidates.includes(one)), 'what matched');
  t.strictSame(event.candidates, candidatesOf(leaf, settingsOf(run, subject), path), 'all that was looked for');
}

/** Every vector of the reference: its open points, and the rows of its tables of decisions and of what none or several accounts mean. */
function publishedVectors(): readonly string[] {
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const vectors = [...range(1, 17), 23, 24, 32, 33, 34, 36, 38, 39, ...range(41, 45), ...range(47, 77)];
  const two = (number: number) => String(number).padStart(2, '0');
  return [
    ...vectors.map((number) => `V${two(number)}`),
    ...['V05a', 'V38a', 'V38b'],
    ...switchablePoints.map((number) => `D-${two(number)}`),
    ...range(1, 6).flatMap((row) => [1, 2].map((mode) => `3.9 row ${row} mode ${mode}`)),
    ...range(1, 12).map((row) => `2.8 row ${row}`),
  ];
}
