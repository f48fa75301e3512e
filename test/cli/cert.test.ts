import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { certServer, ooAt } from '../helpers/cert-cli.ts';
import { memoryCertificates, secretKey, seedRows, somePem } from '../helpers/memory-certificates.ts';
import { temporary } from '../helpers/temporary.ts';

const cert = suite('cli: oo cert');

const seedTable = `\
CERT ID               CREATED AT   UPDATED AT            COMMON NAME           ISSUER   NOT BEFORE   NOT AFTER    SERIAL
singulatron.com       2025-06-08   2025-08-09 14:22:44   singulatron.com       E6       2025-08-09   2025-11-07   34394815
api.singulatron.com   2025-06-08   2025-08-09 14:15:47   api.singulatron.com   E5       2025-08-09   2025-11-07   83840157
acme_account+key      2025-06-08   2025-06-08 14:12:42
`;

cert("ls prints the seed's table to the letter, by each of its names", async () => {
  const { oo, stop } = await certServer();
  for (const line of ['certs ls', 'cert list', 'cert ls', 'certs list', 'ce ls', 'ce list']) {
    assert.equal(await oo(line), { code: 0, out: seedTable, err: '' }, line);
  }
  // As the seed's document has it, where one space stands for the columns' distance.
  const asInDocument = [
    'CERT ID CREATED AT UPDATED AT COMMON NAME ISSUER NOT BEFORE NOT AFTER SERIAL',
    'singulatron.com 2025-06-08 2025-08-09 14:22:44 singulatron.com E6 2025-08-09 2025-11-07 34394815',
    'api.singulatron.com 2025-06-08 2025-08-09 14:15:47 api.singulatron.com E5 2025-08-09 2025-11-07 83840157',
    'acme_account+key 2025-06-08 2025-06-08 14:12:42',
  ];
  assert.equal(seedTable.trimEnd().split('\n').map(narrow), asInDocument);
  await stop();
});

function narrow(line: string): string {
  return line.replace(/ {2,}/g, ' ');
}

cert('ls in other forms: names, and all fields as JSON or YAML, without keys', async () => {
  const { oo, stop } = await certServer();
  assert.is((await oo('certs ls -q')).out, 'singulatron.com\napi.singulatron.com\nacme_account+key\n');
  assert.is((await oo('certs ls -o name')).out, (await oo('certs ls -q')).out);
  const json = await oo('certs ls -o json');
  assert.equal(JSON.parse(json.out), seedRows);
  assert.not.match(json.out, 'PRIVATE');
  assert.match((await oo('certs ls -o yaml')).out, /^- id: singulatron\.com\n {2}createdAt: /);
  await stop();
});

cert('ls: what waits is told on standard error, and that there is nothing', async () => {
  const { oo, memory, stop } = await certServer(memoryCertificates([]));
  const none = await oo('certs ls');
  assert.equal([none.code, none.out.trimEnd().split(/ {2,}/).length], [0, 8]);
  assert.match(none.err, /^There are no certificates yet: /);
  const reason = 'DNS problem: NXDOMAIN';
  memory.waitingNames.push({ id: 'a.test', reason, nextTryAt: '2025-01-01T10:30:00.000Z' });
  for (let i = 0; i < 11; i++) memory.waitingNames.push({ id: `n${i}`, reason: 'x.', nextTryAt: null });
  const { out, err } = await oo('certs ls');
  assert.is(out, none.out);
  const lines = err.split('\n');
  assert.is(lines[0], 'a.test has no certificate yet: DNS problem: NXDOMAIN. Next try: 2025-01-01 10:30 UTC.');
  assert.equal(lines.slice(10), ['… and 2 more.', 'More of each: oo cert get NAME', '']);
  assert.is((await oo('certs ls -o json')).err, '');
  await stop();
});

