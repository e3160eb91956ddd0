/**
 * Cases kept as data: a folder each, see `test/cases/`. `DSMAPPER_CASES=stored-` runs those whose name has that text.
 */
import t, { type Test } from 'tap';
import type { Instant } from '../src/base/brand.ts';
import { noSteps } from '../src/base/steps.ts';
import { systemClock } from '../src/base/clock.ts';
import { candidatesOf } from '../src/mapping/candidates.ts';
import { createMapper } from '../src/mapping/mapper.ts';
import type { MappingMethod } from '../src/mapping/mapper-contract.ts';
import { pemOf, writeCertificate } from './support/certificate-writer.ts';
import { createFakeDirectory, fakeAccount } from './support/fake-directory.ts';
import {
  parsed,
  readMappingCases,
  strictSettings,
  subjectFor,
  type MappingCase,
  type MappingRun,
} from './support/mapping-cases.ts';

const filter = process.env['DSMAPPER_CASES'] ?? '';
const cases = readMappingCases(filter);
const now = Date.parse('2026-11-22T12:00:00Z') as Instant;

for (const one of cases) {
  await t.test(`mapping: ${one.name}: ${one.claim}`, async (t) => {
    const der = writeCertificate(one.certificate);
    t.equal(one.pem, pemOf(der), 'certificate.pem is the certificate of the description');
    checkCandidates(t, one, der);
    for (const run of one.runs ?? []) await t.test(run.title, (t) => checkRun(t, one, run, der));
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

function checkCandidates(t: Test, one: MappingCase, der: Buffer): void {
  const candidates = candidatesOf(parsed(der), strictSettings);
  for (const [method, values] of Object.entries(one.candidates ?? {}) as [MappingMethod, readonly string[]][])
    t.strictSame(
      candidates.filter((candidate) => candidate.method === method).map(({ value }) => value),
      values,
      method,
    );
  for (const value of one.unused ?? [])
    t.match(
      candidates.filter((candidate) => candidate.value === value),
      [{ used: false, why: /\w/ }],
      `${value} is not looked up`,
    );
}

async function checkRun(t: Test, one: MappingCase, run: MappingRun, der: Buffer): Promise<void> {
  const subject = subjectFor(parsed(der), one.certificate.issuer);
  const directory = createFakeDirectory({
    accounts: run.accounts.map(fakeAccount),
    issuers: [subject.issuer.digest],
    ...(one.domains === undefined ? {} : { domains: one.domains }),
  });
  const mapper = createMapper({ directory, settings: { ...strictSettings, ...run.settings }, clock: systemClock });
  const { result } = await mapper.map(subject, now, { maximumAge: null, steps: noSteps });
  for (const assertion of run.asked ?? [])
    t.ok(
      directory.asked.flat().some((asked) => JSON.stringify(asked) === JSON.stringify(assertion)),
      `asks ${JSON.stringify(assertion)}`,
    );
  if ('code' in run.expect) {
    const { code, account, detail = [] } = run.expect;
    if (result.kind !== 'refused') return void t.fail(`expected ${code}, got ${result.kind}`);
    t.equal(result.verdict.code, code, result.verdict.detail);
    if (account !== undefined) t.equal(result.verdict.account?.name, account, 'names the account');
    for (const text of detail) t.ok(result.verdict.detail.includes(text), `says ${text}: ${result.verdict.detail}`);
  } else {
    const { account, ...expected } = run.expect;
    if (result.kind !== 'mapped') return void t.fail(`expected ${account}, got ${JSON.stringify(result.verdict)}`);
    t.equal(result.identity.account.name, account);
    t.match(result.identity, expected);
  }
}

/** V09 and V38b are texts of LDAP filters, which the directory room writes. */
function publishedVectors(): readonly string[] {
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const numbers = [
    ...range(1, 8),
    ...range(10, 17),
    23,
    24,
    32,
    33,
    34,
    36,
    38,
    39,
    ...range(41, 45),
    ...range(47, 77),
  ];
  return ['V05a', 'V38a', ...numbers.map((number) => `V${String(number).padStart(2, '0')}`)];
}
