/**
 * The certificate as applications of IIS and ASP.NET Core take it, base64 of the DER on one line: `arr` as Application Request
 * Routing and Azure write it (`X-ARR-ClientCert`), `aspnetcore` by the default of CertificateForwardingOptions (`X-Client-Cert`), `ancm` as the ASP.NET
 * Core module does out of process (`MS-ASPNETCORE-CLIENTCERT`). The application behind `ancm` answers 400 to every request without the module's token, so
 * that goes with each, whoever asks.
 */
import type { Dialect } from '../dialect-contract.ts';
import { base64Of } from './certificate-text.ts';

export const arr: Dialect = (headers, client, { headers: names }) => {
  if (client !== 'none') headers.push(names.arr, base64Of(client.leaf.der));
};

export const aspnetcore: Dialect = (headers, client, { headers: names }) => {
  if (client !== 'none') headers.push(names.aspnetcore, base64Of(client.leaf.der));
};

export const ancm: Dialect = (headers, client, { headers: names, ancmToken }) => {
  if (ancmToken !== null) headers.push(names.ancmToken, ancmToken);
  if (client !== 'none') headers.push(names.ancmClientCert, base64Of(client.leaf.der));
};
