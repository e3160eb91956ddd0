/**
 * Commands to try against the lab, each with what it shows; every line works when pasted as it stands.
 */
import type { LabPorts } from './lab-configuration.ts';

/** @param certs folder of the certificates and @param files folder of the lab's other files, relative to the user's own */
export function curlLines(ports: LabPorts, certs: string, files: string): readonly string[] {
  const late = `https://127.0.0.1:${ports.late}`;
  const upFront = `https://127.0.0.1:${ports.upFront}`;
  const curl = `curl -sS -i --cacert ${quote(`${certs}/root.pem`)}`;
  const as = (name: string) => `--cert ${quote(`${certs}/${name}.pem`)} --key ${quote(`${certs}/${name}.key`)}`;
  const megabyte = `--data-binary ${quote(`@${files}/megabyte.bin`)}`;
  // The key of RFC 6455 section 1.3; nothing secret.
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const webSocket = [...upgrade, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
    .map((field) => `-H ${quote(field)}`)
    .join(' ');
  const examples: readonly (readonly [string, string])[] = [
    ['public path, no certificate: 200', `${curl} ${late}/`],
    ['protected path, asked for by renegotiation: 200, LAB\\alice', `${curl} ${as('alice')} ${late}/payroll`],
    ['the same up front over TLS 1.3: 200', `${curl} --http1.1 --tlsv1.3 ${as('alice')} ${upFront}/payroll`],
    ['the same over HTTP/2: 200', `${curl} --http2 ${as('alice')} ${upFront}/payroll`],
    [
      'another spelling of the path falls under the same rule: 200',
      `${curl} --path-as-is ${as('bob')} ${late}/x/../%50ayroll`,
    ],
    ['no certificate: 403.7', `${curl} ${late}/payroll`],
    ['expired: 403.17', `${curl} ${as('expired')} ${late}/payroll`],
    ['foreign root: 403.16', `${curl} ${as('foreign')} ${late}/payroll`],
    ['revoked: 403.13', `${curl} ${as('revoked')} ${late}/payroll`],
    ['issued by the renewed CA: 200', `${curl} ${as('renewed')} ${late}/payroll`],
    ['no account: 401.2', `${curl} ${as('nobody')} ${late}/payroll`],
    ['disabled account: 403.12', `${curl} ${as('disabled')} ${late}/payroll`],
    ['two accounts: 403.12', `${curl} ${as('twice')} ${late}/payroll`],
    ['weak mapping under full enforcement: 403.12', `${curl} ${as('weak')} ${late}/payroll`],
    ['a computer where computers may pass: 200', `${curl} ${as('workstation')} ${late}/computers`],
    ['a member of a group in a group, whose groups the backend hears: 200', `${curl} ${as('alice')} ${late}/staff`],
    ['a member of neither: 403', `${curl} ${as('bob')} ${late}/staff`],
    ['smart cards only: 200', `${curl} ${as('smartcard')} ${late}/smartcard`],
    ['any other certificate there: 403', `${curl} ${as('alice')} ${late}/smartcard`],
    ['who the gateway takes you for, and why', `${curl} ${as('alice')} ${late}/payroll/.dsmapper/whoami?json`],
    ['1 MB before a late certificate: 413', `${curl} ${as('alice')} ${megabyte} ${late}/payroll`],
    ['1 MB with the certificate up front: 200', `${curl} ${as('alice')} ${megabyte} ${upFront}/payroll`],
    [
      'a forged identity header does not pass: 200, still LAB\\alice',
      `${curl} ${as('alice')} -H ${quote('X_Remote-User: LAB\\root')} ${late}/payroll`,
    ],
    [
      'a stream of events, as they come, while the certificate is good: 200, LAB\\alice',
      `${curl} -N ${as('alice')} ${quote(`${late}/payroll?events=3&interval=500`)}`,
    ],
    [
      'a WebSocket, whose first message is what the backend heard: 101',
      `${curl} --http1.1 ${webSocket} ${as('alice')} ${quote(`${late}/staff?once=1`)}`,
    ],
    ['plain http where TLS is required: 403.4', `curl -sS -i http://127.0.0.1:${ports.http}/`],
    [
      'why: the whole decision about a certificate',
      `curl -sS --unix-socket ${quote(`${files}/admin.sock`)} --data-binary ${quote(`@${certs}/weak.pem`)} ${quote('http://localhost/explain?path=/payroll')}`,
    ],
    ['metrics', `curl -sS http://127.0.0.1:${ports.admin}/metrics`],
  ];
  return examples.flatMap(([what, command]) => [`# ${what}`, command, '']).slice(0, -1);
}

/** For a POSIX shell; plain words stay as they are. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
