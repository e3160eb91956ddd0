/**
 * Header fields under arbitrary input: no forged identity reaches the backend in any spelling, and nothing that passes
 * admission is refused by undici.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { Client } from 'undici';
import { admit } from '../../src/forward/admission.ts';
import { defaultHeaderNames } from '../../src/forward/dialects.ts';
import { foldName, isFieldValue, isToken } from '../../src/forward/field-syntax.ts';
import { headerText, textOfHeader } from '../../src/forward/header-text.ts';
import { createSanitizer } from '../../src/forward/sanitize.ts';
import { startEcho } from '../../src/lab/echo.ts';
import { connectRaw, startBareGateway } from '../support/bare-gateway.ts';

const seed = Number(process.env['DSMAPPER_SEED'] ?? Date.now() % 1_000_000_000);
t.comment(`seed ${seed} (DSMAPPER_SEED)`);
const runs = (numRuns: number) => ({ seed, numRuns });

/** A code unit of the text, so also half a surrogate pair. */
const oneOf = (text: string) => fc.constantFrom(...text.split(''));

/** The names that a backend of ours believes. */
const believed = [
  'X-Remote-User',
  'X-Remote-Upn',
  'X-Remote-Sid',
  'X-Client-Verify',
  'X-ARR-ClientCert',
  'X-Forwarded-For',
];
const others = ['Remote-User', 'Client-Cert', 'MS-ASPNETCORE-CLIENTCERT', 'SSL_CLIENT_S_DN', 'X-MS-CLIENT-PRINCIPAL'];
/** The value of everything forged: its octets must not be in what the backend got. */
const forgery = 'forged-9f2c';

/** A protected name as a forger would spell it: case, separators, what some servers cut off at the end. */
const spelling = fc
  .tuple(
    fc.constantFrom(...believed, ...others),
    fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
    fc.array(fc.constantFrom('-', '_', '.', '!', '~'), { minLength: 8, maxLength: 8 }),
    fc.string({ unit: fc.constantFrom('-', '_', '.', '!'), maxLength: 3 }),
  )
  .map(([name, upper, separators, tail]) => {
    let separator = 0;
    const spelled = Array.from(name, (character, i) => {
      if (!/[a-z0-9]/i.test(character)) return separators[separator++ % separators.length] ?? '-';
      return upper[i] === true ? character.toUpperCase() : character.toLowerCase();
    });
    return spelled.join('') + tail;
  });

/** What only HTTP/1.1 lets one try: a blank before the colon, a fold, a name that the client lists in Connection. */
const line = fc.oneof(
  { weight: 6, arbitrary: spelling.map((name) => `${name}: ${forgery}`) },
  { weight: 1, arbitrary: spelling.map((name) => `${name} : ${forgery}`) },
  { weight: 1, arbitrary: spelling.map((name) => `${name}\t: ${forgery}`) },
  { weight: 1, arbitrary: spelling.map((name) => `X-Harmless: a\r\n ${name}: ${forgery}`) },
  { weight: 1, arbitrary: spelling.map((name) => `X-Harmless: a\n${name}: ${forgery}`) },
  { weight: 1, arbitrary: spelling.map((name) => `X-Harmless: a\r${name}: ${forgery}`) },
  { weight: 2, arbitrary: spelling.map((name) => `Connection: close, ${name}`) },
  { weight: 2, arbitrary: fc.constantFrom(...believed).map((name) => `Connection: ${name}, x-marker`) },
  { weight: 1, arbitrary: spelling.map((name) => `Trailer: ${name}`) },
  { weight: 1, arbitrary: fc.constantFrom('Accept: a', 'X-Harmless: b', 'Cookie: a=b') },
);

const identity = ['X-Remote-User', 'LAB\\alice', 'X-Client-Verify', 'SUCCESS', 'X-Forwarded-For', '192.0.2.1'];

