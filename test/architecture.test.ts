/**
 * The house plan as a test: which room may import from which, which library lives where, how large a file may be, and how files are
 * named. A drawing that nobody checks is soon a drawing of another house.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import t from 'tap';

const source = resolve(import.meta.dirname, '../src');

/** Rooms that a room may import from, itself included. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  base: [],
  x509: ['base'],
  trust: ['base', 'x509'],
  directory: ['base'],
  revocation: ['base', 'x509', 'trust', 'directory'],
  mapping: ['base', 'x509', 'directory'],
  tls: ['base'],
  forward: ['base', 'x509', 'mapping', 'directory'],
  iis: ['base'],
  gateway: ['base', 'x509', 'trust', 'revocation', 'directory', 'mapping', 'tls', 'forward', 'iis'],
  config: ['base', 'x509', 'trust', 'revocation', 'directory', 'mapping', 'tls', 'forward', 'iis', 'gateway'],
  admin: ['base', 'x509', 'trust', 'revocation', 'directory', 'mapping', 'tls', 'forward', 'iis', 'gateway'],
  lab: ['base', 'x509', 'directory'],
  cli: [
    'base',
    'x509',
    'trust',
    'revocation',
    'directory',
    'mapping',
    'tls',
    'forward',
    'iis',
    'gateway',
    'config',
    'admin',
    'lab',
  ],
};

/** Where a library or a module of Node may be imported; what is not listed here is free. */
const homes: Readonly<Record<string, readonly string[]>> = {
  ldapts: ['directory', 'lab'],
  undici: ['forward', 'revocation'],
  jose: ['forward'],
  fastify: ['gateway', 'admin'],
  'prom-client': ['gateway/metrics.ts'],
  '@peculiar/x509': ['lab'],
  'reflect-metadata': ['lab'],
  zod: ['config'],
  yaml: ['config'],
  commander: ['cli'],
  'node:tls': ['tls', 'lab', 'directory'],
  'node:https': ['tls', 'lab'],
};

const forbiddenWords = ['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'manager', 'service'];
const hardLimit = 450;
const softMedian = 150;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const files: readonly SourceFile[] = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(source, path), 'utf8');
    const found = text.matchAll(/^(?:import|export)[^'";]*?from '([^']+)'|^import '([^']+)'|import\('([^']+)'\)/gms);
    const imports = [...found].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '');
    return { path, room: path.split('/')[0] ?? '', text, imports };
  });

void t.test('rooms import only along the arrows of the drawing', (t) => {
  t.ok(files.length > 50, 'the reader of imports finds the source');
  for (const { path, room, imports } of files) {
    if (path === 'index.ts') continue;
    for (const target of imports.filter((name) => name.startsWith('.'))) {
      const other = relative(source, resolve(source, path, '..', target)).split('/')[0] ?? '';
      if (other !== room && !(arrows[room] ?? []).includes(other)) t.fail(`${path} imports ${target}`);
    }
  }
  t.end();
});

void t.test('libraries stay in their rooms', (t) => {
  for (const { path, room, imports } of files) {
    for (const name of imports) {
      const allowed = homes[name];
      if (allowed !== undefined && !allowed.includes(room) && !allowed.includes(path))
        t.fail(`${path} imports ${name}`);
    }
  }
  t.end();
});

void t.test('no file outgrows its idea', (t) => {
  const lengths = files
    .map(({ path, text }) => ({ path, lines: text.split('\n').length }))
    .toSorted((a, b) => a.lines - b.lines);
  for (const { path, lines } of lengths) if (lines > hardLimit) t.fail(`${path} has ${lines} lines`);
  const median = lengths[Math.floor(lengths.length / 2)]?.lines ?? 0;
  t.ok(median <= softMedian, `the median file has ${median} lines`);
  t.end();
});

void t.test('files are named after what they are, and say what they decide', (t) => {
  for (const { path, text } of files) {
    const words = basename(path, '.ts').split('-');
    if (words.some((word) => forbiddenWords.includes(word))) t.fail(`${path}: a forbidden word in its name`);
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/.test(basename(path))) t.fail(`${path} is not kebab-case`);
    if (!/^(?:#!.*\n)?\/\*\*/.test(text)) t.fail(`${path} does not begin with a paragraph about itself`);
    if (/^export default/m.test(text)) t.fail(`${path} has a default export`);
  }
  t.end();
});

void t.test('the flow reads in one sitting', (t) => {
  const flow = files.find(({ path }) => path === 'gateway/flow.ts');
  t.ok(flow !== undefined && flow.text.split('\n').length <= 200);
  t.end();
});
