/**
 * What operators can reach: health and metrics on a TCP listener, everything else on a Unix socket that only the gateway's own user
 * may open. Until roles exist nothing that tells of a person or changes anything is on TCP.
 */
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure, codeOf } from '../base/failure.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { AdminSettings } from '../gateway/settings.ts';
import { addSocketRoutes } from './socket-routes.ts';

export interface AdminSurface {
  /** `127.0.0.1:9090`, null when there is no TCP listener. */
  readonly address: string | null;
  close(): Promise<void>;
}

/** @throws Failure when the port or the socket cannot be had; nothing stays open then */
export async function startAdmin(settings: AdminSettings, gateway: Gateway): Promise<AdminSurface> {
  const open: FastifyInstance[] = [];
  const close = async () => {
    await Promise.all(open.map((app) => app.close()));
    if (settings.socket !== null) await rm(settings.socket, { force: true });
  };
  try {
    const address = settings.listen === null ? null : await listen(settings.listen, gateway, open);
    if (settings.socket !== null) await listenOnSocket(settings.socket, gateway, open);
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
}

/**
 * The socket is made in a folder of mode 0700 beside its place, given mode 0600 there and then moved: at no moment can anybody else
 * connect. A socket left over by a crash is replaced; one that answers belongs to a running gateway and is an error.
 */
async function listenOnSocket(path: string, gateway: Gateway, open: FastifyInstance[]): Promise<void> {
  await refuseForeign(path);
  const app = newApp();
  open.push(app);
  addHealthRoutes(app, gateway);
  addSocketRoutes(app, gateway);
  const nursery = `${path}.new`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await rm(nursery, { recursive: true, force: true });
    await mkdir(nursery, { mode: 0o700 });
    await app.listen({ path: `${nursery}/s` });
    await chmod(`${nursery}/s`, 0o600);
    await rename(`${nursery}/s`, path);
    await rm(nursery, { recursive: true, force: true });
  } catch (cause) {
    const text = `cannot make the admin socket ${path}: ${codeOf(cause) ?? 'failed'}`;
    throw new Failure(text, {
      code: 'admin-socket',
      hint: 'check the folder and its rights, or change admin.socket (at most about 100 characters)',
      cause,
    });
  }
}

async function refuseForeign(path: string): Promise<void> {
  const facts = await lstat(path).catch(() => null);
  if (facts === null || facts.isSocket()) return;
  throw new Failure(`${path} exists and is not a socket`, {
    code: 'admin-socket',
    hint: 'change admin.socket or move that file away',
  });
}

function newApp(): FastifyInstance {
  return fastify({ logger: false, bodyLimit: 1024 * 1024, forceCloseConnections: true, requestTimeout: 30_000 });
}
