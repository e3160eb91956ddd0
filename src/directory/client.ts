/**
 * An ldapts client over one socket. Decides that it knows no other: left alone, ldapts connects again by itself when a connection has
 * ended, and without a bind.
 */
import { Client, type ClientOptions } from 'ldapts';
import type { FramedSocket } from './framed-socket.ts';

/** @param url `ldaps://` or `ldap://`, for messages; what travels over `framed` is encrypted already or never will be */
export function createClient(url: string, framed: FramedSocket): Client {
  const give: unknown = () => framed;
  return new Client({
    url,
    createConnection: give as NonNullable<ClientOptions['createConnection']>,
    createSecureConnection: give as NonNullable<ClientOptions['createSecureConnection']>,
  });
}
