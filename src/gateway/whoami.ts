/**
 * `/.dsmapper/whoami` below a location: instead of the upstream the gateway answers, and tells the client who it is here and why. The
 * request has walked the whole flow before; a refusal looks as it does everywhere. Read-only, for the client alone: nothing may store it or be
 * told of it by another site (no CORS).
 */
import type { Verdict } from '../base/verdict.ts';
import { verdict } from '../base/verdict.ts';
import { isoText } from '../base/clock.ts';
import { prefersJson } from '../iis/error-page.ts';
import { htmlPage, type PageRows } from '../iis/html-page.ts';
import { answerOf } from '../iis/verdict-table.ts';
import { serialText } from '../x509/certificate.ts';
import { rfc4514Text } from '../x509/name.ts';
import { certaintyOf } from './access-record.ts';
import type { Exchange } from './exchange.ts';
import { isLocal, writeOwnAnswer } from './own-answer.ts';
import type { Setup } from './setup.ts';
import type { Outgoing } from './stages.ts';

/** @returns how the request ended: good when the page was written */
export function whoami(exchange: Exchange, outgoing: Outgoing, setup: Setup): Verdict {
  const { method, request } = exchange;
  if (method !== 'GET' && method !== 'HEAD')
    return verdict('methodNotAllowed', `${method} on the page that tells who the client is`);
  const code = outgoing.authorised.mapped.identity === null ? 'anonymous' : 'authorised';
  const facts = factsOf(exchange, outgoing, setup, code);
  const query = new URLSearchParams(exchange.rule?.path.query);
  const json = query.has('json') || prefersJson(request.headers.accept);
  writeOwnAnswer(
    exchange,
    {
      status: 200,
      statusText: '200',
      contentType: json ? 'application/json; charset=utf-8' : 'text/html; charset=utf-8',
      body: json ? `${JSON.stringify(facts)}\n` : pageOf(facts, exchange.id),
      headers: ['Vary', 'Accept', 'Cross-Origin-Resource-Policy', 'same-origin'],
      endsConnection: false,
    },
    setup,
  );
  exchange.answered = true;
  return verdict(code, 'told who it is');
}

/** The contract of the JSON answer (docs/whoami.md). Instants are ISO 8601; `null` where there is nothing to tell. */
interface WhoamiFacts {
  readonly location: string;
  readonly verdict: { readonly code: string; readonly text: string };
  /** What the location's rule would refuse if it did not only report; `detail` for local callers. */
  readonly wouldRefuse: { readonly code: string; readonly text: string; readonly detail?: string } | null;
  readonly account: {
    readonly name: string;
    readonly upn: string | null;
    readonly sid: string;
    readonly readAt: string;
  } | null;
  readonly mapping: {
    readonly method: string;
    readonly methods: readonly string[];
    readonly strength: string;
    readonly strengthBy: string;
  } | null;
  readonly certificate: {
    readonly subject: string;
    readonly issuer: string;
    readonly serial: string;
    readonly thumbprint: string;
    readonly notAfter: string;
    /** Whole days; 0 on the last. */
    readonly daysLeft: number;
    /** The least certain of what is known about its chain. */
    readonly revocation: string | null;
  } | null;
}

function factsOf(exchange: Exchange, { authorised }: Outgoing, setup: Setup, code: Verdict['code']): WhoamiFacts {
  const { mapped, wouldRefuse } = authorised;
  const { identity, trusted } = mapped;
  const { binding, location } = trusted.presented.rule;
  const leaf = trusted.path?.certificates[0];
  const text = (of: Verdict['code']) => answerOf(of, setup.settings.outcomes).text;
  const local = isLocal(exchange.connection);
  return {
    location: location.path,
    verdict: { code, text: text(code) },
    wouldRefuse:
      wouldRefuse === null
        ? null
        : { code: wouldRefuse.code, text: text(wouldRefuse.code), ...(local ? { detail: wouldRefuse.detail } : {}) },
    account:
      identity === null
        ? null
        : {
            name: identity.account.name,
            upn: identity.account.upn,
            sid: identity.account.sid,
            readAt: isoText(identity.account.readAt),
          },
    mapping:
      identity === null
        ? null
        : {
            method: identity.method,
            methods: identity.methods,
            strength: identity.strength,
            strengthBy: identity.strengthBy,
          },
    certificate:
      leaf === undefined
        ? null
        : {
            subject: rfc4514Text(leaf.subject),
            issuer: rfc4514Text(leaf.issuer),
            serial: serialText(leaf),
            thumbprint: leaf.thumbprint,
            notAfter: isoText(leaf.notAfter),
            daysLeft: Math.max(0, Math.floor((leaf.notAfter - setup.clock.now()) / day)),
            revocation: certaintyOf(trusted.evidence, binding.name, setup.settings),
          },
  };
}

const day = 86_400_000;

function pageOf(facts: WhoamiFacts, requestId: string): string {
  const { account, mapping, certificate, wouldRefuse } = facts;
  const rows: PageRows = [
    ...(account === null
      ? []
      : ([
          ['Account', account.name],
          ['User principal name', account.upn ?? 'none'],
          ['SID', account.sid],
          ['Read from the directory', account.readAt],
        ] as const)),
    ...(mapping === null
      ? []
      : ([
          ['Mapped by', mapping.methods.join(', ')],
          ['Strength', `${mapping.strength} (${mapping.strengthBy})`],
        ] as const)),
    ...(certificate === null
      ? []
      : ([
          ['Certificate', certificate.subject],
          ['Issuer', certificate.issuer],
          ['Serial number', certificate.serial],
          ['Thumbprint', certificate.thumbprint],
          ['Valid until', `${certificate.notAfter} (${certificate.daysLeft} days left)`],
          ['Revocation', certificate.revocation ?? 'not looked at'],
        ] as const)),
    ['Location', facts.location],
    ['Verdict', `${facts.verdict.code}: ${facts.verdict.text}`],
    ...(wouldRefuse === null
      ? []
      : ([['Would be refused', `${wouldRefuse.code}: ${wouldRefuse.detail ?? wouldRefuse.text}`]] as const)),
  ];
  const sentence =
    account === null
      ? `You are anonymous here${certificate === null ? ', and no certificate was looked at' : ''}.`
      : `You are ${account.name} here.`;
  return htmlPage({ heading: 'Who am I?', sentence, rows, requestId });
}
