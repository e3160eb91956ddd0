/**
 * The many connections of `bench/idle.ts`: opens as many as it is told, does one request on each, keeps them and says so. Run by it, over IPC.
 */
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:tls';

export interface IdleSettings {
  readonly kind: 'upFront' | 'late' | 'http2';
  readonly port: number;
  readonly ca: string;
  /** Files. */
  readonly identities: readonly { readonly cert: string; readonly key: string }[];
}

export type IdleCommand =
  | { readonly do: 'begin'; readonly settings: IdleSettings }
  /** Until there are so many. */
  | { readonly do: 'open'; readonly count: number }
  | { readonly do: 'close' };

export interface IdleReport {
  readonly open: number;
  /** Connections that ended although nobody ended them. */
  readonly lost: number;
}

let settings: IdleSettings | null = null;
let identities: readonly { cert: Buffer; key: Buffer }[] = [];
const connections: { destroy(): void }[] = [];
let lost = 0;
let closing = false;
const path = '/payroll/idle';
/** Handshakes at once. */
const atOnce = 32;

process.on('message', (command: IdleCommand) => void obey(command));
process.on('disconnect', () => process.exit(0));

async function obey(command: IdleCommand): Promise<void> {
  switch (command.do) {
    case 'begin':
      settings = command.settings;
      identities = settings.identities.map(({ cert, key }) => ({ cert: readFileSync(cert), key: readFileSync(key) }));
      break;
    case 'open': {
      const lane = async () => {
        while (connections.length + pending < command.count) {
          pending += 1;
          const made = await open(connections.length + pending);
          pending -= 1;
          connections.push(made);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, lane));
      break;
    }
    case 'close':
      closing = true;
      for (const connection of connections.splice(0)) connection.destroy();
      closing = false;
      break;
  }
  const report: IdleReport = { open: connections.length - lost, lost };
  process.send?.(report);
}

let pending = 0;

function open(index: number): Promise<{ destroy(): void }> {
  const identity = identities[index % identities.length];
  if (settings === null || identity === undefined) throw new Error('begin first');
  const { kind, port, ca } = settings;
  const options = { host: '127.0.0.1', port, ca, ...identity };
  const noteLoss = () => {
    if (!closing) lost += 1;
  };
  if (kind === 'http2') {
    return new Promise((resolve, reject) => {
      const session = connectHttp2(`https://127.0.0.1:${port}`, options);
      session.once('error', reject).once('close', noteLoss);
      const stream = session.request({ ':path': path });
      stream.once('response', ({ ':status': status }) => {
        if (status !== 200) reject(new Error(`answered ${status}`));
      });
      stream.once('end', () => resolve(session)).resume();
    });
  }
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, ALPNProtocols: ['http/1.1'] });
    socket.once('error', reject).once('close', noteLoss);
    socket.once('secureConnect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\nok')) return;
      if (text.startsWith('HTTP/1.1 200')) resolve(socket);
      else reject(new Error(text.slice(0, 200)));
    });
  });
}
