/**
 * Asking for a certificate late, by TLS 1.2 renegotiation, and every way to abuse it or to get lost in it.
 */
import { exec, spawn } from 'node:child_process';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import type { Millis } from '../../src/base/brand.ts';
import { digestOf } from '../../src/base/bytes.ts';
import type { AskFailure, Presented } from '../../src/tls/connection.ts';
import type { FrontOptions } from '../../src/tls/front.ts';
import { connectionOf } from '../../src/tls/live-connection.ts';
import { maximumChain, presentedBy, watchHandshakes } from '../../src/tls/negotiate.ts';
import { standardExtensions, u16, writeHello } from '../support/client-hello-writer.ts';
import { describe, getRequest, talk, talkTcp, talkTls, testFront, testPki } from '../support/front.ts';

/** SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3; Node has no name for it. */
const noExtendedMasterSecret = 1;
const run = promisify(exec);
const ms = (value: number) => value as Millis;
const { alice, mallory, issuing, root, server } = await testPki();
const aliceChain = { cert: alice.cert + issuing.cert, key: alice.key };
const base64 = (...ders: readonly Buffer[]) => ders.map((der) => der.toString('base64'));
const late = { bindings: [{ clientCertificate: 'late' as const }] };

await t.test('a late binding asks when told to, and gets the whole chain the client sent', async (t) => {
  const { port, front } = await testFront(t, late);
  const client = await talkTls(port(), aliceChain);
  const before = await client.get('/plain');
  t.match(before, { binding: 'late', protocol: 'TLSv1.2', alpn: null, presented: null });
  const after = await client.get('/ask');
  t.match(after?.asked, { how: 'renegotiated', resumed: false, digest: digestOf(alice.der, issuing.der) });
  t.same(after?.presented?.chain, base64(alice.der, issuing.der));
  t.equal(after?.id, before?.id, 'one connection');
  t.same((await client.get('/ask'))?.asked, after?.asked, 'later requests share the answer');
  t.same((await client.get('/plain'))?.presented, after?.presented, 'and see what was presented');
  t.equal([...front.connections()].length, 1);
  client.socket.destroy();
});

await t.test('HTTP/1.1 stays negotiated although the socket forgets it', async (t) => {
  const { port } = await testFront(t, late);
  const client = await talkTls(port(), { ...aliceChain, ALPNProtocols: ['h2', 'http/1.1'] });
  t.equal(client.socket.alpnProtocol, 'http/1.1', 'h2 is not offered');
  t.equal((await client.get('/ask'))?.alpn, 'http/1.1');
  client.socket.destroy();
});

await t.test('a client without a certificate is asked once, and its connection serves on', async (t) => {
  const { port, memory } = await testFront(t, late);
  const client = await talkTls(port());
  let handshakes = 0;
  client.socket.on('secure', () => (handshakes += 1));
  for (const _ of [1, 2, 3])
    t.same((await client.get('/ask'))?.asked, { how: 'renegotiated', resumed: false, digest: null, chain: [] });
  t.equal(handshakes, 1);
  t.match(await client.get('/plain'), { presented: { chain: [] } });
  t.same(memory.refused, []);
  client.socket.destroy();
});

await t.test(
  'a certificate of a foreign authority is presented like any other: judging is not done here',
  async (t) => {
    const { port } = await testFront(t, late);
    const client = await talkTls(port(), mallory);
    t.same((await client.get('/ask'))?.presented?.chain, base64(mallory.der));
    client.socket.destroy();
  },
);

await t.test('a weak key is presented too, so that the refusal can name it', async (t) => {
  const weak = await root.issue({ subject: 'CN=weak', key: 'rsa1024' });
  for (const clientCertificate of ['late', 'upFront'] as const) {
    const { port } = await testFront(t, { bindings: [{ clientCertificate }] });
    const client = await talkTls(port(), { ...weak, ciphers: 'DEFAULT@SECLEVEL=0' });
    t.same((await client.get('/ask'))?.presented?.chain, base64(weak.der), clientCertificate);
    client.socket.destroy();
  }
});

