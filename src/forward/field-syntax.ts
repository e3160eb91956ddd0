/**
 * The grammar of header fields (RFC 9110 section 5) and the folding under which two names are the same to some backend.
 * What a name means is decided elsewhere.
 */

/** RFC 9110 section 5.6.2: one or more tchar. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (tokenCharacters[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/**
 * RFC 9110 section 5.5: visible characters, blank, tab and obs-text. CR, LF, NUL and every other control character are
 * not text; nor is anything above 0xFF, which has no octet to travel in.
 */
export function isFieldValue(text: string): boolean {
  return !forbiddenInValue.test(text);
}

/**
 * The form under which a name is compared. CGI and what descends from it (WSGI, Rack, PHP, Servlet bridges) turn every
 * character but letters and digits into `_`, so `X-Remote-User`, `x_remote_user` and `X.Remote!User` are one variable;
 * some servers drop a dot or blank at the end. Lower case, `-` for everything else, none at the end.
 */
export function foldName(name: string): string {
  let folded = '';
  let end = 0;
  for (let i = 0; i < name.length; i += 1) {
    const code = name.charCodeAt(i);
    const plain = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
    const upper = code >= 0x41 && code <= 0x5a;
    folded += plain ? name.charAt(i) : upper ? String.fromCharCode(code + 32) : '-';
    if (plain || upper) end = i + 1;
  }
  return folded.slice(0, end);
}

// oxlint-disable-next-line no-control-regex -- control characters are what this looks for
const forbiddenInValue = /[^\t\u0020-\u007e\u0080-\u00ff]/;

const tokenCharacters = new Uint8Array(128);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  tokenCharacters[character.charCodeAt(0)] = 1;
}
