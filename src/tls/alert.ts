/**
 * TLS alerts for connections that are refused before a TLS stack has seen them (RFC 8446 section 6).
 */
const descriptions = {
  handshake_failure: 40,
  decode_error: 50,
  protocol_version: 70,
  unrecognized_name: 112,
} as const;

export type AlertName = keyof typeof descriptions;

/** The whole record of a fatal alert, unencrypted. */
export function fatalAlert(name: AlertName): Buffer {
  return Buffer.from([21, 3, 3, 0, 2, 2, descriptions[name]]);
}
