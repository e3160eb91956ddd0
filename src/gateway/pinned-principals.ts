/**
 * The users and groups that locations name, as SIDs. A name is looked up when a setup starts and keeps its SID as long as the setup
 * lives: a group that is renamed stays the one that was meant, one that takes its name later is another. A name belongs to the forest that
 * has its domain, and its SID means somebody only among the accounts of that forest: those of another may carry any SID in their token
 * (sIDHistory), which is what SID filtering is for (MS-PAC 4.1.2.2). What does not exist stops the start; what cannot be asked about is asked
 * again until there is an answer.
 */
import type { Millis, Sid } from '../base/brand.ts';
import type { SetAlarm } from '../base/alarm.ts';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Account } from '../base/identity.ts';
import type { AccountReader, Forest, Principal, PrincipalName, PrincipalReader } from '../directory/directory.ts';
import { rulesOf } from './authorize-rules.ts';
import type { AuthorizeRule, SiteSettings } from './settings.ts';

/** Whom a location names in one forest. What is pending becomes a user or a group when the directory has answered. */
export interface PinnedRule {
  /** Names by SID. */
  readonly users: ReadonlyMap<Sid, string>;
  readonly groups: ReadonlyMap<Sid, string>;
  /** One sentence for each name without a SID, by that name. */
  readonly pending: ReadonlyMap<string, string>;
}

export interface PinnedPrincipals {
  /**
   * Whom the rule names in the forest of the account; all empty where it names nobody there. Null where it names nobody at all.
   * @throws TypeError for a rule of another setup
   */
  of(rule: AuthorizeRule, account: Account): PinnedRule | null;
  /** Resolves when there is an answer about every name, and when `timeout` has passed; the rest is looked for in the background. */
  settle(timeout: Millis): Promise<void>;
  /** As `settle`. @throws Failure `principal` for the first name that does not exist, or is another kind of object */
  start(timeout: Millis): Promise<void>;
  /** Names without a SID. `wrong`: the directory has answered, and there is no such user or group. */
  unpinned(): readonly { readonly sentence: string; readonly wrong: boolean }[];
  close(): void;
}

export type NamingForest = Pick<Forest, 'name' | 'domains'> &
  Pick<PrincipalReader, 'principal'> &
  Pick<AccountReader, 'holds'>;

export interface PinningMeans {
  /** Empty where no directory is configured. */
  readonly forests: readonly NamingForest[];
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: () => number;
  readonly setAlarm: SetAlarm;
  /** Told of all group SIDs known so far whenever one has been added. */
  readonly onGroups?: (groups: readonly Sid[]) => void;
}

/** Milliseconds: the bound on one question, the first pause between two rounds, and the longest. */
const patience = { question: 5000, first: 250, longest: 30_000 };

interface Wanted {
  readonly role: 'group' | 'user';
  readonly name: PrincipalName;
  /** Where it is named first, for messages. */
  readonly place: string;
  /** The rules that name it. */
  readonly rules: LiveRules[];
  state: { readonly kind: 'pinned' } | { readonly kind: 'pending' | 'wrong'; readonly reason: string };
}

interface LiveRule {
  readonly users: Map<Sid, string>;
  readonly groups: Map<Sid, string>;
  readonly pending: Map<string, string>;
}

/** By forest; null: accounts that are in none. */
type LiveRules = ReadonlyMap<NamingForest | null, LiveRule>;

