import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lockPath } from '../../cli/state.ts';
import { openDatabase } from '../../db/database.ts';
import { acquireLock } from '../../db/lock.ts';
import { ooAt } from '../helpers/cert-cli.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { temporary } from '../helpers/temporary.ts';

const offline = suite('cli: certificates with no server running');
const day = 86_400_000;

/** A state directory, `oo … --offline` on it, and files of PEM in it. */
function start(env: Record<string, string> = {}) {
  const dir = temporary();
  const run = ooAt(dir, env);
  return {
    dir,
    oo: (line: string) => run(`${line} --offline`),
    file(name: string, text: string) {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    },
  };
}

offline('save, ls, get, raw, rm: the whole way, with a real pair', async () => {
  const { oo, file } = start();
  const { cert, key } = makeCertificate('DNS:own.test', 'DNS:www.own.test');
  const [certFile, keyFile] = [file('c.pem', cert), file('k.pem', key)];
  const saved = await oo(`cert save own.test --cert ${certFile} --key ${keyFile}`);
  assert.is(saved.code, 0, saved.err);
  assert.match(saved.out, /^saved own\.test \(own\.test, www\.own\.test\), valid until /);
  const today = new Date().toISOString().slice(0, 10);
  const tomorrow = new Date(Date.now() + day).toISOString().slice(0, 10);
  const [, row] = (await oo('certs ls')).out.split('\n');
  const [id, created, updated, commonName, issuer, notBefore, notAfter, serial] = row.split(/ {2,}/);
  assert.equal([id, created, commonName, issuer], ['own.test', today, 'test', 'test']);
  assert.ok(updated.startsWith(today) && /^\S+ \d\d:\d\d:\d\d$/.test(updated));
  assert.equal([notBefore, notAfter], [today, tomorrow]);
  assert.match(serial, /^\d{8}$/);
  const [info] = JSON.parse((await oo('certs ls -o json')).out);
  assert.equal(
    [info.names, info.dnsNames, info.source, info.publicKeyAlgorithm, info.publicKeyBitLength, info.signatureAlgorithm],
    [['own.test', 'www.own.test'], ['own.test', 'www.own.test'], 'saved', 'ECDSA', 256, 'ECDSA-SHA256'],
  );
  assert.not.match(JSON.stringify(info), 'PRIVATE');
  // By another of its names, too.
  const got = await oo('cert get www.own.test');
  assert.match(got.out, /^Name: +own\.test\nStatus: +valid for 2[34] hours\n/);
  assert.is((await oo('cert raw own.test')).out, cert);
  const withKey = await oo('cert raw own.test --with-key');
  assert.ok(withKey.out.startsWith(cert) && withKey.out.includes('BEGIN PRIVATE KEY'));
  assert.is((await oo('cert rm own.test')).out, 'removed own.test\n');
  assert.is((await oo('certs ls -q')).out, '');
});

offline('save: what is no good is refused with the reason, and nothing is kept', async () => {
  const { dir, oo, file } = start();
  const one = makeCertificate('DNS:a.test');
  const two = makeCertificate('DNS:b.test');
  const [cert, key, otherKey] = [file('a.pem', one.cert), file('a.key', one.key), file('b.key', two.key)];
  const old = join(dir, 'old');
  const name = ['-subj', '/CN=a.test', '-addext', 'subjectAltName=DNS:a.test'];
  const times = ['-not_before', '20200101000000Z', '-not_after', '20200201000000Z'];
  makeOld(old, name, times);
  const encrypted = join(dir, 'e.key');
  execFileSync('openssl', ['pkey', '-in', key, '-aes256', '-passout', 'pass:x', '-out', encrypted], { stdio: 'pipe' });
  for (const [args, reason] of [
    [`--cert ${cert} --key ${otherKey}`, /^oo: a\.test: the key is not the key of the certificate \(a\.test\)\.$/],
    [`--cert ${cert}`, /^oo: a\.test: there is no private key\.$/],
    [`--cert ${key} --key ${cert}`, /^oo: a\.test: it holds no private key in PEM form|no certificate in PEM form/],
    [`--cert ${old}.pem --key ${old}.key`, /^oo: a\.test: the certificate expired at 2020-02-01 00:00:00 UTC\.$/],
    [`--cert ${cert} --key ${encrypted}`, /^oo: a\.test: the key is encrypted with a passphrase\.$/],
    [
      `--cert ${file('cut.pem', `${one.cert.slice(0, 200)}\n-----END CERTIFICATE-----\n`)} --key ${key}`,
      /cannot be read\.$/,
    ],
  ] as const) {
    const { code, err, out } = await oo(`cert save a.test ${args}`);
    const [message, hint] = err.split('\n');
    assert.equal([code, out], [1, ''], args);
    assert.match(message, reason);
    assert.ok(hint.length > 4, 'a hint');
  }
  const wrongName = await oo(`cert save c.test --cert ${cert} --key ${key}`);
  assert.is(
    wrongName.err,
    'oo: c.test: the certificate is for a.test.\n    Save it under one of its names: oo cert save a.test.\n',
  );
  for (const id of ['local_ca', 'acme_account+key']) {
    assert.match(
      (await oo(`cert save ${id} --cert ${cert} --key ${key}`)).err,
      /is the (local CA|key of an ACME account)/,
    );
    assert.match((await oo(`cert rm ${id}`)).err, /is the (local CA|key of an ACME account)/);
  }
  assert.is((await oo('certs ls -q')).out, '');
});

