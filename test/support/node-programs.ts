/** Node's own clients and undici, in the form of `client-programs.ts`. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { Agent, fetch } from 'undici';
import { answerFrom, eachJob, path, type ClientJob, type JobAnswer } from './client-programs.ts';

export const nodeHttps = eachJob(async (job) => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...(await tlsOf(job)) });
  const answers: JobAnswer[] = [];
  try {
    for (const method of job.requests) {
      const request = https.request({ host: '127.0.0.1', port: job.port, path, method, agent });
      request.end(method === 'POST' ? await readFile(job.bodyFile) : undefined);
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      const { headers, statusCode = 0 } = response;
      answers.push(answerFrom(statusCode, (name) => headers[name], await text(response)));
    }
    return answers;
  } finally {
    agent.destroy();
  }
});

export const nodeHttp2 = eachJob(async (job) => {
  const session = http2.connect(`https://127.0.0.1:${job.port}`, await tlsOf(job));
  const failed = once(session, 'close').then(() => Promise.reject(new Error('the session is closed')));
  failed.catch(() => {});
  const answers: JobAnswer[] = [];
  try {
    await Promise.race([once(session, 'connect'), failed]);
    for (const method of job.requests) {
      const stream = session.request({ ':path': path, ':method': method });
      stream.end(method === 'POST' ? await readFile(job.bodyFile) : undefined);
      const [headers] = (await Promise.race([once(stream, 'response'), failed])) as [http2.IncomingHttpHeaders];
      const { ':status': status = 0 } = headers as { ':status'?: number };
      answers.push(answerFrom(status, (name) => headers[name], await text(stream)));
    }
    return answers;
  } finally {
    session.destroy();
  }
});

export const undiciFetch = eachJob(async (job) => {
  const dispatcher = new Agent({ connect: await tlsOf(job), connections: 1 });
  const answers: JobAnswer[] = [];
  try {
    for (const method of job.requests) {
      const body = method === 'POST' ? { body: await readFile(job.bodyFile) } : {};
      const response = await fetch(`https://127.0.0.1:${job.port}${path}`, { method, dispatcher, ...body });
      answers.push(answerFrom(response.status, (name) => response.headers.get(name), await response.text()));
    }
    return answers;
  } finally {
    await dispatcher.destroy();
  }
});

async function tlsOf({ identity, rootFile, version }: ClientJob) {
  const read = (file: string) => readFile(file, 'utf8');
  const only = `TLSv${version ?? '1.2'}` as const;
  return {
    ca: await read(rootFile),
    ...(identity === null ? {} : { cert: await read(identity.chain), key: await read(identity.key) }),
    ...(version === null ? {} : { minVersion: only, maxVersion: only }),
  };
}
