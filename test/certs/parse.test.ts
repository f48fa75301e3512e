import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Chain, type ChainRefusal, coversName, normalIp, readChain } from '../../src/certs/parse.ts';
import { temporary } from '../helpers/temporary.ts';

const dir = temporary();
const at = (name: string) => join(dir, name);
const read = (name: string) => readFileSync(at(name), 'utf8');
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe', encoding: 'utf8' });
const day = 86_400_000;
// A little ahead: what the tests make later is valid then, too.
const now = Date.now() + 60_000;

const keys = {
  ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
  rsa: ['rsa:2048'],
  weak: ['rsa:1024'],
  ed: ['ed25519'],
};

interface Made {
  readonly by?: string;
  readonly days?: number;
  readonly key?: keyof typeof keys;
  readonly digest?: string;
  readonly extensions?: readonly string[];
  readonly subject?: string;
}

/** NAME.pem and NAME.key; self-signed unless by another. */
function make(
  name: string,
  { by, days = 10, key = 'ec', digest = 'sha256', extensions = [], subject }: Made = {},
): void {
  const subj = ['-subj', subject ?? `/O=Test/CN=${name}`];
  openssl('req', '-new', '-newkey', ...keys[key], '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, ...subj);
  writeFileSync(at(`${name}.ext`), `[x]\nsubjectKeyIdentifier=hash\n${extensions.join('\n')}\n`);
  const signer = by === undefined ? ['-key', `${name}.key`] : ['-CA', `${by}.pem`, '-CAkey', `${by}.key`];
  const from = ['-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.ext`, '-extensions', 'x'];
  openssl(
    'x509',
    ...from,
    ...(by === undefined ? ['-signkey', `${name}.key`] : signer),
    '-days',
    `${days}`,
    `-${digest}`,
  );
}

const ca = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const named = (...names: string[]) => [`subjectAltName=${names.join(',')}`];

make('root', { extensions: ca, days: 100 });
make('middle', { by: 'root', extensions: ca, days: 5 });
make('www.example.com', {
  by: 'middle',
  extensions: [
    ...named('DNS:Example.COM', 'DNS:www.example.com', 'DNS:*.a.example.com', 'IP:192.0.2.1', 'IP:2001:db8:0::1'),
    'extendedKeyUsage=serverAuth',
  ],
  subject: '/O=Test/CN=www.example.com',
});
make('self', { extensions: named('DNS:self.test') });
make('rsa', { key: 'rsa', extensions: named('DNS:rsa.test') });
const leaf = read('www.example.com.pem');
const key = read('www.example.com.key');
const middle = read('middle.pem');
const root = read('root.pem');

const parse = suite('certs: parse');

function good(result: Chain | ChainRefusal): Chain {
  if ('refused' in result) throw new Error(`${result.refused}: ${result.message}`);
  return result;
}

function refused(result: Chain | ChainRefusal, why: ChainRefusal['refused'], message: RegExp): ChainRefusal {
  if (!('refused' in result)) throw new Error('it was taken');
  assert.is(result.refused, why);
  assert.match(result.message, message);
  assert.ok(result.hint.length > 10);
  return result;
}

const blocks = (pem: string) => pem.match(/-----BEGIN CERTIFICATE-----/g)!.length;

parse('names, dates, issuer, serial, key type', () => {
  const chain = good(readChain(leaf + middle, key, now));
  assert.equal(chain.names, ['www.example.com', 'example.com', '*.a.example.com', '192.0.2.1', '2001:db8::1']);
  assert.is(chain.commonName, 'www.example.com');
  assert.is(chain.issuer, 'middle');
  const serial = openssl('x509', '-noout', '-serial', '-in', 'www.example.com.pem').trim().split('=')[1];
  assert.is(chain.serial, BigInt(`0x${serial}`).toString());
  assert.is(chain.keyType, 'ecdsa');
  assert.is(chain.keyBits, 256);
  assert.ok(Math.abs(chain.notAfter - now - 10 * day) < 120_000);
  assert.ok(Math.abs(chain.notBefore - now) < 120_000);
  assert.equal([chain.isCA, chain.selfSigned], [false, false]);
  assert.is(chain.chain, leaf + middle);
  assert.match(chain.key, /^-----BEGIN PRIVATE KEY-----/);
  assert.equal(chain.warnings, []);
});

parse('a chain in the wrong order is mended, and said so', () => {
  const chain = good(readChain(root + middle + leaf, key, now));
  assert.is(chain.chain, leaf + middle + root);
  assert.match(chain.warnings.join(), /wrong order/);
  // Without the key: the one that signed no other.
  assert.is(good(readChain(middle + leaf, undefined, now)).chain, leaf + middle);
});

parse('what is not of the chain is left out, and said so', () => {
  const chain = good(readChain(leaf + middle + read('self.pem') + leaf, key, now));
  assert.is(chain.chain, leaf + middle);
  assert.match(chain.warnings.join(), /left out: self/);
});

parse('a leaf alone is taken with a warning; a self-signed one without', () => {
  assert.match(good(readChain(leaf, key, now)).warnings.join(), /no intermediate certificates/);
  const self = good(readChain(read('self.pem'), read('self.key'), now));
  assert.equal([self.names, self.selfSigned, self.warnings], [['self.test'], true, []]);
});

parse('key and chain in one file, text around, CRLF', () => {
  const all = `Subject: something\r\n${(key + leaf + middle).replaceAll('\n', '\r\n')}`;
  assert.is(blocks(good(readChain(all, all, now)).chain), 2);
});

parse('RSA, and keys in their older forms', () => {
  openssl('pkey', '-in', 'rsa.key', '-traditional', '-out', 'rsa-old.key');
  openssl('ec', '-in', 'self.key', '-out', 'self-old.key');
  assert.match(read('rsa-old.key'), /BEGIN RSA PRIVATE KEY/);
  assert.match(read('self-old.key'), /BEGIN EC PRIVATE KEY/);
  const rsa = good(readChain(read('rsa.pem'), read('rsa-old.key'), now));
  assert.equal([rsa.keyType, rsa.keyBits], ['rsa', 2048]);
  assert.match(rsa.key, /BEGIN PRIVATE KEY/);
  const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
  good(readChain(read('self.pem'), parameters + read('self-old.key'), now));
});

parse('the wrong key', () => {
  const { hint } = refused(
    readChain(leaf + middle, read('self.key'), now),
    'wrong-key',
    /not the key of the certificate \(www\.example\.com\)/,
  );
  assert.match(hint, /openssl x509 -noout -pubkey/);
  refused(readChain(leaf + middle, read('rsa.key'), now), 'wrong-key', /not the key/);
});

parse('an encrypted key, of either form', () => {
  openssl('pkey', '-in', 'self.key', '-aes256', '-passout', 'pass:x', '-out', 'locked.key');
  openssl('rsa', '-in', 'rsa.key', '-aes256', '-passout', 'pass:x', '-traditional', '-out', 'locked-old.key');
  for (const name of ['locked.key', 'locked-old.key']) {
    const { hint } = refused(readChain(read('self.pem'), read(name), now), 'encrypted-key', /encrypted/);
    assert.match(hint, /openssl pkey/);
  }
});

parse('what is not PEM', () => {
  openssl('x509', '-in', 'self.pem', '-outform', 'der', '-out', 'self.der');
  refused(readChain(read('self.der'), read('self.key'), now), 'not-pem', /no certificate in PEM/);
  refused(readChain('', read('self.key'), now), 'not-pem', /no certificate/);
  assert.match(refused(readChain(key, leaf, now), 'not-pem', /no certificate/).hint, /mixed up/);
  assert.match(refused(readChain(leaf, leaf, now), 'not-pem', /no private key/).hint, /mixed up/);
  const cut = leaf.replace(/\n.{64}\n/, '\n');
  refused(readChain(cut, key, now), 'not-pem', /number 1 cannot be read/);
  refused(readChain(leaf, key.replace(/\n.{20}/, '\n'), now), 'not-pem', /key cannot be read/);
});

parse('more than a chain can be', () => {
  refused(readChain(leaf.repeat(21), key, now), 'too-large', /21 certificates/);
  refused(readChain('x'.repeat(300_000), key, now), 'too-large', /300000/);
});

parse('expired: the leaf, or one of its chain', () => {
  refused(readChain(leaf + middle, key, now + 7 * day), 'expired', /certificate of middle in its chain expired at 20/);
  refused(
    readChain(leaf + middle, key, now + 11 * day),
    'expired',
    /^the certificate expired at 20\d\d-\d\d-\d\d .* UTC$/,
  );
  refused(readChain(leaf + middle, key, now - day), 'not-yet-valid', /valid only from/);
  // Without a time, times are not looked at.
  good(readChain(leaf + middle, key));
});

parse('weak: SHA-1, 1024 bits; of a root only the key counts', () => {
  make('sha1', { digest: 'sha1', extensions: named('DNS:a.test') });
  refused(readChain(read('sha1.pem'), read('sha1.key'), now), 'weak', /signed with .*SHA1/i);
  make('weak', { key: 'weak', extensions: named('DNS:a.test') });
  refused(readChain(read('weak.pem'), read('weak.key'), now), 'weak', /1024 bits/);
  make('old-root', { digest: 'sha1', extensions: ca });
  make('under-old', { by: 'old-root', extensions: named('DNS:a.test') });
  good(readChain(read('under-old.pem') + read('old-root.pem'), read('under-old.key'), now));
});

parse('kinds of key that browsers do not take', () => {
  openssl('genpkey', '-algorithm', 'ed25519', '-out', 'ed.key');
  const names = ['-addext', 'subjectAltName=DNS:a.test'];
  openssl('req', '-x509', '-key', 'ed.key', '-out', 'ed.pem', '-days', '1', '-subj', '/CN=a', ...names);
  refused(readChain(read('ed.pem'), read('ed.key'), now), 'key-type', /ed25519/);
  openssl('ecparam', '-name', 'secp256k1', '-genkey', '-noout', '-out', 'k1.key');
  openssl('req', '-x509', '-key', 'k1.key', '-out', 'k1.pem', '-days', '1', '-subj', '/CN=a', ...names);
  refused(readChain(read('k1.pem'), read('k1.key'), now), 'key-type', /secp256k1/);
  // A kind that OpenSSL does not know: the OID of EC keys made another.
  const strange = new X509Certificate(read('self.pem')).raw.toString('hex').replace('2a8648ce3d0201', '2a8648ce3d0209');
  const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(strange, 'hex').toString('base64')}\n-----END CERTIFICATE-----\n`;
  refused(readChain(pem, undefined, now), 'key-type', /\(unknown\)/);
  refused(readChain(pem, read('self.key'), now), 'wrong-key', /not the key/);
});

parse('no names, or none that a host can have', () => {
  make('nameless', { subject: '/CN=nameless.test' });
  refused(readChain(read('nameless.pem'), read('nameless.key'), now), 'no-names', /subjectAltName/);
  make('mail', { extensions: named('email:a@example.com', 'URI:https://example.com/') });
  refused(readChain(read('mail.pem'), read('mail.key'), now), 'no-names', /no names/);
});

parse('names that try to be more than one', () => {
  make('sly', {
    extensions: ['subjectAltName=@n', '[n]', 'DNS.1=a.test', 'otherName=1.2.3.4;UTF8:x\\, DNS:admin.test'],
  });
  assert.equal(good(readChain(read('sly.pem'), read('sly.key'), now)).names, ['a.test']);
});

parse('a certificate for clients only', () => {
  make('client', { extensions: [...named('DNS:a.test'), 'extendedKeyUsage=clientAuth'] });
  refused(readChain(read('client.pem'), read('client.key'), now), 'not-for-servers', /not for TLS servers/);
});

parse('coversName: exactly, or one label under a wildcard', () => {
  const names = ['example.com', '*.example.com', '192.0.2.1'];
  for (const name of ['example.com', 'a.example.com', '192.0.2.1', '*.example.com'])
    assert.ok(coversName(names, name), name);
  for (const name of ['a.b.example.com', 'example.org', '.example.com', '192.0.2.2', '*.a.example.com', 'com'])
    assert.not.ok(coversName(names, name), name);
  assert.not.ok(coversName(['*.0.2.1'], '192.0.2.1'));
});

parse('normalIp: one form for each address', () => {
  assert.is(normalIp('2001:DB8:0:0:0:0:0:1'), '2001:db8::1');
  assert.is(normalIp('::1'), '::1');
  assert.is(normalIp('192.0.2.1'), '192.0.2.1');
  for (const text of ['192.0.2', 'fe80::1%eth0', 'example.com', '']) assert.is(normalIp(text), undefined, text);
});

parse.run();
