import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startServicePort } from '../helpers/service-port.ts';

const service = suite('service port');
service.after.each(cleanUp);

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:11337\r\n${fields}\r\n`;

service('the first segment names the service, and the path stays as it is', async () => {
  const users = await startOrigin(echoLine);
  const carts = await startOrigin(({ line }) => reply(`carts ${line}`));
  const { port, access } = await startServicePort({ 'user-svc': [users.target], 'cart-svc': [carts.target] });
  const paths = [
    '/user-svc',
    '/user-svc/',
    '/user-svc/login',
    '/user-svc?a=b/../c&d=%2F',
    '/user-svc/a//b/',
    '/user-svc/v1',
  ];
  paths.push(
    '/user-svc/%2F%3F%20',
    '/user-svc/a%2fb;c=d?e#'.slice(0, -1),
    '/user-svc/cart-svc/x',
    '/user-svc/%252e%252e',
  );
  for (const path of paths) assert.is((await ask(port, get(path))).text, `GET ${path} HTTP/1.1`, path);
  assert.is((await ask(port, get('/cart-svc/user-svc'))).text, 'carts GET /cart-svc/user-svc HTTP/1.1');
  assert.is(carts.requests.length, 1);
  const line = JSON.parse(access[0]) as Record<string, unknown>;
  assert.is(line.route, 'service user-svc');
  assert.match(String(line.instance), /^http:\/\/127\.0\.0\.1:\d+/);
});

service("an instance's own path is put before the request's", async () => {
  const origin = await startOrigin(echoLine);
  const { port } = await startServicePort({ 'user-svc': [`${origin.target}/base/v2`] });
  assert.is((await ask(port, get('/user-svc/a%2Fb?x=/y'))).text, 'GET /base/v2/user-svc/a%2Fb?x=/y HTTP/1.1');
  assert.is((await ask(port, get('/user-svc?x'))).text, 'GET /base/v2/user-svc?x HTTP/1.1');
});

service('any host is served; what is no host is refused', async () => {
  const origin = await startOrigin(echoLine);
  const { port } = await startServicePort({ 'user-svc': [origin.target] });
  const of = (host: string) => `GET /user-svc HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  for (const host of ['localhost', '127.0.0.1:11337', '[::1]:11337', 'oo.internal', 'A.TEST'])
    assert.is((await ask(port, of(host))).status, 200, host);
  const seen = origin.requests.length;
  for (const host of ['', 'a b', 'a@b', 'a/b', 'a_b:x', '[::1'])
    assert.is((await ask(port, of(host))).get('x-oo-code'), 'OO_BAD_HOST', host);
  assert.is((await ask(port, 'GET /user-svc HTTP/1.1\r\n\r\n')).get('x-oo-code'), 'OO_BAD_HOST');
  assert.is((await ask(port, 'GET /v1/x HTTP/1.1\r\nHost: a b\r\n\r\n')).get('x-oo-code'), 'OO_BAD_HOST');
  assert.is(origin.requests.length, seen);
  assert.is((await ask(port, 'GET /user-svc HTTP/1.0\r\n\r\n')).status, 200);
});

service('several hosts and services on one connection', async () => {
  const origin = await startOrigin(({ line, get }) => reply(`${get('host')} ${line}`));
  const { port } = await startServicePort({ a: [origin.target], b: [origin.target] });
  const client = connect(port);
  const pairs = [
    ['x.test', '/a/1'],
    ['y.test', '/b/2'],
    ['x.test', '/b/3'],
    ['x.test', '/a/4'],
  ];
  for (const [host, path] of pairs) {
    client.send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    assert.is((await client.response()).text, `${host} GET ${path} HTTP/1.1`);
  }
  client.send('GET /a HTTP/1.1\r\nHost: x y\r\n\r\n');
  assert.is((await client.response()).status, 400);
});

