import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { explained } from '../helpers/explained.ts';
import { reply } from '../helpers/origin.ts';
import { withPair } from '../helpers/proxy.ts';

// What explain says, and what the edge does, of the same request.
const comparing = suite('explain and the edge');
comparing.after.each(cleanUp);

const cases: [name: string, route: Partial<Route>, target: string, fields: Record<string, string>][] = [
  ['a plain one', {}, '/x?y=1', {}],
  [
    'fields that are dropped',
    {},
    '/x',
    { 'X-Forwarded-For': '1.1.1.1', Te: 'gzip', 'X-Real-IP': '1.1.1.1', x_y: '1', Cookie: 'a=1' },
  ],
  ['what Connection names', {}, '/x', { Connection: 'x-hop', 'X-Hop': '1', 'X-Kept': '1' }],
  ['paths that are rewritten', { stripPrefix: '/api', addPrefix: '/v2' }, '/api/users?page=2', {}],
  [
    'fields by rules',
    { requestHeaders: { remove: ['Cookie'], set: { 'X-Client': '{client.ip} {path}' }, add: { 'X-More': '1' } } },
    '/x',
    { Cookie: 'a=1', 'X-Client': 'me' },
  ],
  ['a redirect', { redirect: { to: '/new', status: 302 } }, '/x', {}],
  ['a static answer', { respond: { status: 418, body: 'tea' } }, '/x', {}],
  ['who is kept out', { access: { deny: ['127.0.0.0/8'] } }, '/x', {}],
  ['maintenance', { maintenance: true }, '/x', {}],
  [
    'no password',
    {
      basicAuth: {
        users: { ann: '$scrypt$ln=15,r=8,p=3$c2FsdHNhbHRzYWx0c2FsdA$bm90YXJlYWxoYXNobm90YXJlYWxoYXNobm90YXJlYWw' },
      },
    },
    '/x',
    {},
  ],
  ['a stopped route', { rollout: { gate: { state: 'stopped' } } }, '/x', {}],
  ['dot segments', {}, '/a/..%2fb', {}],
  ['what cannot be told how to strip', { stripPrefix: '/api' }, '/api%2Fx', {}],
  ['what would be left as a host', { stripPrefix: '/api' }, '/api//evil.test', {}],
];
for (const [name, route, target, fields] of cases) {
  comparing(`${name}: ${target}`, () =>
    withPair(
      { request: () => reply('ok') },
      async ({ port, origin }) => {
        const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
        const close = 'Connection' in fields ? '' : 'Connection: close\r\n';
        const got = await ask(port, `GET ${target} HTTP/1.1\r\nHost: app.test\r\n${close}${lines.join('')}\r\n`);
        const { ask: explain } = await explained({
          routes: [{ id: '*', target: origin.target, ...route }],
          server: { http: port, https: 0 },
        });
        const headers = { ...('Connection' in fields ? {} : { Connection: 'close' }), ...fields };
        const told = await explain({
          url: `http://app.test:${port}${target}`,
          headers: { host: 'app.test', ...headers },
        });
        if (told.upstream === null) {
          assert.is(origin.requests.length, 0, 'it was not forwarded');
          assert.is(told.outcome.status, got.status);
          if (told.outcome.code !== '') assert.match(got.text, told.outcome.code);
          return;
        }
        assert.is(got.status, 200);
        const [request] = origin.requests;
        const { upstream } = told;
        assert.is(request.line, `GET ${upstream.target} HTTP/1.1`);
        for (const { name, value } of upstream.put) assert.ok(request.get(name)?.includes(value), `${name}: ${value}`);
        const put = new Set(upstream.put.map(({ name }) => name.toLowerCase()));
        for (const { name, value } of upstream.added)
          assert.is(request.get(name), name === 'X-Forwarded-Port' ? String(port) : value, name);
        const ours = new Set([...upstream.added.map(({ name }) => name.toLowerCase()), ...put]);
        for (const name of [...upstream.removed, ...upstream.dropped.map(({ name }) => name)])
          if (!ours.has(name)) assert.is(request.get(name), undefined, `${name} is dropped`);
        const gone = new Set([...upstream.removed, ...upstream.dropped.map(({ name }) => name)]);
        for (const [name, value] of Object.entries(fields))
          if (!gone.has(name.toLowerCase())) assert.is(request.get(name), value, `${name} is kept`);
      },
      { route },
    ),
  );
}

comparing.run();
