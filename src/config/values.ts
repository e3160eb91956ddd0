/**
 * Parts of the configuration whose values must fit each other: header names, limits, the way in for operators.
 */
import { isIPv6 } from 'node:net';
import { Failure } from '../base/failure.ts';
import { checkHeaderNames, defaultHeaderNames } from '../forward/dialects.ts';
import type { HeaderNames } from '../forward/forward-contract.ts';
import type { Settings } from '../gateway/settings.ts';
import type { Endpoint } from '../tls/binding.ts';
import type { BindingDraft } from './bindings.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';
import { readSocketPath } from './socket-path.ts';

/** Each name that was written is tried beside those that are good already, so that the complaint stands where somebody wrote. */
export function headerNames(written: Language['identity']['headers'], reading: Reading): HeaderNames {
  // Names may be exchanged, so that each is first tried with all of them, and only where that fails one after the other.
  const all = { ...defaultHeaderNames, ...withoutUndefined(written) };
  if (complaintOf(all) === null) return all;
  // Standard names that were given up must not stand in the way, and have no meaning of their own.
  let good: HeaderNames = { ...defaultHeaderNames, ...placeholders(written) };
  for (const key of Object.keys(withoutUndefined(written)) as (keyof HeaderNames)[]) {
    const tried = { ...good, [key]: all[key] };
    const wrong = complaintOf(tried);
    if (wrong === null) good = tried;
    else reading.mistake(['identity', 'headers', key], wrong.message, { hint: wrong.hint });
  }
  return good;
}

/** Names that no header has, for those that are still to be looked at. */
function placeholders(written: Language['identity']['headers']): Partial<HeaderNames> {
  return Object.fromEntries(Object.keys(withoutUndefined(written)).map((key) => [key, `dsmapper-unnamed-${key}-`]));
}

function withoutUndefined(written: Language['identity']['headers']): Partial<HeaderNames> {
  return Object.fromEntries(Object.entries(written).filter(([, name]) => name !== undefined));
}

function complaintOf(names: HeaderNames): Failure | null {
  try {
    checkHeaderNames(names);
    return null;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

export function limitSettings(limits: Language['limits'], reading: Reading): Settings['limits'] {
  const { uploadReadAheadSize, uploadReadAheadTotal, headersTimeout, requestTimeout } = limits;
  if (headersTimeout > requestTimeout)
    reading.mistake(['limits', 'headersTimeout'], 'is longer than requestTimeout, of which it is a part', {
      hint: 'shorten it, or write a longer `requestTimeout`',
    });
  if (uploadReadAheadSize > uploadReadAheadTotal)
    reading.mistake(
      ['limits', 'uploadReadAheadSize'],
      'is larger than uploadReadAheadTotal: not one such body could be held',
      { hint: 'write a larger `uploadReadAheadTotal`' },
    );
  const { renegotiationTimeout, maximumBody, lingerTimeout, lingerBytes, recheck, drainTimeout, maximumCertificates } =
    limits;
  return {
    connections: {
      maximumConnections: limits.maximumConnections,
      maximumConnectionsPerAddress: limits.maximumConnectionsPerAddress,
      maximumHandshakes: limits.maximumHandshakes,
      handshakeTimeout: limits.handshakeTimeout,
      maximumClientHello: limits.maximumClientHello,
      headersTimeout,
      requestTimeout,
      keepAliveTimeout: limits.keepAliveTimeout,
      idleTimeout: limits.idleTimeout,
      maximumHeaderBytes: limits.maximumHeaderBytes,
      maximumHeaderCount: limits.maximumHeaderCount,
      maximumStreams: limits.maximumStreams,
      maximumRequestsPerConnection: limits.maximumRequestsPerConnection,
    },
    uploadReadAheadSize,
    uploadReadAheadTotal,
    renegotiationTimeout,
    maximumBody,
    lingerTimeout,
    lingerBytes,
    recheck,
    drainTimeout,
    maximumCertificates,
  };
}

export function adminSettings(
  { listen, socket }: Language['admin'],
  bindings: readonly BindingDraft[],
  reading: Reading,
): Settings['admin'] {
  const taken = listen && bindings.find(({ endpoint }) => shareSocket(endpoint, listen));
  if (taken !== undefined)
    reading.mistake(['admin', 'listen'], `is taken by binding ${taken.name}`, {
      hint: 'give the admin listener an address and port of its own',
    });
  const path = socket === undefined ? null : readSocketPath(socket, ['admin', 'socket'], reading);
  return { listen: listen ?? null, socket: path };
}

/** The unspecified address takes the port of every other address of its family. */
function shareSocket(endpoint: Endpoint, listen: { readonly address: string; readonly port: number }): boolean {
  const address = endpoint.kind === 'address' ? endpoint.address : endpoint.listen;
  if (endpoint.port !== listen.port || listen.port === 0 || isIPv6(address) !== isIPv6(listen.address)) return false;
  return [address, listen.address].some((one) => one === '0.0.0.0' || one === '::') || address === listen.address;
}
