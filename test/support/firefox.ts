/**
 * Headless Firefox with a profile of its own: its certificate store (NSS) trusts the lab's root and may hold a client certificate, which it chooses
 * without asking a person. It prints nothing; what it does is seen where it asks.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { run } from './processes.ts';
import type { ClientIdentity } from './real-clients.ts';

export interface Firefox {
  /** Shows a page until something has happened. @throws Error when Firefox ends before, or after 40 seconds */
  visit(url: string, until: () => boolean): Promise<void>;
}

const settings = {
  'security.default_personal_cert': 'Select Automatically',
  'network.proxy.type': 0,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'app.update.enabled': false,
  'app.normandy.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'services.settings.server': 'https://127.0.0.1:1/',
  'extensions.systemAddon.update.enabled': false,
};

/** @param identity what the store holds besides the trusted root; null: nothing */
export async function firefox(t: Test, rootFile: string, identity: ClientIdentity | null): Promise<Firefox> {
  const profile = await mkdtemp(join(tmpdir(), 'dsmapper-firefox-'));
  t.teardown(() => rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));
  const store = ['-d', `sql:${profile}`];
  await run('certutil', [...store, '-N', '--empty-password']);
  await run('certutil', [...store, '-A', '-n', 'lab root', '-t', 'C,,', '-i', rootFile]);
  if (identity !== null) {
    const file = join(profile, 'identity.p12');
    const from = ['-in', identity.chainFile, '-inkey', identity.keyFile];
    await run('openssl', ['pkcs12', '-export', ...from, '-out', file, '-passout', 'pass:lab', '-name', 'identity']);
    await run('pk12util', [...store, '-i', file, '-W', 'lab', '-K', '']);
  }
  const lines = Object.entries(settings).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  await writeFile(join(profile, 'user.js'), lines.join(''));
  return {
    async visit(url, until) {
      const args = ['--headless', '--no-remote', '--profile', profile, url];
      // A group of its own: Firefox is several processes.
      const env = { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' };
      const child = spawn('firefox-esr', args, { env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (more: string) => (said = (said + more).slice(-2000)));
      const closed = once(child, 'close');
      const end = () => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
        process.kill(-child.pid, 'SIGKILL');
      };
      process.once('exit', end);
      try {
        const deadline = performance.now() + 40_000;
        while (!until()) {
          if (child.exitCode !== null || performance.now() > deadline) throw new Error(`Firefox: ${said}`);
          await pause(20);
        }
      } finally {
        end();
        process.removeListener('exit', end);
        await closed;
      }
    },
  };
}
