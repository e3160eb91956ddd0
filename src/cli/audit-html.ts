/**
 * The report of an audit as one page: opens from a disk, without network and without scripts; a small script of its own adds sorting and
 * filtering where scripts run. Decides the structure; looks and script are in `audit-html-parts.ts`. Everything from a directory or a
 * certificate is escaped, and control and format characters are shown as what they are.
 */
import { createHash } from 'node:crypto';
import {
  auditCodes,
  orderOfCodes,
  type AuditCode,
  type AuditedDomain,
  type AuditFinding,
  type AuditReport,
} from '../admin/audit-contract.ts';
import { script, style } from './audit-html-parts.ts';
import { printable } from './terminal.ts';

/** In pieces, so that a large report need not be one string. */
export function* auditPage(report: AuditReport): Iterable<string> {
  const { counts, findings } = report;
  const codes = orderOfCodes.filter((code) => counts[code] !== undefined);
  yield head();
  yield '<header>\n<h1>Audit of certificate mappings</h1>\n';
  yield `<p class="when">${safe(report.source)}, ${safe(report.startedAt)} to ${safe(report.endedAt)}</p>\n</header>\n<main>\n`;
  yield verdictSection(report, codes);
  yield* section('scanned', 'What was scanned', [domainTable(report.domains), certificateText(report)]);
  if (codes.length > 0) {
    yield* section('summary', 'What was found', [summaryTable(report, codes)]);
    yield '<section aria-labelledby="findings">\n<h2 id="findings">Findings</h2>\n';
    yield controls(codes);
    yield '<div class="scroll" role="region" aria-labelledby="findings" tabindex="0">\n<table id="list">\n';
    yield '<caption class="hidden">Findings with corrected values</caption>\n<thead><tr>';
    for (const title of ['Severity', 'Code', 'Account', 'Finding', 'Value']) yield `<th scope="col">${title}</th>`;
    yield '</tr></thead>\n<tbody>\n';
    for (const finding of findings) yield findingRow(finding);
    yield '</tbody>\n</table>\n</div>\n';
    yield leftOutText(report);
    yield '</section>\n';
  }
  yield* section('not-looked-at', 'What nobody looked at', [listOf(report.notLookedAt)]);
  yield `</main>\n<script>${script}</script>\n</body>\n</html>\n`;
}

