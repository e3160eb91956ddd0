/**
 * Whether a request says that it has a body (RFC 9112 section 6.3). Over HTTP/2 it may come without a word: there only the stream knows.
 */
export function announcesBody(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (name === 'transfer-encoding' || (name === 'content-length' && rawHeaders[index + 1] !== '0')) return true;
  }
  return false;
}
