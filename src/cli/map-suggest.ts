/**
 * `dsmapper map suggest`: the values to write for a certificate, and the commands that write them. Writes nothing itself.
 */
import { findNamedAccount } from '../admin/named-account.ts';
import { certificateFacts } from '../admin/explain.ts';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { createMetrics, silentGauges } from '../gateway/metrics.ts';
import type { Settings } from '../gateway/settings.ts';
import { createSetup } from '../gateway/setup.ts';
import { candidatesOf } from '../mapping/candidates.ts';
import { defaultMappingSettings, mappingMethods } from '../mapping/mapper-contract.ts';
import { suggestValues, type Suggestion } from '../mapping/value-suggestion.ts';
import { loadFile, readChain } from './configuration.ts';
import { csvOf, ldifOf, powerShellOf, suggestionLines, type SuggestedChange, type Target } from './map-suggest-text.ts';
import type { ExitCode } from './program.ts';
import { terminal } from './terminal.ts';

export interface SuggestOptions {
  readonly config?: string;
  readonly account?: string;
  readonly method?: readonly string[];
  readonly powershell?: boolean;
  readonly ldif?: boolean;
  readonly csv?: boolean;
  readonly json?: boolean;
}

export async function suggestCommand(file: string, options: SuggestOptions): Promise<ExitCode> {
  refuseContradictions(options);
  const { leaf } = await readChain(file, null);
  const settings = options.config === undefined ? null : await loadFile(options.config);
  const mapping = settings?.mapping ?? defaultMappingSettings;
  const { values, warnings } = suggestValues(leaf, candidatesOf(leaf, mapping));
  const chosen = choose(values, options.method);
  const target = await targetOf(options.account, settings);
  const change = { target, values: chosen.map(({ value }) => value) };
  const nothing = chosen.length === 0;
  if (nothing && (options.powershell === true || options.ldif === true)) throw noValue();
  const commands = { powershell: nothing ? null : powerShellOf(change), ldif: nothing ? null : ldifOf(change) };
  if (options.json === true) {
    const { thumbprint, subject, issuer, serial } = certificateFacts(leaf);
    terminal.json({
      certificate: { thumbprint, subject, issuer, serial },
      account: target,
      values,
      warnings,
      ...commands,
    });
  } else if (options.powershell === true) terminal.line(pasteable(change, commands.powershell));
  else if (options.ldif === true) process.stdout.write(commands.ldif ?? '');
  else if (options.csv === true) process.stdout.write(csvOf(target, values));
  else
    await terminal.lines(suggestionLines({ leaf: certificateFacts(leaf), values, warnings, change }, terminal.paint));
  return 0;
}

function refuseContradictions(options: SuggestOptions): void {
  const shapes = (['powershell', 'ldif', 'csv', 'json'] as const).filter((name) => options[name] === true);
  if (shapes.length > 1)
    throw badFlag(`--${shapes.join(' and --')} are different outputs`, 'give one of them, or none for all');
  for (const name of options.method ?? [])
    if (!mappingMethods.some((method) => method === name))
      throw badFlag(`there is no method ${name}`, `the methods are ${mappingMethods.join(', ')}`);
}

function noValue(): Failure {
  return new Failure('the settings in force look for no value of altSecurityIdentities of this certificate', {
    code: 'noValue',
    hint: 'mapping.certificateMappingMethods leaves them out',
  });
}

function badFlag(message: string, hint: string): Failure {
  return new Failure(message, { code: 'flag', hint, exitCode: 2 });
}

/** @throws Failure for a method that this certificate has no value of */
function choose(values: readonly Suggestion[], methods: readonly string[] | undefined): readonly Suggestion[] {
  if (methods === undefined) return values.slice(0, 1);
  for (const name of methods)
    if (!values.some(({ method }) => method === name))
      throw badFlag(
        `the certificate has no value of the method ${name}`,
        `it has ${values.map(({ method }) => method).join(', ')}`,
      );
  return values.filter(({ method }) => methods.includes(method));
}

/** @throws Failure where the command cannot be pasted: what nobody sees would go with it */
function pasteable({ target }: SuggestedChange, command: string | null): string {
  if (command !== null) return command;
  throw new Failure(`a value or the name ${target?.name ?? ''} has characters that cannot be pasted safely`, {
    code: 'unpasteable',
    hint: 'use --ldif: there it is base64',
  });
}

/** Null when nobody was named. @throws Failure when the account is not there, or nobody says */
async function targetOf(name: string | undefined, settings: Settings | null): Promise<Target | null> {
  if (name === undefined) return null;
  if (settings === null) return unseenTarget(name);
  const metrics = createMetrics(silentGauges);
  const setup = createSetup(settings, 1, { clock: systemClock, random: Math.random, metrics, readOnly: true });
  try {
    if (setup.directory === null)
      throw badFlag('the configuration has no directory to find an account in', 'leave out -c, or --account');
    const named = await findNamedAccount(name, setup.directory, settings.mapping.deadline);
    if (named.kind === 'problem')
      throw new Failure(`${name}: ${named.problem}`, {
        code: 'account',
        hint: 'write it as LAB\\alice, alice or alice@lab.example.test',
        exitCode: named.problem.startsWith('whose name') ? 3 : 1,
      });
    const { account } = named;
    return { name: account.name, identity: account.dn, dn: account.dn, kind: account.kind };
  } finally {
    await setup.close();
  }
}

/** As it was written: the cmdlets take a distinguished name or a sAMAccountName, of their own domain. */
function unseenTarget(name: string): Target {
  if (name.includes('@') && !name.includes('='))
    throw badFlag(
      'a user principal name has to be looked up',
      'give a configuration with -c FILE, or the sAMAccountName or distinguished name',
    );
  const isDn = /^[a-z][a-z0-9-]*=/i.test(name);
  const identity = isDn ? name : name.slice(name.indexOf('\\') + 1);
  return { name, identity, dn: isDn ? name : null, kind: identity.endsWith('$') ? 'computer' : 'user' };
}
