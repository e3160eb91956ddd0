/**
 * The pages that follow from the code, as text.
 */
import { verdictCodes } from '../src/base/verdict.ts';
import { languageEntries } from '../src/config/language-map.ts';
import { answerOf, statusText } from '../src/iis/verdict-table.ts';

export function verdictsPage(): string {
  const rows = verdictCodes.map((code) => {
    const safe = answerOf(code, 'safe');
    const iis = answerOf(code, 'iis');
    const other = statusText(safe) === statusText(iis) ? 'the same' : statusText(iis);
    return `| \`${code}\` | ${statusText(safe)} | ${other} | ${safe.win32} | ${safe.level} | ${safe.text} |`;
  });
  return `# Verdicts

How a request can end. The code is what stands in log lines (\`code\`), in \`dsmapper_verdicts_total{code}\` and in \`explain --json\`; codes are
never renamed. *safe* and *iis* are the two kinds of outcomes (\`mapping.outcomes\`): *iis* shows what IIS would show, also where that
hides a failure behind "not mapped", and needs \`labOnly\`. *Win32* is \`sc-win32-status\` as IIS logs it.

| code | safe | iis | Win32 | level | meaning |
|---|---|---|---|---|---|
${rows.join('\n')}

A remote client sees the status alone: one page for all 403, as with IIS' static error pages, and the request id that is also in the log
line and in \`X-Request-Id\`. A client on the same machine gets the detail.
`;
}

export function configurationPage(): string {
  const rows = languageEntries().map(({ path, kind, fallback, required, description }) => {
    const standard = required ? '**required**' : fallback === null ? '' : `\`${fallback}\``;
    return `| \`${path}\` | ${cell(kind)} | ${standard} | ${cell(description)} |`;
  });
  return `# Configuration reference

One YAML file. Keys in \`[]\` stand for each item of a list, \`*\` for a name of your choice. Secrets are written as references only
(\`env:NAME\`, \`file:path\`); paths are relative to the file. \`dsmapper check\` prints the effective rule of every location.

SIGHUP has the file read again and taken up: new requests follow it, those in hand go on, and connections and streams whose right is gone
end. A file with mistakes changes nothing: it is told on standard error, and the old one serves on. \`log\`, \`admin\`, \`limits.recheck\`, the limits of connections
and the listeners of \`authEndpoints\` need a restart, and a warning says so. \`dsmapper_setup_generation\` counts what has been taken up.

| key | value | default | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
