import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocketServer } from 'ws';
import { cleanUp } from '../helpers/cleanup.ts';
import { type Browser, startChromium } from './chromium.ts';
import { freePort, type Server, serve } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const page = `<!doctype html><title>app</title><script>
function socket() {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket('ws://' + location.host + '/socket');
    const got = [];
    ws.onopen = () => ws.send('one');
    ws.onmessage = ({ data }) => {
      got.push(data);
      if (got.length === 1) ws.send('two'.repeat(50000));
      if (got.length === 2) ws.close(4000, 'done');
    };
    ws.onclose = ({ code, reason }) => resolve({ got, code, reason, extensions: ws.extensions });
    ws.onerror = () => reject(new Error('WebSocket failed'));
  });
}
function events() {
  return new Promise((resolve) => {
    const source = new EventSource('/events');
    const got = [];
    source.onmessage = ({ data, lastEventId }) => {
      got.push({ data, id: lastEventId });
      fetch('/next');
      if (got.length === 3) { source.close(); resolve(got); }
    };
  });
}
async function post() {
  const sent = new Uint8Array(1024 * 1024).map((_, i) => i * 7);
  const response = await fetch('/echo', { method: 'POST', body: sent });
  const back = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, same: back.length === sent.length && back.every((byte, i) => byte === sent[i]) };
}
</script><h1>It works</h1>`;

const browsing = suite('a browser');

let chromium: Browser;
let server: Server;
let app: Upstream;
let sockets: WebSocketServer;

browsing.before(async () => {
  let next = () => {};
  app = await startUpstream(async (request, response) => {
    if (request.url === '/echo') return void request.pipe(response);
    if (request.url === '/next') {
      next();
      return void response.end();
    }
    if (request.url !== '/events') return void response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    // Each event leaves when the one before it has come, so none may be held back.
    for (let n = 1; n <= 3; n++) {
      const seen = new Promise<void>((resolve) => (next = resolve));
      response.write(`id: ${n}\ndata: event ${n}\n\n`);
      await seen;
    }
  });
  sockets = new WebSocketServer({ server: app.server, path: '/socket', perMessageDeflate: { threshold: 0 } });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
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
