/**
 * `dsmapper explain`: the story of one certificate, told by the flow itself.
 */
import type { Explanation } from '../admin/explain.ts';
import { exitCodeOf, explain, explainAlone } from '../admin/explain.ts';
import type { Instant, Millis } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { createMetrics, silentGauges } from '../gateway/metrics.ts';
import type { Settings } from '../gateway/settings.ts';
import { createSetup } from '../gateway/setup.ts';
import { defaultMappingSettings } from '../mapping/mapper-contract.ts';
import type { ReadChain } from './configuration.ts';
import { loadFile, readChain } from './configuration.ts';
import { storyOf } from './explain-story.ts';
import type { ExitCode } from './program.ts';
import { terminal } from './terminal.ts';

export interface ExplainOptions {
  readonly config?: string;
  readonly binding?: string;
  readonly host?: string;
  readonly path: string;
  readonly at?: string;
  readonly account?: string;
  readonly offline?: boolean;
  readonly json?: boolean;
}

export async function explainCommand(
  file: string,
  chainFile: string | null,
  options: ExplainOptions,
): Promise<ExitCode> {
  const clock = clockAt(options.at);
  refuseContradictions(options);
  const read = await readChain(file, chainFile);
  const { explanation, notes } =
    options.config === undefined
      ? { explanation: explainAlone(read.leaf, defaultMappingSettings), notes: [] }
      : await withConfiguration(options.config, read, options, clock);
  if (options.json === true) terminal.json(explanation);
  else for (const line of storyOf(explanation, terminal.paint)) terminal.line(line);
  for (const text of notes) terminal.warn(text);
  if (explanation.verdict.code === 'directoryUnavailable') return 3;
  return exitCodeOf(explanation);
}

async function withConfiguration(config: string, read: ReadChain, options: ExplainOptions, clock: Clock) {
  const settings = await loadFile(config);
  const names = settings.bindings.map(({ name }) => name);
  if (options.binding !== undefined && !names.includes(options.binding))
    throw badFlag(`there is no binding ${options.binding}`, `the bindings are ${names.join(', ')}`);
  const offline = options.offline === true;
  const used = offline ? { ...settings, directory: null } : settings;
  const metrics = createMetrics(silentGauges);
  const setup = createSetup(used, 1, { clock, random: Math.random, metrics, readOnly: true });
  try {
    const question = {
      ...read,
      binding: options.binding ?? null,
      host: options.host ?? null,
      path: options.path,
      offline,
      ...(options.account === undefined ? {} : { account: options.account }),
    };
    if (!offline) await Promise.all([setup.revocation.start(startTimeout), setup.principals.settle(startTimeout)]);
    const explanation = await explain(question, setup);
    return { explanation, notes: unseen(explanation, options.path, settings) };
  } finally {
    await setup.close();
  }
}

/** Where the location takes no notice of certificates, the verdict says nothing about this one, which a good exit code might seem to. */
function unseen({ steps }: Explanation, path: string, { sites }: Settings): readonly string[] {
  if (!steps.some(({ step, outcome }) => step === 'presented' && outcome === 'none')) return [];
  const paths = sites
    .flatMap(({ locations }) => locations)
    .filter(({ access }) => access.clientCertificate !== 'ignore')
    .map((location) => location.path);
  const where = paths.length === 0 ? '' : `; where it is: --path ${[...new Set(paths)].toSorted().join(' or ')}`;
  return [`no certificate is asked for at ${path}, so this one was not judged${where}`];
}

/** For lists, users and groups that the configuration names; whoever needs one that takes longer waits for it then, or is not told. */
const startTimeout = 15_000 as Millis;

/** @throws Failure when the text is not an instant with a zone */
function clockAt(text: string | undefined): Clock {
  if (text === undefined) return systemClock;
  const instant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(instant)) {
    throw badFlag(`--at ${text} is not an instant`, 'write it as 2026-11-22T17:33:00Z');
  }
  return { now: () => instant as Instant, monotonic: () => systemClock.monotonic() };
}

/** @throws Failure for flags that would have no effect: whoever gave them would believe an answer to another question */
function refuseContradictions({ config, account, offline, binding, host }: ExplainOptions): void {
  if (config === undefined)
    for (const [flag, value] of Object.entries({ account, binding, host }))
      if (value !== undefined)
        throw badFlag(`--${flag} means nothing without a configuration`, 'give one with -c FILE');
  if (offline === true && account !== undefined)
    throw badFlag('--account means nothing with --offline', 'an account is looked up in the directory');
}

function badFlag(message: string, hint: string): Failure {
  return new Failure(message, { code: 'flag', hint, exitCode: 2 });
}
