/**
 * The recorder behind explain. Every deciding function takes one; the request path passes `noSteps`, which costs
 * nothing, and explain passes a real one. There is no second implementation of any decision.
 */
export type StepName = 'presented' | 'judge' | 'map' | 'authorise' | 'dress';

export interface Step {
  readonly step: StepName;
  /** One word or code: `accepted`, `refused`, `dead end`, a verdict code. */
  readonly outcome: string;
  /** One sentence for people, with both sides of a comparison where there was one. */
  readonly detail: string;
  /** Milliseconds since the previous step was recorded. */
  readonly ms: number;
}

export interface Steps {
  /** False when nobody listens: lets a caller skip building an expensive sentence. */
  readonly recording: boolean;
  note(step: StepName, outcome: string, detail: string): void;
}

export const noSteps: Steps = { recording: false, note: () => {} };

export interface StepRecorder extends Steps {
  readonly list: readonly Step[];
}

/** @param monotonic milliseconds that never step back, from a `Clock` */
export function recordSteps(monotonic: () => number): StepRecorder {
  const list: Step[] = [];
  let last = monotonic();
  return {
    recording: true,
    list,
    note(step, outcome, detail) {
      const now = monotonic();
      list.push({ step, outcome, detail, ms: Math.round((now - last) * 1000) / 1000 });
      last = now;
    },
  };
}
