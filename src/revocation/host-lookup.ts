/**
 * Names to addresses. Decides that one name is looked up once at a time: a lookup cannot be called back and holds one of the few threads
 * that all lookups of the process share, so those that wait for a dead name server must not pile up.
 */
import { lookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Answered = (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void;

/** For `net.connect`. @param resolve as `dns.lookup` with all addresses */
export function createHostLookup(
  resolve: (host: string, answered: Answered) => void = (host, answered) =>
    // On an error there is no list, whatever the types say.
    lookup(host, { all: true }, (error, addresses) => answered(error, error === null ? addresses : [])),
): LookupFunction {
  const underWay = new Map<string, Answered[]>();
  return (host, { all = false }, callback) => {
    const answered: Answered = (error, addresses) => {
      const [first] = addresses;
      if (error !== null || first === undefined) callback(error ?? new Error(`${host} has no address`), '');
      else if (all) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    };
    const waiting = underWay.get(host);
    if (waiting !== undefined) return void waiting.push(answered);
    const waiters: Answered[] = [answered];
    underWay.set(host, waiters);
    resolve(host, (error, addresses) => {
      underWay.delete(host);
      for (const one of waiters) one(error, addresses);
    });
  };
}
