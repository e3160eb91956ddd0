/**
 * A DNS server on UDP that answers what a test says: SRV and A records (RFC 1035, RFC 2782), no such name, or nothing at all.
 */
import { createSocket } from 'node:dgram';

export interface SrvLine {
  readonly target: string;
  readonly port: number;
  readonly priority?: number;
  readonly weight?: number;
}

export interface DnsServer {
  /** `ip:port`, as settings name it. */
  readonly address: string;
  /** By name, lower case, without the last dot. */
  readonly srv: Map<string, readonly SrvLine[]>;
  /** Names to IPv4 addresses. */
  readonly hosts: Map<string, string>;
  /** Questions are taken and not answered. */
  silent: boolean;
  /** Names that are not answered. */
  readonly mute: Set<string>;
  /** `TYPE name` of each question so far. */
  readonly questions: readonly string[];
}

const types = { a: 1, aaaa: 28, srv: 33 } as const;

/** @param t ends the server with the test */
export async function startDns(t: { teardown(end: () => unknown): void }): Promise<DnsServer> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>((resolve) => socket.close(resolve)));
  const questions: string[] = [];
  const self: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    srv: new Map(),
    hosts: new Map(),
    silent: false,
    mute: new Set(),
    questions,
  };
  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query);
    questions.push(`${type === types.srv ? 'SRV' : type === types.a ? 'A' : 'AAAA'} ${name}`);
    if (self.silent || self.mute.has(name)) return;
    const answers = answersTo(self, name, type);
    const known = self.srv.has(name) || self.hosts.has(name);
    const head = Buffer.from(query.subarray(0, 12));
    // QR, RD and RA; NXDOMAIN where nothing of the name is known.
    head.writeUInt16BE(0x81_80 | (known ? 0 : 3), 2);
    head.writeUInt16BE(answers.length, 6);
    head.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([head, query.subarray(12, end), ...answers]), from.port, from.address);
  });
  return self;
}

function answersTo({ srv, hosts }: DnsServer, name: string, type: number): Buffer[] {
  const address = hosts.get(name);
  if (type === types.a && address !== undefined) return [record(type, Buffer.from(address.split('.').map(Number)))];
  if (type !== types.srv) return [];
  return (srv.get(name) ?? []).map(({ target, port, priority = 0, weight = 100 }) => {
    const numbers = Buffer.alloc(6);
    numbers.writeUInt16BE(priority, 0);
    numbers.writeUInt16BE(weight, 2);
    numbers.writeUInt16BE(port, 4);
    return record(type, Buffer.concat([numbers, nameBytes(target)]));
  });
}

/** The name is a pointer to that of the question. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc0_0c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(0, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.alloc(1),
  ]);
}

function readQuestion(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}
