import { constants } from 'node:crypto';
import { connect } from 'node:tls';
import { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import t from 'tap';
import type { Digest, Instant } from '../src/base/brand.ts';
import { Failure } from '../src/base/failure.ts';
import { addressKey, createAdmission } from '../src/tls/admission.ts';
import { fatalAlert } from '../src/tls/alert.ts';
import type { BindingSettings, ConnectionLimits, Endpoint } from '../src/tls/binding.ts';
import { createClientHelloReader } from '../src/tls/client-hello.ts';
import type { ClientHelloResult } from '../src/tls/client-hello.ts';
import { planListens } from '../src/tls/endpoints.ts';
import { epochOf, sessionContextOf, ticketKeysOf } from '../src/tls/ticket-keys.ts';
import { tlsOptionsOf } from '../src/tls/tls-options.ts';
import {
  alpnExtension,
  serverNameExtension,
  standardExtensions,
  u16,
  vector,
  versionsExtension,
  writeHello,
  writeHelloBody,
  writeRecord,
  writeRecords,
} from './support/client-hello-writer.ts';
import type { WrittenExtension, WrittenHello } from './support/client-hello-writer.ts';

/** SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3; Node has no name for it. */
const noExtendedMasterSecret = 1;

/** Octets of `writeHelloBody()` before its extensions: a hello may end there. */
const extensionsStart = writeHelloBody({ extensions: null }).length;

const maximum = 16_384;
const read = (bytes: Buffer, limit = maximum): ClientHelloResult => createClientHelloReader(limit).push(bytes);
const incomplete = { kind: 'incomplete' };
const malformed = (reason: string) => ({ kind: 'malformed', reason });

await t.test('ClientHello', async (t) => {
  await t.test('of a real client is read', async (t) => {
    const bytes = await helloOfNode({ servername: 'WWW.Example.Test', ALPNProtocols: ['h2', 'http/1.1'] });
    t.match(read(bytes), {
      kind: 'hello',
      hello: {
        serverName: 'www.example.test',
        versions: [0x0304, 0x0303],
        alpn: ['h2', 'http/1.1'],
        extendedMasterSecret: true,
        secureRenegotiation: true,
      },
    });
  });

  await t.test('without extended_master_secret, by a real client, is seen to lack it', async (t) => {
    const bytes = await helloOfNode({ maxVersion: 'TLSv1.2', secureOptions: noExtendedMasterSecret });
    t.match(read(bytes), { kind: 'hello', hello: { extendedMasterSecret: false, secureRenegotiation: true } });
  });

  await t.test('in pieces of one byte is incomplete until the last, then the same', async (t) => {
    const bytes = await helloOfNode({ servername: 'www.example.test' });
    const reader = createClientHelloReader(maximum);
    const results = [...bytes].map((_, i) => reader.push(bytes.subarray(i, i + 1)));
    t.equal(
      results.findIndex(({ kind }) => kind !== 'incomplete'),
      bytes.length - 1,
    );
    t.same(results.at(-1), read(bytes));
    t.same(reader.received(), bytes, 'every byte is kept to hand on');
  });

  await t.test('over several records is the same, wherever it is cut', (t) => {
    const body = writeHelloBody({ extensions: standardExtensions('a.test') });
    const whole = read(writeRecords(body));
    t.equal(whole.kind, 'hello');
    holds(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 80 }),
        (records, pieces) => {
          const bytes = writeRecords(body, records);
          const reader = createClientHelloReader(maximum);
          let result: ClientHelloResult = { kind: 'incomplete' };
          for (const piece of cut(bytes, pieces)) result = reader.push(piece);
          t.strictSame(result, whole);
          t.ok(reader.received().equals(bytes));
        },
      ),
    );
    t.end();
  });

  await t.test('is refused beyond the maximum: received, or only announced', (t) => {
    const large = writeHello({ extensions: [[21, Buffer.alloc(900)]] });
    t.equal(read(large, large.length).kind, 'hello', 'the maximum itself is fine');
    t.same(read(large.subarray(0, -1), 500), malformed('tooLarge'), 'more bytes than allowed, still incomplete');
    const announced = writeRecord(Buffer.from([1, 0, 0x10, 0]));
    t.same(read(announced, 4099), malformed('tooLarge'), 'at once, from its length field');
    t.same(read(announced, 4100), incomplete);
    t.end();
  });

  await t.test('is told from other protocols at the first byte', (t) => {
    for (const first of ['GET / HTTP/1.1\r\n', '\x80\x2e\x01\x03', '\x17\x03\x03', 'x'])
      t.same(read(Buffer.from(first, 'latin1')), malformed('notTls'), JSON.stringify(first));
    t.same(read(Buffer.from([22])), incomplete);
    t.end();
  });

  await t.test('with a record header that no client writes is malformed', (t) => {
    const good = writeRecords(writeHelloBody());
    const cases: Record<string, Buffer> = {
      'version 2': Buffer.from([22, 2]),
      'empty record': Buffer.from([22, 3, 1, 0, 0]),
      'record above 2^14': Buffer.from([22, 3, 1, 0x40, 1]),
      'second record of another type': Buffer.concat([writeRecord(Buffer.from([1, 0])), writeRecord(good, 23)]),
    };
    for (const [name, bytes] of Object.entries(cases)) t.same(read(bytes), malformed('record'), name);
    t.same(read(Buffer.from([22, 3, 1, 0x40, 0])), incomplete, '2^14 itself');
    t.end();
  });

  await t.test('that breaks its own grammar is malformed', (t) => {
    const cases: Record<string, WrittenHello> = {
      'session id of 33': { sessionId: Buffer.alloc(33) },
      'no suites': { suites: Buffer.alloc(0) },
      'half a suite': { suites: Buffer.from([1, 2, 3]) },
      'no compression method': { compressions: Buffer.alloc(0) },
      'an extension twice': { extensions: [...standardExtensions(), [23, Buffer.alloc(0)]] },
      'bytes after the extensions': { trailing: Buffer.from([0]) },
      'empty ALPN list': { extensions: [[16, vector(2)]] },
      'empty ALPN name': { extensions: [alpnExtension('h2', '')] },
      'ALPN with a byte too many': { extensions: [[16, Buffer.concat([alpnExtension('h2')[1], Buffer.from([0])])]] },
      'half a version': { extensions: [[43, vector(1, Buffer.from([3, 4, 3]))]] },
      'empty versions': { extensions: [[43, vector(1)]] },
      'versions with a byte too many': { extensions: [[43, Buffer.concat([vector(1, u16(0x304)), Buffer.from([0])])]] },
    };
    for (const [name, hello] of Object.entries(cases)) t.same(read(writeHello(hello)), malformed('handshake'), name);
    const body = writeHelloBody();
    t.same(read(writeRecords(body, [], 2)), malformed('handshake'), 'another handshake message');
    for (let length = 0; length < body.length; length += 1)
      if (length !== extensionsStart)
        t.same(read(writeRecords(body.subarray(0, length))), malformed('handshake'), `only ${length} octets`);
    t.end();
  });

  await t.test('without extensions is sound and names nothing', (t) => {
    t.same(read(writeHello({ extensions: null })), {
      kind: 'hello',
      hello: {
        serverName: null,
        versions: [0x0303],
        alpn: [],
        extendedMasterSecret: false,
        secureRenegotiation: false,
      },
    });
    t.end();
  });

  await t.test('announces secure renegotiation by extension or by suite', (t) => {
    const by = (hello: WrittenHello) => {
      const result = read(writeHello(hello));
      return result.kind === 'hello' && result.hello.secureRenegotiation;
    };
    t.equal(by({ extensions: [[0xff01, Buffer.from([0])]] }), true);
    t.equal(by({ extensions: [], suites: Buffer.concat([u16(0xc02b), u16(0x00ff)]) }), true);
    t.equal(by({ extensions: [] }), false);
    t.equal(by({ extensions: [], suites: Buffer.concat([u16(0xc000), u16(0xff00)]) }), false, 'across two suites');
    t.end();
  });

  await t.test('offers what supported_versions says, else its legacy version', (t) => {
    const versions = (hello: WrittenHello) => {
      const result = read(writeHello(hello));
      return result.kind === 'hello' && result.hello.versions;
    };
    t.same(versions({ extensions: [versionsExtension(0x0304)] }), [0x0304]);
    t.same(versions({ legacyVersion: 0x0302, extensions: [] }), [0x0302]);
    t.end();
  });

  await t.test('names one host, lower case, or none', (t) => {
    const named = (...extensions: WrittenExtension[]) => {
      const result = read(writeHello({ extensions }));
      return result.kind === 'hello' ? result.hello.serverName : result;
    };
    const label = 'a'.repeat(63);
    for (const good of ['A.Example', 'x', 'under_score.test', 'xn--bcher-kva.test', '127.0.0.1', `${label}.${label}`])
      t.equal(named(serverNameExtension(good)), good.toLowerCase());
    const tooLong = `${label}.${label}.${label}.${label}`;
    for (const bad of ['', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a b', 'a\0b', 'ü.test', '::1', `${label}a`, tooLong])
      t.same(named(serverNameExtension(bad)), malformed('serverName'), JSON.stringify(bad));
    t.same(named(serverNameExtension('a', 'b')), malformed('serverName'), 'two names');
    t.same(named([0, vector(2, Buffer.from([1]), vector(2, Buffer.from('a')))]), malformed('serverName'), 'other type');
    t.same(named([0, Buffer.alloc(0)]), malformed('serverName'), 'empty');
    t.equal(named(), null);
    t.end();
  });

  await t.test('keeps its first answer whatever follows', (t) => {
    const reader = createClientHelloReader(maximum);
    const answer = reader.push(writeHello());
    t.equal(answer.kind, 'hello');
    t.equal(reader.push(Buffer.from('garbage')), answer);
    t.end();
  });

  await t.test('broken at random never throws, and reads the same in one piece as in many', async (t) => {
    const real = await helloOfNode({ servername: 'www.example.test', ALPNProtocols: ['h2'] });
    const mutations = fc.array(
      fc.tuple(
        fc.nat(real.length - 1),
        fc.constantFrom('set', 'insert', 'remove', 'cut'),
        fc.integer({ min: 0, max: 255 }),
      ),
      { minLength: 1, maxLength: 6 },
    );
    holds(
      fc.property(mutations, fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 12 }), (changes, pieces) => {
        let bytes = Buffer.from(real);
        for (const [at, how, value] of changes) {
          const rest = bytes.subarray(how === 'insert' ? at : at + 1);
          if (how === 'cut') bytes = bytes.subarray(0, at);
          else if (how === 'remove') bytes = Buffer.concat([bytes.subarray(0, at), rest]);
          else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([value]), rest]);
        }
        const reader = createClientHelloReader(maximum);
        let result: ClientHelloResult = incomplete as ClientHelloResult;
        for (const piece of cut(bytes, pieces)) result = reader.push(piece);
        t.strictSame(result, bytes.length === 0 ? incomplete : read(bytes));
      }),
    );
    holds(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        t.match(read(writeRecords(Buffer.from(noise))), { kind: /^(hello|malformed|incomplete)$/ });
      }),
    );
  });
});

