/**
 * One HTTP request and its answer, on a connection of its own that ends with it. Decides what is a whole and usable answer, and stops
 * reading as soon as it is too long. Which URL may be asked, and what a redirect means, is decided by `http-fetch.ts`.
 */
import type { LookupFunction } from 'node:net';
import { buildConnector, Client, errors, type Dispatcher } from 'undici';
import { reasonOf } from '../base/failure.ts';
import type { HttpTarget } from './fetch-target.ts';
import { fieldOf, type HttpHeaders } from './http-freshness.ts';
import { RetrievalError, type Retrieval } from './retrieval.ts';
import type { FetchOptions } from './revocation-contract.ts';
import { createSharedBytes } from './shared-bytes.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** Of status 200 only; of others the body is not read. */
  readonly bytes: Buffer | null;
}

export interface HttpFacilities {
  readonly lookup: LookupFunction;
  /** PEM texts that certificates of https servers must chain to; empty: Node's default roots. */
  readonly certificateAuthorities: readonly string[];
}

/** Octets of an answer's head. */
const maximumHead = 16_384;

/** @throws RetrievalError */
export async function exchange(
  { origin, host, path }: HttpTarget,
  { body, maximumBytes }: Pick<FetchOptions, 'body' | 'maximumBytes'>,
  conditions: Readonly<Record<string, string>>,
  retrieval: Retrieval,
  { lookup, certificateAuthorities }: HttpFacilities,
): Promise<HttpAnswer> {
  const { signal } = retrieval;
  const connect: buildConnector.BuildOptions = {
    allowH2: false,
    timeout: retrieval.remaining(),
    rejectUnauthorized: true,
    ...(certificateAuthorities.length === 0 ? {} : { ca: [...certificateAuthorities] }),
  };
  // Not in undici's types, but handed on: the signal ends a connection that is still being made.
  const connector = buildConnector(Object.assign(connect, { lookup, signal }));
  // The retrieval has one deadline for everything; undici's own are for each part anew.
  const client = new Client(origin, {
    connect: connector,
    allowH2: false,
    pipelining: 1,
    maxHeaderSize: maximumHead,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  try {
    const answer = await client
      .request({
        path,
        method: body === undefined ? 'GET' : 'POST',
        // An answer that unpacks to a thousand times its size is not asked for, and not taken.
        headers: {
          accept: '*/*',
          'accept-encoding': 'identity',
          'user-agent': 'dsmapper',
          ...(body === undefined ? conditions : { 'content-type': body.contentType }),
        },
        body: body?.bytes ?? null,
        signal,
      })
      .catch((error: unknown) => {
        throw headFailure(host, error);
      });
    answer.body.on('error', () => {});
    const { statusCode: status, headers } = answer;
    return { status, headers, bytes: status === 200 ? await wholeBody(answer, maximumBytes) : null };
  } finally {
    // Not awaited: the answer is there, or will not be.
    client.destroy().catch(() => {});
  }
}

async function wholeBody({ headers, body }: Dispatcher.ResponseData, maximum: number): Promise<Buffer> {
  const encoding = fieldOf(headers, 'content-encoding') ?? 'identity';
  if (!/^identity$/i.test(encoding.trim()))
    throw new RetrievalError('malformedAnswer', `the answer is encoded (Content-Encoding: ${plain(encoding)})`);
  const transfer = fieldOf(headers, 'transfer-encoding') ?? 'chunked';
  if (!/^chunked$/i.test(transfer.trim()))
    throw new RetrievalError('malformedAnswer', `the answer is encoded (Transfer-Encoding: ${plain(transfer)})`);
  const announced = Number(fieldOf(headers, 'content-length') ?? 0);
  if (announced > maximum)
    throw new RetrievalError('tooLarge', `${announced} octets are announced, at most ${maximum} are taken`);
  const bytes = createSharedBytes(announced > 0 ? announced : maximum);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>)
      if (!bytes.add(chunk)) throw new RetrievalError('tooLarge', `the answer has more than ${maximum} octets`);
  } catch (error) {
    if (error instanceof RetrievalError) throw error;
    throw new RetrievalError('cutOff', `the answer ended after ${bytes.length} octets: ${reasonOf(error)}`);
  }
  return bytes.finish();
}

function headFailure(host: string, error: unknown): RetrievalError {
  if (error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError)
    return new RetrievalError('malformedAnswer', `${host} did not answer with HTTP: ${reasonOf(error)}`);
  return new RetrievalError('unreachable', `${host} gave no answer: ${reasonOf(error)}`);
}

/** What a server wrote, on one line and short. */
function plain(text: string): string {
  return text.replaceAll(/[^ -~]/g, '?').slice(0, 60);
}
