/**
 * What the YAML reader complains of, in sentences of our own: stable, and free of the text that was read.
 */
import type { YAMLError } from 'yaml';
import type { Mistake } from './complaint.ts';

const quotes = 'text with special characters must stand in quotes';
const sentences: Readonly<Record<string, readonly [text: string, hint: string]>> = {
  ALIAS_PROPS: ['an alias cannot have an anchor or a tag', quotes],
  BAD_ALIAS: ['this is not the name of an alias', quotes],
  BAD_COLLECTION_TYPE: ['this tag does not fit its value', 'leave the tag out'],
  BAD_DIRECTIVE: ['this directive is not known', 'leave the lines that start with % out'],
  BAD_DQ_ESCAPE: ['this is not an escape of double-quoted text', "use 'single quotes' where backslashes are meant"],
  BAD_INDENT: ['the indentation does not fit the lines above', 'settings of one level start in the same column'],
  BAD_PROP_ORDER: ['an anchor or a tag stands in the wrong place', quotes],
  BAD_SCALAR_START: ['no text can start with this character', quotes],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second key stands on one line',
    'begin a new line, or use { a: 1, b: 2 }; text with a colon must stand in quotes',
  ],
  BLOCK_IN_FLOW: ['a list or map of lines stands inside brackets', 'inside [ ] and { } use brackets again'],
  KEY_OVER_1024_CHARS: ['a key is longer than 1024 characters', 'look for a missing line break or quote'],
  MISSING_CHAR: ['a character is missing here', 'look for a missing colon, comma, bracket or quote'],
  MULTILINE_IMPLICIT_KEY: ['a key runs over several lines', 'look for a missing colon or quote'],
  MULTIPLE_ANCHORS: ['a value has several anchors', quotes],
  MULTIPLE_DOCS: [
    'the file holds more than one document',
    'keep what stands above the second ---, or use several files',
  ],
  MULTIPLE_TAGS: ['a value has several tags', quotes],
  RESOURCE_EXHAUSTION: ['is nested too deep to be read', 'no setting lies that deep; look for unclosed brackets'],
  TAB_AS_INDENT: ['a tab is used as indentation', 'YAML wants blanks'],
  TAG_RESOLVE_FAILED: ['this tag is not known', 'leave the tag out; text that starts with ! must stand in quotes'],
  UNEXPECTED_TOKEN: [
    'this cannot stand here',
    'look for a missing quote or bracket before it; an IPv6 endpoint stands in quotes: "[::]:443"',
  ],
};

export function syntaxSentence(error: YAMLError): Mistake {
  const [text, hint] = sentences[error.code] ?? ['this is not YAML', quotes];
  const [start, end] = error.pos;
  return { at: { start, end }, text, hint, kind: 'language' };
}
