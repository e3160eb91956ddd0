/**
 * What is decided from a header name alone, decided once. Names come from strangers, so the memory is bounded in number
 * and length; when it is full it begins anew, and the common names are back after a request or two.
 */
export interface NameMemory<T> {
  of(name: string): T;
  /** Names remembered now. */
  readonly size: number;
}

export function rememberNames<T>(decide: (name: string) => T): NameMemory<T> {
  const decided = new Map<string, T>();
  return {
    of(name) {
      const known = decided.get(name);
      if (known !== undefined) return known;
      const answer = decide(name);
      if (name.length > longestName) return answer;
      if (decided.size >= maximumNames) decided.clear();
      decided.set(name, answer);
      return answer;
    },
    get size() {
      return decided.size;
    },
  };
}

const maximumNames = 1000;
const longestName = 64;