await t.test('of a long chain the first certificates are kept', async (t) => {
  const others = await Promise.all(Array.from({ length: 12 }, (_, i) => root.issue({ subject: `CN=x${i}` })));
  const { port } = await testFront(t, late);
  const client = await talkTls(port(), { cert: [alice, ...others].map(({ cert }) => cert).join(''), key: alice.key });
  const chain = (await client.get('/ask'))?.presented?.chain;
  t.equal(chain?.length, maximumChain);
  t.same(chain, base64(alice.der, ...others.map(({ der }) => der)).slice(0, maximumChain));
  client.socket.destroy();
});

await t.test('a chain beyond 100 KB does not get through a handshake at all', async (t) => {
  const padding = { oid: '1.3.6.1.4.1.99999.1', critical: false, value: Buffer.alloc(60_000, 5) };
  const huge = await Promise.all([0, 1].map((i) => root.issue({ subject: `CN=huge${i}`, extensions: [padding] })));
  const { port, memory } = await testFront(t, { bindings: [{ clientCertificate: 'upFront' }] });
  const client = talk(
    connectTlsTo(port(), { cert: huge.map(({ cert }) => cert).join(''), key: huge[0]?.key, maxVersion: 'TLSv1.2' }),
  );
  await client.closed();
  await memory.until(() => memory.tlsErrors.length === 1);
  t.match(memory.tlsErrors, [{ reason: /EXCESSIVE/i, remote: { binding: 'upFront' } }]);
  t.same(memory.connections, []);
});

await t.test('pipelined requests are answered in order around one renegotiation', async (t) => {
  const { port } = await testFront(t, late);
  for (const askAt of [0, 1, 2]) {
    const client = await talkTls(port(), aliceChain);
    let handshakes = 0;
    client.socket.on('secure', () => (handshakes += 1));
    const paths = ['/a', '/b', '/c', '/d'].map((path, i) => (i === askAt ? `/ask${path}` : path));
    client.send(paths.map((path) => getRequest(path)).join(''));
    for (const path of paths) t.equal(JSON.parse((await client.next())?.body ?? 'null')?.url, path);
    t.match(await client.get('/after'), { presented: { chain: base64(alice.der, issuing.der) } });
    t.equal(handshakes, 1);
    client.socket.destroy();
  }
});

await t.test('several pipelined requests that ask share one renegotiation', async (t) => {
  const { port } = await testFront(t, late);
  const client = await talkTls(port(), aliceChain);
  client.send(getRequest('/ask/1') + getRequest('/ask/2') + getRequest('/ask/3'));
  for (const _ of [1, 2, 3])
    t.match(JSON.parse((await client.next())?.body ?? 'null'), { asked: { how: 'renegotiated' } });
  client.socket.destroy();
});

await t.test('a body that was read first survives the renegotiation, also in pieces', async (t) => {
  const { port } = await testFront(t, late);
  const client = await talkTls(port(), aliceChain);
  const body = 'x'.repeat(40_000);
  client.send(`POST /ask HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 100)}`);
  client.send(body.slice(100));
  t.match(JSON.parse((await client.next())?.body ?? 'null'), { body, asked: { how: 'renegotiated' } });
  client.send(`POST /ask HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`);
  t.match(JSON.parse((await client.next())?.body ?? 'null'), { body: 'hello' });
  client.socket.destroy();
});

await t.test('an Upgrade request can be asked before it becomes a tunnel', async (t) => {
  const asked: (Presented | AskFailure)[] = [];
  const { port } = await testFront(t, {
    ...late,
    upgrade(request, socket) {
      void connectionOf(request)
        .ask(ms(30_000))
        .then((presented) => {
          asked.push(presented);
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
          socket.pipe(socket);
        });
    },
  });
  const client = await talkTls(port(), aliceChain);
  client.send(getRequest('/', 'Connection: Upgrade', 'Upgrade: echo'));
  t.equal((await client.next())?.status, 101);
  t.match(asked, [{ how: 'renegotiated', chain: [alice.der, issuing.der] }]);
  const echoed = once(client.socket, 'data');
  client.send('ping');
  t.equal(String((await echoed)[0]), 'ping');
  client.socket.destroy();
});

