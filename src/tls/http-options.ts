/**
 * What one connection may cost in HTTP/1 and HTTP/2: Node's own limits, set explicitly from `ConnectionLimits`. What
 * Node does not bound is in `http2-guard.ts` and `binding-server.ts`.
 */
import type { ServerOptions } from 'node:http';
import type { SecureServerOptions } from 'node:http2';
import type { ConnectionLimits } from './binding.ts';

export function httpOptionsOf(limits: ConnectionLimits): ServerOptions {
  return {
    maxHeaderSize: limits.maximumHeaderBytes,
    headersTimeout: headersTimeoutOf(limits),
    requestTimeout: limits.requestTimeout,
    connectionsCheckingInterval: checkingInterval(limits),
    keepAliveTimeout: limits.keepAliveTimeout,
    // Beyond what is announced, so that a client's last-moment request does not meet a closing socket.
    keepAliveTimeoutBuffer: Math.min(1000, limits.keepAliveTimeout),
    // A missing Host ends in the gateway's flow like any other bad request, logged and counted.
    requireHostHeader: false,
    insecureHTTPParser: false,
  };
}

export function http2OptionsOf(limits: ConnectionLimits): SecureServerOptions {
  return {
    allowHTTP1: true,
    ...httpOptionsOf(limits),
    maxSessionMemory: sessionMegabytes,
    maxHeaderListPairs: limits.maximumHeaderCount + pseudoHeaders,
    maxOutstandingPings: 10,
    maxSettings: 32,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // CVE-2023-44487, over a longer time than `http2-guard.ts` sees: a burst, then a slow refill.
    streamResetBurst: 2 * limits.maximumStreams,
    streamResetRate: Math.max(1, Math.ceil(limits.maximumStreams / 4)),
    settings: {
      maxConcurrentStreams: limits.maximumStreams,
      maxHeaderListSize: limits.maximumHeaderBytes,
      enablePush: false,
      enableConnectProtocol: false,
    },
  };
}

const pseudoHeaders = 4;
/** Megabytes of one HTTP/2 session's own state, open streams included; new streams are refused beyond. */
const sessionMegabytes = 8;

/** Node refuses a header time-out beyond the request time-out; 0 switches either off. */
function headersTimeoutOf({ headersTimeout, requestTimeout }: ConnectionLimits): number {
  return requestTimeout === 0 ? headersTimeout : Math.min(headersTimeout, requestTimeout);
}

/** Milliseconds between two looks at overdue requests: Node's default of 30 s would make shorter time-outs untrue. */
function checkingInterval({ headersTimeout, requestTimeout }: ConnectionLimits): number {
  const shortest = Math.min(...[headersTimeout, requestTimeout].filter((timeout) => timeout > 0), 40_000);
  return Math.max(20, Math.min(5000, Math.floor(shortest / 8)));
}
