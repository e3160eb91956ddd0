/**
 * A gRPC client as Envoy is one, by the library that others use.
 */
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface CheckHeader {
  readonly header: { readonly key: string; readonly value: string };
  readonly append_action: string;
}

export interface CheckResponse {
  readonly status: { readonly code: number };
  readonly ok_response: {
    readonly headers: readonly CheckHeader[];
    readonly headers_to_remove: readonly string[];
  } | null;
  readonly denied_response: {
    readonly status: { readonly code: number };
    readonly headers: readonly CheckHeader[];
    readonly body: string;
  } | null;
}

export interface CheckFacts {
  readonly certificate?: string;
  readonly path?: string;
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly rawBody?: Buffer;
}

export interface CheckClient {
  /** Rejects with a `ServiceError`, whose `code` is the grpc-status. */
  check(facts: CheckFacts, metadata?: Readonly<Record<string, string>>): Promise<CheckResponse>;
  close(): void;
}

type CheckCall = (
  request: object,
  metadata: grpc.Metadata,
  done: (error: grpc.ServiceError | null, response: CheckResponse) => void,
) => void;

const definition = loadSync(join(import.meta.dirname, 'auth-check.proto'), {
  keepCase: true,
  enums: String,
  defaults: true,
  oneofs: true,
});
const loaded = grpc.loadPackageDefinition(definition) as unknown as {
  envoy: { service: { auth: { v3: { Authorization: grpc.ServiceClientConstructor } } } };
};

/** @param target `unix:/run/auth.sock` or `127.0.0.1:9443` */
export function checkClient(target: string, credentials = grpc.credentials.createInsecure()): CheckClient {
  const client = new loaded.envoy.service.auth.v3.Authorization(target, credentials);
  const call = (client['Check'] as CheckCall).bind(client);
  return {
    check(
      { certificate, path = '/payroll', host = 'localhost', method = 'GET', headers = {}, rawBody },
      metadata = {},
    ) {
      const sent = new grpc.Metadata();
      for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
      const http = {
        id: '1',
        method,
        path,
        host,
        scheme: 'https',
        headers,
        protocol: 'HTTP/2',
        size: -1,
        raw_body: rawBody,
      };
      const source = { address: { socket_address: { address: '192.0.2.7', port_value: 4711 } }, certificate };
      const request = { attributes: { source, request: { time: { seconds: 1 }, http } } };
      return new Promise((resolve, reject) => {
        call(request, sent, (error, response) => (error === null ? resolve(response) : reject(error)));
      });
    },
    close: () => client.close(),
  };
}

/** Credentials of TLS. @param identity what the client shows */
export function tlsCredentials(
  ca: string,
  identity?: { readonly cert: string; readonly key: string },
): grpc.ChannelCredentials {
  const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  return grpc.credentials.createSsl(Buffer.from(ca), pem(identity?.key), pem(identity?.cert));
}
