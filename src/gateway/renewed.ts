/**
 * What a connection presented at some place, seen under the rule that another setup has for the same place. So a request or an identity that
 * began under an older configuration can be asked again by the newest.
 */
import { noSteps } from '../base/steps.ts';
import type { Verdict } from '../base/verdict.ts';
import type { Connection } from '../tls/connection.ts';
import { demand } from './flow.ts';
import { looksAtCertificates, ruleAt } from './rule.ts';
import type { Setup } from './setup.ts';
import type { Presented } from './stages.ts';
import { isVerdict } from './stages.ts';

/** @returns a verdict where the setup does not serve the place any more, or demands what the connection never showed */
export function renewed({ rule }: Presented, connection: Connection, setup: Setup): Presented | Verdict {
  const now = ruleAt(connection.binding, rule.host, rule.path.path + rule.path.query, setup);
  if (isVerdict(now)) return now;
  const shown = looksAtCertificates(now) ? connection.presented : null;
  return demand({ rule: now, shown: shown === null || shown.chain.length === 0 ? null : shown }, noSteps);
}