await t.test('over HTTP/1.1 no forged identity reaches the backend and ours always does', async (t) => {
  const echo = await startEcho({ record: true });
  const gateway = await startBareGateway({ upstream: { origin: echo.url, maximumConnections: 1 }, identity });
  t.teardown(async () => {
    await gateway.stop();
    await echo.stop();
  });
  let served = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 5 }), fc.boolean(), async (lines, withTrailer) => {
      const seen = echo.raw.length;
      const framing = withTrailer ? ['Transfer-Encoding: chunked'] : [];
      const head = ['POST /x HTTP/1.1', 'Host: a', ...framing, ...lines, 'Connection: close', '', ''].join('\r\n');
      const body = withTrailer ? `2\r\nab\r\n0\r\nX_Remote_User: ${forgery}\r\n\r\n` : '';
      const answer = await connectRaw(gateway.port, head + body).closed;
      const got = echo.raw.slice(seen).map(String);
      if (got.some((text) => text.includes(forgery))) throw new Error(`forged: ${got.join('')}`);
      if (answer.startsWith('HTTP/1.1 200')) {
        served += 1;
        const [text = ''] = got;
        for (const [name, value] of [identity.slice(0, 2), identity.slice(2, 4), identity.slice(4, 6)]) {
          const all = text.split('\r\n').filter((sent) => foldName(sent.split(':')[0] ?? '') === foldName(name ?? ''));
          if (all.length !== 1 || all[0] !== `${name}: ${value}`) throw new Error(`not ours alone: ${text}`);
        }
      } else if (!/^HTTP\/1.1 (400|599)/.test(answer) || got.length > 0) {
        throw new Error(`neither served nor refused: ${answer}`);
      }
    }),
    runs(400),
  );
  t.ok(served > 100, `${served} of the requests were served`);
  t.equal(gateway.upstream.stats.busy, 0);
});

await t.test('over HTTP/2 no forged identity reaches the backend and ours always does', async (t) => {
  const echo = await startEcho({ record: true });
  const gateway = await startBareGateway({ upstream: { origin: echo.url, maximumConnections: 1 }, identity });
  t.teardown(async () => {
    await gateway.stop();
    await echo.stop();
  });
  const session = gateway.h2();
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(spelling, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      async (names, trailers) => {
        const seen = echo.raw.length;
        const forged = Object.fromEntries(names.map((name) => [name.toLowerCase(), forgery]));
        const status = await new Promise((resolve, reject) => {
          const stream = session.request(
            { ':method': 'POST', ':path': '/', ...forged, te: 'trailers' },
            { waitForTrailers: trailers },
          );
          stream.on('wantTrailers', () => stream.sendTrailers(forged));
          stream.on('error', reject);
          stream.on('response', (headers) => resolve(headers[':status']));
          stream.end('ab');
          stream.resume();
        });
        const got = echo.raw.slice(seen).map(String);
        if (status !== 200) throw new Error(`status ${String(status)}`);
        if (got.length !== 1 || got[0]?.includes(forgery) !== false) throw new Error(`forged: ${got.join('')}`);
        if (!got[0].includes('\r\nX-Remote-User: LAB\\alice\r\n')) throw new Error(`ours is missing: ${got[0]}`);
      },
    ),
    runs(200),
  );
  t.equal(gateway.upstream.stats.busy, 0);
});

