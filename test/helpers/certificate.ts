import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate with its key, as PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes a self-signed certificate, valid for a day. @param names as OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1` */
export function makeCertificate(...names: string[]): TestCertificate {
  const directory = mkdtempSync(join(tmpdir(), 'oo-cert-'));
  const file = (name: string) => join(directory, name);
  const what = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const where = ['-keyout', file('key.pem'), '-out', file('cert.pem')];
  const whom = ['-subj', '/CN=test', '-addext', `subjectAltName=${names.join(',')}`];
  execFileSync('openssl', ['req', ...what, ...where, ...whom], { stdio: 'pipe' });
  const made = { cert: readFileSync(file('cert.pem'), 'utf8'), key: readFileSync(file('key.pem'), 'utf8') };
  rmSync(directory, { recursive: true });
  return made;
}