await t.test('fatal alerts are whole records', (t) => {
  t.same([...fatalAlert('unrecognized_name')], [21, 3, 3, 0, 2, 2, 112]);
  t.end();
});

await t.test('endpoints', async (t) => {
  const names = (bindings: readonly BindingSettings[]) =>
    planListens(bindings).map(({ address, port }) => `${address} ${port}`);
  const chosen = (bindings: readonly BindingSettings[], host: string | null, local: string) =>
    planListens(bindings)[0]?.group.bindingFor(host, local)?.name ?? null;

  await t.test('a host endpoint wins over an address, an address over the unspecified one', (t) => {
    const bindings = [
      https('all', on('0.0.0.0', 443)),
      https('one', on('127.0.0.2', 443)),
      https('host', named('Www.Test', 443)),
      https('other port', named('www.test', 8443)),
    ];
    t.equal(chosen(bindings, 'www.test', '127.0.0.2'), 'host');
    t.equal(chosen(bindings, 'else.test', '127.0.0.2'), 'one');
    t.equal(chosen(bindings, null, '127.0.0.2'), 'one');
    t.equal(chosen(bindings, null, '127.0.0.3'), 'all');
    t.equal(chosen(bindings, null, '::1'), null, 'IPv6 is another family');
    t.end();
  });

  await t.test('the unspecified address covers the others of its family', (t) => {
    t.same(
      names([
        https('a', on('127.0.0.2', 443)),
        https('b', on('0.0.0.0', 443)),
        https('c', on('0:0:0:0:0:0:0:1', 443)),
        https('d', named('x.test', 443)),
      ]),
      ['0.0.0.0 443', '::1 443'],
    );
    t.same(names([https('a', on('::', 443)), https('b', on('::1', 443))]), [':: 443']);
    t.end();
  });

  await t.test('host endpoints listen on their own address only where no address endpoint has their port', (t) => {
    t.same(names([https('a', named('a.test', 443)), https('b', named('b.test', 443))]), ['127.0.0.9 443']);
    t.same(names([https('a', named('a.test', 443)), https('b', on('127.0.0.1', 443))]), ['127.0.0.1 443']);
    t.end();
  });

  await t.test('on port 0 each address endpoint has a port of its own, and hosts join the first https one', (t) => {
    const listens = planListens([
      https('h1', named('a.test', 0)),
      plain('p', on('127.0.0.1', 0)),
      https('a', on('127.0.0.1', 0)),
      https('b', on('127.0.0.1', 0)),
      https('h2', named('b.test', 0)),
    ]);
    t.same(
      listens.map(({ group }) => group.bindings.map(({ name }) => name)),
      [['p'], ['a', 'h1', 'h2'], ['b']],
    );
    t.equal(new Set(listens.map(({ key }) => key)).size, 3);
    t.same(planListens([https('x', named('a.test', 0)), https('y', named('b.test', 0))]).length, 1);
    t.end();
  });

  await t.test('bindings that cannot live beside each other are refused', (t) => {
    const code = (...bindings: BindingSettings[]) => {
      try {
        planListens(bindings);
        return null;
      } catch (error) {
        return error instanceof Failure ? `${error.code} ${error.exitCode}` : error;
      }
    };
    t.equal(code(https('a', on('127.0.0.1', 443)), https('b', on('127.0.0.1', 443))), 'binding-conflict 2');
    t.equal(
      code(https('a', on('::1', 443)), https('b', on('0::1', 443))),
      'binding-conflict 2',
      'one address, two spellings',
    );
    t.equal(code(https('a', named('x.test', 443)), https('b', named('X.test', 443))), 'binding-conflict 2');
    t.equal(code(https('a', on('127.0.0.1', 0)), https('a', on('127.0.0.1', 0))), 'binding-conflict 2', 'one name');
    t.equal(code(https('a', on('127.0.0.1', 80)), plain('b', on('127.0.0.2', 80))), 'binding-conflict 2');
    t.equal(code(plain('a', named('x.test', 80))), 'binding-plain-host 2');
    t.equal(code(https('a', on('localhost', 443))), 'binding-address 2');
    t.equal(code(https('a', on('127.0.0.1', 443)), plain('b', on('127.0.0.1', 80))), null);
    t.equal(code(https('a', on('fe80::1%lo', 443))), null, 'a zone is kept');
    t.same(names([https('a', on('fe80::1%lo', 443))]), ['fe80::1%lo 443']);
    t.end();
  });
});

