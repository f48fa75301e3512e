import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import type { EdgeSettings } from '../../src/edge/settings.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import type { Message } from '../helpers/message.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep } from '../helpers/wait.ts';

const redirect = suite('plain HTTP where HTTPS is served');
redirect.after.each(cleanUp);

const challenge = { type: 'http-01', name: 'app.test', token: 'tok_en-1', content: 'tok_en-1.thumb' } as const;
const wellKnown = '/.well-known/acme-challenge/';

/** An edge whose HTTPS is on port 8443, with routes to one origin. */
async function start(routes: Partial<Route>[], settings: Partial<EdgeSettings> & { logAccess?: boolean } = {}) {
  const origin = await startOrigin((message) => reply(`origin saw ${message.line}`));
  const all = routes.map((route) => ({ id: 'app.test', target: origin.target, ...route }));
  const edge = await startEdge(all, { https: { port: 8443 }, ...settings });
  const get = (path: string, { host = `app.test:${edge.port}`, method = 'GET', fields = '', body = '' } = {}) =>
    ask(edge.port, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n${body}`);
  return { origin, get, ...edge };
}

const field = (message: Message, name: string) =>
  message.fields.find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1];

redirect('a host that has a route is led to https, path and query as they were', async () => {
  const { get, origin } = await start([{}]);
  const answer = await get('/a/b?c=d&e=%20');
  assert.is(answer.status, 301);
  assert.is(field(answer, 'Location'), 'https://app.test:8443/a/b?c=d&e=%20');
  assert.is(answer.body.length, 0);
  assert.is(origin.requests.length, 0);
});

for (const [method, status] of [
  ['GET', 301],
  ['HEAD', 301],
  ['POST', 308],
  ['PUT', 308],
  ['OPTIONS', 308],
] as const) {
  redirect(`${method} is answered ${status}`, async () => {
    const { get } = await start([{}]);
    assert.is((await get('/', { method })).status, status);
  });
}

redirect('a body is not waited for, and not taken for a request', async () => {
  const { port } = await start([{}]);
  const smuggled = 'GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n';
  const client = connect(port).send(`POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000\r\n\r\n${smuggled}`);
  assert.is((await client.response()).status, 308);
  await client.gone();
  assert.is(client.bytes.length, 0);
});

redirect('the connection carries on: a redirect, then another', async () => {
  const { port } = await start([{}]);
  const client = connect(port);
  for (let i = 0; i < 3; i++) {
    client.send(`GET /${i} HTTP/1.1\r\nHost: app.test:${port}\r\n\r\n`);
    assert.is(field(await client.response(), 'Location'), `https://app.test:8443/${i}`);
  }
});

const ports: [name: string, host: (port: number) => string, https: number, expected: string][] = [
  ['port 443 is not said', (port) => `app.test:${port}`, 443, 'https://app.test/'],
  ['another port is said', (port) => `app.test:${port}`, 8443, 'https://app.test:8443/'],
  ['a client that came by port 80 was mapped here, and so will be 443', () => 'app.test', 8443, 'https://app.test/'],
  ['likewise where it says so', () => 'app.test:80', 8443, 'https://app.test/'],
  ['the host comes in its normal form', (port) => `APP.test.:${port}`, 8443, 'https://app.test:8443/'],
];
for (const [name, host, https, expected] of ports) {
  redirect(name, async () => {
    const { get, port } = await start([{}], { https: { port: https } });
    assert.is(field(await get('/', { host: host(port) }), 'Location'), expected);
  });
}

redirect('a path that has no route of its own is led to https, too: the host has one', async () => {
  const { get } = await start([{ id: 'app.test/api' }]);
  assert.is((await get('/other')).status, 301);
});

redirect('a host without a route is not found', async () => {
  const { get } = await start([{}]);
  assert.is((await get('/', { host: 'other.test' })).status, 404);
});

redirect('http: allow is forwarded', async () => {
  const { get, origin } = await start([{ http: 'allow' }]);
  const answer = await get('/x');
  assert.is(answer.status, 200);
  assert.match(origin.requests[0].head, /X-Forwarded-Proto: http\r\n/);
});

