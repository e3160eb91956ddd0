/**
 * Users and groups as the configuration language names them: `LAB\Payroll`, `payroll@lab.example.test`, or a SID. Whether there
 * are such is found out when the gateway starts.
 */
import type { Sid } from '../base/brand.ts';
import type { PrincipalName } from '../directory/directory.ts';
import { quoted } from './complaint.ts';
import { scalar, shown, type Read, type Scalar } from './scalars.ts';

const form = 'write LAB\\Payroll, payroll@lab.example.test or a SID';

/** Domains in lower case; SIDs in their canonical spelling. */
export const principal: Scalar<PrincipalName> = scalar(
  'LAB\\name, name@lab.example.test or a SID',
  (raw): Read<PrincipalName> => {
    if (typeof raw !== 'string') return { wrong: `${shown(raw)} is not a name`, hint: form };
    // "LAB\nobody" in double quotes is two lines.
    if (/\p{Cc}/u.test(raw))
      return {
        wrong: `${quoted(raw)} has line breaks or control characters`,
        hint: 'a backslash needs no quotes, or single ones',
      };
    if (/^s-\d/i.test(raw)) return readSid(raw.toUpperCase());
    if (raw.includes('='))
      return {
        wrong: `${quoted(raw)} is a distinguished name`,
        hint: `it changes when somebody moves the object: ${form}`,
      };
    const [domain, name] = raw.includes('\\')
      ? halves(raw, raw.indexOf('\\'))
      : halves(raw, raw.lastIndexOf('@')).reverse();
    if (domain === undefined || name === undefined)
      return { wrong: `${quoted(raw)} does not say of which domain`, hint: form };
    if (!isDomain(domain) || !isAccountName(name))
      return { wrong: `${quoted(raw)} is not the name of a user or group`, hint: form };
    return { value: { kind: 'name', domain: domain.toLowerCase(), name } };
  },
);

/** As a message shows it. */
export function principalText(principal: PrincipalName): string {
  if (principal.kind === 'sid') return principal.sid;
  const { domain, name } = principal;
  return domain.includes('.') ? `${name}@${domain}` : `${domain.toUpperCase()}\\${name}`;
}

function halves(text: string, at: number): string[] {
  return at < 0 ? [] : [text.slice(0, at), text.slice(at + 1)];
}

/** MS-DTYP 2.4.2.1; 1 to 15 sub-authorities. */
function readSid(text: string): Read<PrincipalName> {
  const [, , authority = '', ...parts] = text.split('-');
  const numbers = [authority, ...parts];
  const canonical = numbers.every((part) => /^(?:0|[1-9]\d{0,9})$/.test(part) && Number(part) < 2 ** 32);
  if (text.startsWith('S-1-') && canonical && parts.length >= 1 && parts.length <= 15)
    return { value: { kind: 'sid', sid: text as Sid } };
  return { wrong: `${quoted(text)} is not a SID`, hint: 'as `whoami /groups` prints it: S-1-5-21-...' };
}

/** A NetBIOS or DNS name. */
function isDomain(text: string): boolean {
  return /^[^\s\\/:*?"<>|@.](?:[^\s\\/:*?"<>|@]{0,252}[^\s\\/:*?"<>|@.])?$/.test(text);
}

/** What sAMAccountName may hold (MS-SAMR 3.1.1.6): 256 characters at most, none of those that mean something else. */
function isAccountName(text: string): boolean {
  return /^[^"/\\[\]:;|=,+*?<>@]{1,256}$/.test(text) && text.trim() === text;
}