await t.test('curl, with OpenSSL, renegotiates after a POST', async (t) => {
  const { port } = await testFront(t, late);
  const directory = t.testdir({ 'chain.pem': aliceChain.cert, 'key.pem': aliceChain.key, body: 'x'.repeat(40_000) });
  const command = `curl -sSk --max-time 20 --cert ${directory}/chain.pem --key ${directory}/key.pem --data-binary @${directory}/body`;
  const output = await unlessAbsent(t, 'curl', `${command} https://127.0.0.1:${port()}/ask`);
  if (output === null) return;
  const { asked, body } = JSON.parse(output);
  t.match(asked, { how: 'renegotiated', resumed: false });
  t.same(asked.chain, base64(alice.der, issuing.der));
  t.equal(body.length, 40_000);
});

await t.test('gnutls-cli, with GnuTLS, renegotiates because it gets no ticket', async (t) => {
  const { port } = await testFront(t, late);
  const directory = t.testdir({ 'chain.pem': aliceChain.cert, 'key.pem': aliceChain.key });
  if ((await unlessAbsent(t, 'gnutls-cli', 'gnutls-cli --version')) === null) return;
  const files = ['--x509certfile', `${directory}/chain.pem`, '--x509keyfile', `${directory}/key.pem`];
  const child = spawn('gnutls-cli', ['--insecure', ...files, '-p', String(port()), '127.0.0.1'], { stdio: 'pipe' });
  const exited = once(child, 'close');
  child.stdin.write(getRequest('/ask', 'Connection: close'));
  const output = await text(child.stdout);
  await exited;
  const { asked } = JSON.parse(/\{"id".*\}/.exec(output)?.[0] ?? '{}');
  t.match(asked, { how: 'renegotiated', resumed: false });
  t.equal(asked?.chain[0], alice.der.toString('base64'));
});

await t.test('a client is told no authority names, so that it offers what it has', async (t) => {
  const { port } = await testFront(t, { bindings: [{ clientCertificate: 'upFront' }] });
  const { stdout } = await run(`openssl s_client -connect 127.0.0.1:${port()} -tls1_2 </dev/null 2>&1`);
  t.match(stdout, 'No client certificate CA names sent');
});

