/**
 * The rows of IIS' outcomes about revocation and the policies beside them, as data: a folder each in `test/cases/revocation`. Every case
 * has a gateway that knows nothing yet, in front of one lab.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { VerdictCode } from '../../src/base/verdict.ts';
import { createAuthority } from '../../src/lab/authority.ts';
import type { DocumentKind, RevocationFault } from '../../src/lab/revocation-faults.ts';
import { until } from '../support/directory-world.ts';
import { ask, testGateway, testLab } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';

interface RevocationCase {
  readonly claim: string;
  /** Where the expectation comes from. */
  readonly source: string;
  /** Keys of each https binding. */
  readonly binding?: Readonly<Record<string, string>>;
  /** Keys of the `revocation` section; `{pki}` is the folder of the lab's certificates. */
  readonly revocation?: Readonly<Record<string, unknown>>;
  /** Requests of an earlier start with the same cache, before the trouble begins. */
  readonly before?: { readonly as: readonly string[] };
  /** Who asks first, before somebody is revoked. */
  readonly warm?: readonly string[];
  readonly revoke?: readonly string[];
  readonly trouble?: Readonly<Partial<Record<DocumentKind, RevocationFault>>>;
  readonly requests: readonly {
    readonly as: string;
    /** It takes a while until it is so. */
    readonly eventually?: boolean;
    readonly expect: Readonly<Record<string, unknown>> & { readonly code: VerdictCode };
  }[];
  /** Lists asked for during `requests`; not looked at when absent. */
  readonly fetches?: number;
}

const folder = resolve(import.meta.dirname, '../cases/revocation');
const filter = process.env['DSMAPPER_CASES'] ?? '';
const lab = await testLab(t);
/** Whose certificates say nothing about revocation. */
const unpublished = await createAuthority({ subject: 'O=Unpublished,CN=Unpublished CA', key: 'p256' });
const stranger = await unpublished.issue({ subject: 'O=Unpublished,CN=stranger', key: 'p256' });

for (const name of readdirSync(folder).filter((each) => each.includes(filter))) {
  const one = JSON.parse(readFileSync(join(folder, name, 'case.json'), 'utf8')) as RevocationCase;
  await t.test(`revocation: ${name}: ${one.claim}`, (t) => check(t, one));
}

async function check(t: Test, one: RevocationCase): Promise<void> {
  t.match(one.source, /\w/);
  t.teardown(async () => {
    await lab.revocation.trouble(null);
    for (const who of one.revoke ?? []) await lab.revocation.unrevoke(who);
  });
  const cache = t.testdir({ lists: {} });
  await writeFile(join(cache, 'unpublished.pem'), unpublished.cert);
  if (one.before !== undefined) {
    const earlier = await start(t, { claim: '', source: '', requests: [] }, cache);
    for (const as of one.before.as) await request(earlier, as);
    await earlier.gateway.close();
  }
  for (const [kind, fault] of Object.entries(one.trouble ?? {}))
    await lab.revocation.trouble(fault, kind as DocumentKind);
  const to = await start(t, one, cache);
  for (const as of one.warm ?? []) t.match(await request(to, as), { code: 'authorised' }, `${as}, at first`);
  for (const who of one.revoke ?? []) await lab.revocation.revoke(who);
  const lists = () => lab.revocation.requests.filter(({ kind }) => kind === 'crl').length;
  const before = lists();
  for (const { as, eventually = false, expect } of one.requests) {
    if (eventually) await until(async () => (await request(to, as))['code'] === expect.code);
    t.match(await request(to, as), expect, as);
  }
  if (one.fetches !== undefined) t.equal(lists() - before, one.fetches, 'lists asked for');
}

function start(t: Test, one: RevocationCase, cache: string): Promise<TestGateway> {
  const binding = { verifyClientCertificateRevocation: 'enabled', urlRetrievalTimeout: '5s', ...one.binding };
  const lines = Object.entries(binding).map(([key, value]) => `${key}: ${value}`);
  const revocation = {
    mode: 'online',
    hosts: [new URL(lab.revocation.url).host],
    cacheDirectory: join(cache, 'lists'),
    ...one.revocation,
  };
  return testGateway(t, {
    lab,
    configure: (yaml) =>
      yaml
        .replaceAll(/\n *revocationFreshnessTime:.*/g, '')
        .replaceAll(/verifyClientCertificateRevocation: \w+/g, lines.join('\n    '))
        .replaceAll(/\nrevocation:\n(?: .*\n)*/g, '\n')
        .replace('roots: [', `roots: ["file:${join(cache, 'unpublished.pem')}", `)
        .concat(`\nrevocation: ${JSON.stringify(revocation).replaceAll('{pki}', lab.pki.folder)}\n`),
  });
}

/** What the log says, after a look that the client saw the same. */
async function request(to: TestGateway, as: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = await (as === 'unpublished'
    ? ask(to, 'upFront', { tls: { cert: stranger.cert, key: stranger.key } })
    : ask(to, 'upFront', { as }));
  const line = await to.logged(answer.headers['x-request-id']);
  if (line['status'] !== answer.status)
    throw new Error(`${as}: ${answer.status}, and the log says ${String(line['status'])}`);
  return line;
}
