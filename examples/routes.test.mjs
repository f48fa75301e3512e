// What your routes do, tested without a network: `fetch` is yours. With vitest, take `test` and `expect` from there.
// Try it: npm i -D @oo/proxy hono && node --test routes.test.mjs
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProxy, routeOptions } from '@oo/proxy';

const routes = [
  { id: 'shop.example.com', target: ['http://10.0.0.2:3000', 'http://10.0.0.3:3000'] },
  { id: 'shop.example.com/api', target: 'http://10.0.0.4:3000', stripPrefix: true },
  { id: 'www.shop.example.com', redirect: 'https://shop.example.com' },
];

function proxyWith(answer) {
  const asked = [];
  const fetch = async (url, init) => {
    asked.push(`${init.method} ${url}`);
    return answer(new URL(url));
  };
  // Chance and time are yours as well.
  return { asked, ...createProxy({ routes, options: routeOptions, fetch, random: () => 0, now: () => 0 }) };
}

test('the longest prefix wins, and is stripped', async () => {
  const proxy = proxyWith(() => new Response('ok'));
  await proxy.fetch(new Request('http://shop.example.com/api/items?page=2'));
  assert.deepEqual(proxy.asked, ['GET http://10.0.0.4:3000/items?page=2']);
});

test('a dead instance is not noticed by who reads', async () => {
  const dead = Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
  const proxy = proxyWith(({ host }) => {
    if (host === '10.0.0.2:3000') throw dead;
    return new Response('from the other one');
  });
  for (let i = 0; i < 4; i++) {
    const response = await proxy.fetch(new Request('http://shop.example.com/'));
    assert.equal(await response.text(), 'from the other one');
  }
});

test('explain says why', () => {
  const { lines } = proxyWith(() => new Response()).explain(new Request('http://www.shop.example.com/'));
  assert.match(lines.join('\n'), /redirect/);
});
