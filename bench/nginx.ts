/**
 * nginx as the yardstick: one worker, TLS with client certificates, proxying with kept upstream connections; no mapping at all.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:net';
import type { Running } from './processes.ts';
import { run } from './processes.ts';

export function nginxInstalled(): boolean {
  return spawnSync('nginx', ['-v']).status === 0;
}

export interface NginxFacts {
  readonly folder: string;
  readonly port: number;
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string;
  readonly backendPort: number;
}

export async function startNginx(facts: NginxFacts): Promise<Running> {
  const folder = join(facts.folder, 'nginx');
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name), { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(facts, folder));
  const running = run('server', ['nginx', '-c', file, '-p', folder, '-e', join(folder, 'error.log')]);
  running.ready.catch(() => {});
  for (let tries = 0; tries < 100 && !(await answers(facts.port)); tries += 1)
    await new Promise((done) => setTimeout(done, 20));
  return running;
}

function configuration(facts: NginxFacts, folder: string): string {
  return `daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log ${folder}/error.log warn;
events { worker_connections 4096; }
http {
  access_log ${folder}/access.log;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000;
  upstream backend { server 127.0.0.1:${facts.backendPort}; keepalive 100; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${facts.port} ssl backlog=4096;
    ssl_certificate ${facts.certificate};
    ssl_certificate_key ${facts.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_client_certificate ${facts.clientCa};
    ssl_verify_client on;
    ssl_verify_depth 3;
    ssl_session_tickets on;
    ssl_session_cache off;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Client-Verify $ssl_client_verify;
      proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
    }
  }
}
`;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
