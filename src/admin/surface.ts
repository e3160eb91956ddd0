/**
 * What operators can reach: health, metrics and the public keys of assertions on a TCP listener, everything else on a Unix socket that only the
 * gateway's own user may open. Until roles exist nothing that tells of a person or changes anything is on TCP.
 */
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join, relative } from 'node:path';
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
  let made: OwnSocket | null = null;
  const close = async () => {
    await Promise.all(open.map((app) => app.close()));
    if (made !== null && (await inodeOf(made.path)) === made.inode) await rm(made.path, { force: true });
  };
  try {
    const address = settings.listen === null ? null : await listen(settings.listen, gateway, open);
    if (settings.socket !== null) made = await listenOnSocket(settings.socket, gateway, open);
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

/** A socket that we made: only that one is removed in the end. */
interface OwnSocket {
  readonly path: string;
  readonly inode: bigint | null;
}

/**
 * The socket is made in a folder of mode 0700 beside its place, given mode 0600 there and then moved: at no moment can anybody else
 * connect. A socket left over by a crash is replaced; one that answers belongs to a running gateway and is an error.
 */
async function listenOnSocket(settled: string, gateway: Gateway, open: FastifyInstance[]): Promise<OwnSocket> {
  const path = reachable(settled);
  await refuseForeign(path);
  const app = newApp();
  open.push(app);
  addHealthRoutes(app, gateway);
  addSocketRoutes(app, gateway);
  let nursery: string | null = null;
  try {
    await mkdir(dirname(path), { recursive: true });
    nursery = await mkdtemp(`${dirname(path)}/.`);
    const fresh = join(nursery, 's');
    await app.listen({ path: fresh });
    await chmod(fresh, 0o600);
    const inode = await inodeOf(fresh);
    await rename(fresh, path);
    return { path, inode };
  } catch (cause) {
    const text = `cannot make the admin socket ${path}: ${codeOf(cause) ?? 'failed'}`;
    throw new Failure(text, {
      code: 'admin-socket',
      hint: 'check the folder and its rights, or change admin.socket',
      cause,
    });
  } finally {
    if (nursery !== null) await rm(nursery, { recursive: true, force: true });
  }
}

/** Octets of a socket's path, without the closing zero of sun_path: more could be moved into place, and nobody could connect. */
const longestPath = process.platform === 'linux' ? 107 : 103;

/** The path as it can be connected to, seen from the working directory where it is too long otherwise. */
function reachable(path: string): string {
  const found = [path, relative(process.cwd(), path)].find((way) => Buffer.byteLength(way) <= longestPath);
  if (found !== undefined) return found;
  throw new Failure(`the path of the admin socket is too long: ${path}`, {
    code: 'admin-socket',
    hint: `change admin.socket: the whole path may have ${longestPath} octets`,
  });
}

async function refuseForeign(path: string): Promise<void> {
  const facts = await lstat(path).catch(() => null);
  if (facts === null) return;
  if (!facts.isSocket())
    throw new Failure(`${path} exists and is not a socket`, {
      code: 'admin-socket',
      hint: 'change admin.socket or move that file away',
    });
  if (await answers(path))
    throw new Failure(`another process answers on the admin socket ${path}`, {
      code: 'admin-socket',
      hint: 'end the gateway that runs with this configuration, or change admin.socket',
    });
}

/** Whether anybody listens: a socket file whose process has gone refuses at once. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true));
    // EAGAIN: it listens, and its queue is full.
    socket.once('error', (error) => end(codeOf(error) === 'EAGAIN' || codeOf(error) === 'EACCES'));
  });
}

async function inodeOf(path: string): Promise<bigint | null> {
  return (await lstat(path, { bigint: true }).catch(() => null))?.ino ?? null;
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
