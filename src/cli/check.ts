/**
 * `dsmapper check`: loads everything, contacts everything, serves nothing. Exit 2: the configuration is wrong; 1: findings; 3: a system
 * does not answer.
 */
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { describeRules, rulesText } from '../config/describe.ts';
import { rulesOf } from '../gateway/authorize-rules.ts';
import { createMetrics, silentGauges } from '../gateway/metrics.ts';
import type { Directory, Forest } from '../directory/directory.ts';
import type { Settings } from '../gateway/settings.ts';
import type { Setup } from '../gateway/setup.ts';
import { createSetup } from '../gateway/setup.ts';
import { sharedDomainName } from '../mapping/forest-names.ts';
import { loadFile } from './configuration.ts';
import { proposalText, proposedHosts, type ProposedHost } from './host-proposal.ts';
import type { ExitCode } from './program.ts';
import { contactRights } from './right-contacts.ts';
import { contactFolder, contactSources } from './source-contacts.ts';
import { printable, terminal } from './terminal.ts';
import { contactUpstreams } from './upstream-contacts.ts';

export interface CheckOptions {
  readonly config: string;
  readonly offline?: boolean;
  readonly json?: boolean;
  /** The account on which the rights of the bind account are tried. */
  readonly account?: string;
}

/** One system that was contacted. */
export interface Contact {
  readonly what: string;
  readonly answers: boolean;
  /** It answers, and what it says keeps the gateway from working. */
  readonly finding: boolean;
  /** It answers, and nobody can tell from what it says whether all is well. */
  readonly unproven?: boolean;
  readonly detail: string;
}

export async function check(options: CheckOptions): Promise<ExitCode> {
  const settings = await loadFile(options.config);
  const contacts = options.offline === true ? [] : await contactAll(settings, options.account ?? null);
  const proposed = proposedHosts(settings);
  if (options.json === true)
    terminal.json({ source: settings.source, ...describeRules(settings), contacts, proposedHosts: proposed });
  else report(settings, contacts, proposed);
  const [silent, ...others] = contacts.filter(({ answers }) => !answers);
  const more = others.length === 0 ? '' : `; ${others.length} more are named above`;
  if (silent !== undefined)
    throw new Failure(`${silent.what} does not answer as it should: ${silent.detail}${more}`, {
      code: 'not-reached',
      hint: hintFor(silent.detail),
      exitCode: 3,
    });
  return contacts.some(({ finding }) => finding) ? 1 : 0;
}

function hintFor(detail: string): string {
  return /credential|bind/i.test(detail)
    ? 'check dn and password under directory.domains[].bind'
    : /certificate|TLS|socket/i.test(detail)
      ? 'put right what is said there; --offline checks the file alone'
      : 'check its address, the network and that it runs; --offline checks the file alone';
}

async function contactAll(settings: Settings, account: string | null): Promise<readonly Contact[]> {
  const setup = createSetup(settings, 1, {
    clock: systemClock,
    random: Math.random,
    metrics: createMetrics(silentGauges),
    readOnly: true,
  });
  try {
    return [
      ...(await contactDirectory(setup)),
      ...(await contactPrincipals(setup)),
      ...(await contactRights(setup, account)),
      ...(await contactSources(setup.revocation)),
      ...(await contactFolder(settings.revocation.cacheDirectory)),
      ...(await contactUpstreams(setup)),
    ];
  } finally {
    await setup.close();
  }
}

async function contactDirectory({ directory, settings }: Setup): Promise<readonly Contact[]> {
  if (directory === null) return [];
  const controllers = await directory.health();
  const forests = await Promise.all(directory.forests.map((forest) => contactForest(forest, settings)));
  return [
    ...controllers.map(({ domain, url, state, reason }) => ({
      what: `controller ${url} of ${domain}`,
      answers: state === 'up',
      finding: false,
      detail: state === 'up' ? 'up' : reason,
    })),
    ...forests.flat(),
    ...(await contactNames(directory)),
  ];
}

async function contactNames({ forests }: Directory): Promise<readonly Contact[]> {
  const names = await Promise.all(
    forests.map(async (forest) => ({ name: forest.name, answer: await forest.domains() })),
  );
  const shared = sharedDomainName(
    names.flatMap(({ name, answer }) => (answer.kind === 'read' ? [{ name, domains: answer.domains }] : [])),
  );
  return shared === null ? [] : [{ what: 'names of accounts', answers: true, finding: true, detail: shared }];
}

async function contactForest(forest: Forest, settings: Settings): Promise<readonly Contact[]> {
  const [domains, ntAuth] = await Promise.all([forest.domains(), forest.ntAuth()]);
  const names =
    domains.kind === 'read'
      ? domains.domains.map(({ dnsName, netbiosName }) => `${netbiosName} (${dnsName})`).join(', ')
      : domains.reason;
  const issuers = ntAuth.kind === 'read' ? `${ntAuth.issuers.size} issuers, read from ${ntAuth.server}` : ntAuth.reason;
  const empty = ntAuth.kind === 'read' && ntAuth.issuers.size === 0 && settings.mapping.ntAuthMethods.length > 0;
  return [
    { what: 'domains of the forest', answers: domains.kind === 'read', finding: false, detail: names },
    {
      what: 'NTAuth',
      answers: ntAuth.kind === 'read',
      finding: empty,
      detail: empty
        ? `${issuers}: nobody can be mapped; publish the issuing CA (certutil -dspublish NTAuthCA), or let the bind account read CN=Public Key Services of the configuration`
        : issuers,
    },
  ];
}

/** Users and groups that locations name. */
async function contactPrincipals({ principals, settings }: Setup): Promise<readonly Contact[]> {
  const named = settings.sites
    .flatMap(({ locations }) => locations)
    .flatMap(({ authorize }) => [...rulesOf(authorize)])
    .some(({ groups, users }) => groups.length + users.length > 0);
  if (!named) return [];
  await principals.settle(settings.mapping.deadline);
  const what = 'users and groups of locations';
  const unpinned = principals.unpinned();
  if (unpinned.length === 0) return [{ what, answers: true, finding: false, detail: 'all have their SIDs' }];
  return unpinned.map(({ sentence, wrong }) => ({ what, answers: wrong, finding: wrong, detail: sentence }));
}

function report(settings: Settings, contacts: readonly Contact[], proposed: readonly ProposedHost[]): void {
  const { paint } = terminal;
  terminal.line(paint('bold', `${settings.source} is valid`));
  for (const line of rulesText(describeRules(settings))) terminal.line(line);
  if (contacts.length > 0) terminal.line();
  for (const { what, answers, finding, unproven = false, detail } of contacts) {
    const good = unproven ? paint('yellow', '?   ') : paint('green', 'ok  ');
    const mark = !answers ? paint('red', 'FAIL') : finding ? paint('yellow', 'BAD ') : good;
    terminal.line(`${mark} ${printable(what)}: ${printable(detail)}`);
  }
  if (proposed.length === 0) return;
  terminal.line();
  terminal.line('hosts that certificates of this configuration name and that it does not allow:');
  for (const { host, namedBy } of proposed) terminal.line(printable(`  ${host}, named by ${namedBy.join(' and ')}`));
  terminal.line('to fetch revocation data from all of them:');
  terminal.line(printable(`  ${proposalText(proposed, settings)}`));
}
