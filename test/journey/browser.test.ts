import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WebSocketServer } from 'ws';
import { cleanUp } from '../helpers/cleanup.ts';
import { startBrowserApp } from './browser-app.ts';
import { type Browser, startChromium } from './chromium.ts';
import { freePort, type Server, serve } from './oo.ts';
import type { Upstream } from './upstream.ts';

const browsing = suite('a browser');

let chromium: Browser;
let server: Server;
let app: Upstream;
let sockets: WebSocketServer;

browsing.before(async () => {
  ({ app, sockets } = await startBrowserApp());
  server = await serve();
  await server.ok('route', 'save', '--id', 'localhost', '--target', app.target);
  await server.ok('route', 'save', '--id', 'down.localhost', '--target', `127.0.0.1:${await freePort()}`);
  chromium = await startChromium();
});

browsing.after(async () => {
  await chromium.close();
  sockets.close();
  const { code } = await server.stop().finally(cleanUp);
  assert.is(code, 0);
});

browsing('opens a page, a WebSocket and an EventSource through it', async () => {
  await chromium.open(`http://localhost:${server.port}/`);
  assert.is(await chromium.evaluate('document.querySelector("h1").textContent'), 'It works');

  const socket = await chromium.evaluate<{ got: string[]; code: number; reason: string; extensions: string }>(
    'socket()',
  );
  assert.equal(socket.got, ['echo one', `echo ${'two'.repeat(50_000)}`]);
  assert.equal([socket.code, socket.reason], [4000, 'done']);
  assert.match(socket.extensions, 'permessage-deflate');

  assert.equal(await chromium.evaluate('events()'), [
    { data: 'event 1', id: '1' },
    { data: 'event 2', id: '2' },
    { data: 'event 3', id: '3' },
  ]);

  assert.equal(await chromium.evaluate('post()'), { status: 200, same: true });
});

for (const [what, host, code, status] of [
  ['a host without a route', 'unknown.localhost', 'OO_NO_ROUTE', 404],
  ['an app that is down', 'down.localhost', 'OO_', 502],
] as const) {
  browsing(`shows a page of its own for ${what}`, async () => {
    await chromium.open(`http://${host}:${server.port}/some/page`);
    const shown = await chromium.evaluate<{ type: string; text: string; title: string; status: number }>(`({
      type: document.contentType, text: document.body.innerText, title: document.title,
      status: performance.getEntriesByType('navigation')[0].responseStatus })`);
    assert.is(shown.type, 'text/html');
    assert.is(shown.status, status);
    assert.match(shown.text, code);
    assert.ok(shown.title.length > 0);
    // A request id, to tell to who runs it.
    assert.match(shown.text, /[0-9a-f]{8}-[0-9a-f]{4}-/);
    assert.not.match(shown.text, '127.0.0.1');
  });
}

browsing.run();
