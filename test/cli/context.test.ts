import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { placeOf } from '../../cli/remote.ts';
import { memoryIo } from '../helpers/memory-io.ts';

const context = suite('cli: contexts, login, whoami');

/** `oo` of a user with a file of contexts. */
function user(env: Record<string, string> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'oo-context-'));
  const path = join(dir, 'deep', 'config.json');
  const variables = { OO_CONFIG: path, HOME: dir, ...env };
  const oo = async (line: string, input = '') => {
    const io = memoryIo(variables, input);
    return { code: await createProgram(io, '1').run(line.split(' ')), ...io.said };
  };
  const place = (options: Record<string, unknown> = {}, more: Record<string, string> = {}) =>
    placeOf(memoryIo({ ...variables, ...more }), options);
  return { dir, path, oo, place };
}

/** A service port that knows one token. */
async function server(token: string) {
  const asked: string[] = [];
  const http = createServer((request, response) => {
    const { url = '', headers } = request;
    asked.push(`${request.method} ${url} ${headers.authorization ?? '-'}`);
    const knows = headers.authorization === `Bearer ${token}`;
    const who = { actor: 'token:tok_1', from: '127.0.0.1', scopes: ['routes:read'], slug: null, expiresAt: null };
    const body = knows ? who : { error: 'There is no such token.', code: 'OO_BAD_TOKEN', hint: 'Send one.' };
    response.writeHead(knows ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return { asked, http, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

context("added, listed, selected, removed; by the seed's words, too; the file is its user's alone", async () => {
  const { oo, path, place, dir } = user();
  assert.equal(place(), { stateDir: join(dir, '.local/state/oo') });
  const added = await oo('context add prod https://edge.example.com --token oo_secret --description main');
  assert.equal([added.code, added.out, added.err], [0, 'created prod\n', '']);
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.is((await oo('env add second /var/lib/oo-second')).code, 0);
  assert.is((await oo('env select prod')).out, 'selected prod\n');
  assert.equal(place(), { url: 'https://edge.example.com', ca: undefined, token: 'oo_secret' });
  const list = await oo('env list');
  assert.match(list.out, /^\s+NAME\s+SERVER\s+TOKEN\s+DESCRIPTION\n\s+local\s+socket\s+the server on this machine\n/);
  assert.match(list.out, /\n\* +prod +https:\/\/edge\.example\.com +yes +main\n +second +\/var\/lib\/oo-second\n$/);
  assert.not.match(JSON.stringify([list, await oo('context ls -o json')]), /oo_secret/);
  assert.is((await oo('context ls -q')).out, 'local\nprod\nsecond\n');
  assert.is((await oo('env current')).out, 'prod   https://edge.example.com\n');
  assert.is((await oo('context add prod https://edge.example.com')).out, 'updated prod\n', 'the token stays');
  assert.match(readFileSync(path, 'utf8'), /oo_secret/);
  assert.is((await oo('context add prod https://other.example.com')).code, 0);
  assert.not.match(readFileSync(path, 'utf8'), /oo_secret/, "another server doesn't get it");
  assert.is((await oo('env remove prod')).err, 'Commands go to the server on this machine now.\n');
  assert.is((await oo('context use local')).code, 0);
});

context('which server is meant: flags, then variables, then the selected context', async () => {
  const { oo, place, dir } = user();
  await oo('context add prod https://edge.example.com --token oo_p');
  await oo('context add bare http://10.0.0.5:11337');
  await oo('context add disk /srv/oo');
  await oo('context use prod');
  const local = { stateDir: join(dir, '.local/state/oo') };
  const prod = { url: 'https://edge.example.com', ca: undefined, token: 'oo_p' };
  assert.equal(place(), prod);
  assert.equal(place({}, { OO_STATE_DIR: '/x' }), { stateDir: '/x' });
  assert.equal(place({}, { OO_STATE_DIR: '/x', OO_ENV: 'prod' }), prod);
  assert.equal(place({}, { OO_URL: 'http://u:1', OO_ENV: 'disk', OO_TOKEN: 't' }), { url: 'http://u:1', token: 't' });
  assert.equal(place({ env: 'local' }, { OO_URL: 'http://u:1' }), local);
  assert.equal(place({ env: 'disk' }), { stateDir: '/srv/oo' });
  assert.equal(place({ stateDir: '/y' }, { OO_URL: 'http://u:1' }), { stateDir: '/y' });
  assert.equal(place({ server: 'http://u:2' }), { url: 'http://u:2', token: undefined });
  assert.is((place({ env: 'prod' }, { OO_TOKEN: 'another' }) as typeof prod).token, 'oo_p', 'its own');
  assert.is((place({ env: 'bare' }, { OO_TOKEN: 'another' }) as typeof prod).token, 'another');
  assert.is((place({ env: 'prod', token: 'given' }) as typeof prod).token, 'given');
  assert.throws(() => place({ env: 'prod', server: 'http://u:1' }), /--server and --env are given together/);
  assert.throws(() => place({ env: 'gone' }), /no context 'gone'/);
  assert.throws(() => place({ env: 'disk', token: 't' }), /--token is given without --server/);
});

context('login asks the server before it keeps a token; whoami; logout', async () => {
  const { oo, path } = user();
  const { url, http, asked } = await server('oo_right');
  await oo(`context add there ${url}`);
  const wrong = await oo('login there', 'oo_wrong\n');
  assert.equal([wrong.code, wrong.err], [4, 'oo: There is no such token.\n    Send one.\n']);
  assert.not.match(readFileSync(path, 'utf8'), /oo_wrong/);
  const right = await oo('login there', 'oo_right\n');
  assert.equal([right.code, right.out], [0, 'logged in to there as token:tok_1: routes:read\n']);
  assert.is((await oo('whoami -e there')).out, `token:tok_1 at ${url}: routes:read\n`);
  assert.is(asked.at(-1), 'GET /v1/whoami Bearer oo_right');
  assert.match((await oo('logout there')).out, /forgotten here/);
  assert.not.match(readFileSync(path, 'utf8'), /oo_right/);
  assert.is((await oo('login')).code, 2, 'the local server needs none');
  http.close();
});

for (const [line, message] of [
  ['context add local http://a:1', "oo: 'local' can't be the name of a context."],
  ['context add x/y http://a:1', "oo: 'x/y' can't be the name of a context."],
  ['context add a ftp://a:1', "oo: 'ftp://a:1' is no server."],
  ['context add a http://a:1/path', "oo: 'http://a:1/path' is no server."],
  ['context use gone', "oo: There is no context 'gone'."],
  ['context add a http://bob:hunter2@a:1', "oo: 'http://…@a:1' is no server."],
  ['context add a http://a:1 --token oo_hünter2', 'oo: --token is no token; expected'],
  ['context add a http://a:1 --ca /nonexistent', "oo: --ca is '/nonexistent'"],
] as const)
  context(`refused, exit code 2: oo ${line}`, async () => {
    const { oo } = user();
    const { code, err } = await oo(line);
    assert.is(code, 2, err);
    assert.ok(err.startsWith(message), err);
  });

context('a broken file is said, and nothing is written over it', async () => {
  const { oo, path } = user();
  await oo('context add a http://a:1');
  for (const text of ['{', '[]', '{"contexts":{"a":1}}', '{"contexts":{"a":{"url":5}}}']) {
    writeFileSync(path, text);
    const { code, err } = await oo('context add b http://b:1');
    assert.is(code, 2);
    assert.match(err, /can't be read/);
    assert.is(readFileSync(path, 'utf8'), text);
  }
});

context(
  'a token goes to the server that was named: not where that one sends, nor to another that took its name',
  async () => {
    const asked: string[] = [];
    const { oo, path } = user();
    let answer: (url: string) => [status: number, headers: Record<string, string>];
    const http = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      const [status, headers] = answer(request.url ?? '');
      const who = { actor: 'a', from: '', scopes: ['admin'], slug: null, expiresAt: null };
      response.writeHead(status, headers).end(JSON.stringify(who));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    await oo(`context add there ${url}`);
    answer = () => [302, { location: `${url}/stolen` }];
    const sent = await oo('login there', 'oo_t\n');
    assert.is(sent.code, 1);
    assert.match(sent.err, 'oo: The server sends elsewhere (status 302).');
    assert.equal(asked, ['/v1/whoami Bearer oo_t']);
    answer = () => {
      writeFileSync(path, JSON.stringify({ contexts: { there: { url: 'http://other.test' } } }));
      return [200, {}];
    };
    assert.match((await oo('login there', 'oo_t\n')).err, 'The context there names another server now.');
    assert.not.match(readFileSync(path, 'utf8'), /oo_t/);
    http.close();
  },
);

context.run();
