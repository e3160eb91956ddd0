/**
 * What differs between an exchange through the gateway and the same one without it, each difference as one line that says where and
 * what. Whether a difference is wanted is decided by the table of allowances.
 */
import type { BodySeen, Field } from './conformance-octets.ts';
import type { AnswerSeen, RequestSeen, Shape, Way } from './conformance-shape.ts';
import { shapeField } from './conformance-shape.ts';

export interface Sight {
  readonly answer: AnswerSeen | null;
  /** Null: the backend saw nothing. */
  readonly request: RequestSeen | null;
}

export interface Difference {
  readonly shape: Shape;
  readonly way: Way;
  readonly side: 'answer' | 'request';
  /** `field`, or a part of the message. `own`: the gateway answered itself, and nothing else is compared. */
  readonly what:
    | 'own'
    | 'status'
    | 'reason'
    | 'interim'
    | 'field'
    | 'body'
    | 'extensions'
    | 'trailers'
    | 'ending'
    | 'method'
    | 'target'
    | 'left'
    | 'seen'
    | 'spelling';
  /** Of a field, in lower case; else empty. */
  readonly name: string;
  readonly direct: string;
  readonly through: string;
}

/**
 * How the gateway answered by itself, by its verdict; `400` and the like where no request was recognised at all, `reset` where an HTTP/2
 * stream or a connection was ended without an answer. Null: the answer is the backend's.
 */
export function ownAnswer(answer: AnswerSeen | null): string | null {
  if (answer === null) return null;
  if (answer.status === 0) return 'reset';
  const [verdict] = valuesOf(answer.fields).get('x-dsmapper-verdict') ?? [];
  if (verdict === undefined) return `${answer.status} of the front`;
  return verdict === '200' ? null : verdict;
}

export function differences(shape: Shape, way: Way, direct: Sight, through: Sight): readonly Difference[] {
  const found: Difference[] = [];
  const note = (side: Difference['side'], what: Difference['what'], one: string, other: string, name = '') => {
    if (one !== other) found.push({ shape, way, side, what, name, direct: one, through: other });
  };
  const own = ownAnswer(through.answer);
  if (own !== null) {
    note('answer', 'own', String(direct.answer?.status), own);
    return found;
  }
  compareAnswers(note, direct.answer, through.answer, way);
  compareRequests(note, direct.request, through.request, way);
  return found;
}

type Note = (side: Difference['side'], what: Difference['what'], one: string, other: string, name?: string) => void;

function compareAnswers(note: Note, direct: AnswerSeen | null, through: AnswerSeen | null, way: Way): void {
  if (direct === null || through === null) {
    note('answer', 'seen', String(direct !== null), String(through !== null));
    return;
  }
  note('answer', 'status', String(direct.status), String(through.status));
  note('answer', 'reason', direct.reason, through.reason);
  const interim = ({ interim }: AnswerSeen) =>
    interim.map(({ status, fields }) => `${status} ${JSON.stringify([...valuesOf(fields)])}`).join('; ');
  note('answer', 'interim', interim(direct), interim(through));
  compareFields('answer', note, direct.fields, through.fields, way);
  compareBodies('answer', note, direct.body, through.body);
}

function compareRequests(note: Note, direct: RequestSeen | null, through: RequestSeen | null, way: Way): void {
  if (direct === null || through === null) {
    note('request', 'seen', String(direct !== null), String(through !== null));
    return;
  }
  note('request', 'method', direct.method, through.method);
  note('request', 'target', direct.target, through.target);
  note('request', 'left', String(direct.left), String(through.left));
  compareFields('request', note, direct.fields, through.fields, way);
  compareBodies('request', note, direct.body, through.body);
}

function compareFields(
  side: Difference['side'],
  note: Note,
  direct: readonly Field[],
  through: readonly Field[],
  way: Way,
): void {
  const [one, other] = [valuesOf(direct), valuesOf(through)];
  const text = (values: readonly string[] | undefined) => (values === undefined ? '-' : JSON.stringify(values));
  for (const name of new Set([...one.keys(), ...other.keys()]))
    note(side, 'field', text(one.get(name)), text(other.get(name)), name);
  // HTTP/2 has no upper case.
  if (way === 'http2') return;
  const spelled = (fields: readonly Field[], common: ReadonlyMap<string, unknown>) =>
    fields
      .map(([name]) => name)
      .filter((name) => common.has(name.toLowerCase()))
      .toSorted()
      .join(' ');
  for (const name of one.keys()) {
    const same = new Map([[name, null]]);
    if (other.has(name) && one.get(name)?.length === other.get(name)?.length)
      note(side, 'spelling', spelled(direct, same), spelled(through, same), name);
  }
}

function compareBodies(side: Difference['side'], note: Note, direct: BodySeen, through: BodySeen): void {
  note(side, 'ending', direct.ending, through.ending);
  note(side, 'extensions', String(direct.extensions.length > 0), String(through.extensions.length > 0));
  note(side, 'trailers', JSON.stringify(sorted(direct.trailers)), JSON.stringify(sorted(through.trailers)));
  // How much of a broken body gets through is a matter of time.
  const text = ({ octets, sha256, pattern, ending }: BodySeen) =>
    ending === 'complete' ? `${octets} octets ${sha256}` : `a part${pattern ? '' : ' of something else'}`;
  note(side, 'body', text(direct), text(through));
}

function sorted(fields: readonly Field[]): readonly (readonly [string, readonly string[]])[] {
  return [...valuesOf(fields)].toSorted(([one], [other]) => (one < other ? -1 : 1));
}

/** Values of each field, in their order, by its name in lower case. */
function valuesOf(fields: readonly Field[]): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (lower === shapeField.toLowerCase()) continue;
    const before = values.get(lower);
    if (before === undefined) values.set(lower, [value]);
    else before.push(value);
  }
  return values;
}
