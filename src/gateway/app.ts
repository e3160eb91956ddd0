/**
 * One fastify application that serves every listener of the front: http, https and HTTP/2 alike. It routes; every request, also one
 * that fastify would answer itself (no route, a URL or method it does not like), ends in the flow.
 */
import fastify from 'fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { METHODS } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientRequest, ClientResponse } from './exchange.ts';

export interface App {
  /** Hands a request over; returns at once. */
  readonly route: (request: ClientRequest, response: ClientResponse) => void;
  close(): Promise<void>;
}

/** @param serve takes a request over for good; must not throw */
export async function createApp(serve: (request: ClientRequest, response: ClientResponse) => void): Promise<App> {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1_000_000 },
    frameworkErrors: (_error, request, reply) => takeOver(request, reply),
  });
  const takeOver = (request: FastifyRequest, reply: FastifyReply) => {
    reply.hijack();
    serve(request.raw, reply.raw);
  };
  // In onRequest, before fastify would read the body: the body belongs to the flow. A hijacked reply ends fastify's part, so
  // that `done` is never called.
  app.addHook('onRequest', (request, reply, _done) => takeOver(request, reply));
  app.setNotFoundHandler(takeOver);
  app.route({ method: app.supportedMethods, url: '/*', handler: takeOver });
  await app.ready();
  return {
    route(request, response) {
      if (known.has(request.method ?? '')) app.routing(request as IncomingMessage, response as ServerResponse);
      else serve(request, response);
    },
    close: () => app.close(),
  };
}

/** HTTP/2 lets any token come as a method; fastify would answer one that Node does not know by itself. */
const known: ReadonlySet<string> = new Set(METHODS);