export function createPinnedPrincipals(sites: readonly SiteSettings[], means: PinningMeans): PinnedPrincipals {
  const { clock, random, setAlarm, forests } = means;
  const rules = new Map<AuthorizeRule, LiveRules | null>();
  const wanted = collect(sites, forests, rules);
  const groups = new Set<Sid>();
  let callOff = () => {};
  const life = { closed: false };

  const open = () => [...wanted.values()].filter(({ state }) => state.kind !== 'pinned');

  /** Asks for every name that has no SID yet. */
  async function round(deadline: Millis): Promise<void> {
    await Promise.all(open().map(async (one) => take(one, await answerFor(one, means.forests, deadline))));
  }

  function take(one: Wanted, answer: Found): void {
    if (life.closed) return;
    const text = textOf(one.name);
    if ('sid' in answer) {
      one.state = { kind: 'pinned' };
      for (const rule of one.rules)
        for (const [forest, own] of rule) {
          own.pending.delete(`${one.role} ${text}`);
          if (forest !== null && answer.homes.includes(forest))
            (one.role === 'group' ? own.groups : own.users).set(answer.sid, answer.name);
        }
      if (one.role === 'group') means.onGroups?.([...groups.add(answer.sid)]);
      return;
    }
    one.state = answer;
    for (const own of one.rules.flatMap((rule) => [...rule.values()]))
      own.pending.set(`${one.role} ${text}`, `${one.role} ${text} ${answer.reason}`);
  }

  async function settle(timeout: Millis): Promise<void> {
    const deadline = clock.monotonic() + timeout;
    const waiting = () => !life.closed && open().some(({ state }) => state.kind === 'pending');
    for (let pause = patience.first; waiting(); pause *= 2) {
      const remaining = deadline - clock.monotonic();
      if (remaining <= 0) break;
      await round(Math.min(remaining, patience.question) as Millis);
      const left = Math.min(pause, deadline - clock.monotonic());
      if (waiting() && left > 0) await pauseFor(left);
    }
    later(patience.first);
  }

  /** Keeps the process alive, as the start of a command must. */
  function pauseFor(milliseconds: number): Promise<void> {
    return new Promise((go) => {
      const timer = setTimeout(go, milliseconds);
      callOff = () => {
        clearTimeout(timer);
        go();
      };
    });
  }

  function later(pause: number): void {
    if (life.closed || open().length === 0) return;
    const next = () => void round(patience.question as Millis).then(() => later(Math.min(pause * 2, patience.longest)));
    callOff = setAlarm(next, (pause * (0.75 + random() / 2)) as Millis);
  }

  return {
    of(rule, account) {
      const members = rules.get(rule);
      if (members === undefined) throw new TypeError('the rule belongs to another setup');
      return members?.get(forests.find((forest) => forest.holds(account)) ?? null) ?? null;
    },
    settle,
    async start(timeout) {
      await settle(timeout);
      const wrong = open().find(({ state }) => state.kind === 'wrong');
      if (wrong !== undefined) throw missing(wrong);
    },
    unpinned: () => open().map((one) => ({ sentence: sentenceOf(one), wrong: one.state.kind === 'wrong' })),
    close() {
      life.closed = true;
      callOff();
    },
  };
}

/** Each name once, however many rules have it; fills in the rules of all locations. */
function collect(
  sites: readonly SiteSettings[],
  forests: readonly NamingForest[],
  rules: Map<AuthorizeRule, LiveRules | null>,
): ReadonlyMap<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const site of sites)
    for (const location of site.locations)
      for (const rule of rulesOf(location.authorize))
        if (!rules.has(rule))
          rules.set(rule, want(rule, forests, `site ${site.name}, location ${location.path}`, wanted));
  return wanted;
}

function want(
  { groups, users }: AuthorizeRule,
  forests: readonly NamingForest[],
  place: string,
  wanted: Map<string, Wanted>,
): LiveRules | null {
  const nobody = (): LiveRule => ({ users: new Map(), groups: new Map(), pending: new Map() });
  const rule: LiveRules = new Map([...forests, null].map((forest) => [forest, nobody()]));
  const named = [
    ...groups.map((name) => ({ role: 'group' as const, name })),
    ...users.map((name) => ({ role: 'user' as const, name })),
  ];
  for (const { role, name } of named) {
    const key = `${role} ${textOf(name)}`;
    const one = wanted.get(key) ?? { role, name, place, rules: [], state: unasked };
    wanted.set(key, one);
    one.rules.push(rule);
    for (const own of rule.values()) own.pending.set(key, `${key} ${unasked.reason}`);
  }
  return named.length === 0 ? null : rule;
}

