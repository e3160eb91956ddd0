/**
 * What a row of the conformance run is made of: a request and what the backend answers to it, and what both ends saw.
 */
import type { BodySeen, Field } from './conformance-octets.ts';

/** `direct`: HTTP/1.1 to the backend itself; the others are the gateway's bindings and protocols. */
export type Way = 'direct' | 'http1' | 'http2' | 'late';

export interface RequestShape {
  readonly method: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
  /** Beside Host and those that frame the body. */
  readonly fields: readonly Field[];
  /** Octets; null: no body. */
  readonly body: number | null;
  readonly framing: 'length' | 'chunked' | 'extended';
  readonly trailers: readonly Field[];
  /** `Expect: 100-continue`: the body is sent when a 100 or an answer has come. */
  readonly expect: boolean;
  /** The client leaves in the middle of its body, when the backend has the whole request, or in the middle of the answer. */
  readonly leaves: 'inBody' | 'beforeAnswer' | 'inAnswer' | null;
  /** Every octet is written by itself. */
  readonly slow: boolean;
}

export interface AnswerShape {
  readonly status: number;
  readonly reason: string;
  readonly version: '1.0' | '1.1';
  readonly fields: readonly Field[];
  readonly body: number | null;
  /** `announced`: a Content-Length without a body, as after HEAD; `bare`: neither. */
  readonly framing: 'length' | 'chunked' | 'extended' | 'close' | 'announced' | 'bare';
  readonly trailers: readonly Field[];
  /** Each is a 103. */
  readonly hints: readonly (readonly Field[])[];
  /** The answer is sent before the body of the request is read. */
  readonly early: boolean;
  /** The backend breaks off: after the request, in its head, or in the middle of its body; or it stops there and waits. */
  readonly breaks: 'beforeHead' | 'inHead' | 'inBody' | null;
  readonly stalls: 'beforeHead' | 'inBody' | null;
  readonly slow: boolean;
}

export interface Shape {
  readonly name: string;
  readonly request: RequestShape;
  readonly answer: AnswerShape;
  /** Beside `direct`. */
  readonly ways: readonly Way[];
}

/** What a client saw; null where it left. */
export interface AnswerSeen {
  readonly interim: readonly { readonly status: number; readonly fields: readonly Field[] }[];
  /** 0: none came. */
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly Field[];
  readonly body: BodySeen;
}

/** What the backend saw. */
export interface RequestSeen {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
  readonly body: BodySeen;
  /** The client was noticed to leave where the backend waited for that. */
  readonly left: boolean;
}

export const plainRequest: RequestShape = {
  method: 'GET',
  target: '/payroll/a',
  version: '1.1',
  fields: [],
  body: null,
  framing: 'length',
  trailers: [],
  expect: false,
  leaves: null,
  slow: false,
};

export const plainAnswer: AnswerShape = {
  status: 200,
  reason: 'OK',
  version: '1.1',
  fields: [['Content-Type', 'application/octet-stream']],
  body: 100,
  framing: 'length',
  trailers: [],
  hints: [],
  early: false,
  breaks: null,
  stalls: null,
  slow: false,
};

/** The field by which the backend knows which row it is: its number, and something after a dot that no other exchange has. */
export const shapeField = 'X-Shape';
