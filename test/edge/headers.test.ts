import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import type { Message } from '../helpers/message.ts';
import { reply } from '../helpers/origin.ts';
import { type Pair, withPair } from '../helpers/proxy.ts';

const headers = suite('headers');
headers.after.each(cleanUp);

const head = (fields: string, line = 'GET /x HTTP/1.1') => `${line}\r\nHost: app.test\r\n${fields}\r\n`;

/** Sends one request and returns what the origin got. */
async function seen({ port, origin }: Pair, bytes: string): Promise<Message> {
  const answer = await ask(port, bytes);
  assert.is(answer.status, 200, answer.text);
  return origin.requests.at(-1)!;
}

headers('24: what the upstream is told of the client', () =>
  withPair(echoLine, async (pair) => {
    const request = await seen(pair, head('X-A: b\r\n'));
    assert.is(request.get('x-forwarded-for'), '127.0.0.1');
    assert.is(request.get('x-forwarded-proto'), 'http');
    assert.is(request.get('x-forwarded-host'), 'app.test');
    assert.is(request.get('x-forwarded-port'), String(pair.port));
    assert.is(request.get('x-real-ip'), '127.0.0.1');
    assert.is(request.get('via'), '1.1 oo');
    assert.is(request.get('host'), 'app.test');
    assert.is((await seen(pair, 'GET / HTTP/1.1\r\nHost: app.test:8080\r\n\r\n')).get('x-forwarded-port'), '8080');
  }),
);

const spoofed =
  'X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-FORWARDED-PROTO: https\r\nX-Forwarded-Host: evil.test\r\n' +
  'X-Forwarded-Port: 666\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-User: root\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;host=evil.test\r\n';

headers('24: a peer that is not trusted is not believed', () =>
  withPair(echoLine, async (pair) => {
    const request = await seen(pair, head(spoofed));
    assert.not.match(request.head, /6\.6\.6\.6|7\.7\.7\.7|evil|https|666|root/);
    assert.is(request.get('x-forwarded-for'), '127.0.0.1');
    assert.is(request.get('forwarded'), undefined);
  }),
);

headers('24: a trusted peer is appended to', () =>
  withPair(
    echoLine,
    async (pair) => {
      const request = await seen(
        pair,
        head(
          'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: pub.test\r\n' +
            'X-Real-IP: 6.6.6.6\r\n',
        ),
      );
      assert.is(request.get('x-forwarded-for'), '6.6.6.6, 10.1.1.1, 127.0.0.1');
      assert.is(request.get('x-forwarded-proto'), 'https');
      assert.is(request.get('x-forwarded-host'), 'pub.test');
      assert.is(request.get('x-real-ip'), '6.6.6.6');
      const plain = await seen(pair, head(''));
      assert.is(plain.get('x-forwarded-for'), '127.0.0.1');
      assert.is(plain.get('x-forwarded-host'), 'app.test');
      const odd = await seen(
        pair,
        head('X-Forwarded-Proto: javascript\r\nX-Forwarded-Host: a b\r\nX-Forwarded-For: x\xffy\r\n'),
      );
      assert.is(odd.get('x-forwarded-proto'), 'http');
      assert.is(odd.get('x-forwarded-host'), 'app.test');
      assert.is(odd.get('x-forwarded-for'), '127.0.0.1');
    },
    { settings: { trustedProxies: ['127.0.0.0/8'] } },
  ),
);

headers('23: Connection cannot take away what we set, nor Host, nor what authenticates by our word', () =>
  withPair(echoLine, async (pair) => {
    for (const options of [
      'x-forwarded-for, x-real-ip, host, x-forwarded-proto, via',
      'X-FORWARDED-FOR,X-Real-Ip,HOST,x-Forwarded-Host',
      'close, X-Forwarded-For, hOsT',
    ]) {
      const request = await seen(pair, head(`Connection: ${options}\r\nX-Forwarded-For: 6.6.6.6\r\n`));
      assert.is(request.get('x-forwarded-for'), '127.0.0.1', options);
      assert.is(request.get('x-real-ip'), '127.0.0.1', options);
      assert.is(request.get('host'), 'app.test', options);
      assert.is(request.get('connection'), undefined, options);
    }
    const body = 'Connection: content-length, transfer-encoding\r\nContent-Length: 5\r\n\r\nhello';
    const posted = await seen(pair, `POST /x HTTP/1.1\r\nHost: app.test\r\n${body}`);
    assert.is(posted.text, 'hello');
  }),
);

headers('26: hop-by-hop fields end here, on the way up', () =>
  withPair(echoLine, async (pair) => {
    const request = await seen(
      pair,
      head(
        'Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nx-hop: 2\r\nX-Hop-Not: 3\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n' +
          'Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nProxy: http://evil.test\r\nUpgrade: foo\r\n' +
          'X-Late: 4\r\nConnection: x-LATE\r\nAuthorization: Basic YTpi\r\nCookie: c=d\r\n',
      ),
    );
    for (const name of [
      'connection',
      'keep-alive',
      'te',
      'proxy-connection',
      'proxy-authorization',
      'proxy',
      'upgrade',
    ])
      assert.is(request.get(name), undefined, name);
    assert.is(request.get('x-hop'), undefined);
    assert.is(request.get('x-late'), undefined);
    assert.is(request.get('x-hop-not'), '3');
    assert.is(request.get('authorization'), 'Basic YTpi');
    assert.is(request.get('cookie'), 'c=d');
  }),
);

