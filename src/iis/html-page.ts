/**
 * The one page that the gateway shows people, for refusals and for who they are: no script, nothing loaded, readable without styles and by
 * screen readers. Everything that is put in is escaped here.
 */

/** Name and value. */
export type PageRows = readonly (readonly [name: string, value: string])[];

export interface PageFacts {
  readonly heading: string;
  readonly sentence: string;
  readonly rows: PageRows;
  readonly requestId: string;
}

export function htmlPage({ heading, sentence, rows, requestId }: PageFacts): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(heading)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 46rem; padding: 0 1rem; color-scheme: light dark }
h1 { font-size: 1.4rem; border-bottom: 2px solid; padding-bottom: .4rem }
th { text-align: left; padding-right: 1.5rem; vertical-align: top; font-weight: 600 }
td { overflow-wrap: anywhere }
footer { margin-top: 2rem; font-size: .85rem; opacity: .75 }
</style>
</head>
<body>
<main>
<h1>${escapeHtml(heading)}</h1>
<p>${escapeHtml(sentence)}</p>
${tableOf(rows)}</main>
<footer>Request ${escapeHtml(requestId)}</footer>
</body>
</html>
`;
}

function tableOf(rows: PageRows): string {
  if (rows.length === 0) return '';
  const lines = rows.map(
    ([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<table>\n${lines.join('\n')}\n</table>\n`;
}

/** Also safe inside attributes. Characters that turn the direction of text or cannot be seen become visible. */
export function escapeHtml(text: string): string {
  return text.replaceAll(
    /[&<>"']|[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => entities[character] ?? codeOf(character),
  );
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function codeOf(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16).padStart(4, '0')}}`;
}
