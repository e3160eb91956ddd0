/**
 * Asks one server once how it is: a GET over a connection of its own, made as those for requests are. What is concluded from the
 * answer is decided in `server-health.ts`. Nobody's request is at stake, so nothing of a client goes along: no address, no identity.
 */
import { Client, type Dispatcher } from 'undici';
import type { SetAlarm } from '../base/alarm.ts';
import type { HealthCheckSettings } from './forward-contract.ts';
import { explainAt } from './upstream-failure.ts';
import type { Upstream } from './upstream.ts';

export interface HealthAnswer {
  readonly healthy: boolean;
  /** `answers 200`, or what is wrong: `answers 503, not 200 to 399`. */
  readonly detail: string;
}

/** The server and whether HTTP/2 is offered to it. */
export interface CheckedServer {
  readonly upstream: Pick<Upstream, 'origin' | 'connector'>;
  readonly http2: boolean;
}

/** Octets of an answer's body that are read; a longer one is cut off, its status counts all the same. */
const maximumBody = 65_536;
const maximumHead = 16_384;

/** Never rejects. @param signal ends the question early: whatever is answered then is not to be believed */
export async function askHealth(
  { upstream, http2 }: CheckedServer,
  check: HealthCheckSettings,
  setAlarm: SetAlarm,
  signal?: AbortSignal,
): Promise<HealthAnswer> {
  const { path, timeout, status: wanted } = check;
  const client = new Client(upstream.origin, {
    connect: upstream.connector,
    allowH2: http2,
    pipelining: 1,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    maxHeaderSize: maximumHead,
  });
  const end = (reason: string) => void client.destroy(new Error(reason));
  const onAbort = () => end('the check was called off');
  const callOff = setAlarm(() => end(`no answer within ${timeout} ms`), timeout);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const status = await statusOf(client, path);
    const healthy = status >= wanted.from && status <= wanted.to;
    const range = wanted.from === wanted.to ? `${wanted.from}` : `${wanted.from} to ${wanted.to}`;
    return { healthy, detail: healthy ? `answers ${status}` : `answers ${status}, not ${range}` };
  } catch (error) {
    return { healthy: false, detail: explainAt(upstream.origin, error) };
  } finally {
    callOff();
    signal?.removeEventListener('abort', onAbort);
    await client.destroy();
  }
}

function statusOf(client: Client, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let octets = 0;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      // Interim answers come here as well (RFC 9110 section 15.2): the last one counts.
      onResponseStart(_, answered) {
        status = answered;
      },
      onResponseData(controller, chunk) {
        octets += chunk.length;
        if (octets <= maximumBody) return;
        resolve(status);
        controller.abort(new Error('the answer is longer than anybody wants to know'));
      },
      onResponseEnd: () => resolve(status),
      onResponseError: (_, error) => reject(error),
    };
    const headers = ['User-Agent', 'dsmapper-health-check', 'Accept', '*/*'];
    client.dispatch({ method: 'GET', path, headers, reset: true }, handler);
  });
}
