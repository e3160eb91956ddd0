/**
 * What goes wrong outside a request's verdict: a broken file, a port in use, a server that does not answer. A
 * `Failure` always has a stable code and a hint that says what to do. Refusals of requests are verdicts, not failures.
 */
export interface FailureFacts {
  /** Stable, kebab-case; part of the contract with whoever reads logs. */
  readonly code: string;
  /** What to do about it, lower case, no full stop. */
  readonly hint: string;
  /** Exit code of a command that ends because of this: 1 the work failed, 2 flags or configuration, 3 a system is silent. */
  readonly exitCode?: 1 | 2 | 3;
  readonly cause?: unknown;
}

export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: string;
  readonly hint: string;
  readonly exitCode: 1 | 2 | 3;

  constructor(message: string, facts: FailureFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.hint = facts.hint;
    this.exitCode = facts.exitCode ?? 1;
  }
}

/** The message of anything that was thrown, on one line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replaceAll(/\s+/g, ' ').trim();
}

/** The `code` property of a system error (`ECONNREFUSED`), if it has one. */
export function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
