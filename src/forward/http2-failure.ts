/**
 * What a stream that ended before its answer was whole says about the request on it. Whether the request may be sent once more is decided
 * in `forwarding.ts`.
 */
import { constants } from 'node:http2';
import { codeOf } from '../base/failure.ts';

/** The server has not begun to act on the request (RFC 9113 section 8.7). */
export function refusedStream(why: string): Error {
  return Object.assign(new Error(`the server did not process the request: ${why}`), { code: refused });
}

/** @param code of RST_STREAM, the server's or our own (RFC 9113 section 7) */
export function brokenStream(code: number): Error {
  if (code === constants.NGHTTP2_REFUSED_STREAM) return refusedStream('it refused the stream');
  const name = names.get(code) ?? `code ${code}`;
  const text = `its answer broke off: the stream ended with ${name}`;
  return code === constants.NGHTTP2_HTTP_1_1_REQUIRED
    ? Object.assign(new Error(text), { code: http1Required })
    : new Error(text);
}

/** Any method may be sent again, as long as its body is still there. */
export function isUnprocessed(error: unknown): boolean {
  return codeOf(error) === refused;
}

/** The server wants this request over HTTP/1.1, as IIS does with Windows authentication. */
export function asksForHttp1(error: unknown): boolean {
  return codeOf(error) === http1Required;
}

const refused = 'HTTP2_REFUSED_STREAM';
const http1Required = 'HTTP2_HTTP_1_1_REQUIRED';

const names: ReadonlyMap<number, string> = new Map([
  [constants.NGHTTP2_NO_ERROR, 'NO_ERROR'],
  [constants.NGHTTP2_PROTOCOL_ERROR, 'PROTOCOL_ERROR'],
  [constants.NGHTTP2_INTERNAL_ERROR, 'INTERNAL_ERROR'],
  [constants.NGHTTP2_FLOW_CONTROL_ERROR, 'FLOW_CONTROL_ERROR'],
  [constants.NGHTTP2_SETTINGS_TIMEOUT, 'SETTINGS_TIMEOUT'],
  [constants.NGHTTP2_STREAM_CLOSED, 'STREAM_CLOSED'],
  [constants.NGHTTP2_FRAME_SIZE_ERROR, 'FRAME_SIZE_ERROR'],
  [constants.NGHTTP2_CANCEL, 'CANCEL'],
  [constants.NGHTTP2_COMPRESSION_ERROR, 'COMPRESSION_ERROR'],
  [constants.NGHTTP2_CONNECT_ERROR, 'CONNECT_ERROR'],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'ENHANCE_YOUR_CALM'],
  [constants.NGHTTP2_INADEQUATE_SECURITY, 'INADEQUATE_SECURITY'],
  [constants.NGHTTP2_HTTP_1_1_REQUIRED, 'HTTP_1_1_REQUIRED'],
]);
