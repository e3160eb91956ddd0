/**
 * What a test may let go wrong in the embedded directory, while it runs. Everything is as it should be at first.
 */
import type { SearchRequest } from './directory-messages.ts';

export interface DirectoryFaults {
  /** Milliseconds before each search is answered. */
  delay: number;
  /** Searches wait; setting it back to false answers them. For tests that would otherwise need a delay. */
  hold: boolean;
  /** Binds and searches are taken and never answered. */
  silent: boolean;
  /** The answer to a search stops in the middle of a message and the connection is closed. */
  halfMessage: boolean;
  /** So many of the next searches are answered by closing the connection. */
  dropNext: number;
  /** Connections are closed as soon as they are accepted. */
  refuseConnections: boolean;
  /** Every bind is refused with invalidCredentials. */
  refuseBind: boolean;
  /** A StartTLS request is answered with this code, and the connection stays as it was. */
  startTlsCode: number | null;
  /** Octets sent in clear right behind the answer to StartTLS, as somebody in between could. */
  injection: Buffer | null;
  /** Every search but that of the rootDSE is answered by a referral to these URLs (result code 10). */
  referral: readonly string[];
  /** Continuation references sent with the entries of every search but that of the rootDSE. */
  references: readonly string[];
  /** Attributes (any case) that the reader may not see: absent from every answer and Undefined in every filter. */
  hidden: readonly string[];
  /** Whether a search that asks for deleted objects finds them, which takes a right that ordinary accounts do not have. */
  deletedObjects: boolean;
  /** Every search is answered with this code and without entries. */
  resultCode: number | null;
  /** Asked for each search: a code answers it as `resultCode` does, null lets it pass. */
  judge: ((search: SearchRequest) => number | null) | null;
}

/** @param released called when `hold` goes from true to false */
export function createFaults(released: () => void): DirectoryFaults {
  let hold = false;
  return {
    delay: 0,
    get hold() {
      return hold;
    },
    set hold(value) {
      const release = hold && !value;
      hold = value;
      if (release) released();
    },
    silent: false,
    halfMessage: false,
    dropNext: 0,
    refuseConnections: false,
    refuseBind: false,
    startTlsCode: null,
    injection: null,
    referral: [],
    references: [],
    hidden: [],
    deletedObjects: false,
    resultCode: null,
    judge: null,
  };
}
