/**
 * The rest of an attribute of which a server gave a part (MS-ADTS 3.1.1.3.1.3.3: at most 1500 values in one answer). Decides when an
 * attribute is complete and how much may be fetched for it.
 */
import type { SearchRecord } from './directory.ts';
import type { EntryAttribute } from './entry.ts';
import { anything } from './filter.ts';
import type { Findings, Found } from './search.ts';
import type { ServerGroup } from './server-group.ts';

/** Answers that one attribute may take: 30,000 values at AD's default. */
const maximumParts = 20;

/**
 * The entry with every attribute complete; unknown when some part cannot be had.
 * @param deadline monotonic milliseconds
 */
export async function completeEntry(
  found: Found,
  group: Pick<ServerGroup, 'search'>,
  deadline: number,
  records: SearchRecord[],
): Promise<Findings> {
  const attributes = new Map(found.entry.attributes);
  for (const [name, attribute] of found.entry.attributes) {
    if (attribute.next === null) continue;
    const whole = await completeAttribute(found, name, attribute, group, deadline, records);
    if (typeof whole === 'string') return { kind: 'unknown', reason: `${name} of ${found.entry.dn}: ${whole}` };
    attributes.set(name, whole);
  }
  return { kind: 'found', found: [{ ...found, entry: { dn: found.entry.dn, attributes } }] };
}

/** The whole attribute, or why it cannot be had. */
async function completeAttribute(
  { entry: { dn }, server }: Found,
  name: string,
  first: EntryAttribute,
  group: Pick<ServerGroup, 'search'>,
  deadline: number,
  records: SearchRecord[],
): Promise<EntryAttribute | string> {
  const values = [...first.values];
  let { next } = first;
  for (let part = 1; next !== null; part++) {
    if (part >= maximumParts) return `there are more than ${values.length} values`;
    const ask = `${name};range=${next}-*`;
    const request = { base: dn, scope: 'base', filter: anything, attributes: [ask], sizeLimit: 0 } as const;
    const answer = await group.search(request, deadline, records);
    if (answer.kind !== 'entries') return answer.reason;
    // Values have no order of their own: another server's "from 1500" may be others than those that are missing here.
    if (answer.server !== server) return `${server} gave a part, and the rest has to come from ${answer.server}`;
    const more = answer.entries[0]?.attributes.get(name);
    if (more === undefined || more.values.length === 0) return `the server gave nothing from ${next} on`;
    if (more.next !== null && more.next <= next) return `the server gave ${next} and on twice`;
    values.push(...more.values);
    next = more.next;
  }
  return { values, next: null };
}
