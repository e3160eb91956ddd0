/**
 * What requests may do beside asking for a document: upgrades, CORS preflights, probes of load balancers, and what a proxy in front says of its
 * client.
 */
import { z } from 'zod';
import { neverUpgraded } from '../forward/upgrade-offer.ts';
import { quoted } from './complaint.ts';
import { group, needed, standard } from './keys.ts';
import { pageHeader, pageMethod, pageOrigin } from './origins.ts';
import { choice, duration, flag, text, type Scalar } from './scalars.ts';

const word: Scalar<string> = text('a name', (raw) => ({ value: raw }));

/** Compared without case (RFC 9110 section 7.8). */
const upgradeProtocol: Scalar<string> = text('a protocol such as websocket', (raw) => {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$/.test(raw))
    return { wrong: `${quoted(raw)} is not a protocol`, hint: 'name or name/version, for example websocket' };
  if (neverUpgraded(raw))
    return { wrong: `${quoted(raw)} is never passed on: requests inside would not be looked at`, hint: 'leave it out' };
  return { value: raw.toLowerCase() };
});

const preflight = group(
  {
    origins: z.array(pageOrigin).min(1).describe('origins that may ask, exactly: https://app.example.test'),
    methods: z.array(pageMethod).min(1).prefault(['GET', 'HEAD', 'POST']).describe('methods that they may use'),
    headers: z.array(pageHeader).prefault([]).describe('request headers that they may send'),
    credentials: standard(flag, true, 'whether browsers may show certificates and cookies then'),
    maximumAge: standard(duration(), '10m', 'how long browsers may remember the answer'),
  },
  'CORS preflights (OPTIONS without a certificate) that the gateway answers itself and never forwards',
);

export const locationTraffic = {
  upgrades: z
    .array(upgradeProtocol)
    .optional()
    .describe('protocols to which connections may be upgraded. / has [websocket]'),
  webSocketOrigins: z.array(pageOrigin).nullable().optional().describe('whose pages may open WebSockets; null: any'),
  preflight: preflight
    .nullable()
    .optional()
    .describe('CORS preflights (OPTIONS without a certificate) that the gateway answers itself; null: none'),
};

const probe = group(
  {
    path: needed(word, 'a path, as a whole'),
    answers: standard(choice(['alive', 'ready']), 'ready', '200 whenever the process serves, or only when it is ready'),
  },
  'a path that the gateway answers itself, without a certificate',
);

export const probes = z.array(probe).prefault([]).describe('paths for load balancers');

export const proxyProtocol = group(
  { from: z.array(word).min(1).describe('addresses and networks of the proxies: 192.0.2.7, 192.0.2.0/24') },
  'proxies that begin connections with a PROXY protocol header (v1 or v2); theirs must have one, those of others must not',
);
