/**
 * The one reading of a request path. What this file returns chooses the location and goes upstream, so both always
 * speak of the same resource. A path that other software could read in another way is refused, not repaired.
 *
 * Refused: bytes that are no UTF-8, control characters, backslashes, percent signs that survive one decoding, dot segments
 * hidden behind path parameters (`..;x`) or look-alikes, segments that Windows shortens (trailing dot or blank), NTFS streams
 * (`::$DATA`, `:$I30:`), climbing above the root, and encoded slashes unless the site keeps them.
 */
export interface CanonicalPath {
  /** Percent-encoded in one way (RFC 3986 section 6.2.2); starts with `/`; goes upstream followed by `query`. */
  readonly path: string;
  /** Decoded segments without their path parameters, for choosing the location. */
  readonly segments: readonly string[];
  /** `?...` exactly as it came, or empty. */
  readonly query: string;
}

/** @returns the canonical path, or why there is none (a phrase that completes "the path ...") */
export function canonicalPath(target: string, encodedSlash: 'refuse' | 'keep'): CanonicalPath | string {
  const mark = target.indexOf('?');
  const rawPath = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  if (!rawPath.startsWith('/')) return 'does not start with a slash';
  if (isPlain(rawPath)) return plain(rawPath, query);
  if (!isVisibleAscii(target) || target.includes('#')) return 'has a character that may not stand in a request target';

  const resolved: { readonly segment: string; readonly spelled: string }[] = [];
  const parts = rawPath.slice(1).split('/');
  for (const [index, part] of parts.entries()) {
    const segment = decode(part, encodedSlash);
    if (typeof segment !== 'string') return segment.reason;
    const last = index === parts.length - 1;
    if (segment === '.' || segment === '..') {
      if (segment === '..' && resolved.pop() === undefined) return 'climbs above the root';
      if (last) resolved.push({ segment: '', spelled: '' });
      continue;
    }
    if (segment !== '' || last) resolved.push({ segment, spelled: respell(part) });
  }
  return {
    path: `/${resolved.map(({ spelled }) => spelled).join('/')}`,
    segments: resolved
      .flatMap(({ segment }) => segment.split(keptSlash))
      .map(withoutParameters)
      .filter((segment) => segment !== ''),
    query,
  };
}

/**
 * What two spellings of one name have in common on a system that ignores case, width and what cannot be seen (CVE-2014-9390): NFKC
 * without ignorable characters, case removed.
 */
export function foldSegment(segment: string): string {
  return withoutInvisible(segment).toUpperCase().toLowerCase();
}

function withoutInvisible(segment: string): string {
  return segment.normalize('NFKC').replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '');
}

/** Letters, digits, `-` and `_` between single slashes need no work: nearly all requests. */
function isPlain(path: string): boolean {
  for (let index = 1; index < path.length; index += 1) {
    const code = path.charCodeAt(index);
    const letter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
    const digit = code >= 0x30 && code <= 0x39;
    if (letter || digit || code === 0x2d || code === 0x5f) continue;
    if (code === 0x2f && path.charCodeAt(index - 1) !== 0x2f) continue;
    return false;
  }
  return true;
}

function plain(path: string, query: string): CanonicalPath | string {
  if (!isVisibleAscii(query) || query.includes('#')) return 'has a character that may not stand in a request target';
  return { path, segments: path.split('/').filter((segment) => segment !== ''), query };
}

function isVisibleAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f) return false;
  }
  return true;
}

/** How a kept slash stands inside a decoded segment; nothing else can look like it, what is encoded twice being refused. */
const keptSlash = '%2F';

function decode(part: string, encodedSlash: 'refuse' | 'keep'): string | { readonly reason: string } {
  if (part.includes('\\')) return { reason: 'has a backslash' };
  if (!part.includes('%')) return checked([part], encodedSlash);
  if (/%(?![0-9a-fA-F]{2})/.test(part)) return { reason: 'has a percent sign that encodes nothing' };
  const pieces: string[] = [];
  for (const raw of part.split(/%2f/i)) {
    const piece = decodeUtf8(raw);
    if (piece === null) return { reason: 'is not UTF-8' };
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u001f\u007f-\u009f]/.test(piece)) return { reason: 'has an encoded control character' };
    if (piece.includes('\\')) return { reason: 'has an encoded backslash' };
    // `%u0070` is how IIS' own second decoding writes a character.
    if (/%(?:[0-9a-fA-F]{2}|[uU][0-9a-fA-F]{4})/.test(piece)) return { reason: 'is encoded twice' };
    pieces.push(piece);
  }
  return checked(pieces, encodedSlash);
}

/** @param pieces what stands between the encoded slashes of one segment */
function checked(pieces: readonly string[], encodedSlash: 'refuse' | 'keep'): string | { readonly reason: string } {
  const [only = ''] = pieces;
  for (const piece of pieces) {
    const reason = whyAmbiguous(piece);
    if (reason !== null) return { reason };
  }
  if (pieces.length === 1) return only;
  if (encodedSlash === 'refuse') return { reason: 'has an encoded slash' };
  const hidden = pieces.map(withoutParameters).some((name) => name === '' || name === '.' || name === '..');
  return hidden ? { reason: 'hides a dot segment behind an encoded slash' } : pieces.join(keptSlash);
}

/** What some system would take for another name than this one. */
function whyAmbiguous(piece: string): string | null {
  const name = withoutParameters(piece);
  const dots = name === '.' || name === '..';
  if (dots && name !== piece) return 'hides a dot segment behind path parameters';
  if (!dots && /[. ]$/.test(name)) return 'has a segment that ends with a dot or a blank';
  // `::$DATA` of a file, `:$I30:$INDEX_ALLOCATION` of a folder.
  if (piece.includes(':$')) return 'names an NTFS stream';
  if (isAscii(piece)) return null;
  for (const character of piece) {
    if (!isAscii(character) && /[/\\%;?#:]/.test(character.normalize('NFKC')))
      return 'has a character that some systems take for a separator';
  }
  const seen = withoutInvisible(name);
  return !dots && name !== '' && ['', '.', '..'].includes(seen)
    ? 'hides a dot segment behind characters that some systems ignore or replace'
    : null;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

function decodeUtf8(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** A name as software sees it that cuts parameters, or reads a decoded path a second time: up to `;`, `?` or `#`. */
function withoutParameters(segment: string): string {
  const cut = segment.search(/[;?#]/);
  return cut < 0 ? segment : segment.slice(0, cut);
}

/**
 * RFC 3986 section 6.2.2: unreserved characters stand as themselves, other encodings stay, in upper case; what may not
 * stand raw in a segment is encoded.
 */
function respell(part: string): string {
  return part
    .replaceAll(/%[0-9a-fA-F]{2}/g, (code) => {
      const character = String.fromCharCode(Number.parseInt(code.slice(1), 16));
      return /[A-Za-z0-9\-._~]/.test(character) ? character : code.toUpperCase();
    })
    .replaceAll(/["<>^`{|}]/g, (character) => encodeURIComponent(character));
}
