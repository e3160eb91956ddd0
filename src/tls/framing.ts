/**
 * Whether an HTTP/1 request has one version and one end for every reader. Node's parser has accepted it by now and believes more than
 * others do: it takes HTTP/0.9 and HTTP/2.0 for versions of its own, and chunks in HTTP/1.0 and behind other codings for a body. Where a
 * proxy in front of us reads on elsewhere, what it takes for a body would be a request here, so nothing behind such a request is read.
 */
import type { IncomingMessage } from 'node:http';

/** RFC 9112 sections 2.3 and 6.1; that Content-Length is one number and stands alone is the parser's own rule. */
export function isDoubtful({ httpVersion, headers }: IncomingMessage): boolean {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return true;
  const coding = headers['transfer-encoding'];
  return coding !== undefined && (httpVersion === '1.0' || coding.toLowerCase() !== 'chunked');
}
