/**
 * Backends in the configuration language: by origin where one is used, or by the name of an entry of `upstreams`.
 */
import { z } from 'zod';
import { origin } from './addresses.ts';
import { group } from './keys.ts';
import { count, duration } from './scalars.ts';

const limits = {
  maximumConnections: count(1, 10_000).describe('connections to one backend'),
  maximumQueue: count(0, 1_000_000).describe('requests that wait for one; beyond: 503'),
  connectTimeout: duration(1).describe('for a connection to a backend'),
  headersTimeout: duration(1).describe('from the end of the request to the headers of the answer'),
  bodyTimeout: duration().describe('between two pieces of an answer; 0s: no limit'),
  queueTimeout: duration(1).describe('for a connection to become free; beyond: 503'),
  tunnelTimeout: duration().describe('silence of an upgraded connection (WebSocket) that ends it; 0s: no limit'),
};

export const upstreamLimits = group(
  {
    maximumConnections: limits.maximumConnections.prefault(100),
    maximumQueue: limits.maximumQueue.prefault(1000),
    connectTimeout: limits.connectTimeout.prefault('5s'),
    headersTimeout: limits.headersTimeout.prefault('60s'),
    bodyTimeout: limits.bodyTimeout.prefault('5m'),
    queueTimeout: limits.queueTimeout.prefault('5s'),
    tunnelTimeout: limits.tunnelTimeout.prefault('5m'),
  },
  'backends',
);

export const ownUpstreamLimits = group(optionals(limits), 'in place of limits.upstream, key by key');

/** The origin of a backend, or the name of an entry of `upstreams`. */
export const upstreamReference = origin;

const upstream = group({}, 'servers that do the same');

export const upstreams = z.record(z.string(), upstream).describe('backends by name');

function optionals<S extends Record<string, z.ZodType>>(shape: S): { [K in keyof S]: z.ZodOptional<S[K]> } {
  return Object.fromEntries(Object.entries(shape).map(([key, type]) => [key, type.optional()])) as {
    [K in keyof S]: z.ZodOptional<S[K]>;
  };
}
