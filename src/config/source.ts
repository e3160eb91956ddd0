/**
 * YAML text to a tree whose every key and value knows where it stands. It accepts the plain part of YAML 1.2 that a
 * configuration needs: maps with text keys, lists and scalars. Tags, merge keys, several documents and directives are
 * mistakes, and everything that can make a small file large or deep is counted. What the keys mean is not known here.
 */
import { LineCounter, parseDocument, type Document } from 'yaml';
import type { Mistake } from './complaint.ts';
import { sourceText, type SourceText, type Span } from './source-text.ts';
import { plantTree, type Tree } from './source-tree.ts';
import { syntaxSentence } from './yaml-sentences.ts';

export type Path = readonly (string | number)[];

export interface Source extends SourceText {
  /** Plain values: null-prototype objects, arrays, text, numbers, booleans, null; undefined when the text is no YAML. */
  readonly value: unknown;
  readonly mistakes: readonly Mistake[];
  /** What stands at a path; undefined when nothing does. */
  at(path: Path): unknown;
  /** Whether the file itself says something there, defaults aside. */
  has(path: Path): boolean;
  /** Where a path stands; where it is missing, the nearest key above it. */
  locate(path: Path, on: 'key' | 'value'): Span | null;
}

/** Bytes of a configuration file; a thousand sites fit. */
export const maximumConfigurationBytes = 512 * 1024;
/** Never throws: what is wrong is in `mistakes`. */
export function readSource(name: string, bytes: Uint8Array): Source {
  const decoded = decode(bytes);
  const text = sourceText(name, decoded ?? '');
  if (decoded === null)
    return sourceOf(text, null, [
      mistake(null, 'is not UTF-8 text', 'save the file as UTF-8, without a tool that converts it to UTF-16'),
    ]);
  const document = parseDocument(decoded, {
    lineCounter: new LineCounter(),
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
  });
  if (document.errors.length > 0)
    return sourceOf(
      text,
      null,
      firstOfLines(
        text,
        document.errors.map((error) => syntaxSentence(error)),
      ),
    );
  const odd = oddities(document);
  if (odd !== null) return sourceOf(text, null, [odd]);
  const { root, mistakes } = plantTree(document);
  return sourceOf(text, root, mistakes);
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** What follows on the same line follows from the first. */
function firstOfLines(text: SourceText, mistakes: readonly Mistake[]): readonly Mistake[] {
  const lines = new Set<number>();
  return mistakes.filter(({ at }) => {
    const { line } = text.position(at?.start ?? 0);
    if (lines.has(line)) return false;
    lines.add(line);
    return true;
  });
}

function oddities(document: Document.Parsed): Mistake | null {
  if (document.directives.yaml.explicit === true || Object.keys(document.directives.tags).length > 1)
    return mistake(
      { start: 0, end: 1 },
      'YAML directives (%YAML, %TAG) are not used here',
      'leave the lines that start with % out',
    );
  if (document.contents === null) return mistake(null, 'is empty', '`dsmapper init` writes a first configuration');
  return null;
}

function mistake(at: Span | null, text: string, hint: string | null): Mistake {
  return { at, text, hint, kind: 'language' };
}

function sourceOf(text: SourceText, root: Tree | null, mistakes: readonly Mistake[]): Source {
  return {
    ...text,
    mistakes,
    value: root === null ? undefined : plainOf(root),
    at(path) {
      const found = find(root, path);
      return found.depth === path.length && found.tree !== null ? plainOf(found.tree) : undefined;
    },
    has: (path) => find(root, path).depth === path.length,
    locate(path, on) {
      const { tree, key, depth } = find(root, path);
      if (depth < path.length || on === 'key') return key ?? tree?.span ?? null;
      return tree?.span ?? null;
    },
  };
}

function find(
  root: Tree | null,
  path: Path,
): { readonly tree: Tree | null; readonly key: Span | null; readonly depth: number } {
  let tree = root;
  let key: Span | null = null;
  for (const [depth, part] of path.entries()) {
    const entry = tree?.kind === 'map' ? tree.entries.get(String(part)) : undefined;
    const item = tree?.kind === 'list' && typeof part === 'number' ? tree.items[part] : undefined;
    if (entry === undefined && item === undefined) return { tree, key, depth };
    key = entry?.key ?? item?.span ?? null;
    tree = entry?.tree ?? item ?? null;
  }
  return { tree, key, depth: path.length };
}

function plainOf(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(plainOf);
  const plain = Object.create(null) as Record<string, unknown>;
  for (const [key, entry] of tree.entries) plain[key] = plainOf(entry.tree);
  return plain;
}