await t.test('the sanitizer alone: whatever it is given, what it gives back is clean', async (t) => {
  const sanitizer = createSanitizer({ names: { ...defaultHeaderNames, user: 'SSO-User' } });
  const protectedFolded = new Set([...believed, ...others, 'SSO-User'].map(foldName));
  const alien = fc.string({ unit: oneOf('-_. :\r\n\0axXé\u212a\tü'), maxLength: 12 });
  const special = fc.constantFrom('Connection', 'Host', 'Content-Length', 'Transfer-Encoding', 'TE', ':path', 'Cookie');
  const name = fc.oneof(spelling, alien, special, fc.constantFrom('sso_user', 'SSO-USER.', 'Accept', 'X-A'));
  const value = fc.oneof(fc.constantFrom('1', 'chunked', 'X-A', 'close, x-a', 'Accept'), alien);
  let clean = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), (pairs) => {
      const got = sanitizer.request(pairs.flat());
      if ('code' in got) return;
      clean += 1;
      const listed = pairs.filter(([key]) => key.toLowerCase() === 'connection').flatMap(([, text]) => text.split(','));
      const gone = new Set(listed.map((option) => foldName(option.trim())));
      for (let i = 0; i < got.headers.length; i += 2) {
        const [key = '', text = ''] = [got.headers[i], got.headers[i + 1]];
        const folded = foldName(key);
        if (protectedFolded.has(folded)) throw new Error(`protected: ${key}`);
        if (folded !== '' && gone.has(folded)) throw new Error(`listed in Connection: ${key}`);
        if (!isToken(key) || !isFieldValue(text)) throw new Error(`not a field: ${JSON.stringify([key, text])}`);
      }
      if (admit('GET', '/', got.host, got.headers) !== null) throw new Error('clean, and yet not admitted');
    }),
    runs(3000),
  );
  t.ok(clean > 100, `${clean} lists passed`);
});

await t.test('whatever passes admission, undici takes', async (t) => {
  // A connection that is never made: undici judges the request synchronously or keeps it.
  const client = new Client('http://127.0.0.1:1', { connect: () => {} });
  t.teardown(() => client.destroy());
  const text = fc.string({ unit: oneOf(' \t\r\n\0:/*aGETx-_.\u007f\u0080ÿĀ%#"'), maxLength: 4 });
  const path = fc.oneof(
    text,
    text.map((rest) => `/${rest}`),
    fc.constantFrom('*', 'http://a/'),
  );
  const known = ['Connection', 'Expect', 'Upgrade', 'Host', 'Content-Length', 'Keep-Alive', 'Transfer-Encoding'];
  const name = fc.oneof(text, fc.constantFrom(...known), fc.constantFrom('Accept', 'Content-Type', 'TE', 'X'));
  const method = fc.oneof(text, fc.constantFrom('GET', 'POST', 'CONNECT', 'TRACE'), fc.constantFrom('PROPFIND', 'get'));
  let admitted = 0;
  fc.assert(
    fc.property(method, path, fc.option(text), fc.array(fc.tuple(name, text), { maxLength: 2 }), (...request) => {
      const [method, path, host, pairs] = request;
      const headers = pairs.flat();
      if (admit(method, path, host, headers) !== null) return;
      admitted += 1;
      let refusal: Error | null = null;
      const sent = host === null ? headers : [...headers, 'Host', host];
      client.dispatch(
        { method, path, headers: [...sent, 'Content-Length', '0'] },
        {
          onRequestStart() {},
          onResponseStart() {},
          onResponseData() {},
          onResponseEnd() {},
          onResponseError(_controller, error) {
            refusal = error;
          },
        },
      );
      if (refusal !== null) throw new Error('admitted, and yet refused', { cause: refusal });
    }),
    runs(5000),
  );
  t.ok(admitted > 50, `${admitted} requests were admitted`);
});

await t.test('header text: injective, printable, undone by its inverse', async (t) => {
  const text = fc.oneof(
    fc.string({ unit: fc.nat(0x10ffff).map((code) => String.fromCodePoint(code)), maxLength: 12 }),
    fc.string({ unit: oneOf(' %25Caä\\\u0000\u007f\ud800\udc00�'), maxLength: 6 }),
  );
  fc.assert(
    fc.property(text, text, (one, other) => {
      const value = headerText(one);
      if (!/^(?:[\u0021-\u007e](?:[\u0020-\u007e]*[\u0021-\u007e])?)?$/.test(value)) throw new Error('not printable');
      if (one.isWellFormed() && textOfHeader(value) !== one) throw new Error('not undone');
      if (one !== other && value === headerText(other)) throw new Error('two texts, one value');
    }),
    runs(3000),
  );
  t.pass('held');
});
