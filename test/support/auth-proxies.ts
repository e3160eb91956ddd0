/**
 * nginx, HAProxy and Apache with the files of deploy/, in front of a backend and beside an auth endpoint. Of each file nothing is replaced but
 * addresses, ports and paths, and each of those must be there.
 */
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';
import { freePort, listening, startDaemon } from './processes.ts';

export const proxyNames = ['nginx', 'haproxy', 'apache'] as const;
export type ProxyName = (typeof proxyNames)[number];

export const proxyPackages: Readonly<Record<ProxyName, readonly [program: string, packages: string]>> = {
  nginx: ['nginx', 'nginx-light'],
  haproxy: ['haproxy', 'haproxy'],
  apache: ['apache2', 'apache2 lua-socket'],
};

/** Where proxies and gateway meet: a folder that workers of any account can enter. */
export interface MeetingPlace {
  readonly folder: string;
  readonly haproxyPort: number;
  /** The section `authEndpoints` for all three. @param binding that judges */
  endpoints(binding: string): string;
}

const secret = 'kept-between-haproxy-and-the-gateway-only';

export async function meetingPlace(t: Test): Promise<MeetingPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'dsmapper-proxies-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const haproxyPort = await freePort('127.0.0.1');
  await writeFile(join(folder, 'secret'), `${secret}\n`, { mode: 0o600 });
  const access = isRoot ? 'socketAccess: group\n    socketGroup: www-data' : 'socketAccess: owner';
  const caller = (form: ProxyName, binding: string, more = '') =>
    `    callers: [{ name: ${form}, form: ${form}, bindings: ["${binding}"], sites: [Lab]${more} }]`;
  return {
    folder,
    haproxyPort,
    endpoints: (binding) => `
authEndpoints:
  - name: nginx
    socket: ${folder}/nginx.sock
    ${access}
${caller('nginx', binding)}
  - name: apache
    socket: ${folder}/apache.sock
    ${access}
${caller('apache', binding)}
  - name: haproxy
    listen: 127.0.0.1:${haproxyPort}
${caller('haproxy', binding, `, secret: "file:${folder}/secret"`)}
`,
  };
}

export interface ProxyFacts {
  readonly place: MeetingPlace;
  readonly backendPort: number;
  /** PEM of the server, key included. */
  readonly server: string;
  /** PEM of CAs whose names clients are told. */
  readonly clientCas: string;
}

export interface Proxy {
  readonly name: ProxyName;
  readonly port: number;
  readonly pid: number;
  /** What it has written. */
  output(): string;
}

export async function startProxy(t: Test, name: ProxyName, facts: ProxyFacts): Promise<Proxy> {
  const port = await freePort('127.0.0.1');
  const folder = await mkdtemp(join(facts.place.folder, `${name}-`));
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'server.pem'), facts.server);
  await writeFile(join(folder, 'client-cas.pem'), facts.clientCas);
  const daemon = await starters[name]({ ...facts, port, folder });
  t.teardown(() => daemon.stop());
  await listening(daemon, '127.0.0.1', port);
  return { name, port, pid: daemon.pid, output: () => daemon.output() };
}

interface Start extends ProxyFacts {
  readonly port: number;
  readonly folder: string;
}

const isRoot = process.getuid?.() === 0;
const deploy = resolve(import.meta.dirname, '../../deploy');

const starters: Readonly<Record<ProxyName, (start: Start) => Promise<ReturnType<typeof startDaemon>>>> = {
  async nginx({ port, folder, place, backendPort }) {
    await mkdir(join(folder, 'dsmapper'));
    for (const file of ['ask.conf', 'forward.conf'])
      await copyFile(join(deploy, 'nginx', file), join(folder, 'dsmapper', file));
    const site = await filled('nginx/dsmapper.conf', [
      ['unix:/run/dsmapper/nginx.sock', `unix:${place.folder}/nginx.sock`],
      ['server 127.0.0.1:8080;', `server 127.0.0.1:${backendPort};`],
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['/etc/nginx/tls/server.pem', `${folder}/server.pem`],
      ['/etc/nginx/tls/server.key', `${folder}/server.pem`],
    ]);
    await writeFile(join(folder, 'site.conf'), site);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${folder}/${kind};`,
    );
    const text = `daemon off; pid ${folder}/pid; error_log stderr; worker_processes 1; ${isRoot ? 'user www-data;' : ''}
events {}
http { access_log off; ${temporary.join(' ')} include ${folder}/site.conf; }
`;
    await writeFile(join(folder, 'nginx.conf'), text);
    return startDaemon('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')]);
  },

  async haproxy({ port, folder, place, backendPort }) {
    const text = await filled('haproxy/haproxy.cfg', [
      ['http://127.0.0.1:9444/', `http://127.0.0.1:${place.haproxyPort}/`],
      ['/etc/haproxy/dsmapper.secret', `${place.folder}/secret`],
      ['/etc/haproxy/dsmapper.lua', join(deploy, 'haproxy/dsmapper.lua')],
      ['bind :443', `bind 127.0.0.1:${port}`],
      ['/etc/haproxy/tls/server.pem', `${folder}/server.pem`],
      ['/etc/haproxy/tls/client-cas.pem', `${folder}/client-cas.pem`],
      ['server application 127.0.0.1:8080', `server application 127.0.0.1:${backendPort}`],
    ]);
    await writeFile(join(folder, 'haproxy.cfg'), text);
    return startDaemon('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
  },

  async apache({ port, folder, place, backendPort }) {
    for (const file of ['dsmapper.lua', 'dsmapper-unset.conf'])
      await copyFile(join(deploy, 'apache', file), join(folder, file));
    const site = await filled('apache/dsmapper.conf', [
      ['<VirtualHost *:443>', `<VirtualHost 127.0.0.1:${port}>`],
      ['/etc/apache2/tls/server.pem', `${folder}/server.pem`],
      ['/etc/apache2/tls/server.key', `${folder}/server.pem`],
      ['LuaHookAccessChecker /etc/apache2/dsmapper.lua', `LuaHookAccessChecker ${folder}/dsmapper.lua`],
      ['Include /etc/apache2/dsmapper-unset.conf', `Include ${folder}/dsmapper-unset.conf`],
      ['ProxyPass / http://127.0.0.1:8080/', `ProxyPass / http://127.0.0.1:${backendPort}/`],
    ]);
    const modules = ['mpm_event', 'authz_core', 'headers', 'ssl', 'lua', 'proxy', 'proxy_http'];
    const text = `ServerRoot ${folder}
ServerName localhost
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
DefaultRuntimeDir ${folder}
Mutex default:${folder}
${isRoot ? 'User www-data\nGroup www-data' : ''}
StartServers 1
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
Listen 127.0.0.1:${port}
${site}`;
    await writeFile(join(folder, 'apache.conf'), text);
    return startDaemon('apache2', ['-DFOREGROUND', '-d', folder, '-f', join(folder, 'apache.conf')], {
      env: { DSMAPPER_ENDPOINT: `unix:${place.folder}/apache.sock` },
    });
  },
};

/** The text of a file of deploy/ with its places replaced. @throws TypeError where one is not there */
async function filled(file: string, places: readonly (readonly [from: string, to: string])[]): Promise<string> {
  let text = await readFile(join(deploy, file), 'utf8');
  for (const [from, to] of places) {
    if (!text.includes(from)) throw new TypeError(`deploy/${file} does not have ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}
