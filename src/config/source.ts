/**
 * YAML text to a tree whose every key and value knows where it stands. It accepts the plain part of YAML 1.2 that a
 * configuration needs: maps with text keys, lists and scalars. Tags, merge keys, several documents and directives are
 * mistakes, and everything that can make a small file large or deep is counted. What the keys mean is not known here.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type ParsedNode,
} from 'yaml';
import { createBudget } from '../base/budget.ts';
import { quoted, type Mistake } from './complaint.ts';
import { sourceText, type SourceText, type Span } from './source-text.ts';
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
/** Keys and values of a file, each alias counted with all it stands for. */
export const maximumValues = 50_000;
export const maximumDepth = 24;
const maximumAliases = 1000;

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
      document.errors.map((error) => syntaxSentence(error)),
    );
  const odd = oddities(document);
  if (odd !== null) return sourceOf(text, null, [odd]);
  return treeOf(text, document);
}

/** A value with its place. `keys` holds the place of each key of a map. */
type Tree =
  | { readonly kind: 'scalar'; readonly span: Span; readonly value: string | number | boolean | null }
  | { readonly kind: 'list'; readonly span: Span; readonly items: readonly Tree[] }
  | {
      readonly kind: 'map';
      readonly span: Span;
      readonly entries: ReadonlyMap<string, { readonly key: Span; readonly tree: Tree }>;
    };

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
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

function treeOf(text: SourceText, document: Document.Parsed): Source {
  const mistakes: Mistake[] = [];
  const planter = createPlanter(mistakes);
  const root = planter.plant(document.contents, 0);
  return sourceOf(text, planter.stopped() ? null : root, mistakes);
}

interface Planter {
  plant(node: Node | ParsedNode | null, depth: number): Tree | null;
  /** Whether a bound was reached; what was planted is then worth nothing. */
  stopped(): boolean;
}

/** Grows trees from nodes in the order of the document, so that an alias means the anchor last seen. */
function createPlanter(mistakes: Mistake[]): Planter {
  const budget = createBudget({ values: maximumValues, aliases: maximumAliases });
  const anchors = new Map<string, Node>();
  const open = new Set<Node>();
  let stopped = false;
  return { plant, stopped: () => stopped };

  function stop(at: Span, text: string, hint: string): null {
    if (!stopped) mistakes.push(mistake(at, text, hint));
    stopped = true;
    return null;
  }

  function plant(node: Node | ParsedNode | null, depth: number): Tree | null {
    if (node === null || stopped) return null;
    const span = spanOf(node);
    if (depth > maximumDepth)
      return stop(
        span,
        `is nested more than ${maximumDepth} levels deep`,
        'no setting lies that deep; look at the indentation',
      );
    if (!budget.spend('values'))
      return stop(
        span,
        `the file holds more than ${maximumValues} values, aliases included`,
        'use fewer aliases, or split the configuration',
      );
    if (isAlias(node)) return follow(node.source, span, depth);
    if (typeof node.tag === 'string')
      mistakes.push(mistake(span, `the YAML tag ${quoted(node.tag)} is not used here`, 'leave the tag out'));
    if ('anchor' in node && typeof node.anchor === 'string') anchors.set(node.anchor, node);
    open.add(node);
    const tree = isMap(node)
      ? plantMap(node.items, span, depth)
      : isSeq(node)
        ? plantList(node.items, span, depth)
        : leaf(node, span);
    open.delete(node);
    return tree;
  }

  function follow(name: string, span: Span, depth: number): Tree | null {
    if (!budget.spend('aliases'))
      return stop(span, `the file uses more than ${maximumAliases} aliases`, 'write the values out');
    const target = anchors.get(name);
    if (target === undefined) {
      mistakes.push(
        mistake(span, 'there is no such anchor above this alias', 'text that starts with * must stand in quotes'),
      );
      return null;
    }
    if (open.has(target)) {
      mistakes.push(mistake(span, 'this alias contains itself', 'write the values out'));
      return null;
    }
    return plant(target, depth);
  }

  function plantList(items: readonly unknown[], span: Span, depth: number): Tree {
    const trees = items.map((item) => plant(item as Node, depth + 1) ?? nothing(span));
    return { kind: 'list', span, items: trees };
  }

  function plantMap(
    items: readonly { readonly key: unknown; readonly value: unknown }[],
    span: Span,
    depth: number,
  ): Tree {
    const entries = new Map<string, { readonly key: Span; readonly tree: Tree }>();
    for (const item of items) {
      const keyNode = item.key as Node | null;
      const keySpan = keyNode === null ? span : spanOf(keyNode);
      const key = keyText(keyNode, keySpan);
      const tree = plant(item.value as Node | null, depth + 1) ?? nothing(keySpan);
      if (key === null) continue;
      if (entries.has(key))
        mistakes.push(
          mistake(keySpan, `${quoted(key)} is here a second time`, 'each key may stand once; join the two'),
        );
      else entries.set(key, { key: keySpan, tree });
    }
    return { kind: 'map', span, entries };
  }

  function keyText(node: Node | null, span: Span): string | null {
    if (isScalar(node) && typeof node.value === 'string' && typeof node.tag !== 'string') {
      if (node.value === '<<') mistakes.push(mistake(span, 'merge keys (<<) are not used here', 'write the keys out'));
      else if (node.value !== '__proto__') return node.value;
      else mistakes.push(mistake(span, 'this is not a key of anything', null));
      return null;
    }
    mistakes.push(
      mistake(
        span,
        'a key must be plain text',
        isScalar(node)
          ? `put it in quotes: "${String(node.source ?? node.value)}"`
          : 'a list, a map or an alias cannot be a key',
      ),
    );
    return null;
  }
}

function leaf(node: Node, span: Span): Tree {
  const value: unknown = isScalar(node) ? node.value : null;
  const plain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
  return { kind: 'scalar', span, value: plain };
}

function nothing(span: Span): Tree {
  return { kind: 'scalar', span, value: null };
}

function spanOf(node: Node): Span {
  const [start = 0, end = start] = node.range ?? [];
  return { start, end };
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