const unasked = { kind: 'pending', reason: 'has not been looked up yet' } as const;

type Found =
  | (Principal & { readonly homes: readonly NamingForest[] })
  | { readonly kind: 'pending' | 'wrong'; readonly reason: string };

async function answerFor({ role, name }: Wanted, forests: readonly NamingForest[], deadline: Millis): Promise<Found> {
  const places = name.kind === 'sid' ? forests : await forestsWith(name.domain, forests);
  if ('reason' in places) return places;
  const answers = await Promise.all(places.map((forest) => forest.principal(name, deadline)));
  const found = answers.flatMap((answer) => (answer.kind === 'found' ? answer.principal : []));
  const homes = places.filter((_, index) => answers[index]?.kind === 'found');
  const [principal, ...others] = [...new Map(found.map((one) => [one.sid, one])).values()];
  const silent = answers.flatMap((answer) => (answer.kind === 'unknown' ? answer.reason : []));
  if (principal === undefined)
    return silent.length > 0
      ? { kind: 'pending', reason: `cannot be looked up: ${silent.join('; ')}` }
      : {
          kind: 'wrong',
          reason: `does not exist: ${answers.map((answer) => ('reason' in answer ? answer.reason : '')).join('; ')}`,
        };
  if (others.length > 0) return { kind: 'wrong', reason: `stands for ${principal.sid} and ${others[0]?.sid}` };
  if (homes.length > 1 && isOfDomain(principal.sid))
    return { kind: 'wrong', reason: `is ambiguous: ${homes.map((one) => one.name).join(' and ')} both have it` };
  const fits =
    role === 'group' ? principal.kind === 'group' : principal.kind === 'user' || principal.kind === 'computer';
  return fits
    ? { ...principal, homes }
    : { kind: 'wrong', reason: `is not a ${role}: ${principal.dn} is of kind ${principal.kind}` };
}

/** Of one domain alone (MS-DTYP 2.4.2.4); others are the same everywhere, as those of BUILTIN. */
function isOfDomain(sid: Sid): boolean {
  return sid.startsWith('S-1-5-21-');
}

async function forestsWith(
  domain: string,
  forests: readonly NamingForest[],
): Promise<readonly NamingForest[] | Exclude<Found, { readonly sid: Sid }>> {
  const known = await Promise.all(forests.map(async (forest) => ({ forest, domains: await forest.domains() })));
  const having = known.flatMap(({ forest, domains }) =>
    domains.kind === 'read' &&
    domains.domains.some((one) => one.dnsName === domain || one.netbiosName.toLowerCase() === domain)
      ? forest
      : [],
  );
  if (having.length > 1)
    return {
      kind: 'wrong',
      reason: `is ambiguous: ${having.map(({ name }) => name).join(' and ')} both have a domain ${domain}`,
    };
  if (having.length === 1) return having;
  const silent = known.flatMap(({ forest, domains }) =>
    domains.kind === 'unknown' ? `${forest.name}: ${domains.reason}` : [],
  );
  return silent.length > 0
    ? { kind: 'pending', reason: `cannot be looked up: ${silent.join('; ')}` }
    : { kind: 'wrong', reason: `does not exist: no configured forest has a domain ${domain}` };
}

function textOf(name: PrincipalName): string {
  return name.kind === 'sid' ? name.sid : `${name.domain}\\${name.name}`;
}

function sentenceOf({ place, role, name, state }: Wanted): string {
  return `${place}: ${role} ${textOf(name)} ${'reason' in state ? state.reason : 'has its SID'}`;
}

function missing(one: Wanted): Failure {
  return new Failure(sentenceOf(one), {
    code: 'principal',
    hint: 'correct the name under authorize, or make the user or group; write LAB\\Payroll, payroll@lab.example.test or a SID',
  });
}
