/**
 * A data plane's part of a question: the client's certificate in each form, and the request that asks.
 */
import http from 'node:http';
import https from 'node:https';
import { createHash, X509Certificate } from 'node:crypto';

export interface AskWhere {
  readonly socketPath?: string;
  readonly port?: number;
  /** TLS with these, where there are any. */
  readonly tls?: https.RequestOptions;
  readonly agent?: http.Agent | https.Agent;
}

export interface AuthTestAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface TestQuestion {
  readonly method?: string;
  readonly path?: string;
  /** Name and value, in this order, sent as they are. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
}

export function askAuth(where: AskWhere, question: TestQuestion): Promise<AuthTestAnswer> {
  const { method = 'GET', path = '/', headers = [], body } = question;
  const flat = headers.flat();
  const host = headers.some(([name]) => name.toLowerCase() === 'host') ? [] : ['Host', 'auth'];
  const length = body === undefined ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  const { tls, ...target } = where;
  const options = {
    host: '127.0.0.1',
    agent: false as const,
    ...target,
    method,
    path,
    headers: [...host, ...flat, ...length],
  };
  return new Promise((resolve, reject) => {
    const sent = tls === undefined ? http.request(options) : https.request({ ...options, ...tls });
    sent.once('error', reject);
    sent.once('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status = 0, headers, rawHeaders } = response;
        resolve({ status, headers, rawHeaders, body: Buffer.concat(pieces).toString('utf8') });
      });
    });
    sent.end(body);
  });
}

/** @param pem one certificate or several, leaf first */
export function certificatesIn(pem: string): readonly Buffer[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? []).map(
    (block) => new X509Certificate(block).raw,
  );
}

export function base64(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}

export function sha256(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex');
}

export type FormHeaders = readonly (readonly [string, string])[];

/** Each form as its program writes it. @param pem leaf first */
export const forms: Readonly<Record<string, (pem: string) => FormHeaders>> = {
  nginx: (pem) => [['X-SSL-Client-Cert', encodeURIComponent(leafOf(pem))]],
  traefik: (pem) => [['X-Forwarded-Tls-Client-Cert', certificatesIn(pem).map(base64).join(',')]],
  envoy: (pem) => [
    [
      'x-forwarded-client-cert',
      `Hash=00;Cert="${encodeURIComponent(leafOf(pem))}";Chain="${encodeURIComponent(pem)}";Subject="CN=\\"x\\",O=y, z"`,
    ],
  ],
  haproxy(pem) {
    const [leaf = Buffer.alloc(0), ...chain] = certificatesIn(pem);
    return [
      ['X-SSL-Client-DER', base64(leaf)],
      ['X-SSL-Client-Chain-DER', base64(Buffer.concat(chain))],
    ];
  },
  apache: (pem) => [['X-SSL-Client-Cert', leafOf(pem).replaceAll('\n', ' ')]],
  rfc9440(pem) {
    const [leaf = Buffer.alloc(0), ...chain] = certificatesIn(pem);
    return [
      ['Client-Cert', `:${base64(leaf)}:`],
      ...(chain.length === 0
        ? []
        : [['Client-Cert-Chain', chain.map((der) => `:${base64(der)}:`).join(', ')] as const]),
    ];
  },
};

function leafOf(pem: string): string {
  return /-----BEGIN[^]+?-----END CERTIFICATE-----\n?/.exec(pem)?.[0] ?? '';
}
