/**
 * Looks and script of the page of an audit. Decides colours (light and dark, contrast of 4.5 or more) and that the page prints. Neither
 * holds anything that was found.
 */

export const style = `
:root { --ground: #fff; --text: #1b1f24; --faint: #57606a; --line: #d0d7de; --panel: #f6f8fa; --link: #0550ae;
  --error: #a40e26; --warning: #7a4d00; --info: #0550ae; --right: #116329; --focus: #0969da; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --text: #e6edf3; --faint: #9ea7b3; --line: #30363d; --panel: #161b22;
  --link: #79c0ff; --error: #ff8f8a; --warning: #e3b341; --info: #79c0ff; --right: #7ee787; --focus: #58a6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1.5rem 2rem 4rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.when, .dn { color: var(--faint); font-size: .875rem; overflow-wrap: anywhere; }
.when { margin: .25rem 0 1.25rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; list-style: none; margin: 1rem 0; padding: 0; }
.tile { border: 1px solid var(--line); border-left: .3rem solid currentColor; border-radius: .375rem; background: var(--panel);
  padding: .5rem 1.25rem .5rem 1rem; }
.tile b { font-size: 1.5rem; margin-right: .25rem; font-variant-numeric: tabular-nums; }
.error { color: var(--error); } .warning { color: var(--warning); } .info { color: var(--info); }
.banner { border: 1px solid currentColor; border-radius: .375rem; padding: .75rem 1rem; color: var(--error); background: var(--panel);
  overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
table.small { width: auto; max-width: 100%; }
table.small td, table.small th { overflow-wrap: anywhere; }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem; border-bottom: 1px solid var(--line); }
thead th { background: var(--panel); border-bottom: 2px solid var(--line); white-space: nowrap; }
tbody th { font-weight: normal; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .375rem; }
#list { min-width: 64rem; table-layout: fixed; }
#list th:nth-child(1) { width: 7rem; } #list th:nth-child(2) { width: 13rem; } #list th:nth-child(3) { width: 20%; }
#list th:nth-child(5) { width: 28%; }
#list td { overflow-wrap: anywhere; }
code { font: .875rem/1.5 ui-monospace, "Cascadia Mono", "Liberation Mono", monospace; }
.value { display: block; unicode-bidi: isolate; white-space: pre-wrap; overflow-wrap: anywhere; }
.right { color: var(--right); margin: .4rem 0 0; font-size: .875rem; font-weight: 600; }
.right code { font-weight: 400; }
.mark { font-weight: 600; }
form { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; margin: 0 0 .75rem; }
form[hidden] { display: none; }
input, select, th button { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--faint); border-radius: .25rem;
  padding: .25rem .5rem; }
th button { border: 0; background: none; padding: 0; font-weight: inherit; cursor: pointer; text-decoration: underline dotted; }
:focus-visible { outline: .15rem solid var(--focus); outline-offset: .1rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media print { body { max-width: none; padding: 0; } form { display: none; } .scroll { overflow: visible; border: 0; }
  #list { min-width: 0; } tr { break-inside: avoid; } }
`;

export const script = `
'use strict';
const list = document.getElementById('list');
if (list) {
  const body = list.tBodies[0];
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const search = document.getElementById('search');
  const code = document.getElementById('code');
  const filter = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = (code.value !== '' && row.dataset.code !== code.value) || !words.every((word) => texts.get(row).includes(word));
      if (!row.hidden) shown += 1;
    }
    document.getElementById('shown').textContent = shown + ' of ' + rows.length + ' findings';
  };
  const ranks = { error: '0', warning: '1', info: '2' };
  for (const [index, head] of [...list.tHead.rows[0].cells].entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      for (const other of list.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const keyOf = (row) => ranks[row.cells[index].textContent] ?? row.cells[index].textContent;
      const keyed = rows.map((row, at) => ({ row, at, key: keyOf(row) }));
      const order = new Intl.Collator('en', { numeric: true }).compare;
      keyed.sort((a, b) => (up ? 1 : -1) * order(a.key, b.key) || a.at - b.at);
      body.append(...keyed.map(({ row }) => row));
    });
  }
  search.addEventListener('input', filter);
  code.addEventListener('change', filter);
  const controls = document.getElementById('controls');
  controls.addEventListener('submit', (event) => event.preventDefault());
  controls.hidden = false;
  filter();
}
`;
