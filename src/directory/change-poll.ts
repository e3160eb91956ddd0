/**
 * Asks one controller of a domain, again and again, what it has written since. Decides from where on: update sequence numbers count for one
 * database of one controller only (its invocationId, MS-ADTS 3.1.1.1.9), so another controller, or one that was restored, starts
 * a new count, and what happened in between is unknown. A poll without changes is one search of the rootDSE.
 */
import type { Clock } from '../base/clock.ts';
import type { Millis } from '../base/brand.ts';
import { changesSince, factsChangedSince, type ChangeMeans } from './change-search.ts';
import type { DirectorySearch } from './connection.ts';
import type { DirectoryChange, SearchRecord } from './directory.ts';
import { dnOfDomain } from './dn.ts';
import { firstText, valuesOf } from './entry.ts';
import { anything } from './filter.ts';
import { openLine, type Line } from './line.ts';
import type { ObjectServer } from './object-reader.ts';
import { wrongDomain } from './root-dse.ts';

export interface PollSettings extends ChangeMeans {
  /** Controllers of the domain as they are now, in order of preference. */
  readonly servers: () => readonly ObjectServer[];
  /** 0: never. */
  readonly interval: Millis;
  readonly clock: Clock;
  readonly onSearch: (record: SearchRecord) => void;
  /** NTAuthCertificates or the names of domains may have changed. */
  readonly factsChanged: () => void;
  readonly tell: (changes: readonly DirectoryChange[]) => void;
}

export interface ChangePoll {
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>;
}

/** Up to where everything is known. */
interface Cursor {
  readonly server: string;
  /** Null: the server does not tell. */
  readonly invocationId: string | null;
  readonly usn: number;
}

/** Polls for which a controller may stand before the polled one in the order of preference before it is the one to follow. */
const patience = 3;

/** Begins at once, in the background. */
export function startChangePoll(settings: PollSettings): ChangePoll {
  const closing = new AbortController();
  let line: Line | null = null;
  /** Of the database at the other end of `line`, read once: a restore needs a restart, which ends connections. */
  let invocationId: string | null | undefined;
  let cursor: Cursor | null = null;
  let outrun = 0;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    line ??= await connect();
    const state = line === null ? null : await stateOf(line, settings.domain);
    if (line === null || state === null) return drop();
    const { usn, service, configuration } = state;
    const isNew = invocationId === undefined;
    if (invocationId === undefined) invocationId = await invocationOf(line, service);
    const here: Cursor = { server: line.server, invocationId, usn };
    const broken = cursor === null ? 'polling has begun' : breakBetween(cursor, here, isNew);
    if (broken !== null) {
      tell([{ kind: 'unsure', reason: `${settings.domain}: ${broken}` }]);
      settings.factsChanged();
    } else if (cursor !== null && usn > cursor.usn && !(await follow(line, cursor.usn, usn, configuration)))
      return drop();
    cursor = here;
    if (isOutrun(line)) drop();
  }

  /** False when the line has ended: the same is asked for again over the next one. */
  async function follow(on: Line, known: number, usn: number, configuration: string | null): Promise<boolean> {
    const found = await changesSince(on, known + 1, usn, settings);
    if (found.kind === 'lost') return false;
    if (configuration === null || (await factsChangedSince(on, configuration, known + 1))) settings.factsChanged();
    if (found.kind === 'unsure') tell([found]);
    else {
      // Each write has a number of its own: more numbers than objects means something that was not among them.
      const unseen: DirectoryChange[] = usn - known > found.objects ? [{ kind: 'unseen' }] : [];
      tell([...found.changes, ...unseen]);
    }
    return true;
  }

  function tell(changes: readonly DirectoryChange[]): void {
    if (!closing.signal.aborted) settings.tell(changes);
  }

  /** To the controller of the cursor while it is up, else to the first that is. */
  async function connect(): Promise<Line | null> {
    // At the start everybody is being connected: what is seen before the count begins is not known to have changed.
    if (cursor === null) await settings.group.ready(settings.clock.monotonic() + settings.timeout);
    const up = settings.servers().filter((server) => server.up);
    const server = up.find(({ url }) => url === cursor?.server && outrun < patience) ?? up[0];
    if (server === undefined) return null;
    outrun = 0;
    const { timeout, clock, onSearch } = settings;
    const opened = await openLine(server, {
      timeout,
      onSearch,
      signal: closing.signal,
      monotonic: () => clock.monotonic(),
    });
    return typeof opened === 'string' ? null : opened;
  }

  /** Lookups go to the first controller that is up: what another one says has changed may not have reached it yet. */
  function isOutrun({ server }: Line): boolean {
    const first = settings.servers().find(({ up }) => up);
    outrun = first === undefined || first.url === server ? 0 : outrun + 1;
    return outrun >= patience;
  }

  function drop(): void {
    line?.close();
    line = null;
    invocationId = undefined;
  }

  function again(): void {
    if (closing.signal.aborted) return;
    running = round().finally(() => {
      if (closing.signal.aborted) return;
      timer = setTimeout(again, settings.interval);
      timer.unref();
    });
  }

  if (settings.interval > 0) again();
  return {
    async close() {
      closing.abort();
      if (timer !== null) clearTimeout(timer);
      await running;
      drop();
    },
  };
}

/** Why it cannot be said what happened between the two; null when it can. @param isNew over another connection */
function breakBetween(known: Cursor, here: Cursor, isNew: boolean): string | null {
  if (known.server !== here.server) return `${here.server} is asked now, ${known.server} was before`;
  if (isNew && (here.invocationId === null || known.invocationId !== here.invocationId))
    return `${here.server} is not, or does not say that it is, the database that it was: it may have been restored`;
  return here.usn < known.usn ? `${here.server} has counted to ${known.usn} before, and now to ${here.usn}` : null;
}

interface ControllerState {
  readonly usn: number;
  /** DN of its nTDSDSA object. */
  readonly service: string | null;
  readonly configuration: string | null;
}

const stateRequest: DirectorySearch = {
  base: '',
  scope: 'base',
  filter: anything,
  attributes: ['highestCommittedUSN', 'dsServiceName', 'defaultNamingContext', 'configurationNamingContext'],
  sizeLimit: 0,
};

/** Null where the line has ended, or the server is none that numbers the changes of this domain. */
async function stateOf(line: Line, domain: string): Promise<ControllerState | null> {
  const answer = await line.search(stateRequest);
  const [entry] = answer.kind === 'entries' ? answer.entries : [];
  if (entry === undefined) return null;
  const single = (attribute: string): string | null => firstText(entry, attribute);
  const usn = single('highestCommittedUSN') ?? '';
  const other = wrongDomain(
    {
      defaultNamingContext: single('defaultNamingContext'),
      configurationNamingContext: null,
      globalCatalogReady: true,
      knowsDomainScope: false,
    },
    dnOfDomain(domain),
  );
  if (!/^\d{1,15}$/.test(usn) || other !== null) return null;
  return {
    usn: Number(usn),
    service: single('dsServiceName'),
    configuration: single('configurationNamingContext'),
  };
}

async function invocationOf(line: Line, service: string | null): Promise<string | null> {
  if (service === null) return null;
  const request: DirectorySearch = { ...stateRequest, base: service, attributes: ['invocationId'] };
  const answer = await line.search(request);
  const [entry] = answer.kind === 'entries' ? answer.entries : [];
  return entry === undefined ? null : (valuesOf(entry, 'invocationId')[0]?.toString('hex') ?? null);
}
