/**
 * Accounts to look up, by number: what they are called, which value of altSecurityIdentities they carry, and what a certificate of one would be
 * looked up by.
 */
import type { Assertion } from '../src/directory/directory.ts';

export function nameOf(index: number): string {
  return `load${index}`;
}

export function issuerSerial(index: number): string {
  return `X509:<I>DC=test,DC=example,DC=lab,CN=Issuing CA<SR>${digits(index, 32)}`;
}

/** The account's value, then others that a certificate gives beside it and nobody carries. @param count 1 to 5 */
export function candidatesOf(index: number, count: number, domain: string): readonly Assertion[] {
  const others: readonly Assertion[] = [
    { attribute: 'altSecurityIdentities', value: `X509:<SKI>${digits(index, 40)}` },
    { attribute: 'altSecurityIdentities', value: `X509:<SHA1-PUKEY>${digits(index, 40)}` },
    { attribute: 'altSecurityIdentities', value: `X509:<RFC822>${nameOf(index)}@mail.${domain}` },
    { attribute: 'userPrincipalName', value: `${nameOf(index)}@elsewhere.${domain}` },
  ];
  return [{ attribute: 'altSecurityIdentities', value: issuerSerial(index) }, ...others.slice(0, count - 1)];
}

function digits(index: number, length: number): string {
  return index.toString(16).padStart(length, '0');
}
