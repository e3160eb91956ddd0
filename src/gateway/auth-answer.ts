/**
 * What a caller is answered: status, headers and page, by the verdict table and by what the caller's program understands. A 200 tells every
 * identity header of the location, and which names the data plane must take away from the client's own request because nobody here wrote them.
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { writtenNames } from '../forward/dialects.ts';
import { foldName, isToken } from '../forward/field-syntax.ts';
import type { FlatHeaders } from '../forward/forward-contract.ts';
import { errorPage, prefersJson } from '../iis/error-page.ts';
import { answerOf, statusText } from '../iis/verdict-table.ts';
import { formHeaders } from './auth-certificate-forms.ts';
import type { CertificateForm } from './auth-endpoint-settings.ts';
import type { Setup } from './setup.ts';
import type { Outgoing } from './stages.ts';
import { isVerdict } from './stages.ts';

export interface AuthAnswer {
  /** The status for the client. */
  readonly status: number;
  /** What the caller is sent, where its program does not understand that. */
  readonly told: number;
  readonly ending: Verdict;
  /** Identity headers; empty where the answer is a refusal. */
  readonly identity: FlatHeaders;
  /** Names that the client's own request must not keep. */
  readonly clear: readonly string[];
  /** The verdict, for the data plane. */
  readonly facts: FlatHeaders;
  readonly page: { readonly contentType: string; readonly body: string } | null;
}

export interface AnswerFacts {
  readonly id: string;
  readonly form: CertificateForm;
  readonly accept: string | undefined;
  /** Name, value, name, value: what the client sent, as far as the caller passes it on. */
  readonly clientHeaders: FlatHeaders;
}

export function answerFor(outcome: Outgoing | Verdict, facts: AnswerFacts, setup: Setup): AuthAnswer {
  return isVerdict(outcome) ? refusal(outcome, facts, setup) : pass(outcome, facts, setup);
}

/** Finished once for what a client has earned; other spellings in this very question are added. */
function pass(outgoing: Outgoing, { form, clientHeaders }: AnswerFacts, setup: Setup): AuthAnswer {
  const memory = form === 'envoy' ? forEnvoy : forOthers;
  const known = memory.get(outgoing);
  const answer = known ?? passWith(outgoing, form, setup);
  if (known === undefined) memory.set(outgoing, answer);
  const twins = twinsIn(clientHeaders, setup);
  return twins.length === 0 ? answer : { ...answer, clear: [...answer.clear, ...twins] };
}

const forEnvoy = new WeakMap<Outgoing, AuthAnswer>();
const forOthers = new WeakMap<Outgoing, AuthAnswer>();

function passWith(outgoing: Outgoing, form: CertificateForm, setup: Setup): AuthAnswer {
  const { wouldRefuse, mapped } = outgoing.authorised;
  const ending = mapped.identity === null ? anonymous : authorised;
  const written = new Set(outgoing.identityHeaders.filter((_, index) => index % 2 === 0).map(lowerCase));
  // What Envoy hands the certificate over in, it has written itself.
  const own = form === 'envoy' ? formHeaders.envoy.leaf : null;
  const missing = (name: string) => !written.has(name) && name !== own;
  return {
    status: 200,
    told: 200,
    ending,
    identity: outgoing.identityHeaders,
    clear: namesOf(setup).names.filter((name) => missing(name.toLowerCase())),
    facts: [
      ...['X-DSMapper-Status', '200', 'X-DSMapper-Verdict', '200', 'X-DSMapper-Code', ending.code],
      ...(wouldRefuse === null ? [] : ['X-DSMapper-Would-Refuse', wouldRefuse.code]),
    ],
    page: null,
  };
}

function refusal(ending: Verdict, { id, form, accept }: AnswerFacts, setup: Setup): AuthAnswer {
  const answer = answerOf(ending.code, setup.settings.outcomes);
  const { status } = answer;
  return {
    status,
    told: form === 'nginx' ? forAuthRequest(status) : status,
    ending,
    identity: [],
    clear: [],
    facts: [
      ...['X-DSMapper-Status', String(status), 'X-DSMapper-Verdict', statusText(answer)],
      ...['X-DSMapper-Code', ending.code],
      ...(status === 503 ? ['Retry-After', '5'] : []),
    ],
    // It goes to whoever the client is, never with the facts of the case.
    page: errorPage(answer, { requestId: id, detail: null, json: prefersJson(accept) }),
  };
}

/** ngx_http_auth_request_module takes 2xx, 401 and 403; of everything else it makes 500, which a refusal is not. */
function forAuthRequest(status: number): number {
  return status === 401 || status >= 500 ? status : 403;
}

const anonymous = verdict('anonymous', 'may pass without an identity');
const authorised = verdict('authorised', 'may pass with the identity of the account');

interface IdentityNames {
  readonly names: readonly string[];
  readonly folded: ReadonlySet<string>;
}

/** Every name that some dialect writes, once. */
function namesOf(setup: Setup): IdentityNames {
  const known = identityNames.get(setup);
  if (known !== undefined) return known;
  const names = [...new Set(writtenNames(setup.settings.identity.headers).map(([name]) => name))];
  const made = { names, folded: new Set(names.map(foldName)) };
  identityNames.set(setup, made);
  return made;
}

const identityNames = new WeakMap<Setup, IdentityNames>();

/** Other spellings of such a name (`X_Remote_User`), which are the same to some backends. */
function twinsIn(clientHeaders: FlatHeaders, setup: Setup): readonly string[] {
  const twins = new Set<string>();
  for (let index = 0; index + 1 < clientHeaders.length; index += 2) {
    const name = lowerCase(clientHeaders[index] ?? '');
    if (/[^a-z0-9-]/.test(name) && isToken(name) && namesOf(setup).folded.has(foldName(name))) twins.add(name);
  }
  return [...twins];
}

function lowerCase(name: string): string {
  return name.toLowerCase();
}