cert('get: all about one, and a wanted name that has none', async () => {
  const { oo, memory, stop } = await certServer();
  memory.details.set('new.test', { routes: ['new.test/app'] });
  const { code, out } = await oo('cert get NEW.test.');
  assert.is(code, 0);
  assert.match(out, /^Name: +new\.test\nStatus: +no certificate yet\n/);
  assert.match(out, /^Routes: +new\.test\/app$/m);
  const known = await oo('cert get singulatron.com -o json');
  assert.equal(JSON.parse(known.out).certificate, seedRows[0]);
  assert.is((await oo('cert get singulatron.com -q')).out, 'singulatron.com\n');
  assert.equal(await oo('cert get zz.test'), {
    code: 1,
    out: '',
    err: 'oo: There is no certificate zz.test.\n    oo certs ls shows those that are; a name gets one when a route has it, or by oo cert save.\n',
  });
  await stop();
});

cert('raw: the key only with --with-key', async () => {
  const { oo, stop } = await certServer();
  assert.equal(await oo('cert raw singulatron.com'), { code: 0, out: somePem, err: '' });
  assert.is((await oo('ce raw singulatron.com --with-key')).out, somePem + secretKey);
  const account = await oo('cert raw acme_account+key');
  assert.equal([account.code, account.out], [1, '']);
  assert.match(account.err, 'acme_account+key is a private key without a certificate.\n    Print it with --with-key.');
  assert.is((await oo('cert raw acme_account+key --with-key')).out, secretKey);
  assert.is((await oo('cert raw zz.test')).code, 1);
  await stop();
});

cert('rm: what was there is removed, what was not is an error; a route that still has it is named', async () => {
  const { oo, memory, stop } = await certServer();
  memory.details.set('singulatron.com', { routes: ['singulatron.com/app'] });
  assert.equal(await oo('certs remove singulatron.com zz.test'), {
    code: 1,
    out: 'removed singulatron.com\n',
    err:
      'singulatron.com is still in the route singulatron.com/app, so oo gets a new one.\n' +
      'oo: There is no certificate zz.test.\n    oo certs ls shows those that are.\n',
  });
  assert.not.ok(memory.rows.has('singulatron.com'));
  assert.equal(JSON.parse((await oo('cert rm api.singulatron.com -o json')).out), {
    removed: ['api.singulatron.com'],
    missing: [],
  });
  await stop();
});

cert('save: files as they are, for the server to prove', async () => {
  const { dir, oo, memory, stop } = await certServer();
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const [c, k, i] = [file('c.pem', somePem), file('k.pem', secretKey), file('i.pem', `# intermediate\n${somePem}`)];
  assert.equal(await oo(['cert', 'save', '*.Own.test', '--cert', c, '--key', k, '--chain', i]), {
    code: 0,
    out: 'saved *.own.test (*.own.test), valid until 2025-11-07 13:17 UTC\n',
    err: '',
  });
  assert.equal(memory.saved, [
    { id: '*.own.test', cert: somePem, key: secretKey, chain: `# intermediate\n${somePem}` },
  ]);
  const both = await oo('cert save b.test --cert - -q', somePem + secretKey);
  assert.equal([both.code, both.out], [0, 'b.test\n']);
  assert.equal(memory.saved[1], { id: 'b.test', cert: somePem + secretKey });
  const refused = await oo(['cert', 'save', 'b.test', '--cert', k]);
  assert.equal(refused, { code: 1, out: '', err: 'oo: b.test: there is no certificate in it.\n    Give PEM.\n' });
  await stop();
});

cert("save: files that can't be, before anything is sent", async () => {
  const { dir, oo, memory, stop } = await certServer();
  writeFileSync(join(dir, 'der'), Buffer.from([0x30, 0x82, 0, 1]));
  writeFileSync(join(dir, 'big'), '-----BEGIN '.padEnd(2 ** 20 + 1));
  mkdirSync(join(dir, 'sub'));
  const said = async (...more: string[]) => {
    const { code, err } = await oo(['cert', 'save', 'a.test', ...more]);
    return [code, err.split('\n')[0]];
  };
  assert.equal(await said(), [2, 'oo: --cert is missing.']);
  assert.equal(await said('--cert', join(dir, 'der')), [
    1,
    `oo: --cert: ${dir}/der is not PEM: it has no line that begins with -----BEGIN.`,
  ]);
  assert.equal(await said('--cert', join(dir, 'zz')), [
    1,
    `oo: --cert: ${dir}/zz can't be read: there is no such file.`,
  ]);
  assert.equal(await said('--cert', join(dir, 'sub')), [1, `oo: --cert: ${dir}/sub can't be read: it is a directory.`]);
  assert.equal(await said('--cert', join(dir, 'big')), [
    1,
    `oo: --cert: ${dir}/big can't be read: it is over 1048576 bytes.`,
  ]);
  assert.equal(await said('--cert', 'a', '--cert', 'b'), [2, 'oo: --cert is given more than once.']);
  assert.equal(memory.saved, []);
  await stop();
});

