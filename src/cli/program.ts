/**
 * The command table: names, flags, exit codes. Each command lives in its own file and is loaded when it is called.
 *
 * Exit codes: 0 good; 1 refused, findings, or the work itself failed; 2 bad flags or configuration; 3 a needed system did not answer.
 */
import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { codeOf, Failure } from '../base/failure.ts';
import { terminal } from './terminal.ts';

export type ExitCode = 0 | 1 | 2 | 3;

/** @param words the command line without the names of Node and of the script */
export async function run(words: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = 0;
  const program = commandTable((code) => (exitCode = code));
  try {
    await program.parseAsync([...words], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    terminal.error(error);
    return error instanceof Failure ? error.exitCode : 1;
  }
}

/** `dsmapper explain ... | head`: who reads has had enough. A running gateway that logs there goes on without its log. */
export function endQuietly(error: Error): void {
  if (process.stdout.listenerCount('error') === 1) process.exit(codeOf(error) === 'EPIPE' ? 0 : 1);
}

function commandTable(end: (code: ExitCode) => void): Command {
  const program = new Command('dsmapper');
  program
    .description('TLS gateway that maps client certificates to Active Directory accounts')
    .version(packageVersion(), '--version', 'print the version')
    .addHelpText('after', examples)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/\.?\n$/, '\n')) });

  command(program, 'serve', 'run the gateway')
    .option('-c, --config <file>', 'configuration', 'dsmapper.yaml')
    .option('--json', 'print events as JSON lines')
    .action(async (options) => end(await (await import('./serve.ts')).serve(options)));

  command(program, 'lab', 'run certificates, directory, backend and gateway on this machine, with commands to try')
    .option('--folder <folder>', 'where certificates are kept', 'certs/lab')
    .option('--var <folder>', 'where configuration, log and socket go', 'var/lab')
    .option('--ports <first>', 'first of five ports; 0 takes free ones (default 8443, or free ones when taken)')
    .option('--prepare <folder>', 'only write certificates, accounts and configuration for a lab in containers')
    .option('--echo <address:port>', 'only run the echo backend')
    .option('--revocation <address:port>', 'only run the revocation server; its control is on the next port')
    .option('--json', 'print one line of JSON when ready')
    .action(async (options) => end(await (await import('./lab.ts')).runLab(options)));

  command(program, 'check', 'load everything, contact everything, serve nothing')
    .option('-c, --config <file>', 'configuration', 'dsmapper.yaml')
    .option('--offline', 'contact nothing')
    .option('--account <name>', 'account on which the rights of the bind account are tried (default: the first found)')
    .option('--json', 'print the result as JSON')
    .action(async (options) => end(await (await import('./check.ts')).check(options)));

  command(program, 'explain <certificate> [chain]', 'tell what the gateway decides about a certificate, and why')
    .option('-c, --config <file>', 'configuration; without it nothing is judged')
    .option('--binding <name>', 'endpoint of the binding (default: the first with TLS)')
    .option('--host <name>', 'host that the request would name')
    .option('--path <path>', 'path that the request would ask for', '/')
    .option('--at <instant>', 'judge at another time, as 2026-11-22T17:33:00Z')
    .option('--account <name>', 'go through the values of this account and say what is wrong with them')
    .option('--offline', 'judge the chain alone; ask no directory')
    .option('--json', 'print the explanation as JSON')
    .action(async (certificate, chain, options) =>
      end(await (await import('./explain.ts')).explainCommand(certificate, chain ?? null, options)),
    );

  command(program, 'audit', 'scan the directory: malformed, weak, duplicate and idle mappings')
    .option('-c, --config <file>', 'configuration', 'dsmapper.yaml')
    .option('--certificates <folder>', 'certificates in use, to tell which values belong to none of them')
    .option('--csv <file>', 'write every finding as CSV')
    .option('--html <file>', 'write a report that a browser opens')
    .option('--json', 'print the report as JSON')
    .action(async (options) => end(await (await import('./audit.ts')).auditCommand(options)));

  const map = program.command('map').description('write mappings of certificates to accounts');
  command(map, 'suggest <certificate>', 'print the values to write for a certificate, and the commands that write them')
    .option('--account <name>', 'account they are for: sAMAccountName, distinguished name, or with -c any name')
    .option('-c, --config <file>', 'configuration whose settings hold and whose directory knows the account')
    .option('--method <name...>', 'methods whose values the commands write (default: the first)')
    .option('--powershell', 'print the PowerShell command alone')
    .option('--ldif', 'print the LDIF alone')
    .option('--csv', 'print the values as CSV')
    .option('--json', 'print everything as JSON')
    .action(async (certificate, options) =>
      end(await (await import('./map-suggest.ts')).suggestCommand(certificate, options)),
    );

  command(program, 'init', 'write a first configuration')
    .option('--output <file>', 'where to write', 'dsmapper.yaml')
    .option('--domain <name>', 'DNS name of the domain', 'lab.example.test')
    .option('--controller <url...>', 'ldaps://host of a domain controller (default: ldaps://dc1.<domain>)')
    .option('--bind-dn <dn>', 'account to search with')
    .option('--roots <folder>', 'folder with root certificates', 'trust/roots')
    .option('--upstream <url>', 'backend', 'http://127.0.0.1:8080')
    .option('--force', 'overwrite')
    .action(async (options) => end(await (await import('./init.ts')).init(options)));

  const cert = program.command('cert').description('look at certificates');
  command(cert, 'show <file>', 'print what is in a certificate')
    .option('--json', 'print it as JSON')
    .action(async (file, options) => end(await (await import('./cert.ts')).showCertificate(file, options)));

  const crl = program.command('crl').description('look at certificate revocation lists');
  command(crl, 'show <file>', 'print what is in a CRL; <file> may be a URL')
    .option('--serial <hex>', 'print only the entry of this serial number; exit code 1 when it is there')
    .option('--issuer <certificate>', 'verify that this issuer signed it; exit code 1 when it did not')
    .option('--entries <number>', 'entries to print (default 20)')
    .option('--all', 'print all entries; with --json each on a line of its own')
    .option('-c, --config <file>', 'configuration whose directory and hosts may be asked')
    .option('--json', 'print it as JSON')
    .action(async (file, options) => end(await (await import('./crl.ts')).showCrl(file, options)));

  const ocsp = program.command('ocsp').description('ask OCSP responders');
  command(ocsp, 'check <certificate> <issuer>', 'ask whether a certificate is revoked, and judge the answer')
    .option('--url <url>', 'responder; without it those that the certificate names')
    .option('-c, --config <file>', 'configuration whose rules and hosts hold')
    .option('--json', 'print the answers as JSON')
    .action(async (certificate, issuer, options) =>
      end(await (await import('./ocsp.ts')).checkOcsp(certificate, issuer, options)),
    );
  return program;
}

function command(parent: Command, usage: string, description: string): Command {
  return parent.command(usage).description(description).exitOverride().allowExcessArguments(false);
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

const examples = `
Examples:
  dsmapper lab                                    try everything on this machine
  dsmapper init --domain corp.example.com         a first configuration
  dsmapper check                                  what is wrong with it
  dsmapper serve                                  run it
  dsmapper explain alice.pem -c dsmapper.yaml     why a certificate gets in, or not`;
