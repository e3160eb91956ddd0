/**
 * The routes of the admin socket: explain a certificate against the running setup, look at live state, drop cached identities, have
 * revocation data fetched.
 */
import type { FastifyInstance } from 'fastify';
import type { Instant } from '../base/brand.ts';
import { isoText } from '../base/clock.ts';
import type { SourceState } from '../revocation/revocation-contract.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { readCertificates } from '../x509/pem.ts';
import { explain } from './explain.ts';

interface ExplainQuery {
  readonly binding?: string;
  readonly host?: string;
  readonly path?: string;
  /** An account whose values are gone through. */
  readonly account?: string;
}

const explainSchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: {
      binding: { type: 'string', maxLength: 300 },
      host: { type: 'string', maxLength: 300 },
      path: { type: 'string', maxLength: 8192 },
      account: { type: 'string', minLength: 1, maxLength: 1024 },
    },
  },
};

/** A misspelt parameter must not drop everything. */
const forgetSchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { sid: { type: 'string', pattern: '^S-1-[0-9-]{1,200}$' } },
  },
};

interface RefreshQuery {
  readonly source: string;
  /** Takes a list that is older than the one held. */
  readonly allowOlder?: boolean;
}

const refreshSchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    required: ['source'],
    properties: { source: { type: 'string', maxLength: 2048 }, allowOlder: { type: 'boolean' } },
  },
};

export function addSocketRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { setup } = gateway;
  // A certificate comes as text (PEM, base64) or as DER, whatever its Content-Type says.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.post<{ Querystring: ExplainQuery; Body: unknown }>(
    '/explain',
    { schema: explainSchema },
    async (request, reply) => {
      const read = readCertificates(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
      if (read.kind !== 'read') return reply.code(400).send({ error: `line ${read.line}: ${read.reason}` });
      const chain = read.blocks.map(({ der }) => der);
      const parsed = parseCertificate(chain[0] ?? Buffer.alloc(0));
      if (parsed.kind !== 'parsed') return reply.code(400).send({ error: `byte ${parsed.offset}: ${parsed.reason}` });
      const { binding = null, host = null, path = '/', account } = request.query;
      const question = { leaf: parsed.certificate, chain, binding, host, path, offline: false };
      return explain(account === undefined ? question : { ...question, account }, setup);
    },
  );

  app.get('/status', async () => ({
    generation: setup.generation,
    source: setup.settings.source,
    labOnly: setup.settings.labOnly,
    addresses: gateway.addresses(),
    connections: gateway.connectionCount(),
    caches: { mapping: setup.mapper?.size ?? 0, certificates: setup.chains.size },
    directory: (await setup.directory?.health()) ?? [],
  }));

  app.get('/revocation', () => ({ sources: setup.revocation.states().map(sourceFacts) }));

  app.post<{ Querystring: RefreshQuery }>('/revocation/refresh', { schema: refreshSchema }, async (request, reply) => {
    const { source, allowOlder = false } = request.query;
    const refreshed = await setup.revocation.refresh(source, allowOlder);
    if (refreshed.kind === 'failed')
      return reply
        .code(refreshed.code === 'notFound' ? 404 : 502)
        .send({ error: refreshed.detail, code: refreshed.code });
    await gateway.recheck();
    return { [refreshed.kind]: sourceFacts(setup.revocation.states().find((state) => state.source === source)) };
  });

  app.delete<{ Querystring: { readonly sid?: string } }>(
    '/cache/mapping',
    { schema: forgetSchema },
    async (request) => {
      const dropped = setup.mapper?.forget(request.query.sid) ?? 0;
      await gateway.recheck();
      return { dropped };
    },
  );
}

/** A source with its times as text. */
function sourceFacts(state: SourceState | undefined) {
  if (state === undefined) return null;
  const text = (instant: Instant | null) => (instant === null ? null : isoText(instant));
  const { thisUpdate, nextUpdate, fetchedAt, nextAttempt, lastError, ...facts } = state;
  return {
    ...facts,
    thisUpdate: text(thisUpdate),
    nextUpdate: text(nextUpdate),
    fetchedAt: text(fetchedAt),
    nextAttempt: text(nextAttempt),
    lastError: lastError === null ? null : { ...lastError, at: isoText(lastError.at) },
  };
}