for (const [line, message] of [
  ['cert get a/b', "'a/b' names no certificate."],
  ['cert get *', "'*' names no certificate."],
  ['cert rm', "Missing required args for command 'cert rm <...names>'."],
  ['certs', 'oo cert needs a verb.'],
  ['cert lst', "There is no command 'oo cert lst'."],
  ['certs ls -o xml', "-o is 'xml'; expected one of table, json, yaml, name."],
  ['cert raw a --key', 'oo cert raw has no flag --key.'],
  ['certs ls --db file:x', '--db is for --offline: a running server has its own.'],
  ['certs ls --encryption-key x', '--encryption-key is for --offline: a running server has its own.'],
] as const) {
  cert(`called wrongly, exit code 2: oo ${line}`, async () => {
    const { code, out, err } = await ooAt(temporary())(line);
    assert.equal([code, out], [2, '']);
    assert.is(err.split('\n')[0], `oo: ${message}`);
  });
}

cert('without a server: what to do', async () => {
  const oo = ooAt(temporary());
  for (const line of ['certs ls', 'cert get a.test']) {
    const { code, err } = await oo(line);
    assert.is(code, 1);
    assert.match(err, /No server is running .*\n.*or add --offline/);
  }
  const { code, err } = await oo('cert renew a.test');
  assert.is(code, 1);
  assert.match(err, /No server is running .*\n.*oo serve/);
  assert.not.match(err, '--offline');
});

cert('what comes from elsewhere does nothing to a terminal', async () => {
  const evil = 'E6\u001b[2J\u009b31m\u202e\r\nX';
  const row = { ...seedRows[0], commonName: evil, issuer: evil };
  const { oo, memory, stop } = await certServer(memoryCertificates([row]));
  const at = '2025-01-01T00:00:00.000Z';
  const lastFailure = { at, step: evil, directory: 'https://ca.test', message: evil, hint: evil, problem: evil };
  memory.waitingNames.push({ id: 'w.test', reason: evil, nextTryAt: null });
  memory.details.set('w.test', {
    lastFailure,
    chain: [{ subject: evil, issuer: evil, notBefore: at, notAfter: at, serialNumber: '1' }],
    unmet: { reason: evil, hint: evil },
    running: { at, step: evil, detail: evil },
  });
  memory.renewals.set('w.test', {
    steps: [{ at, step: evil, detail: evil }],
    outcome: { failure: lastFailure, nextTryAt: null },
  });
  memory.checks.set('w.test', [{ what: evil, ok: false, message: evil, hint: evil }]);
  const lines = ['certs ls', 'cert get w.test', 'cert renew w.test', 'cert check w.test', 'certs ls -o json'];
  for (const line of [...lines, 'certs ls -o yaml', 'cert get w.test -o json', 'cert check w.test -q']) {
    const { out, err } = await oo(line);
    assert.match(out + err, line.endsWith('json') || line.endsWith('yaml') ? 'E6\\u001b[2J' : 'E6?[2J', line);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.not.match(out + err, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/, line);
  }
  assert.is(JSON.parse((await oo('certs ls -o json')).out)[0].issuer, evil);
  memory.failure = Object.assign(new Error(evil), { code: 'OO_STORE_FAILED', hint: evil });
  assert.is((await oo('certs ls')).err.split('\n')[0], 'oo: E6?[2J?31m? X');
  await stop();
});

cert.run();
