import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WebSocketServer } from 'ws';
import { cleanUp } from '../helpers/cleanup.ts';
import type { Pebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { startBrowserApp } from './browser-app.ts';
import { type Browser, startChromium } from './chromium.ts';
import { fetched, newHost, serveWithPebble } from './https.ts';
import type { Server } from './oo.ts';
import type { Upstream } from './upstream.ts';

const browsing = suite('a browser, over HTTPS and HTTP/2');

let chromium: Browser;
let pebble: Pebble;
let server: Server;
let app: Upstream;
let sockets: WebSocketServer;
const host = newHost();

browsing.before(async () => {
  ({ app, sockets } = await startBrowserApp());
  let caFile: string;
  ({ pebble, server, caFile } = await serveWithPebble());
  await server.ok('route', 'save', '--id', host, '--target', app.target);
  await fetched(`https://${host}/`, server.httpsPort, caFile);
  chromium = await startChromium({
    flags: [`--host-resolver-rules=MAP ${host} 127.0.0.1`],
    home: homeThatTrusts(caFile),
  });
});

browsing.after(async () => {
  await chromium.close();
  sockets.close();
  const { code } = await server.stop().finally(cleanUp);
  pebble.close();
  assert.is(code, 0);
});

/** A home directory with a root in the store that Chromium reads: no warning is to be clicked away. */
function homeThatTrusts(caFile: string): string {
  const home = temporary();
  const store = join(home, '.pki/nssdb');
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', `sql:${store}`, '-A', '-t', 'C,,', '-n', 'test root', '-i', caFile]);
  return home;
}

browsing('opens a page by HTTP/2, with a certificate that it trusts', async () => {
  await chromium.open(`https://${host}:${server.httpsPort}/`);
  const [title, protocol, secure] = await chromium.evaluate<string[]>(
    `[document.querySelector('h1').textContent, performance.getEntriesByType('navigation')[0].nextHopProtocol, isSecureContext]`,
  );
  assert.equal([title, protocol, secure], ['It works', 'h2', true]);
});

browsing('opens a WebSocket on the same connection, by extended CONNECT', async () => {
  const answered = chromium.networkEvent('webSocketHandshakeResponseReceived');
  const socket = await chromium.evaluate<{ got: string[]; code: number; reason: string; extensions: string }>(
    'socket()',
  );
  assert.equal(socket.got, ['echo one', `echo ${'two'.repeat(50_000)}`]);
  assert.equal([socket.code, socket.reason], [4000, 'done']);
  assert.match(socket.extensions, 'permessage-deflate');
  // RFC 8441: HTTP/2 answers 200 where HTTP/1.1 answers 101.
  assert.is((await answered).response.status, 200);
});

browsing('an EventSource gets each event when it is sent, and a POST comes back byte for byte', async () => {
  assert.equal(await chromium.evaluate('events()'), [
    { data: 'event 1', id: '1' },
    { data: 'event 2', id: '2' },
    { data: 'event 3', id: '3' },
  ]);
  assert.equal(await chromium.evaluate('post()'), { status: 200, same: true });
});

browsing.run();
