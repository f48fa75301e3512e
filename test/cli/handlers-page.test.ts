import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { failures } from '../../src/core/failure.ts';
import { compileHandler, defaultHandlerMemoryMb, defaultHandlerTimeoutMs } from '../../src/core/option-handler.ts';
import { createProxy } from '../../src/index.ts';
import { temporary } from '../helpers/temporary.ts';

const page = suite('docs/handlers.md');
const text = readFileSync(new URL('../../docs/handlers.md', import.meta.url), 'utf8');
const dir = temporary();

/** The page's files, by the name in their first line. */
const files = new Map([...text.matchAll(/^```js\n\/\/ (\S+)\n([\s\S]*?)^```/gm)].map(([, name, code]) => [name, code]));
for (const [name, code] of files) writeFileSync(join(dir, name), code);

/** A proxy with one of its handlers, before an upstream that says what it was asked. */
async function proxyWith(name: string, upstream: (request: Request) => Response, env: object = {}) {
  const handler = (await import(pathToFileURL(join(dir, name)).href)).default;
  const proxy = createProxy({
    routes: [{ id: '*', target: 'http://10.0.0.2:3000', handler: `./${name}` }],
    handlers: { [`./${name}`]: handler },
    fetch: (async (input: Request | string | URL, init?: RequestInit) =>
      upstream(new Request(input, init))) as typeof fetch,
  });
  return (path: string, headers: Record<string, string> = {}) =>
    proxy.fetch(new Request(`https://app.example.com${path}`, { headers }), env);
}

page('its files are modules with a default function, and small enough', async () => {
  assert.equal([...files.keys()], ['hello.mjs', 'auth.mjs', 'variant.mjs', 'public.mjs', 'hello.test.mjs']);
  for (const [name, code] of files) {
    const said: string[] = [];
    compileHandler({ file: name, source: code }, (message) => said.push(message));
    assert.equal(said, [], name);
    if (!name.includes('.test.')) assert.type((await import(pathToFileURL(join(dir, name)).href)).default, 'function');
  }
});

page('the first one', async () => {
  const ask = await proxyWith('hello.mjs', () => new Response('from upstream'));
  assert.is(await (await ask('/hello')).text(), 'hello\n');
  const other = await ask('/x');
  assert.equal([await other.text(), other.headers.get('x-route')], ['from upstream', '*']);
});

page('who may come in', async () => {
  const ask = await proxyWith('auth.mjs', (request) => new Response(request.headers.get('x-user')), {
    SIGNING_KEY: 'k',
  });
  const session = (user: string, until: number, key = 'k') =>
    `a=1; session=${user}.${until}.${createHmac('sha256', key).update(`${user}.${until}`).digest('hex')}`;
  const later = Math.floor(Date.now() / 1000) + 60;
  for (const cookie of ['', 'session=ann', session('ann', later, 'other'), session('ann', later - 120)]) {
    const refused = await ask('/a b', { cookie, 'x-user': 'root' });
    assert.equal([refused.status, refused.headers.get('location')], [303, '/login?to=%2Fa%2520b'], cookie);
  }
  const let_in = await ask('/', { cookie: session('ann', later), 'x-user': 'root' });
  assert.is(await let_in.text(), 'ann');
});

page('an A/B test', async () => {
  const ask = await proxyWith('variant.mjs', (request) => new Response(request.headers.get('x-variant')));
  const first = await ask('/');
  const variant = await first.text();
  assert.match(variant, /^[ab]$/);
  assert.match(first.headers.get('set-cookie') ?? '', new RegExp(`^variant=${variant};`));
  for (const known of ['a', 'b']) {
    const again = await ask('/', { cookie: `x=1; variant=${known}`, 'x-variant': 'z' });
    assert.equal(
      [await again.text(), again.headers.get('set-cookie'), again.headers.get('vary')],
      [known, null, 'cookie'],
    );
  }
});

page('JSON without what is not for everybody', async () => {
  const users = [{ name: 'ann', email: 'a@example.com', more: { passwordHash: 'x' } }];
  const ask = await proxyWith('public.mjs', (request) =>
    new URL(request.url).pathname === '/users'
      ? Response.json(users, { headers: { etag: '"1"', 'content-length': '999' } })
      : new Response('email'),
  );
  const answer = await ask('/users');
  assert.equal(await answer.json(), [{ name: 'ann', more: {} }]);
  assert.is(answer.headers.get('etag'), null);
  assert.is(await (await ask('/')).text(), 'email');
});

page('its test passes', () => {
  execFileSync(process.execPath, ['--test', join(dir, 'hello.test.mjs')], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    timeout: 60_000,
  });
});

page('defaults and codes are those of the program', () => {
  assert.match(text, new RegExp(`^\\| \`timeoutMs\` .*\\| ${defaultHandlerTimeoutMs} \\|$`, 'm'));
  assert.match(text, new RegExp(`^\\| \`memoryMb\` .*\\| ${defaultHandlerMemoryMb} \\|$`, 'm'));
  const codes = [...text.matchAll(/(\d{3}) `(OO_HANDLER_\w+)`/g)];
  assert.ok(codes.length >= 4);
  for (const [, status, code] of codes) assert.is(failures[code as 'OO_HANDLER_FAILED'].status, Number(status));
  for (const [, yaml] of text.matchAll(/^```yaml\n([\s\S]*?)^```/gm))
    assert.ok(files.has(parse(yaml).handler.slice(2)));
});

page.run();
