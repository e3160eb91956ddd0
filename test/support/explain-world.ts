/**
 * A gateway's setup for tests of explanations: a real configuration, the chain judged for good, a directory in memory. Certificates
 * are always the same to the byte, and the clock stands still, so that what is told can be compared to the letter.
 */
import { explain, type Explanation } from '../../src/admin/explain.ts';
import type { Digest, Millis } from '../../src/base/brand.ts';
import { storyOf } from '../../src/cli/explain-story.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { createMetrics, silentGauges } from '../../src/gateway/metrics.ts';
import type { Settings } from '../../src/gateway/settings.ts';
import { createSetup } from '../../src/gateway/setup.ts';
import { pemOf, writeCertificate, type WrittenCertificate, type WrittenName } from './certificate-writer.ts';
import { createConfigWorld, worldNow } from './config-world.ts';
import { createFakeDirectory, fakeAccount, type AccountFacts } from './fake-directory.ts';
import { parsed } from './mapping-cases.ts';

export interface Scene {
  readonly certificate: WrittenCertificate;
  readonly accounts: readonly AccountFacts[];
  /** YAML of the `mapping` section; the defaults unless given. */
  readonly mapping?: string;
  readonly labOnly?: boolean;
  readonly account?: string;
  /** False: the CA is not in NTAuth. */
  readonly published?: boolean;
  /** Who issued the issuer, and is trusted; the issuer itself unless given. */
  readonly root?: WrittenName;
  /** Stands in for the directory of `accounts`. */
  readonly directory?: Directory;
  /** YAML of `authorize`. */
  readonly authorize?: string;
}

const files = await createConfigWorld();

export async function explainScene(scene: Scene): Promise<Explanation> {
  const { certificate, account } = scene;
  const authority = parsed(authorityOf(certificate.issuer, scene.root));
  const der = writeCertificate(certificate);
  const issuers: readonly Digest[] = scene.published === false ? [] : [authority.digest];
  const directory = scene.directory ?? createFakeDirectory({ accounts: scene.accounts.map(fakeAccount), issuers });
  const clock = { now: () => worldNow, monotonic: () => 0 };
  const setup = createSetup(await settingsFor(scene, authorityOf(scene.root ?? certificate.issuer)), 1, {
    clock,
    random: () => 0.5,
    metrics: createMetrics(silentGauges),
    readOnly: true,
    directory,
  });
  try {
    await setup.principals.settle(1000 as Millis);
    const question = {
      leaf: parsed(der),
      chain: [der, authority.der],
      binding: null,
      host: null,
      path: '/',
      offline: false,
    };
    return await explain(account === undefined ? question : { ...question, account }, setup);
  } finally {
    await setup.close();
  }
}

/** What a person reads of the values, the verdict's code and the advice; other chapters belong to those who tell them. */
export function tellOf(explanation: Explanation): string {
  const story = storyOf(explanation, (_style, text) => text);
  const chapters = story.join('\n').split('\n\n');
  const ours = chapters.filter((chapter) => /^(?:Values of|What to change)/.test(chapter));
  return `${[...ours, explanation.verdict.code].join('\n\n')}\n`;
}

export function authorityOf(name: WrittenName, issuer: WrittenName = name): Buffer {
  return writeCertificate({ issuer, subject: name, serial: '01', subjectKeyIdentifier: '01', ca: true });
}

async function settingsFor(scene: Scene, authority: Buffer): Promise<Settings> {
  files.files.set('trust/explained.pem', pemOf(authority));
  const { settings } = await loadConfiguration('config.yaml', files.facilities(configurationOf(scene)));
  return settings;
}

function configurationOf({ mapping, labOnly = false, authorize }: Scene): string {
  return `${labOnly ? 'labOnly: true\n' : ''}bindings:
  - endpoint: 0.0.0.0:443
    certificate: { cert: file:tls/web.pem, key: file:tls/web.key }
    dsMapperUsage: enabled
    negotiateClientCertificate: enabled
    verifyClientCertificateRevocation: disabled
sites:
  - name: Default Web Site
    bindings: ["0.0.0.0:443"]
    upstream: http://127.0.0.1:8080
    locations:
      /:
        access: { sslFlags: [Ssl, SslNegotiateCert, SslRequireCert] }
        authentication: { anonymous: disabled, clientCertificateMapping: enabled }
${authorize === undefined ? '' : `        authorize: ${authorize}\n`}trust: { roots: [file:trust/explained.pem] }
directory:
  domains:
    - name: lab.example.test
      controllers: [ldaps://dc1.lab.example.test]
      bind: { dn: "CN=svc,DC=lab,DC=example,DC=test", password: file:secrets/ldap }
${mapping === undefined ? '' : `mapping: ${mapping}\n`}`;
}