redirect('where routes of one host differ, the path tells', async () => {
  const { get } = await start([{}, { id: 'app.test/open', http: 'allow' }]);
  assert.is((await get('/open/x')).status, 200);
  assert.is((await get('/opener')).status, 301);
});

redirect('without HTTPS nothing is led away', async () => {
  const { get } = await start([{}], { https: null });
  assert.is((await get('/')).status, 200);
  assert.match((await get(`${wellKnown}x`)).text, /origin saw/);
});

redirect('an absolute target is led to its own host', async () => {
  const { get } = await start([{}]);
  const answer = await get('http://app.test:1234?a=b', { host: 'x.test' });
  assert.is(answer.status, 301);
  assert.is(field(answer, 'Location'), 'https://app.test:8443/?a=b');
});

redirect('an absolute target of https is misdirected here', async () => {
  const { get } = await start([{}, { id: 'open.test', http: 'allow' }]);
  assert.is((await get('https://app.test/')).status, 421);
  assert.is((await get('https://open.test/')).status, 421);
  const plain = await start([{}], { https: null });
  assert.is((await plain.get('https://app.test/')).status, 421);
});

redirect('HTTP/1.0 without Host has nowhere to be led to', async () => {
  const { port } = await start([{ id: '*' }]);
  assert.is((await ask(port, 'GET / HTTP/1.0\r\n\r\n')).status, 404);
});

redirect('a path of several readings is refused, not led on', async () => {
  const { get } = await start([{}]);
  assert.is((await get('/a/../b')).status, 400);
});

redirect('what means something to others than a browser is escaped [attack 27]', async () => {
  const { get } = await start([{}]);
  const answer = await get(`/"<script>'|^{}\`?"<>'`);
  assert.is(answer.status, 301);
  assert.is(field(answer, 'Location'), 'https://app.test:8443/%22%3Cscript%3E%27%7C%5E%7B%7D%60?%22%3C%3E%27');
  for (const target of ['/%0d%0aSet-Cookie:%20a=b', '/a%0D%0A%0D%0A']) {
    const sent = await get(target);
    assert.is(field(sent, 'Location'), `https://app.test:8443${target}`);
    assert.is(field(sent, 'Set-Cookie'), undefined);
  }
});

redirect('a path of two slashes stays on the host', async () => {
  const { get } = await start([{}]);
  const answer = await get('//evil.test/x');
  if (answer.status === 301) assert.is(field(answer, 'Location'), 'https://app.test:8443//evil.test/x');
  else assert.is(answer.status, 400);
});

redirect('a trusted proxy that took the request over TLS is not led round in circles', async () => {
  const { get } = await start([{}], { trustedProxies: ['127.0.0.1'] });
  assert.is((await get('/', { fields: 'X-Forwarded-Proto: https\r\n' })).status, 200);
  assert.is((await get('/', { fields: 'X-Forwarded-Proto: http\r\n' })).status, 301);
  assert.is((await get('/')).status, 301);
});

redirect('a stranger that claims the same is', async () => {
  const { get } = await start([{}]);
  assert.is((await get('/', { fields: 'X-Forwarded-Proto: https\r\n' })).status, 301);
});

redirect('no HSTS over plain HTTP', async () => {
  const { get } = await start([
    { hsts: true, http: 'allow' },
    { id: 'b.test', hsts: true },
  ]);
  assert.is(field(await get('/'), 'Strict-Transport-Security'), undefined);
  assert.is(field(await get('/', { host: 'b.test' }), 'Strict-Transport-Security'), undefined);
});

redirect('the access log has it with its route', async () => {
  const { get, access } = await start([{}], { logAccess: true });
  await get('/x');
  const line = JSON.parse(access[0]);
  assert.is(line.status, 301);
  assert.is(line.route, 'app.test');
});

// ---- challenges

