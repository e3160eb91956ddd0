/**
 * What may go wrong with the lab's revocation data, each fault by its name. Those of the transport happen to every document, those of
 * what is signed to lists and answers. One fault at a time for each kind of document; everything is well at first.
 */
import type { ServerResponse } from 'node:http';

export type DocumentKind = 'crl' | 'ocsp' | 'ca';

export const documentKinds: readonly DocumentKind[] = ['crl', 'ocsp', 'ca'];

/** Each with what a client meets. */
const transportFaults = {
  down: 'nobody listens, or with one kind of document only: the connection is reset',
  silent: 'the request is taken and never answered',
  slow: 'a byte a second',
  endless: 'octets without end, as fast as they are taken',
  'redirect-loop': 'a redirect to the same address',
  'redirect-elsewhere': 'a redirect to the same server by the name localhost',
  'server-error': 'status 500',
  html: 'a page to sign in at, with status 200',
  truncated: 'the first half, as if it were everything',
  'cut-off': 'the first half, then the connection ends',
} as const;

const signedFaults = {
  'wrong-signer': 'names the right signer, signed with another key',
  'same-name-other-key': 'from a CA with the same name that has nothing to do with it',
  expired: 'nextUpdate has passed an hour ago',
  'not-yet-valid': 'thisUpdate comes tomorrow',
  'clock-skew': 'thisUpdate comes in two minutes, as from a clock that is fast',
  'unknown-critical': 'has a critical extension that nobody knows',
} as const;

const crlFaults = {
  older: 'half its life older than what was published before, with nobody on it',
  'other-generation': 'the list of the other key of a renewed CA',
} as const;

const ocspFaults = {
  'try-later': 'status tryLater',
  'foreign-responder': 'signed by a responder of another CA',
  replayed: 'the good answer that somebody else was given ten minutes ago',
  'nonce-missing': 'the nonce is not repeated',
} as const;

export const revocationFaults = { ...transportFaults, ...signedFaults, ...crlFaults, ...ocspFaults } as const;

export type TransportFault = keyof typeof transportFaults;
export type CrlFault = keyof typeof signedFaults | keyof typeof crlFaults;
export type OcspFault = keyof typeof signedFaults | keyof typeof ocspFaults;
export type RevocationFault = keyof typeof revocationFaults;

export function isRevocationFault(name: string): name is RevocationFault {
  return Object.hasOwn(revocationFaults, name);
}

export function transportFault(fault: RevocationFault | null): TransportFault | null {
  return fault !== null && Object.hasOwn(transportFaults, fault) ? (fault as TransportFault) : null;
}

export function crlFault(fault: RevocationFault | null): CrlFault | null {
  return fault !== null && (Object.hasOwn(signedFaults, fault) || Object.hasOwn(crlFaults, fault))
    ? (fault as CrlFault)
    : null;
}

export function ocspFault(fault: RevocationFault | null): OcspFault | null {
  return fault !== null && (Object.hasOwn(signedFaults, fault) || Object.hasOwn(ocspFaults, fault))
    ? (fault as OcspFault)
    : null;
}

export interface Document {
  readonly type: string;
  readonly bytes: Buffer;
}

/** @param elsewhere the same document under a name that no configuration allows */
export function answerBadly(
  fault: TransportFault,
  document: Document,
  response: ServerResponse,
  where: { readonly path: string; readonly elsewhere: string },
): void {
  const head = { 'content-type': document.type, 'cache-control': 'no-store' };
  const half = document.bytes.subarray(0, document.bytes.length >> 1);
  const { length } = document.bytes;
  switch (fault) {
    case 'down':
      response.socket?.resetAndDestroy();
      return;
    case 'silent':
      return;
    case 'slow':
      dribble(document.bytes, response.writeHead(200, { ...head, 'content-length': length }));
      return;
    case 'endless':
      pour(document.bytes, response.writeHead(200, head));
      return;
    case 'redirect-loop':
      response.writeHead(302, { location: where.path }).end();
      return;
    case 'redirect-elsewhere':
      response.writeHead(302, { location: where.elsewhere }).end();
      return;
    case 'server-error':
      response.writeHead(500).end();
      return;
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><title>Please sign in</title>\n');
      return;
    case 'truncated':
      response.writeHead(200, { ...head, 'content-length': half.length }).end(half);
      return;
    case 'cut-off':
      response.writeHead(200, { ...head, 'content-length': length }).write(half, () => response.socket?.destroy());
  }
}

function dribble(bytes: Buffer, response: ServerResponse): void {
  let sent = 0;
  const drop = () => {
    response.write(bytes.subarray(sent, sent + 1));
    sent += 1;
    if (sent < bytes.length) return;
    clearInterval(drops);
    response.end();
  };
  const drops = setInterval(drop, 1000);
  response.once('close', () => clearInterval(drops));
  drop();
}

/** Begins like the document, so that nothing but its length tells. */
function pour(bytes: Buffer, response: ServerResponse): void {
  const more = Buffer.alloc(65_536, 0x30);
  const fill = () => {
    while (!response.destroyed && response.write(more));
  };
  response.on('drain', fill);
  response.write(bytes);
  fill();
}
