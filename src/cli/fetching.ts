/**
 * How commands get revocation data: from a file that was named, or from a URL by the same fetcher that the gateway has. A URL on the command
 * line may be fetched, because somebody has just said so; where it leads further needs the configuration's leave.
 */
import type { Millis } from '../base/brand.ts';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { readSourceUrl } from '../config/source-hosts.ts';
import { createDirectory } from '../directory/forests.ts';
import type { Settings } from '../gateway/settings.ts';
import { createFetcher } from '../revocation/fetcher.ts';
import type { Fetcher, FetchFailure } from '../revocation/revocation-contract.ts';

/** Octets of a CRL that a command reads. */
export const maximumCrlBytes = 512 * 1024 * 1024;

export const fetchTimeout = 60_000 as Millis;

export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text);
}

export interface CommandFetcher {
  readonly fetcher: Fetcher;
  close(): Promise<void>;
}

/**
 * @param urls named by whoever calls
 * @param settings whose directory and hosts may be used as well; null: none
 * @throws Failure for a URL that is none of ours
 */
export function openFetcher(urls: readonly string[], settings: Settings | null): CommandFetcher {
  const hosts = urls.flatMap((url) => {
    const read = readSourceUrl(url);
    if ('url' in read) return read.host === null ? [] : [read.host];
    throw new Failure(`${url} cannot be fetched: ${read.why}`, {
      code: 'flag',
      hint: 'give a file, or a URL that begins with http:// or ldap://',
      exitCode: 2,
    });
  });
  const directory =
    settings === null || settings.directory === null
      ? null
      : createDirectory(settings.directory, { clock: systemClock, random: Math.random });
  const allowedHosts = [...hosts, ...(settings?.revocation.hosts ?? [])];
  const files = settings?.revocation.crls.filter((url) => url.startsWith('file:')) ?? [];
  const fetcher = createFetcher({ allowedHosts, files, directory }, systemClock);
  return {
    fetcher,
    async close() {
      await fetcher.close();
      await directory?.close();
    },
  };
}

/** @throws Failure, always: exit 3 for a system that does not answer, else 1 */
export function failedFetch(url: string, code: FetchFailure, detail: string): never {
  const hints: Partial<Record<FetchFailure, string>> = {
    hostNotAllowed: 'it leads to another host: name that URL, or write the host under revocation.hosts and give -c',
    unsupportedUrl: 'ldap:///... is read from the directory of a configuration: give -c',
    notFound: 'check the path of the URL',
    httpStatus: 'the server runs: check the path of the URL',
    tooManyRedirects: 'the server runs: check the path of the URL, or name the one that it should lead to',
    tooLarge: `at most ${maximumCrlBytes} bytes are read`,
  };
  const own = code === 'hostNotAllowed' || code === 'unsupportedUrl' || code === 'tooLarge';
  throw new Failure(`${url}: ${detail}`, {
    code: 'not-fetched',
    hint: hints[code] ?? 'check the network and that the server runs',
    exitCode: own ? 1 : 3,
  });
}
