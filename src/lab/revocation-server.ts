/**
 * The lab's revocation server: CRLs, delta CRLs and certificates of the lab's CAs over HTTP (RFC 5280 section 4.2.1.13, RFC 2585), and
 * an OCSP responder (RFC 6960 appendix A). What a document says is decided in `revocation-documents.ts`, what may go wrong in
 * `revocation-faults.ts`.
 */
import { hash } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Instant } from '../base/brand.ts';
import { systemClock } from '../base/clock.ts';
import { codeOf, Failure } from '../base/failure.ts';
import { certificateIn } from './document-signer.ts';
import type { Pki } from './pki.ts';
import { addressesOf } from './revocation-addresses.ts';
import type { PublishedDocument } from './revocation-documents.ts';
import { revocationDocuments } from './revocation-documents.ts';
import type { DocumentKind, RevocationFault } from './revocation-faults.ts';
import { answerBadly, documentKinds, transportFault } from './revocation-faults.ts';
import type { RevocationEntry, RevocationReason } from './revocation-state.ts';
import { openRevocationState } from './revocation-state.ts';

export interface RevocationServerOptions {
  readonly pki: Pki;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: the one that the certificates name; 0: any free one, kept while the server is down. */
  readonly port?: number;
  readonly now?: () => Instant;
}

export interface SeenRequest {
  readonly kind: DocumentKind;
  readonly method: string;
  /** As sent. */
  readonly path: string;
  /** The Host header: `localhost` shows who followed a redirect to elsewhere. */
  readonly host: string;
}

export interface RevocationServer {
  /** What the certificates name. */
  readonly url: string;
  readonly port: number;
  /** Newest last, the last 1,000 of those for something that is here. */
  readonly requests: readonly SeenRequest[];
  /** The certificates that are or have been revoked. */
  readonly entries: readonly RevocationEntry[];
  /** What goes wrong now. */
  readonly faults: Readonly<Record<DocumentKind, RevocationFault | null>>;
  /**
   * Resolves when it is so on disk.
   * @param who name of a recipe, or `ISSUER/SERIAL`: name of the issuer's recipe and hex of the serial
   * @throws Failure `lab-revocation-unknown` when there is nobody of this name, or the lab publishes nothing about it
   */
  revoke(who: string, reason?: RevocationReason): Promise<void>;
  unrevoke(who: string): Promise<void>;
  /** Null: all is well again. @param only this kind of document; all when absent */
  trouble(fault: RevocationFault | null, only?: DocumentKind): Promise<void>;
  stop(): Promise<void>;
}

const maximumRequests = 1000;
/** Octets of an OCSP request; one about a single certificate has about a hundred. */
const maximumBody = 16_384;

/** @throws Failure `lab-revocation-listen` when the port cannot be had, `lab-revocation-state` */
export async function startRevocationServer(options: RevocationServerOptions): Promise<RevocationServer> {
  const { pki, host = '127.0.0.1', now = () => systemClock.now() } = options;
  let port = options.port ?? Number(new URL(pki.revocation).port);
  const state = await openRevocationState(join(pki.folder, 'revoked.json'), initiallyRevoked(pki, now()));
  const documents = revocationDocuments(pki, state, now);
  const requests: SeenRequest[] = [];
  const faults: Record<DocumentKind, RevocationFault | null> = { crl: null, ocsp: null, ca: null };
  let server: Server | null = null;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const path = pathOf(url);
    const asked = path === ocspPath || path?.startsWith(`${ocspPath}/`) === true;
    const kind = path === null ? null : asked ? 'ocsp' : documents.kindOf(path);
    if (path === null || kind === null) return void response.writeHead(404).end();
    if (method !== 'GET' && method !== 'HEAD' && !(method === 'POST' && asked))
      return void response.writeHead(405, { allow: asked ? 'GET, HEAD, POST' : 'GET, HEAD' }).end();
    requests.push({ kind, method, path: url, host: request.headers.host ?? '' });
    if (requests.length > maximumRequests) requests.shift();
    const fault = faults[kind];
    const body = asked ? await requestIn(request, path) : null;
    if (asked && body === null) return void response.writeHead(413, { connection: 'close' }).end();
    const document = body === null ? await documents.get(path, fault) : await documents.ask(body, fault);
    const bad = transportFault(fault);
    if (bad === null) answerWell(document, request, response, now());
    else answerBadly(bad, document, response, { path: url, elsewhere: `http://localhost:${port}${url}` });
  }

  async function open(): Promise<void> {
    if (server !== null) return;
    const created = createServer((request, response) => {
      answer(request, response).catch(() => response.destroy());
    });
    created.on('clientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      created.once('error', (cause) => reject(cannotListen(cause, host, port, pki)));
      created.listen(port, host, resolve);
    });
    ({ port } = created.address() as AddressInfo);
    server = created;
  }

  async function close(): Promise<void> {
    const closing = server;
    if (closing === null) return;
    server = null;
    await new Promise((resolve) => {
      closing.close(resolve);
      closing.closeAllConnections();
    });
  }

  async function change(who: string, reason: RevocationReason, revoked: boolean): Promise<void> {
    await state.change({ ...certificateOf(who, pki), reason, revoked }, now());
  }

  await open();
  return {
    url: pki.revocation,
    get port() {
      return port;
    },
    requests,
    get entries() {
      return state.entries;
    },
    faults,
    revoke: (who, reason = 'certificateHold') => change(who, reason, true),
    unrevoke: (who) => change(who, 'unspecified', false),
    async trouble(fault, only) {
      for (const kind of only === undefined ? documentKinds : [only]) faults[kind] = fault;
      if (documentKinds.every((kind) => faults[kind] === 'down')) await close();
      else await open();
    },
    stop: close,
  };
}