await t.test('a client that swaps its identity by a renegotiation of its own', async (t) => {
  await t.test('succeeds against a bare Node server: the attack is real', async (t) => {
    const bare = createHttpsServer(
      {
        ...server,
        requestCert: true,
        rejectUnauthorized: false,
        maxVersion: 'TLSv1.2',
        secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION,
      },
      ({ socket }, response) => response.end(base64(...presentedBy(socket as TLSSocket, 'upFront').chain)[0]),
    );
    t.teardown(() => bare.close());
    bare.listen(0, '127.0.0.1');
    await once(bare, 'listening');
    const answers = await swapIdentity(t, (bare.address() as AddressInfo).port, '/');
    if (answers !== null) t.same(answers, base64(alice.der, mallory.der));
  });

  for (const clientCertificate of ['upFront', 'late', 'never'] as const)
    await t.test(`is cut off where the binding asks ${clientCertificate}, before its next request`, async (t) => {
      const served: string[] = [];
      const { port, memory } = await testFront(t, {
        bindings: [{ clientCertificate }],
        handler(request, response) {
          served.push(request.url ?? '');
          describe(request, response);
        },
      });
      const answers = await swapIdentity(t, port(), '/ask');
      if (answers === null) return;
      t.equal(answers[1], 'cut');
      await memory.until(() => memory.closed.length === 1);
      t.match(memory.refused, [{ reason: 'foreignHandshake', remote: { binding: clientCertificate } }]);
      t.same(served, ['/ask']);
      const shown = clientCertificate === 'never' ? undefined : [alice.der];
      t.same(memory.closed[0]?.presented?.chain, shown, 'what was presented did not change');
    });

  await t.test('is cut off when a Node client does it, with a request right behind', async (t) => {
    const { port, memory } = await testFront(t, late);
    const client = await talkTls(port(), aliceChain);
    t.match(await client.get('/plain'), { binding: 'late' });
    client.socket.renegotiate({ rejectUnauthorized: false }, () => {});
    client.send(getRequest('/after'));
    t.equal(await client.next(), null);
    t.match(memory.refused, [{ reason: 'foreignHandshake' }]);
  });

  await t.test('is cut off over HTTP/2 as well, where Node would leave the socket hanging', async (t) => {
    const { port, memory } = await testFront(t, { bindings: [{ clientCertificate: 'upFront' }] });
    const client = await talkTls(port(), { ...aliceChain, maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] });
    client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    await memory.until(() => memory.connections[0]?.alpn === 'h2');
    client.socket.renegotiate({ rejectUnauthorized: false }, () => {});
    await client.closed();
    await memory.until(() => memory.closed.length === 1);
    t.match(memory.refused, [{ reason: 'foreignHandshake' }]);
  });

  await t.test('is cut off when openssl s_client types R', async (t) => {
    const { port, memory } = await testFront(t, late);
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port()}`, '-tls1_2'], { stdio: 'pipe' });
    t.teardown(() => child.kill());
    const exited = once(child, 'close');
    child.stdin.on('error', () => {});
    await memory.until(() => memory.connections.length === 1);
    child.stdin.write('R\n');
    await memory.until(() => memory.closed.length === 1);
    t.match(memory.refused, [{ reason: 'foreignHandshake' }]);
    child.stdin.end();
    await exited;
  });
});

await t.test('a second renegotiation after ours is foreign', async (t) => {
  const { port, memory } = await testFront(t, late);
  const client = await talkTls(port(), aliceChain);
  t.match(await client.get('/ask'), { asked: { how: 'renegotiated' } });
  client.socket.renegotiate({ rejectUnauthorized: false }, () => {});
  await client.closed();
  t.match(memory.refused, [{ reason: 'foreignHandshake' }]);
});

await t.test('a silent client, that never answers the HelloRequest, is ended by our timer', async (t) => {
  const answers: (Presented | AskFailure)[] = [];
  const { port, memory } = await testFront(t, { ...late, handler: askWithin(60, answers) });
  const wire = await startWire(t, port());
  const client = await talkTls(wire.port, aliceChain);
  void wire.holdAfterNextAnswer();
  client.send(getRequest('/ask'));
  await memory.until(() => memory.closed.length === 1);
  t.same(answers, ['timeout']);
  t.equal(memory.closed[0]?.closed, true);
});

await t.test('a client that refuses to renegotiate ends with a failure', async (t) => {
  const answers: (Presented | AskFailure)[] = [];
  const { port, memory } = await testFront(t, { ...late, handler: askWithin(30_000, answers) });
  const child = spawn(
    'openssl',
    ['s_client', '-connect', `127.0.0.1:${port()}`, '-tls1_2', '-no_renegotiation', '-quiet'],
    {
      stdio: 'pipe',
    },
  );
  t.teardown(() => child.kill());
  child.stdin.on('error', () => {});
  const exited = once(child, 'close');
  await memory.until(() => memory.connections.length === 1);
  child.stdin.write(getRequest('/ask'));
  await memory.until(() => memory.closed.length === 1);
  t.same(answers, ['failed']);
  child.stdin.end();
  await exited;
});

await t.test('a connection that is gone before it is asked answers closed', async (t) => {
  const answers: (Presented | AskFailure)[] = [];
  const { port, memory } = await testFront(t, {
    ...late,
    handler(request) {
      const connection = connectionOf(request);
      connection.end('atOnce');
      void connection.ask(ms(1000)).then((answer) => answers.push(answer));
    },
  });
  const client = await talkTls(port(), aliceChain);
  client.send(getRequest('/'));
  await client.closed();
  await memory.until(() => memory.closed.length === 1);
  t.same(answers, ['closed']);
});

await t.test('asking is unsupported where it cannot work, and does no harm', async (t) => {
  await t.test('on a binding that never asks, over TLS 1.3, TLS 1.2, HTTP/2 and plain http', async (t) => {
    const { port } = await testFront(t, {
      bindings: [{ clientCertificate: 'never' }, { name: 'plain', certificate: null }],
    });
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const client = await talkTls(port(), { ...aliceChain, maxVersion });
      t.match(await client.get('/ask'), { asked: 'unsupported', protocol: maxVersion, presented: null });
      t.match(await client.get('/ask'), { asked: 'unsupported' }, 'the connection lives on');
      client.socket.destroy();
    }
    const client = await talkTcp(port('plain'));
    t.match(await client.get('/ask'), { asked: 'unsupported', protocol: null, binding: 'plain', presented: null });
    client.socket.destroy();
  });

  for (const [name, options] of [
    ['TLS 1.3', { maxVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'] }],
    ['HTTP/2 over TLS 1.2', { maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] }],
  ] as const)
    await t.test(`on a socket that speaks ${name}, whatever its binding`, async (t) => {
      const tls = createTlsServer({ ...server, ...options });
      t.teardown(() => tls.close());
      tls.listen(0, '127.0.0.1');
      await once(tls, 'listening');
      const accepted = once(tls, 'secureConnection') as Promise<[TLSSocket]>;
      const client = await talkTls((tls.address() as AddressInfo).port, {
        ...options,
        ALPNProtocols: [...options.ALPNProtocols],
      });
      const [socket] = await accepted;
      const watch = watchHandshakes(socket, ms(0), {
        presented: () => t.fail('presented'),
        foreign: () => t.fail('foreign'),
      });
      t.equal(await watch.ask(ms(1000)), 'unsupported');
      const heard = once(client.socket, 'data');
      socket.write('still here');
      t.equal(String((await heard)[0]), 'still here');
      client.socket.destroy();
      socket.destroy();
    });
});

await t.test('a renegotiation of the client that Node itself refuses ends the connection too', async (t) => {
  const tls = createTlsServer({ ...server, maxVersion: 'TLSv1.2' });
  t.teardown(() => tls.close());
  tls.listen(0, '127.0.0.1');
  await once(tls, 'listening');
  let foreign = 0;
  tls.on('secureConnection', (socket) => {
    watchHandshakes(socket, ms(0), { presented: () => t.fail('presented'), foreign: () => (foreign += 1) });
    socket.disableRenegotiation();
    socket.resume();
  });
  const client = await talkTls((tls.address() as AddressInfo).port);
  client.socket.renegotiate({ rejectUnauthorized: false }, () => {});
  await client.closed();
  t.equal(foreign, 1);
});

await t.test('a renegotiation that cannot even begin fails, and ends the connection', async (t) => {
  const tls = createTlsServer({ ...server, maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_RENEGOTIATION });
  t.teardown(() => tls.close());
  tls.listen(0, '127.0.0.1');
  await once(tls, 'listening');
  const accepted = once(tls, 'secureConnection') as Promise<[TLSSocket]>;
  const client = await talkTls((tls.address() as AddressInfo).port);
  const [socket] = await accepted;
  const watch = watchHandshakes(socket, ms(0), {
    presented: () => t.fail('presented'),
    foreign: () => t.fail('foreign'),
  });
  t.equal(await watch.ask(ms(30_000)), 'failed');
  await client.closed();
});

await t.test('an up-front binding answers with what it has', async (t) => {
  const { port } = await testFront(t, { bindings: [{ clientCertificate: 'upFront' }] });
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const client = await talkTls(port(), { ...aliceChain, maxVersion });
    const described = await client.get('/ask');
    t.match(described, { protocol: maxVersion, presented: { how: 'upFront', resumed: false } });
    t.same(described?.presented?.chain, base64(alice.der, issuing.der));
    t.same(described?.asked, described?.presented);
    client.socket.destroy();
    const bare = await talkTls(port(), { maxVersion });
    t.match(await bare.get('/ask'), { presented: { how: 'upFront', chain: [], digest: null } });
    bare.socket.destroy();
  }
});

await t.test('the idle time-out holds again after a renegotiation, though Node switches it off', async (t) => {
  const { port, memory } = await testFront(t, {
    ...late,
    limits: { idleTimeout: ms(400) },
    handler: (request) => void connectionOf(request).ask(ms(30_000)),
  });
  const client = await talkTls(port(), aliceChain);
  client.send(getRequest('/ask'));
  await memory.until(() => memory.closed.length === 1);
  t.equal(memory.closed[0]?.presented?.chain.length, 2, 'the certificate had arrived');
  await client.closed();
});

await t.test('the idle time-out leaves a person the time to choose a certificate', async (t) => {
  const { port, memory } = await testFront(t, { ...late, limits: { idleTimeout: ms(400) } });
  const wire = await startWire(t, port());
  const person = await talkTls(wire.port, aliceChain);
  const held = wire.holdAfterNextAnswer();
  person.send(getRequest('/ask'));
  await held;
  const idle = await talkTls(port());
  await idle.closed();
  await memory.until(() => memory.closed.length === 1);
  t.equal(memory.closed[0]?.id, 2, 'a connection that came later has been idle too long');
  wire.release();
  t.equal((await person.next())?.status, 200);
  person.socket.destroy();
});

await t.test('clients that could be spliced are refused on late bindings only', async (t) => {
  const { port, memory } = await testFront(t, {
    bindings: [{ clientCertificate: 'late' }, { clientCertificate: 'upFront' }],
  });

  await t.test('a real client without extended_master_secret', async (t) => {
    const options = { maxVersion: 'TLSv1.2', secureOptions: noExtendedMasterSecret } as const;
    const socket = connectTlsTo(port('late'), options);
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    t.match(error.code, /HANDSHAKE_FAILURE/);
    t.match(memory.refused.at(-1), {
      reason: 'insecureRenegotiation',
      remote: { binding: 'late', address: '127.0.0.1' },
    });
    const fine = await talkTls(port('upFront'), options);
    t.match(await fine.get('/'), { protocol: 'TLSv1.2' });
    fine.socket.destroy();
  });

  await t.test('one without renegotiation_info or its suite', async (t) => {
    const extensions = standardExtensions().filter(([type]) => type !== 0xff01);
    t.equal((await firstRecord(port('late'), writeHello({ extensions }))).toString('hex'), '15030300020228');
    t.equal(memory.refused.at(-1)?.reason, 'insecureRenegotiation');
    const bySuite = writeHello({ extensions, suites: Buffer.concat([u16(0xc02b), u16(0x00ff)]) });
    t.equal((await firstRecord(port('late'), bySuite))[0], 22, 'its suite is enough');
    t.equal((await firstRecord(port('late'), writeHello()))[0], 22, 'so is the extension');
    t.equal((await firstRecord(port('upFront'), writeHello({ extensions })))[0], 22, 'not needed up front');
  });
});

await t.test('late bindings speak TLS 1.2 with forward secrecy and nothing else', async (t) => {
  const { port } = await testFront(t, late);
  const client = await talkTls(port());
  t.equal(client.socket.getProtocol(), 'TLSv1.2', 'of a client that offers 1.3 too');
  t.match(client.socket.getCipher().name, /^ECDHE-.*(GCM|CHACHA20)/);
  client.socket.destroy();
  for (const options of [
    { minVersion: 'TLSv1.3' },
    { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256' },
  ] as const) {
    const [error] = (await once(connectTlsTo(port(), options), 'error')) as [NodeJS.ErrnoException];
    t.match(error.code, /PROTOCOL_VERSION|HANDSHAKE_FAILURE/, JSON.stringify(options));
  }
});

await t.test('300 clients that vanish around a renegotiation leave nothing behind', async (t) => {
  const answers: (Presented | AskFailure)[] = [];
  const { port, front, memory } = await testFront(t, { ...late, handler: askWithin(30_000, answers) });
  const ways: readonly ((tls: TLSSocket, tcp: Socket) => void)[] = [
    (tls) => tls.destroy(),
    (_, tcp) => tcp.resetAndDestroy(),
    (tls) => tls.end(),
  ];
  for (let batch = 0; batch < 10; batch += 1)
    await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const tcp = connectTcp({ port: port(), host: '127.0.0.1' });
        const client = await talkTls(port(), { ...aliceChain, socket: tcp });
        client.send(getRequest('/ask'));
        if (i % 4 === 1) await once(client.socket, 'secure');
        if (i % 4 === 2) await new Promise(setImmediate);
        if (i % 4 === 3) client.send(getRequest('/ask').slice(0, i));
        ways[i % ways.length]?.(client.socket, tcp);
        await client.closed();
      }),
    );
  await memory.until(() => memory.closed.length === memory.connections.length);
  t.equal([...front.connections()].length, 0);
  t.ok(memory.connections.length > 0);
  t.equal(
    memory.refused.filter(({ reason }) => reason === 'foreignHandshake').length,
    0,
    'none of them is taken for an attack',
  );
  const survivor = await talkTls(port(), aliceChain);
  survivor.send(getRequest('/ask'));
  t.equal((await survivor.next())?.status, 200);
  survivor.socket.destroy();
});

/** Asks on every request, notes what came of it, and answers where the connection lives. */
function askWithin(timeout: number, answers: (Presented | AskFailure)[]): FrontOptions['handler'] {
  return (request, response) => {
    const connection = connectionOf(request);
    void connection.ask(ms(timeout)).then((presented) => {
      answers.push(presented);
      if (!connection.closed) response.end();
    });
  };
}

function connectTlsTo(port: number, options: ConnectionOptions): TLSSocket {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  return socket.on('error', () => {});
}

/** What the identity-swapping client was answered as alice and, after its own renegotiation, as mallory; null: skipped. */
async function swapIdentity(t: Test, port: number, path: string): Promise<readonly string[] | null> {
  const directory = t.testdir({ 'alice.pem': alice.cert + alice.key, 'mallory.pem': mallory.cert + mallory.key });
  const script = fileURLToPath(new URL('../support/identity-swap.py', import.meta.url));
  const command = `python3 ${script} ${port} ${directory}/alice.pem ${directory}/mallory.pem ${path}`;
  return (await unlessAbsent(t, 'python3 with libssl', command))?.trimEnd().split('\n') ?? null;
}

/** What a program prints; null, with a notice, where it is not installed (127) or says that it cannot work here (77). */
async function unlessAbsent(t: Test, name: string, command: string): Promise<string | null> {
  try {
    return (await run(command)).stdout;
  } catch (error) {
    const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
    if (code !== 77 && code !== 127) throw error;
    t.comment(`skipped: ${name} is not installed`);
    return null;
  }
}

/** What a server sends first to these bytes. */
async function firstRecord(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connectTcp({ port, host: '127.0.0.1' });
  socket.write(bytes);
  const [data] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return data;
}

interface Wire {
  readonly port: number;
  /** From the server's next bytes on, keeps back what the client sends; resolves when something is kept back. */
  holdAfterNextAnswer(): Promise<void>;
  /** Lets go of it. */
  release(): void;
}

/** A TCP connection with a hand on it, between one client and the front. */
async function startWire(t: Test, target: number): Promise<Wire> {
  let hold: 'no' | 'next' | 'yes' = 'no';
  let holding = () => {};
  let server: Socket | null = null;
  const kept: Buffer[] = [];
  const wire = createTcpServer((client) => {
    const onward = connectTcp({ port: target, host: '127.0.0.1' });
    server = onward;
    client.on('error', () => {});
    onward.on('error', () => {});
    client.on('close', () => onward.destroy());
    onward.on('close', () => client.destroy());
    onward.on('data', (bytes: Buffer) => {
      if (hold === 'next') hold = 'yes';
      client.write(bytes);
    });
    client.on('data', (bytes: Buffer) => {
      if (hold !== 'yes') onward.write(bytes);
      else {
        kept.push(bytes);
        holding();
      }
    });
  });
  t.teardown(() => wire.close());
  wire.listen(0, '127.0.0.1');
  await once(wire, 'listening');
  return {
    port: (wire.address() as AddressInfo).port,
    holdAfterNextAnswer() {
      hold = 'next';
      return new Promise((resolve) => (holding = resolve));
    },
    release() {
      hold = 'no';
      for (const bytes of kept.splice(0)) server?.write(bytes);
    },
  };
}
