/**
 * How a server of an upstream is written: an http or https origin, or the path of a Unix socket; and how an upstream is referred to: by
 * such a server, or by the name of an entry of `upstreams`. Whether there is an entry of that name is looked at in `upstreams.ts`.
 */
import { origin } from './addresses.ts';
import { quoted } from './complaint.ts';
import { readPart } from './identifiers.ts';
import { text, type Read, type Scalar } from './scalars.ts';

/** `http://host:port`, `https://host:port` or `unix:path`. */
export const upstreamServer: Scalar<string> = text('an origin such as http://127.0.0.1:8080, or unix:path', serverOf);

const namePattern = /^[A-Za-z0-9][\w.-]{0,63}$/;

export const nameHint = 'letters, digits, hyphens, dots and underscores, 64 at most, a letter or digit first';

export function isUpstreamName(raw: string): boolean {
  return namePattern.test(raw);
}

/** A server, or a name: names have no colon, and servers always do. */
export const upstreamReference: Scalar<string> = text(
  'an origin such as http://127.0.0.1:8080, unix:path, or a name of `upstreams`',
  (raw) => {
    if (isUpstreamName(raw)) return { value: raw };
    if (raw.includes(':')) return serverOf(raw);
    return {
      wrong: `${quoted(raw)} is neither an origin nor a name of \`upstreams\``,
      hint: `write http://host:port, or a name: ${nameHint}`,
    };
  },
);

/** The path behind `unix:`; null where it is an origin. */
export function socketPathOf(server: string): string | null {
  return server.startsWith('unix:') ? server.slice(5) : null;
}

function serverOf(raw: string): Read<string> {
  const path = socketPathOf(raw);
  if (path === null) return isHostAndPort(raw) ? schemeMissing(raw) : readPart(origin, raw);
  if (path.startsWith('//'))
    return { wrong: `${quoted(raw)} is a URL`, hint: `write \`unix:${path.replace(/^\/+/, '/')}\`` };
  if (path === '' || path.endsWith('/'))
    return { wrong: `${quoted(raw)} names no socket`, hint: 'write `unix:/run/app.sock`' };
  return { value: raw };
}

function schemeMissing(raw: string): Read<string> {
  return { wrong: `${quoted(raw)} has no scheme`, hint: `write \`http://${raw}\` or \`https://${raw}\`` };
}

function isHostAndPort(raw: string): boolean {
  return /^[\w.-]+:\d{1,5}$/.test(raw);
}