headers('26: and on the way down', () =>
  withPair(
    () =>
      reply(
        'hello',
        'Connection: X-Hop\r\nX-Hop: 1\r\nX-Hop-Not: 2\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n' +
          'Proxy-Connection: close\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX_Under: kept\r\nServer: raw\r\n',
      ),
    async ({ port }) => {
      const client = connect(port).send(head(''));
      const answer = await client.response();
      for (const name of ['connection', 'x-hop', 'keep-alive', 'proxy-authenticate', 'proxy-connection', 'upgrade'])
        assert.is(answer.get(name), undefined, name);
      assert.is(answer.get('x-hop-not'), '2');
      assert.is(answer.get('x_under'), 'kept');
      assert.equal(
        answer.fields.filter(([name]) => name === 'Set-Cookie').map(([, value]) => value),
        ['a=b', 'c=d'],
      );
      assert.is(answer.text, 'hello');
      client.close();
    },
  ),
);

headers('25: names with underscores are dropped', () =>
  withPair(echoLine, async (pair) => {
    const request = await seen(
      pair,
      head('X_Forwarded_Proto: https\r\nX_Auth_User: root\r\nX-Fine: 1\r\nContent_Length: 5\r\n_: x\r\nHost_: y\r\n'),
    );
    assert.not.match(request.head, /_|https|root/);
    assert.is(request.get('x-fine'), '1');
  }),
);

headers('everything else goes on as it came, in order and spelling', () =>
  withPair(echoLine, async (pair) => {
    const fields =
      'x-LOWER: 1\r\nX-Empty:\r\nX-Space:  a  b \r\nX-Tab:\ta\r\nX-Bytes: \xe9\xff\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Colon: a:b\r\n';
    const request = await seen(pair, head(fields));
    assert.ok(request.head.startsWith(`GET /x HTTP/1.1\r\nHost: app.test\r\n${fields}X-Forwarded-For`), request.head);
  }),
);

headers('hostHeader: upstream', () =>
  withPair(
    echoLine,
    async (pair) => {
      const request = await seen(pair, head('X-A: b\r\nConnection: x-b\r\nX-B: c\r\n'));
      assert.is(request.get('host'), `127.0.0.1:${pair.origin.port}`);
      assert.is(request.get('x-forwarded-host'), 'app.test');
      assert.is(request.get('x-a'), 'b');
      assert.is(request.get('x-b'), undefined);
      assert.is(request.fields.filter(([name]) => name.toLowerCase() === 'host').length, 1);
    },
    { route: { hostHeader: 'upstream' } },
  ),
);

headers('29: an upgrade to h2c is not passed on', () =>
  withPair(echoLine, async (pair) => {
    const fields =
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n';
    for (const variant of [fields, fields.replace('h2c', 'websocket, H2C'), fields.replace(', HTTP2-Settings', '')]) {
      const client = connect(pair.port).send(head(variant));
      assert.is((await client.response()).status, 200);
      assert.not.match(pair.origin.requests.at(-1)!.head, /upgrade|h2c|http2-settings/i);
      client.send(head('', 'GET /after HTTP/1.1'));
      assert.is((await client.response()).text, 'GET /after HTTP/1.1');
      client.close();
    }
  }),
);

const attackPath = '/<script>alert(1)</script>"%0d%0aSet-Cookie:%20a=b';

headers('27, 28: an error page and the logs carry nothing raw, and no credentials', () =>
  withPair(
    echoLine,
    async ({ port, route, origin, errors, access }) => {
      route({ id: 'app.test', target: origin.target });
      const client = connect(port).send(
        `GET ${attackPath} HTTP/1.1\r\nHost: none.test\r\nAccept: text/html\r\nAuthorization: Basic c2VjcmV0\r\nCookie: s=secret\r\n\r\n`,
      );
      const answer = await client.response();
      assert.is(answer.status, 404);
      assert.match(answer.get('content-type')!, 'text/html');
      assert.not.match(answer.text, '<script>alert');
      assert.not.match(answer.head + answer.text, /set-cookie: a=b|secret|c2VjcmV0/i);
      assert.is(answer.get('set-cookie'), undefined);
      client.close();
      assert.is((await ask(port, 'GET /a"b HTTP/1.1\r\nHost: app.test\r\nCookie: s=secret\r\n\r\n')).status, 200);
      for (const line of access) {
        assert.not.match(line, /[\r\n]|secret/);
        assert.type(JSON.parse(line), 'object');
      }
      assert.is(access.length, 2);
      assert.is(errors.length, 0);
      assert.not.match(origin.text, 'none.test');
    },
    { settings: { logAccess: true } as never },
  ),
);

headers('an answer of ours never names the upstream', async () => {
  await withPair(echoLine, async ({ port, origin, errors }) => {
    const { port: gone } = origin;
    origin.close();
    for (const [accept, type] of [
      ['text/html', 'text/html'],
      ['application/json', 'json'],
      ['*/*', 'text/plain'],
    ]) {
      const answer = await ask(port, head(`Accept: ${accept}\r\n`));
      assert.is(answer.status, 502);
      assert.match(answer.get('content-type')!, type);
      assert.is(answer.get('x-oo-code'), 'OO_CONNECT_FAILED');
      assert.match(answer.text, answer.get('x-request-id')!);
      assert.match(answer.get('content-type')!, accept === '*/*' ? 'text/plain' : accept);
      assert.not.match(answer.head + answer.text, new RegExp(`:${gone}|ECONN|127\\.0\\.0\\.1`));
      assert.match(errors.at(-1)!, answer.get('x-request-id')!);
    }
  });
});

headers.run();
