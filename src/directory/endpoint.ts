/**
 * The address of one directory server, from a configured URL. Decides which URLs are taken, and that both kinds mean TLS: from the first
 * byte (`ldaps://`), or on the plain port after StartTLS (`ldap://`), which then is the first thing that is said. A host and
 * perhaps a port, nothing else. Whether the server is who it says is decided by the TLS handshake in `secure-socket.ts`.
 */
import { isIP, isIPv6 } from 'node:net';
import { Failure } from '../base/failure.ts';

export interface Endpoint {
  /** `ldaps://host:port` or `ldap://host:port`, host in lower case: how records, health and reasons name the server. */
  readonly url: string;
  /** Host name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Addresses are checked against the certificate's IP address names, never sent as SNI (RFC 6066 section 3). */
  readonly isAddress: boolean;
  /** TLS begins with StartTLS, and nothing is said before. */
  readonly startTls: boolean;
}

/** 636 is what IANA registered for ldaps, RFC 4516 gives ldap 389. */
const defaultPorts = { ldaps: 636, ldap: 389 } as const;

/** @throws Failure `directory-url` for anything but `ldaps://host[:port]` and `ldap://host[:port]` */
export function parseEndpoint(text: string): Endpoint {
  const parts =
    /^(?<scheme>ldaps?):\/\/(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[a-z0-9._-]+))(?::(?<port>\d{1,5}))?\/?$/i.exec(
      text,
    )?.groups;
  const scheme = parts?.['scheme']?.toLowerCase() === 'ldap' ? 'ldap' : 'ldaps';
  const host = (parts?.['v6'] ?? parts?.['name'] ?? '').toLowerCase();
  const port = Number(parts?.['port'] ?? defaultPorts[scheme]);
  if (host === '' || port < 1 || port > 65535 || (parts?.['v6'] !== undefined && !isIPv6(host)))
    throw refuse(
      text,
      'the form is ldaps://host[:port], or ldap://host[:port] for StartTLS, without user, path or query',
    );
  return endpointOf(scheme, host, port);
}

/** @param host name or address, lower case, without brackets */
export function endpointOf(scheme: 'ldaps' | 'ldap', host: string, port: number): Endpoint {
  const shown = isIPv6(host) ? `[${host}]` : host;
  const isAddress = isIP(host) !== 0;
  return { url: `${scheme}://${shown}:${port}`, host, port, isAddress, startTls: scheme === 'ldap' };
}

function refuse(text: string, hint: string): Failure {
  return new Failure(`${JSON.stringify(text)} is not the URL of a directory server`, {
    code: 'directory-url',
    hint,
    exitCode: 2,
  });
}