/** OpenSSL 3.0's req has no dates; its ca has. */
function makeOld(path: string, subject: readonly string[], times: readonly string[]): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${path}.key`];
  openssl('req', ...key, ...subject, '-out', `${path}.csr`);
  const config = `[ca]\ndefault_ca=x\n[x]\ndatabase=${path}.txt\nnew_certs_dir=${temporary()}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n`;
  writeFileSync(`${path}.cnf`, config);
  writeFileSync(`${path}.txt`, '');
  const dates = times.map((one) => ({ '-not_before': '-startdate', '-not_after': '-enddate' })[one] ?? one);
  const files = ['-in', `${path}.csr`, '-keyfile', `${path}.key`, '-out', `${path}.pem`, '-notext'];
  openssl('ca', '-batch', '-selfsign', '-config', `${path}.cnf`, ...dates, ...files);
}

offline('an ACME account has a row with blank cells, and its key is shown only with --with-key', async () => {
  const { dir, oo } = start();
  const database = await openDatabase({ url: join(dir, 'oo.db'), encryption: { stateDir: dir } });
  const { key } = makeCertificate('DNS:x.test');
  const at = Date.UTC(2025, 5, 8, 14, 12, 42);
  const account = { url: 'https://ca.test/1', key, contact: '', createdAt: at, updatedAt: at };
  await database.certificates.saveAccount({ ...account, directory: 'https://ca.test/dir' });
  await database.certificates.saveAccount({
    ...account,
    directory: 'https://b.test/dir',
    createdAt: at + 1,
    updatedAt: at + day,
  });
  database.close();
  const { out } = await oo('certs ls');
  assert.match(out, /^acme_account\+key@b\.test +2025-06-08 +2025-06-09 14:12:42$/m);
  assert.match(out, /^acme_account\+key +2025-06-08 +2025-06-08 14:12:42$/m);
  assert.not.match((await oo('certs ls -o json')).out, 'PRIVATE');
  assert.is((await oo('cert raw acme_account+key')).code, 1);
  assert.is((await oo('cert raw acme_account+key@b.test --with-key')).out, key);
});

offline('a name without a certificate: the last error, and what waits', async () => {
  const { dir, oo } = start();
  await oo('route save --id a.test/app --target t');
  const database = await openDatabase({ url: join(dir, 'oo.db'), encryption: { stateDir: dir } });
  const at = Date.UTC(2025, 0, 1);
  const lastFailure = {
    ...{ at, step: 'order' as const, directory: 'https://ca.test/dir', message: 'No.', hint: 'Do.' },
    ...{ problem: 'caa', retryAfter: 0 },
  };
  await database.certificates.saveState({
    ...{ id: 'a.test', failures: 2, lastFailure, notBefore: at + day, renewAt: 0, renewSerial: '', windowStart: 0 },
    ...{ windowEnd: 0, windowUrl: '', askWindowAt: 0, forcedAt: 0 },
  });
  database.close();
  const { err } = await oo('certs ls');
  assert.match(err, 'a.test has no certificate yet: No. Next try: 2025-01-02 00:00 UTC.\n');
  const { out } = await oo('cert get a.test');
  for (const line of [
    /^Routes: +a\.test\/app$/m,
    /^ {2}step: +order \(ordering\), at ca\.test$/m,
    /^What to do: +Do\.$/m,
  ])
    assert.match(out, line);
  assert.is((await oo('cert get b.test')).code, 1);
});

offline('key rotate: into a new file, then to a given key; only that one opens it then', async () => {
  const { dir, oo, file } = start();
  const { cert, key } = makeCertificate('DNS:own.test');
  const pair = file('pair.pem', cert + key);
  await oo(`cert save own.test --cert ${pair}`);
  const made = await oo('key rotate');
  assert.equal([made.code, made.err.includes(join(dir, 'encryption.key'))], [0, true]);
  assert.is((await oo('cert raw own.test --with-key')).code, 0);
  const newKey = 'correct horse battery staple';
  const given = await ooAt(dir, { OO_NEW_ENCRYPTION_KEY: newKey })('key rotate --offline');
  assert.equal([given.code, given.err.includes('OO_ENCRYPTION_KEY')], [0, true]);
  const wrong = await oo('certs ls');
  assert.equal([wrong.code, wrong.out], [1, '']);
  assert.match(wrong.err, /OO_ENCRYPTION_KEY/);
  const right = await ooAt(dir, { OO_ENCRYPTION_KEY: newKey })('certs ls -q --offline');
  assert.equal([right.code, right.out], [0, 'own.test\n']);
});

offline('oo trust --print makes the root, and gives the same one again; it is no certificate of a host', async () => {
  const { dir, oo } = start();
  const first = await oo('trust --print');
  assert.match(first.out, /^-----BEGIN CERTIFICATE-----\n/);
  assert.is((await oo('trust --print')).out, first.out);
  assert.is((await oo('certs ls -q')).out, '');
  assert.is((await oo('cert raw local_ca --with-key')).code, 1);
  assert.ok(existsSync(join(dir, 'oo.db')));
});

offline('refused while a server runs; renew and check have no --offline', async () => {
  const { dir, oo } = start();
  const lock = acquireLock(lockPath(dir), 'The state directory');
  const { code, err } = await oo('certs ls');
  assert.is(code, 1);
  assert.match(err, 'Leave --offline out: the running server takes the change');
  lock.release();
  for (const verb of ['renew', 'check']) assert.is((await oo(`cert ${verb} a.test`)).code, 2);
});

offline.run();