redirect('a challenge is answered for any host, before anything else', async () => {
  const { get, edge } = await start([{ http: 'allow' }]);
  edge.challenges.save([challenge]);
  for (const host of ['app.test', 'nobody.test', '127.0.0.1']) {
    const answer = await get(`${wellKnown}tok_en-1`, { host });
    assert.is(answer.status, 200);
    assert.is(answer.text, 'tok_en-1.thumb');
    assert.match(String(field(answer, 'Content-Type')), /^text\/plain/);
  }
  const head = await get(`${wellKnown}tok_en-1`, { method: 'HEAD' });
  assert.is(head.status, 200);
  assert.is(field(head, 'Content-Length'), '14');
});

redirect('an unknown token is not found, not led to https', async () => {
  const { get } = await start([{}]);
  assert.is((await get(`${wellKnown}nothing`)).status, 404);
  assert.is((await get(`${wellKnown}nothing`, { host: 'nobody.test' })).status, 404);
  assert.is((await get(`${wellKnown}tok`, { method: 'POST' })).status, 404);
});

redirect('an unknown token of a route that allows http is the upstream’s', async () => {
  const { get } = await start([{ http: 'allow' }]);
  assert.match((await get(`${wellKnown}theirs`)).text, /origin saw/);
});

for (const path of [
  '',
  '../x',
  '../../etc/passwd',
  '..%2fx',
  '%2e%2e/x',
  'a/b',
  'a.b',
  'a;b',
  'a//',
  './a',
  'a\\b',
  'x'.repeat(257),
]) {
  redirect(`${wellKnown}${path.slice(0, 20)} is nobody's [attack 42]`, async () => {
    for (const http of ['allow', 'redirect'] as const) {
      const { get, origin } = await start([{ http }]);
      assert.is((await get(`${wellKnown}${path}`)).status, 404);
      assert.is(origin.requests.length, 0);
    }
  });
}

redirect('a challenge of another server is asked for', async () => {
  const { get, edge } = await start([{}]);
  const questions: unknown[] = [];
  edge.ask = async (question) => {
    questions.push(question);
    await sleep(30);
    edge.challenges.save([challenge]);
    return true;
  };
  const answer = await get(`${wellKnown}tok_en-1`);
  assert.is(answer.status, 200);
  assert.is(answer.text, 'tok_en-1.thumb');
  assert.equal(questions, [{ what: 'http-01', token: 'tok_en-1' }]);
});

redirect('what comes behind such a request waits its turn', async () => {
  const { port, edge } = await start([{}]);
  edge.ask = async () => {
    await sleep(30);
    return false;
  };
  const client = connect(port).send(
    `GET ${wellKnown}a HTTP/1.1\r\nHost: app.test\r\n\r\nGET /second HTTP/1.1\r\nHost: app.test\r\n\r\nGET /third HT`,
  );
  await sleep(10);
  client.send('TP/1.1\r\nHost: app.test\r\n\r\n');
  assert.is((await client.response()).status, 404);
  assert.is(field(await client.response(), 'Location'), 'https://app.test/second');
  assert.is(field(await client.response(), 'Location'), 'https://app.test/third');
});

redirect('one that is not found after all is forwarded where http is allowed, and else is not', async () => {
  const { get, edge } = await start([{ http: 'allow' }, { id: 'b.test' }]);
  edge.ask = () => Promise.reject(new Error('gone'));
  assert.match((await get(`${wellKnown}theirs`)).text, /origin saw GET .*theirs/);
  assert.is((await get(`${wellKnown}theirs`, { host: 'b.test' })).status, 404);
});

redirect('a client that leaves while its challenge is asked for harms nobody', async () => {
  const { port, edge, get } = await start([{}]);
  edge.ask = async () => {
    await sleep(30);
    return true;
  };
  connect(port).send(`GET ${wellKnown}a HTTP/1.1\r\nHost: app.test\r\n\r\n`).close();
  assert.is((await get('/')).status, 301);
  await sleep(50);
  assert.is((await get('/')).status, 301);
});

redirect.run();
