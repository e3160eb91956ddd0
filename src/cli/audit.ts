/**
 * `dsmapper audit`: scans every account with mappings in the configured domains and says what is wrong with them. Exit 0: nothing; 1:
 * findings; 3: not everything could be looked at.
 */
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import type { AuditFinding, AuditReport } from '../admin/audit-contract.ts';
import { audit, exitCodeOfAudit, type AuditForest } from '../admin/audit.ts';
import type { Millis } from '../base/brand.ts';
import { systemClock } from '../base/clock.ts';
import { Failure, reasonOf } from '../base/failure.ts';
import type { DirectorySettings } from '../directory/directory.ts';
import { createDirectory, type LiveDirectory } from '../directory/forests.ts';
import type { Settings } from '../gateway/settings.ts';
import { csvHead, csvRow } from './audit-csv.ts';
import { auditPage } from './audit-html.ts';
import { readCertificateFolder, readNtAuthNames } from './audit-inputs.ts';
import { createProgress } from './audit-progress.ts';
import { auditLines } from './audit-text.ts';
import { loadFile } from './configuration.ts';
import type { ExitCode } from './program.ts';
import { terminal } from './terminal.ts';

export interface AuditOptions {
  readonly config: string;
  readonly certificates?: string;
  readonly csv?: string;
  readonly html?: string;
  readonly json?: boolean;
}

/** Findings of one code in the report; the CSV has them all. */
const maximumPerCode = 1000;

export async function auditCommand(options: AuditOptions): Promise<ExitCode> {
  const settings = await loadFile(options.config);
  if (settings.directory === null)
    throw new Failure('the configuration names no directory', {
      code: 'audit-directory',
      hint: 'add directory.domains',
      exitCode: 2,
    });
  const csv = options.csv === undefined ? null : await openFile(options.csv);
  const html = options.html === undefined ? null : await openFile(options.html);
  const report = await runAudit(settings, settings.directory, options, (finding) => csv?.write(csvRow(finding)), csv);
  await csv?.end();
  for (const piece of html === null ? [] : auditPage(report)) {
    html?.write(piece);
    await html?.taken();
  }
  await html?.end();
  if (options.json === true) terminal.json(report);
  else await terminal.lines(auditLines(report));
  return exitCodeOfAudit(report);
}

async function runAudit(
  settings: Settings,
  directorySettings: DirectorySettings,
  options: AuditOptions,
  onFinding: (finding: AuditFinding) => void,
  csv: OutputFile | null,
): Promise<AuditReport> {
  const { mapping, source } = settings;
  const certificates =
    options.certificates === undefined ? null : await readCertificateFolder(options.certificates, mapping);
  const quiet = directorySettings.forests.map((forest) => ({ ...forest, pollInterval: 0 as Millis }));
  const directory = createDirectory({ forests: quiet }, { clock: systemClock, random: Math.random });
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt);
  const progress = createProgress({
    monotonic: () => systemClock.monotonic(),
    terminal: process.stderr.isTTY,
    write: (text) => void process.stderr.write(text),
  });
  csv?.write(csvHead());
  try {
    return await audit({
      source,
      forests: await forestsOf(directory, directorySettings),
      certificates,
      mapping,
      now: () => systemClock.now(),
      signal: interrupted.signal,
      maximumPerCode,
      onFinding,
      async onProgress(come) {
        progress.tell(come);
        await csv?.taken();
      },
    });
  } finally {
    progress.end();
    process.off('SIGINT', interrupt);
    await directory.close();
  }
}

function forestsOf(directory: LiveDirectory, { forests }: DirectorySettings): Promise<readonly AuditForest[]> {
  return Promise.all(
    directory.forests.map(async (forest, index) => {
      const settings = forests[index];
      const configured = settings?.domains.map(({ name }) => name) ?? [];
      const patience = ((settings?.connectTimeout ?? 0) + (settings?.searchTimeout ?? 0)) as Millis;
      const ntAuth = await readNtAuthNames(forest, configured[0] ?? '', patience);
      return { ...forest, configured, ntAuth };
    }),
  );
}

interface OutputFile {
  write(text: string): void;
  /** Resolves when what was written has been taken, as far as it has to be. */
  taken(): Promise<void>;
  end(): Promise<void>;
}

/** Only its owner may read it: it tells whom one could pretend to be. @throws Failure `audit-output` */
async function openFile(path: string): Promise<OutputFile> {
  const stream = createWriteStream(path, { mode: 0o600 });
  try {
    await once(stream, 'open');
  } catch (cause) {
    throw unwritable(path, cause);
  }
  let failure: unknown = null;
  stream.on('error', (error) => (failure = error));
  return {
    write: (text) => void stream.write(text),
    async taken() {
      if (failure !== null) throw unwritable(path, failure);
      if (stream.writableNeedDrain) await settled(stream, 'drain');
      if (failure !== null) throw unwritable(path, failure);
    },
    async end() {
      stream.end();
      if (!stream.writableFinished) await settled(stream, 'close');
      if (failure !== null) throw unwritable(path, failure);
    },
  };
}

/** A stream that failed never drains. */
async function settled(stream: WriteStream, event: 'drain' | 'close'): Promise<void> {
  if (stream.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  stream.once(event, done).once('error', done).once('close', done);
  await promise;
}

function unwritable(path: string, cause: unknown): Failure {
  const hint = 'name a file in a folder that exists and may be written to';
  return new Failure(`cannot write ${path}: ${reasonOf(cause)}`, { code: 'audit-output', hint, exitCode: 2, cause });
}
