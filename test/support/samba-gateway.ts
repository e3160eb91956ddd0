/**
 * The whole gateway in front of a Samba domain, by the configuration of the lab.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Issued } from '../../src/lab/authority.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { type TestGateway, testGateway, type TestRequest } from './gateway.ts';
import type { Samba } from './samba.ts';

/** @param more further lines of the section `directory`; @param change of the whole configuration */
export async function gatewayAt(
  t: Test,
  samba: Samba,
  lab: Lab,
  more = '',
  change: (yaml: string) => string = (yaml) => yaml,
): Promise<TestGateway> {
  // Several domains may be in front of one lab at the same time, each with a CA of its own.
  const files = {
    ca: join(lab.pki.folder, `samba-${samba.host}-ca.pem`),
    password: join(lab.pki.folder, `samba-${samba.host}-password`),
  };
  await writeFile(files.ca, samba.caPem);
  await writeFile(files.password, samba.password);
  const directory = `directory:
  domains:
    - name: ${samba.domain}
      controllers: ["${samba.ldapsUrl}"]
      bind: { dn: "${samba.bindDn}", password: "file:${files.password}" }
  ca: ["file:${files.ca}"]
${more}
`;
  return await testGateway(t, {
    lab,
    configure(yaml) {
      const configured = yaml.replace(/^directory:\n(?: .*\n)+\n/m, () => directory);
      if (configured === yaml) throw new TypeError('the configuration of the lab has another form');
      return change(configured);
    },
  });
}

/** @param above an issuer that the gateway does not have */
export function showing(certificate: Issued, above?: Issued): TestRequest {
  return { tls: { cert: certificate.cert + (above?.cert ?? ''), key: certificate.key } };
}

export function certificateOf(lab: Lab, name: string): Issued {
  const found = lab.pki.certificates.get(name);
  if (found === undefined) throw new TypeError(`no certificate ${name}`);
  return found;
}
