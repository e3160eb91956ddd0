/**
 * What operators can reach: health, metrics and the public keys of assertions on a TCP listener, everything else on a Unix socket that only the
 * gateway's own user may open. Until roles exist nothing that tells of a person or changes anything is on TCP.
 */
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { Failure, codeOf } from '../base/failure.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { AdminSettings } from '../gateway/settings.ts';
import { listenOnPath } from '../tls/socket-file.ts';
import { addSocketRoutes } from './socket-routes.ts';

export interface AdminSurface {
  /** `127.0.0.1:9090`, null when there is no TCP listener. */
  readonly address: string | null;
  close(): Promise<void>;
}

/** @throws Failure when the port or the socket cannot be had; nothing stays open then */
export async function startAdmin(settings: AdminSettings, gateway: Gateway): Promise<AdminSurface> {
  const open: FastifyInstance[] = [];
  let remove: (() => Promise<void>) | null = null;
  const close = async () => {
    await Promise.all(open.map((app) => app.close()));
    await remove?.();
  };
  try {
    const address = settings.listen === null ? null : await listen(settings.listen, gateway, open);
    if (settings.socket !== null) remove = await listenOnSocket(settings.socket, gateway, open);
    return { address, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listen(
  where: NonNullable<AdminSettings['listen']>,
  gateway: Gateway,
  open: FastifyInstance[],
): Promise<string> {
  const app = newApp();
  open.push(app);
  addHealthRoutes(app, gateway);
  await app.listen({ host: where.address, port: where.port }).catch((cause: unknown) => {
    const text = `cannot listen on ${where.address}:${where.port} for health and metrics: ${codeOf(cause) ?? 'failed'}`;
    throw new Failure(text, { code: 'admin-listen', hint: 'end what uses the port, or change admin.listen', cause });
  });
  const bound = app.server.address();
  return typeof bound === 'object' && bound !== null ? `${bound.address}:${bound.port}` : where.address;
}

function addHealthRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/metrics', async (_request, reply) =>
    reply.type(gateway.metrics.contentType).send(await gateway.metrics.text()),
  );
  app.get('/healthz', async () => ({ alive: true }));
  app.get('/readyz', async (_request, reply) => {
    const readiness = await gateway.readiness();
    return reply.code(readiness.ready ? 200 : 503).send(readiness);
  });
  app.get('/.well-known/jwks.json', async (_request, reply) => {
    const { assertions, clock } = gateway.setup;
    if (assertions === null) return reply.code(404).send({ error: 'nothing is signed: identity.assertion is not set' });
    // RFC 7517 section 8.5; keys are public before they sign for longer than anybody may keep the set.
    return reply
      .type('application/jwk-set+json')
      .header('cache-control', `public, max-age=${Math.floor(assertions.keepFor / 1000)}`)
      .send(JSON.stringify(assertions.jwks(clock.now())));
  });
}

async function listenOnSocket(path: string, gateway: Gateway, open: FastifyInstance[]): Promise<() => Promise<void>> {
  const app = newApp();
  open.push(app);
  addHealthRoutes(app, gateway);
  addSocketRoutes(app, gateway);
  const listen = (fresh: string) => app.listen({ path: fresh });
  return listenOnPath(listen, { path, access: 'owner', group: null, key: 'admin.socket' });
}

function newApp(): FastifyInstance {
  return fastify({
    logger: false,
    // By default unknown parameters would be taken away silently, and the rest done.
    ajv: { customOptions: { removeAdditional: false } },
    bodyLimit: 1024 * 1024,
    forceCloseConnections: true,
    requestTimeout: 30_000,
  });
}
