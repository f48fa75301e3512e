import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporary } from './temporary.ts';

/** A root and a server's certificate that it has signed, as PEM, with the directory where they lie. */
export interface LocalRoot {
  readonly dir: string;
  readonly root: string;
  /** Path of root.pem. */
  readonly rootFile: string;
  /** Path of leaf.pem. */
  readonly leafFile: string;
}

/** Made by OpenSSL, valid for a day. */
export function makeLocalRoot(commonName = 'oo local CA test'): LocalRoot {
  const dir = temporary();
  const at = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE', '-days', '1'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    at('root.key'),
    '-out',
    at('root.pem'),
    '-subj',
    `/CN=${commonName}`,
    ...ca,
  );
  openssl('req', ...key, '-keyout', at('leaf.key'), '-out', at('leaf.csr'), '-subj', '/CN=app.test');
  const signer = ['-CA', at('root.pem'), '-CAkey', at('root.key'), '-CAcreateserial', '-days', '1'];
  openssl('x509', '-req', '-in', at('leaf.csr'), ...signer, '-out', at('leaf.pem'));
  return { dir, root: readFileSync(at('root.pem'), 'utf8'), rootFile: at('root.pem'), leafFile: at('leaf.pem') };
}