const ocspPath = addressesOf('', '').ocsp;

/** Decoded; null where that is impossible. `+` stands for itself. */
function pathOf(url: string): string | null {
  try {
    return decodeURIComponent(url.replace(/[?#].*$/s, ''));
  } catch {
    return null;
  }
}

/** By GET it is the rest of the path in base64, which may hold slashes (RFC 6960 appendix A.1). Null: too long. */
async function requestIn(request: IncomingMessage, path: string): Promise<Buffer | null> {
  if (request.method !== 'POST') return Buffer.from(path.slice(ocspPath.length + 1), 'base64');
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > maximumBody) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function answerWell(
  document: PublishedDocument,
  request: IncomingMessage,
  response: ServerResponse,
  at: Instant,
): void {
  const { type, bytes, lastModified, expires } = document;
  const etag = `"${hash('sha256', bytes, 'hex').slice(0, 32)}"`;
  const head = {
    'last-modified': new Date(lastModified).toUTCString(),
    etag,
    'cache-control':
      expires === null
        ? 'no-cache'
        : `max-age=${Math.floor((expires - at) / 1000)},public,no-transform,must-revalidate`,
    ...(expires === null ? {} : { expires: new Date(expires).toUTCString() }),
  };
  if (request.method !== 'POST' && unchanged(request, etag, lastModified))
    return void response.writeHead(304, head).end();
  response.writeHead(200, { ...head, 'content-type': type, 'content-length': bytes.length });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** RFC 9110 section 13.2.2: a date counts only where no tag was sent. */
function unchanged({ headers }: IncomingMessage, etag: string, lastModified: Instant): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) return tags.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
  return Date.parse(headers['if-modified-since'] ?? '') >= lastModified;
}

function initiallyRevoked(pki: Pki, at: Instant) {
  return [...pki.certificates].flatMap(([name, { recipe }]) =>
    recipe.revoked === undefined
      ? []
      : { ...certificateOf(name, pki), at: new Date(at).toISOString(), reason: recipe.revoked },
  );
}

function certificateOf(who: string, pki: Pki): { readonly issuer: string; readonly serial: string } {
  const known = pki.certificates.get(who);
  const [, name, digits] = /^([\w-]+)\/((?:[\da-f]{2}){1,21})$/i.exec(who) ?? [];
  const issuer = known?.recipe.issuer ?? name ?? '';
  const serial = known === undefined ? digits?.toLowerCase() : certificateIn(known.der).serial.toString('hex');
  if (serial !== undefined && pki.certificates.get(issuer)?.recipe.publishedAs !== undefined) return { issuer, serial };
  throw new Failure(`the lab publishes nothing about ${who}`, {
    code: 'lab-revocation-unknown',
    hint: 'name a certificate of the lab that one of its CAs has issued, or ISSUER/SERIAL',
  });
}

function cannotListen(cause: unknown, host: string, port: number, pki: Pki): Failure {
  const taken = codeOf(cause) === 'EADDRINUSE';
  return new Failure(
    `cannot listen on ${host}:${port}, where the certificates in ${pki.folder} say that revocation is published`,
    {
      code: 'lab-revocation-listen',
      hint: taken ? 'end what listens there, another lab perhaps, or choose another folder for certificates' : '',
      cause,
    },
  );
}
