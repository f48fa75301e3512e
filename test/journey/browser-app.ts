import { WebSocketServer } from 'ws';
import { startUpstream, type Upstream } from './upstream.ts';

const page = `<!doctype html><title>app</title><script>
function socket() {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(location.protocol.replace('http', 'ws') + '//' + location.host + '/socket');
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

/** An app whose page has `socket()`, `events()` and `post()`, which try what a browser does beside loading pages. */
export async function startBrowserApp(): Promise<{ app: Upstream; sockets: WebSocketServer }> {
  let next = () => {};
  const app = await startUpstream(async (request, response) => {
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
  const sockets = new WebSocketServer({ server: app.server, path: '/socket', perMessageDeflate: { threshold: 0 } });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
  return { app, sockets };
}
