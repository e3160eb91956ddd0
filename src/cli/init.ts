/**
 * `dsmapper init`: a first configuration, commented, to be filled in.
 */
import { writeFile } from 'node:fs/promises';
import { Failure, codeOf } from '../base/failure.ts';
import { configurationTemplate } from '../config/template.ts';
import type { ExitCode } from './program.ts';
import { terminal } from './terminal.ts';

export interface InitOptions {
  readonly output: string;
  readonly domain: string;
  readonly controller?: readonly string[];
  readonly bindDn?: string;
  readonly roots: string;
  readonly upstream: string;
  readonly force?: boolean;
}

/** @throws Failure when the file exists or cannot be written */
export async function init(options: InitOptions): Promise<ExitCode> {
  const text = configurationTemplate({
    domain: options.domain,
    roots: [options.roots.includes(':') ? options.roots : `dir:${options.roots}`],
    controllers: options.controller ?? [`dc1.${options.domain}`],
    bindDn: options.bindDn ?? `svc-dsmapper@${options.domain}`,
    upstream: options.upstream,
  });
  await writeFile(options.output, text, { flag: options.force === true ? 'w' : 'wx', mode: 0o640 }).catch(
    (cause: unknown) => {
      const exists = codeOf(cause) === 'EEXIST';
      const hint = exists
        ? 'name another file with --output, or overwrite it with --force'
        : 'check that the folder exists and may be written';
      throw new Failure(
        exists ? `${options.output} exists already` : `cannot write ${options.output}: ${codeOf(cause) ?? 'failed'}`,
        { code: 'init', hint, cause },
      );
    },
  );
  terminal.line(
    `${options.output} is written. What it names has to be there: then "dsmapper check -c ${options.output}"`,
  );
  return 0;
}
