/**
 * The lab's configuration as text, so that a user can read it, change it and run `dsmapper check` or `serve` with it.
 */
import { relative } from 'node:path';
import type { Lab } from '../lab/lab.ts';
import { labBind, labDomain } from '../lab/accounts.ts';

export interface LabPorts {
  readonly late: number;
  readonly upFront: number;
  readonly http: number;
  readonly admin: number;
}

/** @param folder where the file will lie: file references are relative to it */
export function labConfiguration(lab: Lab, ports: LabPorts, folder: string): string {
  const file = (name: string) => `file:${relative(folder, `${lab.pki.folder}/${name}`)}`;
  const certificate = `{ cert: "${file('gateway.pem')}", key: "${file('gateway.key')}" }`;
  return `# Written by "dsmapper lab" at every start. Try changes on a copy:  dsmapper check -c COPY
labOnly: true                # X-DSMapper-Verdict on every answer
verdictHeader: true

bindings:
  - endpoint: 127.0.0.1:${ports.late}          # asks for the certificate late, by renegotiation (TLS 1.2)
    certificate: ${certificate}
    dsMapperUsage: enabled
    negotiateClientCertificate: disabled
    verifyClientCertificateRevocation: disabled
  - endpoint: 127.0.0.1:${ports.upFront}          # asks in the first handshake (TLS 1.3, HTTP/2)
    certificate: ${certificate}
    dsMapperUsage: enabled
    negotiateClientCertificate: enabled
    verifyClientCertificateRevocation: disabled
    enableSessionTicket: true
  - endpoint: 127.0.0.1:${ports.http}          # plain http: 403.4 wherever Ssl is set

sites:
  - name: Lab
    bindings: ["127.0.0.1:${ports.late}", "127.0.0.1:${ports.upFront}", "127.0.0.1:${ports.http}"]
    upstream: ${lab.echo.url}
    locations:
      /:
        access: { sslFlags: [Ssl] }
        authentication: { anonymous: fallback }
      /payroll:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        identity: { dialects: [remote-user, arr] }
        maximumAge: 10m
      /computers:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        authorize: { accounts: [computer] }

trust:
  roots: ["${file('root.pem')}"]
  intermediates: ["${file('issuing.pem')}"]
  ntAuth: directory

directory:
  domains:
    - name: ${labDomain.domain}
      controllers: ["${lab.directory.url}"]
      bind: { dn: "${labBind.dn}", password: "file:ldap-password" }
  ca: ["${file('root.pem')}"]

log: { file: access.log }
admin: { listen: "127.0.0.1:${ports.admin}", socket: admin.sock }
`;
}
