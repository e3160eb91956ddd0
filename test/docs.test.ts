/**
 * The pages against the code: what is generated is fresh, what is told in words has the names and the order of the code, and what is
 * referred to exists.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import t from 'tap';
import { configurationPage, verdictsPage } from '../scripts/doc-pages.ts';
import { stages } from '../src/gateway/metrics.ts';
import { verdictCodes } from '../src/base/verdict.ts';
import { languageEntries } from '../src/config/language-map.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'deploy', 'bench', 'certs', 'test/cases'].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder))
          .filter((name) => name.endsWith('.md'))
          .map((name) => `${folder}/${name}`)
      : [],
  ),
];

await t.test('generated pages are those of the code: npm run docs', async (t) => {
  t.equal(read('docs/verdicts.md'), verdictsPage());
  t.equal(read('docs/configuration.md'), configurationPage());
  for (const code of verdictCodes) t.match(verdictsPage(), `| \`${code}\` |`);
  for (const { path } of languageEntries()) t.match(configurationPage(), `| \`${path}\` |`);
});

const values = ['Connection', 'Presented', 'Trusted', 'Mapped', 'Authorised', 'Outgoing'];
const steps = ['rule', 'judge', 'map', 'authorise', 'dress'];

/** The words of a list as they stand in a text, in the order of the text. */
function order(text: string, words: readonly string[]): readonly string[] {
  const found = new RegExp(`\\b(?:${words.join('|')})\\b`, 'g');
  return [...text.matchAll(found)].map(([word]) => word);
}

function between(text: string, from: string, to: string): string {
  const begin = text.indexOf(from);
  const end = text.indexOf(to, begin + from.length);
  if (begin < 0 || end < 0) throw new Error(`no ${from} ... ${to}`);
  return text.slice(begin + from.length, end);
}

await t.test('the life of a request is told as the code has it', async (t) => {
  const page = read('docs/life-of-a-request.md');
  const flow = read('src/gateway/flow.ts');
  const alternating = values.flatMap((value, index) => [value, steps[index] ?? '']).filter((word) => word !== '');

  const drawing = between(page, '```\n', '```');
  const left = drawing.split('\n').map((line) => /^(?:│ {2}|)([A-Z]?[a-z]+)\b|^ {3}│ {2}(\w+)/.exec(line));
  const drawn = left.flatMap((match) => match?.[1] ?? match?.[2] ?? []).filter((word) => alternating.includes(word));
  t.strictSame(drawn, alternating, 'the drawing of the page');

  const comment = between(flow, '/**', '*/');
  t.strictSame(order(comment, alternating), alternating, 'the drawing of the code');

  const told = [...page.matchAll(/^\*\*(\w+)\.\*\*/gm)].map(([, word]) => word);
  t.strictSame(told, ['Connection', 'rule', ...values.slice(1), 'forward'], 'the paragraphs');

  const body = between(flow, 'export async function handle', '\nasync function present');
  const calls = [
    ...body.matchAll(/await (?:exchange\.)?(\w+)\(|= (\w+)\((?:exchange|presented|trusted|mapped|authorised)\b/g),
  ]
    .map(([, awaited, called]) => awaited ?? called ?? '')
    .filter((name) => name !== 'remembered');
  t.strictSame(
    calls,
    ['ruleOf', 'present', 'decide', 'forward', 'judge', 'map', 'authorise', 'dress'],
    'the calls: rule, present, decide and forward; decide is judge, map, authorise and dress',
  );
  for (const name of values.slice(1))
    t.match(read('src/gateway/stages.ts'), `export interface ${name} {`, `${name} is a type`);
  t.strictSame(
    [...stages],
    ['rule', 'present', 'judge', 'map', 'authorise', 'dress', 'forward'],
    'and so the log names its times',
  );
});

await t.test('codes that pages name are verdicts', async (t) => {
  const known = new Set<string>(verdictCodes);
  const page = read('docs/life-of-a-request.md');
  const words = [...page.matchAll(/\(`([a-zA-Z]+)`\)|`([a-z]+[A-Z][a-zA-Z]+)`/g)].map(
    ([, one, other]) => one ?? other ?? '',
  );
  const settings = new Set(languageEntries().map(({ path }) => path.split('.').at(-1)));
  t.ok(words.length >= 8);
  for (const word of words) t.ok(known.has(word) || settings.has(word), word);
});

await t.test('what pages refer to exists', async (t) => {
  let links = 0;
  const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: object };
  for (const page of pages) {
    const text = read(page);
    for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      links += 1;
      t.ok(existsSync(join(root, dirname(page), target)), `${page} links to ${target}`);
    }
    for (const [, path = ''] of text.matchAll(/`((?:src|test|docs|scripts|deploy|bench|certs)\/[\w./-]*)`/g)) {
      links += 1;
      t.ok(existsSync(join(root, path)), `${page} names ${path}`);
    }
    for (const [, script = ''] of text.matchAll(/npm run (?:-s )?([\w:-]+)/g))
      t.ok(script in scripts, `${page}: npm run ${script}`);
  }
  t.ok(links > 20, `${links} references`);
});

await t.test('every threat of SECURITY.md names its test', async (t) => {
  const rows = read('SECURITY.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| threat'));
  t.ok(rows.length >= 15);
  for (const row of rows) t.match(row, /`test\/[\w./-]+` \|$|`test\/[\w./-]+`, .*\|$/, row.slice(0, 60));
});