service('an unknown service is named, as text, JSON and a page', async () => {
  const origin = await startOrigin(echoLine);
  const { port, edge } = await startServicePort({ 'user-svc': [origin.target] });
  const text = await ask(port, get('/cart-svc/x'));
  assert.is(text.status, 404);
  assert.match(text.text, /^404 Not found: No service 'cart-svc' is registered\. \(OO_NO_SERVICE, request /);
  const json = await ask(port, get('/cart-svc?x=1', 'Accept: application/json\r\n'));
  const { error, code } = JSON.parse(json.text) as Record<string, string>;
  assert.equal({ error, code }, { error: "No service 'cart-svc' is registered.", code: 'OO_NO_SERVICE' });
  const page = await ask(port, get('/<b>/x', 'Accept: text/html\r\n'));
  assert.is(page.status, 404);
  assert.match(page.text, 'No service &#39;&#60;b&#62;&#39; is registered.');
  for (const slug of [
    'USER-SVC',
    'user-svcs',
    'user',
    'user-svc.',
    'user_svc',
    'constructor',
    '__proto__',
    'user-svc:80',
  ])
    assert.is((await ask(port, get(`/${slug}/x`))).get('x-oo-code'), 'OO_NO_SERVICE', slug);
  assert.is(origin.text, '');
  assert.is(edge.upstreams.size, 0);
});

service('a service comes, changes and goes while its clients stay', async () => {
  const first = await startOrigin(() => reply('first'));
  const second = await startOrigin(() => reply('second'));
  const edge = await startServicePort();
  const client = connect(edge.port);
  const next = async () => {
    client.send(get('/user-svc'));
    const answer = await client.response();
    return answer.status === 200 ? answer.text : answer.get('x-oo-code');
  };
  assert.is(await next(), 'OO_NO_SERVICE');
  edge.save('user-svc', [first.target]);
  assert.is(await next(), 'first');
  edge.save('user-svc', [second.target]);
  assert.is(await next(), 'second');
  edge.save('user-svc', []);
  assert.is(await next(), 'OO_NO_INSTANCE');
  edge.remove('user-svc');
  assert.is(await next(), 'OO_NO_SERVICE');
});

service('X-Forwarded-* say what is so, whatever the client says', async () => {
  const origin = await startOrigin(() => reply('ok'));
  const { port } = await startServicePort({ 'user-svc': [origin.target] });
  const lies =
    'X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nForwarded: for=1.2.3.4\r\n';
  await ask(
    port,
    `GET /user-svc HTTP/1.1\r\nHost: oo.test:11337\r\n${lies}X-Forwarded-Prefix: /x\r\nX_Real_IP: 1\r\n\r\n`,
  );
  await ask(port, 'GET /user-svc HTTP/1.1\r\nHost: oo.test\r\n\r\n');
  const [named, plain] = origin.requests;
  const names = ['host', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-real-ip'];
  assert.equal(
    names.map((name) => named.get(name)),
    ['oo.test:11337', '127.0.0.1', 'http', 'oo.test:11337', '11337', '127.0.0.1'],
  );
  assert.is(named.get('via'), '1.1 oo');
  for (const name of ['forwarded', 'x-forwarded-prefix', 'x_real_ip']) assert.is(named.get(name), undefined, name);
  assert.is(plain.get('x-forwarded-port'), String(port));
});

service('redirects are passed on, not followed', async () => {
  const origin = await startOrigin(() => reply('', 'Location: /user-svc/elsewhere%2F?x=%3F\r\n', '302 Found'));
  const { port } = await startServicePort({ 'user-svc': [origin.target] });
  const answer = await ask(port, get('/user-svc/here'));
  assert.is(answer.status, 302);
  assert.is(answer.get('location'), '/user-svc/elsewhere%2F?x=%3F');
  assert.is(origin.requests.length, 1);
});

service('what is not safe to send again is sent once', async () => {
  const origin = await startOrigin((_, { socket }) => void socket.destroy());
  const { port, errors } = await startServicePort({ 'user-svc': [origin.target] });
  const answer = await ask(port, 'POST /user-svc/pay HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\n{}');
  assert.is(answer.status, 502);
  assert.is(origin.requests.length, 1);
  assert.match(
    errors[0],
    /^502 OO_UPSTREAM_CLOSED route=service user-svc instance=http:\/\/127\.0\.0\.1:\d+.* client=127\.0\.0\.1/,
  );
});

service('HTTPS that is served beside it leads nobody away from here', async () => {
  const origin = await startOrigin(echoLine);
  const { port } = await startServicePort({ 'user-svc': [origin.target] }, { https: { port: 0, host: '127.0.0.1' } });
  assert.is((await ask(port, get('/user-svc/x'))).text, 'GET /user-svc/x HTTP/1.1');
  assert.is((await ask(port, get('/.well-known/acme-challenge/x'))).get('x-oo-code'), 'OO_NO_SERVICE');
});

service('the edge knows no services: its port has routes only', async () => {
  const origin = await startOrigin(echoLine);
  const { edge } = await startServicePort({ 'user-svc': [origin.target] });
  const port = await edge.listen({ port: 0, host: '127.0.0.1' }, false);
  for (const path of ['/user-svc/x', '/v1/routes', '/'])
    assert.is((await ask(port, get(path))).get('x-oo-code'), 'OO_NO_ROUTE', path);
  assert.is(origin.text, '');
});

service.run();
