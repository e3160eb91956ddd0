/**
 * A real SSSD for tests, as an independent builder of altSecurityIdentities values: it turns a certificate into an LDAP filter by
 * a mapping rule, and its log shows the filter. It runs in namespaces of its own on a private bus, without systemd.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as wait } from 'node:timers/promises';
import { run, startDaemon } from './processes.ts';

export const sssdPackages = 'sssd-common sssd-ldap sssd-dbus libnss-sss dbus';
export const sssdPrograms = ['sssd', 'dbus-daemon', 'dbus-send', 'unshare'];

export interface SssdOptions {
  /** `ldaps://address:port` */
  readonly url: string;
  readonly caPem: string;
  readonly bindDn: string;
  readonly password: string;
  readonly base: string;
  /** A mapping rule, see sss-certmap(5). */
  readonly rule: string;
}

export interface Sssd {
  /** Has it look a certificate up. Whether it finds somebody is not asked. */
  lookUp(pem: string): Promise<void>;
  /** Every filter that it has sent for a certificate, its escapes undone: the assertions of the OR, `attribute=value`. */
  filters(): readonly (readonly string[])[];
}

/** @param t ends it with the test */
export async function startSssd(t: { teardown(end: () => unknown): void }, options: SssdOptions): Promise<Sssd> {
  const folder = mkdtempSync(join(tmpdir(), 'dsmapper-sssd-'));
  const bus = `unix:path=${folder}/bus`;
  const env = { DBUS_SYSTEM_BUS_ADDRESS: bus };
  writeFileSync(join(folder, 'ca.pem'), options.caPem);
  writeFileSync(join(folder, 'bus.conf'), busConfiguration(bus));
  writeFileSync(join(folder, 'sssd.conf'), configuration(options, join(folder, 'ca.pem')), { mode: 0o600 });

  const broker = startDaemon('dbus-daemon', [`--config-file=${folder}/bus.conf`, '--nofork', '--nopidfile']);
  const script = fileURLToPath(new URL('sssd/run.sh', import.meta.url));
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child'];
  const daemon = startDaemon('unshare', [...namespaces, 'sh', script, folder], { env });
  t.teardown(async () => {
    await daemon.stop();
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const call = (path: string, method: string, argument: string) => {
    const to = ['--system', '--print-reply', '--dest=org.freedesktop.sssd.infopipe', `/org/freedesktop/sssd/${path}`];
    return run('dbus-send', [...to, `org.freedesktop.sssd.infopipe.${method}`, `string:${argument}`], { env });
  };
  await answers(
    () => call('infopipe', 'Ping', 'ping'),
    () => `${daemon.output()}\n${broker.output()}`,
  );
  return {
    async lookUp(pem) {
      await call('infopipe/Users', 'Users.FindByCertificate', pem).catch((error: unknown) => {
        if (!String(error).includes('NotFound')) throw error;
      });
    },
    filters() {
      const log = readFileSync(join(folder, 'sssd', 'sssd_lab.log'), 'utf8');
      const sent = log.matchAll(
        /calling ldap_search_ext with \[\(&\(\|\((altSecurityIdentities=.*?)\)\)\(objectclass=user\)/g,
      );
      return [...sent].map(([, parts = '']) => parts.split(')(').map(unescapeFilter));
    },
  };
}

async function answers(ask: () => Promise<unknown>, output: () => string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await ask();
      return;
    } catch (error) {
      if (attempt === 150) throw new Error(`sssd does not answer: ${String(error)}\n${output()}`, { cause: error });
      await wait(100);
    }
  }
}

/** RFC 4515 section 3; SSSD escapes blanks too. */
function unescapeFilter(text: string): string {
  const bytes = text.replaceAll(/\\([0-9a-f]{2})|([^\\]+)/gi, (_, hex: string | undefined, plain: string) =>
    hex === undefined ? Buffer.from(plain, 'utf8').toString('latin1') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

function configuration({ url, bindDn, password, base, rule }: SssdOptions, ca: string): string {
  return `[sssd]
services = nss, ifp
domains = lab
certificate_verification = no_verification

[ifp]
allowed_uids = 0

[domain/lab]
id_provider = ldap
auth_provider = none
access_provider = permit
chpass_provider = none
sudo_provider = none
ldap_schema = ad
ldap_uri = ${url}
ldap_search_base = ${base}
ldap_default_bind_dn = ${bindDn}
ldap_default_authtok = ${password}
ldap_tls_cacert = ${ca}
ldap_id_mapping = true
ldap_referrals = false

[certmap/lab/all]
maprule = ${rule}
matchrule = <EKU>clientAuth
`;
}

function busConfiguration(address: string): string {
  const allowed = [
    'user="*"',
    'own="*"',
    'send_type="method_call"',
    'send_type="signal"',
    'send_requested_reply="true" send_type="method_return"',
    'send_requested_reply="true" send_type="error"',
    'receive_type="method_call"',
    'receive_type="method_return"',
    'receive_type="error"',
    'receive_type="signal"',
  ];
  return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>${address}</listen><auth>EXTERNAL</auth>
<policy context="default">${allowed.map((one) => `<allow ${one}/>`).join('')}</policy></busconfig>
`;
}