await t.test('admission', async (t) => {
  const limits = { maximumConnections: 4, maximumConnectionsPerAddress: 2, maximumHandshakes: 2 } as ConnectionLimits;

  await t.test('counts connections, connections of an address, and handshakes, and forgets them once', (t) => {
    const admission = createAdmission(limits);
    const admit = (address: string, handshake = false) => {
      const admitted = admission.admit(address, handshake);
      return typeof admitted === 'string' ? { refused: admitted } : { refused: null, ...admitted };
    };
    const a = admit('192.0.2.1', true);
    admit('192.0.2.1');
    t.equal(admit('192.0.2.1').refused, 'tooManyFromAddress');
    const b = admit('192.0.2.2', true);
    t.equal(admit('192.0.2.3', true).refused, 'tooManyHandshakes');
    if (a.refused === null) a.handshakeDone();
    t.equal(admission.handshakes, 1);
    admit('192.0.2.3', true);
    t.equal(admit('192.0.2.4').refused, 'tooManyConnections');
    if (b.refused === null) {
      b.released();
      b.released();
    }
    t.equal(admission.connections, 3, 'released twice counts once');
    t.equal(admission.handshakes, 1, 'a closed connection is no handshake');
    if (a.refused === null) a.released();
    t.equal(admit('192.0.2.1').refused, null);
    t.end();
  });

  await t.test('takes an IPv6 /64 for one address', (t) => {
    const same = [
      ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9'],
      ['2001:db8::1', '2001:db8:0:0:5::'],
      ['::1', '::2'],
      ['fe80::1%eth0', 'fe80::2%eth0'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
    ] as const;
    for (const [a, b] of same) t.equal(addressKey(a), addressKey(b), `${a} ${b}`);
    t.not(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:3::1'));
    t.not(addressKey('2001:db8::1'), addressKey('2001:db9::1'));
    t.not(addressKey('192.0.2.1'), addressKey('192.0.2.2'));
    t.end();
  });
});

await t.test('ticket keys and session contexts are bound to binding, trust and mode, keys to secret and hour', (t) => {
  const secret = Buffer.alloc(32, 1);
  const base = https('a', on('127.0.0.1', 443));
  const others: BindingSettings[] = [
    { ...base, name: 'b' },
    { ...base, trustDigest: 'ff' as Digest },
    { ...base, clientCertificate: 'never' },
  ];
  const key = ticketKeysOf(secret, base, 7);
  t.equal(key.length, 48);
  t.same(ticketKeysOf(secret, { ...base }, 7), key);
  for (const other of others) {
    t.notSame(ticketKeysOf(secret, other, 7), key);
    t.not(sessionContextOf(other), sessionContextOf(base));
  }
  t.notSame(ticketKeysOf(secret, base, 8), key);
  t.notSame(ticketKeysOf(Buffer.alloc(32, 2), base, 7), key);
  t.equal(sessionContextOf(base).length, 32);
  t.equal(epochOf(3_599_999 as Instant), 0);
  t.equal(epochOf(3_600_000 as Instant), 1);
  t.end();
});

await t.test('TLS options', async (t) => {
  const base = https('a', on('127.0.0.1', 443));
  const has = (binding: BindingSettings, bit: number) => ((tlsOptionsOf(binding).secureOptions ?? 0) & bit) !== 0;

  await t.test('cap late bindings at TLS 1.2 and never let them resume', (t) => {
    const late: BindingSettings = { ...base, clientCertificate: 'late', enableSessionTicket: true };
    t.match(tlsOptionsOf(late), { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', requestCert: false });
    t.equal(has(late, constants.SSL_OP_NO_TICKET), true);
    t.equal(has(late, constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION), true);
    t.equal(has(late, constants.SSL_OP_NO_RENEGOTIATION), false);
    t.end();
  });

  await t.test('let others speak TLS 1.3, and resume where wanted', (t) => {
    for (const clientCertificate of ['upFront', 'never'] as const) {
      const binding = { ...base, clientCertificate };
      t.match(tlsOptionsOf(binding), {
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.3',
        requestCert: clientCertificate === 'upFront',
        rejectUnauthorized: false,
        ca: [],
        honorCipherOrder: true,
        sessionTimeout: 3600,
        sessionIdContext: sessionContextOf(binding),
      });
      t.equal(has(binding, constants.SSL_OP_NO_TICKET), true);
      t.equal(has({ ...binding, enableSessionTicket: true }, constants.SSL_OP_NO_TICKET), false);
      t.equal(has(binding, constants.SSL_OP_NO_RENEGOTIATION), true);
    }
    t.match(tlsOptionsOf({ ...base, disableTls12: true }), { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' });
    t.match(tlsOptionsOf({ ...base, disableTls13: true }), { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
    t.end();
  });

  await t.test('refuse a binding with no version or no certificate left', (t) => {
    t.throws(() => tlsOptionsOf({ ...base, disableTls12: true, disableTls13: true }), { code: 'binding-protocols' });
    t.throws(() => tlsOptionsOf({ ...base, disableTls12: true, clientCertificate: 'late' }), {
      code: 'binding-protocols',
    });
    for (const certificate of [null, { cert: '', key: 'key' }, { cert: 'cert', key: '' }])
      t.throws(() => tlsOptionsOf({ ...base, certificate }), { code: 'binding-certificate' });
    t.end();
  });
});

/** The first bytes that Node's TLS client sends. */
function helloOfNode(options: object): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        done();
        resolve(chunk);
        setImmediate(() => wire.destroy());
      },
    });
    connect({ socket: wire, rejectUnauthorized: false, ...options }).on('error', () => {});
  });
}

function* cut(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) return;
    yield bytes.subarray(at, at + size);
    at += size;
  }
  if (at < bytes.length) yield bytes.subarray(at);
}

/** Runs a property with a seed that is printed. */
function holds<T>(property: fc.IRawProperty<T>): void {
  const seed = Date.now() & 0x7fffffff;
  t.comment(`seed ${seed}`);
  void fc.assert(property, { seed, numRuns: 300 });
}

function on(address: string, port: number): Endpoint {
  return { kind: 'address', address, port };
}

function named(host: string, port: number): Endpoint {
  return { kind: 'host', host, port, listen: '127.0.0.9' };
}

function plain(name: string, endpoint: Endpoint): BindingSettings {
  return { ...https(name, endpoint), certificate: null };
}

function https(name: string, endpoint: Endpoint): BindingSettings {
  return {
    name,
    endpoint,
    certificate: { cert: 'cert', key: 'key' },
    dsMapperUsage: true,
    clientCertificate: 'upFront',
    disableHttp2: false,
    disableTls13: false,
    disableTls12: false,
    enableSessionTicket: false,
    trustDigest: '00' as Digest,
  };
}
