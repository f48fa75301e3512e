import { execFileSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BadCertificate, checkCertificate, createRequest } from '../../src/certs/issuer-certificate.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { requestFor } from './issuer-kit.ts';

const directory = 'https://ca.example/dir';
const now = Date.now() + 60_000;
const { cert, key } = makeCertificate('DNS:a.example.com', 'DNS:*.b.example.com', 'IP:192.0.2.1');
const check = (names: string[], keyType: 'ecdsa' | 'rsa' = 'ecdsa', at = now) =>
  checkCertificate(cert, key, requestFor(names, { keyType }), directory, at);

function refused(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof BadCertificate) return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

const certificate = suite('issuer: certificate');

certificate('the names that were asked for come first; others that it has, too', () => {
  assert.equal(check(['192.0.2.1']).names, ['192.0.2.1', 'a.example.com', '*.b.example.com']);
  const { createdAt, updatedAt, source } = check(['a.example.com']);
  assert.equal([createdAt, updatedAt, source], [now, now, 'acme']);
});

certificate('each name must be in it; a wildcard for it will do', () => {
  check(['a.example.com', '*.b.example.com', 'x.b.example.com']);
  assert.match(
    refused(() => check(['a.example.com', 'c.example.com', '*.example.com'])),
    /is for a\.example\.com, .* and not for c\.example\.com, \*\.example\.com/,
  );
});

certificate('the kind of key, and its times by our clock', () => {
  assert.match(
    refused(() => check(['a.example.com'], 'rsa')),
    /has an ecdsa key/,
  );
  assert.match(
    refused(() => check(['a.example.com'], 'ecdsa', now + 3 * 86_400_000)),
    /but it is 20.* here/,
  );
  assert.match(
    refused(() => check(['a.example.com'], 'ecdsa', now - 86_400_000)),
    /but it is/,
  );
  // A CA's clock may be ahead of ours, a little.
  check(['a.example.com'], 'ecdsa', now - 120_000);
});

certificate('another key, or no certificate at all', () => {
  const other = makeCertificate('DNS:a.example.com').key;
  const request = requestFor(['a.example.com']);
  assert.match(
    refused(() => checkCertificate(cert, other, request, directory, now)),
    /the key is not the key/,
  );
  assert.match(
    refused(() => checkCertificate('<html>', key, request, directory, now)),
    /no certificate in PEM/,
  );
});

certificate('a request names all, the first one as common name where it can be one', async () => {
  const long = `${'a'.repeat(60)}.example.com`;
  for (const [names, subject, keyKind] of [
    [['a.example.com', '*.a.example.com', '2001:db8::1'], 'CN = a.example.com', /id-ecPublicKey/],
    [['192.0.2.1'], '', /id-ecPublicKey/],
    [[long], '', /id-ecPublicKey/],
  ] as const) {
    const { csr } = await createRequest(names, 'ecdsa');
    const text = execFileSync('openssl', ['req', '-inform', 'der', '-noout', '-text', '-verify'], {
      input: Buffer.from(csr, 'base64url'),
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    assert.is(/Subject: ?(.*)/.exec(text)![1], subject);
    for (const name of names)
      assert.ok(text.includes(name.includes('::') ? 'IP Address:2001:DB8:0:0' : `:${name}`), text);
    assert.match(text, keyKind);
  }
});

certificate.run();
