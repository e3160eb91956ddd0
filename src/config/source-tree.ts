/**
 * The tree of a parsed YAML document: plain values with their places, grown under bounds. What can make a small file large or
 * deep is counted; what a configuration has no use for (tags, merge keys, keys that are no text) is a mistake.
 */
import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type ParsedNode } from 'yaml';
import { createBudget } from '../base/budget.ts';
import { quoted, type Mistake } from './complaint.ts';
import type { Span } from './source-text.ts';

/** Keys and values of a file, each alias counted with all it stands for. */
export const maximumValues = 50_000;
export const maximumDepth = 24;
const maximumAliases = 1000;

/** A value with its place. `keys` holds the place of each key of a map. */
export type Tree =
  | { readonly kind: 'scalar'; readonly span: Span; readonly value: string | number | boolean | null }
  | { readonly kind: 'list'; readonly span: Span; readonly items: readonly Tree[] }
  | {
      readonly kind: 'map';
      readonly span: Span;
      readonly entries: ReadonlyMap<string, { readonly key: Span; readonly tree: Tree }>;
    };

/** `root` is null where a bound was reached, or the document cannot be made sense of. */
export function plantTree(document: Document.Parsed): {
  readonly root: Tree | null;
  readonly mistakes: readonly Mistake[];
} {
  const mistakes: Mistake[] = [];
  const planter = createPlanter(mistakes);
  const root = planter.plant(document.contents, 0);
  return { root: planter.usable() ? root : null, mistakes };
}

/** Grows trees from nodes in the order of the document, so that an alias means the anchor last seen. */
function createPlanter(mistakes: Mistake[]) {
  const budget = createBudget({ values: maximumValues, aliases: maximumAliases });
  const anchors = new Map<string, Node>();
  const open = new Set<Node>();
  let stopped = false;
  /** False where an alias led nowhere: whatever stands for it would be complained of as well. */
  let whole = true;
  return { plant, usable: () => whole && !stopped };

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
      whole = false;
      mistakes.push(
        mistake(span, 'there is no such anchor above this alias', 'text that starts with * must stand in quotes'),
      );
      return null;
    }
    if (open.has(target)) {
      whole = false;
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
