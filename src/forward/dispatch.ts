/**
 * One request to a group of servers and its answer back: both bodies as streams with back-pressure, each end able to stop the other. Who
 * may be forwarded and with which headers has been decided before; how a refusal is rendered is decided after; the way itself is in
 * `forwarding.ts`.
 *
 * Request trailers are not passed on (undici has no way to send them). `100 Continue` is answered here, when the upstream
 * begins to take the body.
 */
import { verdict } from '../base/verdict.ts';
import { admit } from './admission.ts';
import type {
  BodyLength,
  ClientRequest,
  ClientResponse,
  FlatHeaders,
  ForwardClient,
  ForwardLimits,
  ForwardResult,
} from './forward-contract.ts';
import { Forwarding } from './forwarding.ts';
import type { UpgradeRequest } from './switch-protocols.ts';
import type { UpstreamGroup } from './upstream-group.ts';

export { bodyLengthOf } from './request-body.ts';

export interface ForwardInput {
  readonly group: UpstreamGroup;
  /** Whose request it is: connections may have to be kept for it alone. */
  readonly client: ForwardClient;
  readonly method: string;
  /** Canonical path and query. */
  readonly path: string;
  /** Sent as Host, where the group wants the client's; null: the server's own. */
  readonly host: string | null;
  /** Clean, dressed, without Host and Content-Length. */
  readonly headers: FlatHeaders;
  readonly request: ClientRequest;
  /** What was read of the body already, in order. */
  readonly bodyPrefix: readonly Buffer[];
  /** Of the whole body, prefix included. */
  readonly bodyLength: BodyLength;
  /** The client waits for a 100 that nobody has sent yet. */
  readonly expectContinue: boolean;
  readonly response: ClientResponse;
  /** Added to the answer; the upstream's fields of these names go. */
  readonly answerHeaders: FlatHeaders;
  /** The answer depends on who asks: nobody may store it unless the upstream says so. */
  readonly noStore: boolean;
  readonly limits: ForwardLimits;
  /** Asks the upstream to switch protocols; anything but a correct 101 is passed on like every answer. Absent: a request like others. */
  readonly upgrade?: UpgradeRequest;
  /**
   * Called with the final status, 101 included, when the answer's head is about to be written.
   * @param endless a stream of events, which may be silent for as long as it likes
   */
  readonly onAnswer?: (status: number, endless: boolean) => void;
}

/** Never rejects. */
export function forward(input: ForwardInput): Promise<ForwardResult> {
  const { bodyLength, limits } = input;
  const tooLarge = typeof bodyLength === 'number' && limits.maximumBody > 0 && bodyLength > limits.maximumBody;
  const refusal = tooLarge
    ? verdict('bodyTooLarge', `the body has ${bodyLength} octets, the limit is ${limits.maximumBody}`)
    : admit(input.method, input.path, input.host, input.headers);
  if (refusal !== null) return Promise.resolve({ kind: 'refused', verdict: refusal });
  return new Promise((resolve) => new Forwarding(input, resolve).enter());
}
