/**
 * Prose in lines that a terminal of 80 columns shows whole. Values that somebody is to copy are never broken: whoever prints one
 * gives it a line of its own.
 */
const terminalColumns = 80;

/**
 * Broken at blanks; a word that is longer than a line stays in one piece.
 * @param first stands before the first line, and its width in blanks before the others
 */
export function wrapText(text: string, first: string, columns = terminalColumns): readonly string[] {
  const room = columns - first.length;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  const indent = ' '.repeat(first.length);
  return lines.map((one, index) => `${index === 0 ? first : indent}${one}`.trimEnd());
}
