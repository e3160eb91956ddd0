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

/** What differs between a lab on one machine and one in containers. */
export interface LabPlace {
  /** Where the bindings listen. */
  readonly address: string;
  readonly ports: LabPorts;
  /** Folder of the certificates, as seen from the folder of the file. */
  readonly certificates: string;
  readonly upstream: string;
  readonly controller: string;
  /** The revocation server as `host:port`, and where its lists are kept; null: nothing is checked for revocation. */
  readonly revocation: { readonly host: string; readonly cacheDirectory: string } | null;
  /** A path, or `-`. */
  readonly log: string;
  /** Null: no admin socket. */
  readonly socket: string | null;
}

/** @param folder where the file will lie: file references are relative to it */
export function labConfiguration(lab: Lab, ports: LabPorts, folder: string): string {
  return configurationText({
    address: '127.0.0.1',
    ports,
    certificates: relative(folder, lab.pki.folder),
    upstream: lab.echo.url,
    controller: lab.directory.url,
    revocation: { host: new URL(lab.revocation.url).host, cacheDirectory: 'revocation' },
    log: 'access.log',
    socket: 'admin.sock',
  });
}

export function configurationText(place: LabPlace): string {
  const { address, ports, upstream, controller, revocation } = place;
  const verify =
    revocation === null
      ? 'verifyClientCertificateRevocation: disabled'
      : `verifyClientCertificateRevocation: enabled
    revocationFreshnessTime: 10s   # so that whoever is revoked sees it soon; 0s waits until the list ends`;
  const file = (name: string) => `file:${place.certificates}/${name}`;
  const certificate = `{ cert: "${file('gateway.pem')}", key: "${file('gateway.key')}" }`;
  return `# Written by "dsmapper lab" at every start. Try changes on a copy:  dsmapper check -c COPY
labOnly: true                # X-DSMapper-Verdict on every answer
verdictHeader: true

bindings:
  - endpoint: ${address}:${ports.late}          # asks for the certificate late, by renegotiation (TLS 1.2)
    certificate: ${certificate}
    dsMapperUsage: enabled
    negotiateClientCertificate: disabled
    ${verify}
  - endpoint: ${address}:${ports.upFront}          # asks in the first handshake (TLS 1.3, HTTP/2)
    certificate: ${certificate}
    dsMapperUsage: enabled
    negotiateClientCertificate: enabled
    ${verify}
    enableSessionTicket: true
  - endpoint: ${address}:${ports.http}          # plain http: 403.4 wherever Ssl is set

sites:
  - name: Lab
    bindings: ["${address}:${ports.late}", "${address}:${ports.upFront}", "${address}:${ports.http}"]
    upstream: ${upstream}
    locations:
      /:
        access: { sslFlags: [Ssl] }
        authentication: { anonymous: fallback }
        whoami: true             # /.dsmapper/whoami, and below each of the others: who the gateway takes you for
      /payroll:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        identity: { dialects: [remote-user, arr] }
        maximumAge: 10m
      /computers:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        authorize: { accounts: [computer] }
      /staff:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        authorize:
          groups: ['${labDomain.netbiosName}\\Staff']   # which Payroll is in, which alice is in
          # reportOnly: true        # serves the others too, and records whom this would refuse
        identity: { groups: names }   # X-Remote-Groups and X-Remote-Group-Sids for the backend
      /smartcard:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        authorize: { extendedKeyUsages: [smartCardLogon] }

trust:
  roots: ["${file('root.pem')}"]
  intermediates: ["${file('issuing.pem')}", "${file('issuing-renewed.pem')}"]
  ntAuth: directory
${revocation === null ? '' : revocationText(revocation)}
directory:
  domains:
    - name: ${labDomain.domain}
      controllers: ["${controller}"]
      bind: { dn: "${labBind.dn}", password: "file:ldap-password" }
  ca: ["${file('root.pem')}"]

log: { file: "${place.log}" }
admin: { listen: "${address}:${ports.admin}"${place.socket === null ? '' : `, socket: ${place.socket}`} }
`;
}

function revocationText({ host, cacheDirectory }: NonNullable<LabPlace['revocation']>): string {
  return `
revocation:
  mode: online
  hosts: ["${host}"]
  cacheDirectory: "${cacheDirectory}"
`;
}
