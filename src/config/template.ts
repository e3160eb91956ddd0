/**
 * The first configuration that `dsmapper init` writes: what must be decided is asked for, the rest is shown with its
 * default and a reason. Everything that comes from outside is written as quoted text.
 */
export interface TemplateFacts {
  /** DNS name of the domain. */
  readonly domain: string;
  /** Files or directories with the root CAs of the clients; `file:` and `dir:` are added where they are missing. */
  readonly roots: readonly string[];
  readonly intermediates?: readonly string[];
  /** Host names or `ldaps://` URLs. */
  readonly controllers: readonly string[];
  /** CA certificates of the controllers; none: public roots. */
  readonly directoryAuthorities?: readonly string[];
  readonly bindDn: string;
  /** Reference to the password of the bind account. Default `env:LDAP_PASSWORD`. */
  readonly bindPassword?: string;
  /** `http://host:port` of the backend. Default `http://127.0.0.1:8080`. */
  readonly upstream?: string;
  /** Default `0.0.0.0:443`. */
  readonly endpoint?: string;
  /** Default `tls/server.pem` and `tls/server.key`. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** The path that needs an account. Default `/`. */
  readonly location?: string;
}

/** @returns YAML that loads once the files it names are there */
export function configurationTemplate(facts: TemplateFacts): string {
  const {
    certificate = { cert: 'tls/server.pem', key: 'tls/server.key' },
    location = '/',
    endpoint = '0.0.0.0:443',
  } = facts;
  const controllers = facts.controllers.map((name) => (name.includes('://') ? name : `ldaps://${name}`));
  const authorities = facts.directoryAuthorities ?? [];
  const names =
    endpoint.startsWith('[') || /^[\d.]+:/.test(endpoint) ? [] : [endpoint.slice(0, endpoint.lastIndexOf(':'))];
  return `# dsmapper: client certificates in front, accounts of ${comment(facts.domain)} behind.
# Paths are relative to this file. Durations: 250ms, 15s, 10m, 1h30m. Sizes: 49152, 64KiB, 16MiB.
# \`dsmapper check\` loads this file, contacts what it names and prints the effective rule of each location.

bindings:
  - endpoint: ${text(endpoint)}
    certificate: { cert: ${reference('file', certificate.cert)}, key: ${reference('file', certificate.key)} }
    dsMapperUsage: enabled
    # disabled: only locations that want a certificate ask for it, by renegotiation (TLS 1.2 and HTTP/1.1).
    # enabled: every client is asked in the first handshake (TLS 1.3 and HTTP/2 stay).
    negotiateClientCertificate: disabled
    verifyClientCertificateRevocation: enabled

sites:
  - name: Default Web Site
    bindings: [${text(endpoint)}]${names.length > 0 ? `\n    hosts: ${list(names)}` : ''}
    upstream: ${text(facts.upstream ?? 'http://127.0.0.1:8080')}
    locations:
${location === '/' ? '' : openRoot}      ${text(location)}:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        # anonymous beside mapping would let in whoever shows no certificate.
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
        # computer lets machine accounts in; groups: [LAB\\Payroll] lets nobody but its members in.
        authorize: { accounts: [user] }

trust:
  roots: ${references(facts.roots)}
  intermediates: ${references(facts.intermediates ?? [])}
  ntAuth: directory                          # issuers must be in NTAuthCertificates of the forest

revocation:
  # Nothing is fetched from hosts that do not stand here, and unknown is refused: \`dsmapper check\` proposes those that the
  # CA certificates name. ldap:///... is read from the directory and needs no entry.
  # hosts: [${text(`pki.${facts.domain}`)}]
  whenUnknown: refuse
  # cacheDirectory: var/revocation           # CRLs outlive a restart

directory:
  domains:
    - name: ${text(facts.domain)}
      controllers: ${list(controllers)}
      bind: { dn: ${text(facts.bindDn)}, password: ${text(facts.bindPassword ?? 'env:LDAP_PASSWORD')} }
  ca: ${references(authorities)}${authorities.length === 0 ? '                                     # none: the controllers have certificates of a public CA' : ''}

mapping:
  strongCertificateBindingEnforcement: 2     # KB5014754, full enforcement
  cache: { positive: 15m, negative: 1m, stale: 10m, maximum: 200000 }

identity:
  dialects: [remote-user]                    # X-Remote-User, X-Remote-Upn, X-Remote-Sid, X-Client-Verify

log: { file: "-", omitNames: false }

admin:
  listen: 127.0.0.1:9090                     # /metrics and health; everything else is on the socket
  # socket: var/run/admin.sock
`;
}

const openRoot = `      /:
        access: { sslFlags: [Ssl] }
        authentication: { anonymous: fallback }
`;

/** A JSON string is a double-quoted scalar of YAML 1.2. */
function text(value: string): string {
  return JSON.stringify(value);
}

function list(values: readonly string[]): string {
  return `[${values.map(text).join(', ')}]`;
}

/** A name with the ending of a certificate file is a file, any other a directory. */
function references(paths: readonly string[]): string {
  const kind = (path: string) => (/\.(?:pem|crt|cer|der)$/i.test(path) ? 'file' : 'dir');
  return `[${paths.map((path) => reference(kind(path), path)).join(', ')}]`;
}

function reference(kind: 'file' | 'dir', path: string): string {
  return text(/^(?:file|dir|env):/.test(path) ? path : `${kind}:${path}`);
}

function comment(value: string): string {
  return value.replaceAll(/\p{C}/gu, ' ');
}