/** Text for any place of the page, attribute values in quotes too. */
export function safe(text: string): string {
  return printable(text).replaceAll(/[&<>"'`]/g, (found) => `&#${found.charCodeAt(0)};`);
}

function head(): string {
  const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = [
    "default-src 'none'",
    `style-src ${hashOf(style)}`,
    `script-src ${hashOf(script)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Audit of certificate mappings</title>
<style>${style}</style>
</head>
<body>
`;
}

function* section(id: string, title: string, parts: readonly string[]): Iterable<string> {
  yield `<section aria-labelledby="${id}">\n<h2 id="${id}">${title}</h2>\n`;
  yield* parts;
  yield '</section>\n';
}

/** The one thing that somebody in a hurry reads. */
function verdictSection({ complete, counts, domains }: AuditReport, codes: readonly AuditCode[]): string {
  const of = (severity: string) =>
    codes.reduce((sum, code) => sum + (auditCodes[code].severity === severity ? (counts[code] ?? 0) : 0), 0);
  const tiles = (['error', 'warning', 'info'] as const).map(
    (severity) => `<li class="tile ${severity}"><b>${of(severity)}</b> ${words[severity]}</li>`,
  );
  const missing = domains.flatMap((one) => (one.missing === null ? [] : [`${one.domain}: ${one.missing}`]));
  const gaps = missing.length === 0 ? 'some accounts could not be read whole' : missing.join('; ');
  const banner = complete
    ? ''
    : `<p class="banner" role="alert"><strong>This report is not complete.</strong> ${safe(gaps)}</p>\n`;
  return `${banner}<ul class="tiles">${tiles.join('')}</ul>\n`;
}

const words = { error: 'errors', warning: 'warnings', info: 'notes' } as const;

function domainTable(domains: readonly AuditedDomain[]): string {
  const rows = domains.map(
    ({ forest, domain, accounts, values, missing }) =>
      `<tr><th scope="row">${safe(domain)}</th><td>${safe(forest)}</td><td class="number">${accounts}</td><td class="number">${values}</td><td>${missing === null ? 'all of it' : safe(`not all of it: ${missing}`)}</td></tr>\n`,
  );
  return `<table class="small"><thead><tr><th scope="col">Domain</th><th scope="col">Forest</th><th scope="col" class="number">Accounts</th><th scope="col" class="number">Values</th><th scope="col">Scanned</th></tr></thead>\n<tbody>\n${rows.join('')}</tbody></table>\n`;
}

function certificateText({ certificates }: AuditReport): string {
  if (certificates === null) return '<p>No certificates were given.</p>\n';
  const unread = certificates.unreadable.map(({ file, reason }) => `${file}: ${reason}`);
  const list = unread.length === 0 ? '' : `<p>Not read:</p>\n${listOf(unread)}`;
  return `<p>${certificates.read} certificates from ${safe(certificates.folder)}.</p>\n${list}`;
}

function summaryTable({ counts }: AuditReport, codes: readonly AuditCode[]): string {
  const rows = codes.map((code) => {
    const { severity, title } = auditCodes[code];
    return `<tr><td class="number">${counts[code] ?? 0}</td><td>${mark(severity)}</td><th scope="row"><code>${code}</code></th><td>${safe(title)}</td></tr>\n`;
  });
  return `<table class="small"><thead><tr><th scope="col" class="number">Count</th><th scope="col">Severity</th><th scope="col">Code</th><th scope="col">Meaning</th></tr></thead>\n<tbody>\n${rows.join('')}</tbody></table>\n`;
}

/** Of use only where the script runs, which shows it. */
function controls(codes: readonly AuditCode[]): string {
  const options = codes.map((code) => `<option>${code}</option>`);
  return `<form id="controls" hidden><label>Search <input type="search" id="search"></label> <label>Code <select id="code"><option value="">all</option>${options.join('')}</select></label> <output id="shown" aria-live="polite"></output></form>\n`;
}

function findingRow({
  severity,
  code,
  problem,
  account,
  others,
  certificate,
  value,
  text,
  corrected,
}: AuditFinding): string {
  const who = [
    account === null ? '' : `<b>${safe(account.name)}</b><br><span class="dn">${breakable(account.dn)}</span>`,
    account === null || others.length === 0 ? '' : `<br>also ${safe(others.join(', '))}`,
    certificate === null ? '' : `${account === null ? '' : '<br>'}<span class="dn">${safe(certificate)}</span>`,
  ].join('');
  const stored = value === null ? '' : `<code class="value" dir="ltr">${safe(value)}</code>`;
  const right =
    corrected === null ? '' : `<p class="right">should be <code class="value" dir="ltr">${safe(corrected)}</code></p>`;
  const kind = problem === null || problem === code ? '' : `<br><span class="dn">${safe(problem)}</span>`;
  return `<tr data-code="${code}"><td>${mark(severity)}</td><td><code>${code}</code>${kind}</td><th scope="row">${who}</th><td>${safe(text)}</td><td>${stored}${right}</td></tr>\n`;
}

/** Lines may end behind the commas of a name. */
function breakable(text: string): string {
  return safe(text).replaceAll(',', ',<wbr>');
}

function mark(severity: AuditFinding['severity']): string {
  return `<span class="mark ${severity}">${severity}</span>`;
}

function leftOutText({ leftOut }: AuditReport): string {
  const left = orderOfCodes.flatMap((code) => (leftOut[code] === undefined ? [] : [`${leftOut[code]} of ${code}`]));
  return left.length === 0
    ? ''
    : `<p class="banner">Findings that are not on this page: ${left.join(', ')}. They are counted above; <code>--csv</code> writes them all.</p>\n`;
}

function listOf(texts: readonly string[]): string {
  return `<ul>\n${texts.map((text) => `<li>${safe(text)}</li>\n`).join('')}</ul>\n`;
}
