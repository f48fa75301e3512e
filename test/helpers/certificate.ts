import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServedCertificate } from '../../src/certs/types.ts';

/** A certificate with its key, as PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

const ecdsa = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
const rsa = ['rsa:2048'];

/** Makes a self-signed certificate, valid for a day. @param names as OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1` */
export function makeCertificate(...names: string[]): TestCertificate {
  return make(ecdsa, names);
}

/** The same with an RSA key. */
export function makeRsaCertificate(...names: string[]): TestCertificate {
  return make(rsa, names);
}

function make(kind: readonly string[], names: readonly string[]): TestCertificate {
  const directory = mkdtempSync(join(tmpdir(), 'oo-cert-'));
  const file = (name: string) => join(directory, name);
  const what = ['-x509', '-newkey', ...kind, '-nodes', '-days', '1'];
  const where = ['-keyout', file('key.pem'), '-out', file('cert.pem')];
  const whom = ['-subj', '/CN=test', '-addext', `subjectAltName=${names.join(',')}`];
  execFileSync('openssl', ['req', ...what, ...where, ...whom], { stdio: 'pipe' });
  const made = { cert: readFileSync(file('cert.pem'), 'utf8'), key: readFileSync(file('key.pem'), 'utf8') };
  rmSync(directory, { recursive: true });
  return made;
}

/** A self-signed certificate as a worker serves it. @param names DNS names and addresses; the first is the id, unless one is given */
export function makeServed(names: readonly string[], options: { id?: string; rsa?: boolean } = {}): ServedCertificate {
  const alternatives = names.map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`));
  const { cert, key } = make(options.rsa ? rsa : ecdsa, alternatives);
  return { id: options.id ?? names[0] + (options.rsa ? '+rsa' : ''), names, chain: cert, key };
}
