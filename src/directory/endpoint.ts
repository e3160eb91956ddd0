/**
 * The address of one directory server, from a configured URL. Decides which URLs are taken: LDAP over TLS from the first
 * byte (`ldaps://`), a host and perhaps a port, nothing else. Whether the server is who it says is decided by the
 * TLS handshake in `secure-socket.ts`.
 */
import { isIP, isIPv6 } from 'node:net';
import { Failure } from '../base/failure.ts';

export interface Endpoint {
  /** `ldaps://host:port`, host in lower case: how records, health and reasons name the server. */
  readonly url: string;
  /** Host name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Addresses are checked against the certificate's IP address names, never sent as SNI (RFC 6066 section 3). */
  readonly isAddress: boolean;
}

/** RFC 4516 gives ldaps no port of its own; 636 is what IANA registered. */
const defaultPort = 636;

/** @throws Failure `directory-url` for anything but `ldaps://host[:port]` */
export function parseEndpoint(text: string): Endpoint {
  if (/^ldap:/i.test(text))
    throw refuse(
      text,
      'clear-text LDAP and StartTLS are not spoken: write ldaps:// (port 636, or 3269 for a global catalog)',
    );
  const parts = /^ldaps:\/\/(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[a-z0-9._-]+))(?::(?<port>\d{1,5}))?\/?$/i.exec(
    text,
  )?.groups;
  const host = (parts?.['v6'] ?? parts?.['name'] ?? '').toLowerCase();
  const port = Number(parts?.['port'] ?? defaultPort);
  if (host === '' || port < 1 || port > 65535 || (parts?.['v6'] !== undefined && !isIPv6(host)))
    throw refuse(text, 'the form is ldaps://host[:port], without user, path or query');
  const shown = isIPv6(host) ? `[${host}]` : host;
  return { url: `ldaps://${shown}:${port}`, host, port, isAddress: isIP(host) !== 0 };
}

function refuse(text: string, hint: string): Failure {
  return new Failure(`${JSON.stringify(text)} is not the URL of a directory server`, {
    code: 'directory-url',
    hint,
    exitCode: 2,
  });
}
