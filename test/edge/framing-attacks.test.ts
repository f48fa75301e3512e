import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine, expectHealthy, expectRefused } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { withPair } from '../helpers/proxy.ts';

const framing = suite('framing attacks');
framing.after.each(cleanUp);

const embedded = 'GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n';
const chunks = `0\r\n\r\n${embedded}`;
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n\r\n${body}`;
const cl = (value: string) => post(`Content-Length: ${value}`, embedded);
const te = (value: string) => post(`Transfer-Encoding:${value}`, chunks);

type Case = [what: string, bytes: string, ...statuses: number[]];

function refuses(name: string, cases: Case[]): void {
  framing(name, () =>
    withPair(echoLine, async (pair) => {
      for (const [what, bytes, ...statuses] of cases) await expectRefused(pair, what, bytes, ...statuses);
    }),
  );
}

refuses('1: a length together with chunks, in any order and case', [
  ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked', chunks), 400],
  ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4', `5c\r\n${embedded}\r\n0\r\n\r\n`), 400],
  ['case', post('content-LENGTH: 6\r\ntransfer-ENCODING: CHUNKED', chunks), 400],
  ['apart', post('Content-Length: 6\r\nX-A: b\r\nX-C: d\r\nTransfer-Encoding: chunked', chunks), 400],
  ['zero length', post('Content-Length: 0\r\nTransfer-Encoding: chunked', chunks), 400],
  [
    'on GET',
    `GET / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    400,
  ],
]);

refuses('2: lengths that are not one number', [
  ['two that differ', post(`Content-Length: 0\r\nContent-Length: ${embedded.length}`, embedded), 400],
  ['two that differ, other case', post(`Content-Length: 0\r\nCONTENT-length: 5`, embedded), 400],
  ['two that agree', post('Content-Length: 5\r\nContent-Length: 5', 'hello'), 400],
  ...['5,10', '5,5', '5, 5', '+5', '-1', '-0', '0x5', '', ' ', '5 5', '5.0', '5e0', '٥', '1_0', '5;'].map(
    (value): Case => [`Content-Length: ${value}`, cl(value), 400],
  ),
  ['overflow of 64 bits', cl('18446744073709551621'), 400],
  ['overflow of a double', cl('9007199254740993'), 400],
  ['very many digits', cl('0'.repeat(3000)), 400],
]);

refuses('3: codings that are not exactly chunked', [
  ...[' xchunked', '', ' ', ' ,chunked', ' chunked,', ' chunked, identity', ' chunked, chunked', ' "chunked"'].map(
    (value): Case => [`Transfer-Encoding:${value}`, te(value), 400],
  ),
  ...[' \vchunked', ' \fchunked', ' chunked\v', ' \0chunked', ' chunked\0', ' chunked;q=1', ' chun\tked'].map(
    (value): Case => [`Transfer-Encoding:${JSON.stringify(value)}`, te(value), 400],
  ),
  ...[' gzip, chunked', ' identity, chunked'].map((value): Case => [`Transfer-Encoding:${value}`, te(value), 400, 501]),
  ['gzip alone', te(' gzip'), 400, 501],
  ['identity alone', te(' identity'), 400, 501],
  ['twice in two lines', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', chunks), 400],
  ['second line of another coding', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', chunks), 400],
  ['space before the colon', post('Transfer-Encoding : chunked', chunks), 400],
  ['tab before the colon', post('Transfer-Encoding\t: chunked', chunks), 400],
  ['length with a space before the colon', post(`Content-Length : ${embedded.length}`, embedded), 400],
  ['line feed in the name', post('X: y\nTransfer-Encoding: chunked', chunks), 400],
  ['on HTTP/1.0', `POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`, 400],
]);

refuses('6: a head that does not end in CRLF CRLF', [
  ['CR CR X', `GET / HTTP/1.1\r\nHost: app.test\r\n\rX${embedded}`, 400],
  ['LF LF', 'GET / HTTP/1.1\nHost: app.test\n\n', 400],
  ['CRLF LF', 'GET / HTTP/1.1\r\nHost: app.test\r\n\n', 400],
  ['LF CRLF', 'GET / HTTP/1.1\r\nHost: app.test\n\r\n', 400],
  ['CR alone', 'GET / HTTP/1.1\rHost: app.test\r\r', 400],
]);

refuses('7: field lines that readers differ over', [
  ['obs-fold', 'GET / HTTP/1.1\r\nHost: app.test\r\nX-A: b\r\n c\r\n\r\n', 400],
  ['fold of the first line', 'GET / HTTP/1.1\r\n Host: app.test\r\n\r\n', 400],
  ['folded Transfer-Encoding', post('Transfer-Encoding:\r\n chunked', chunks), 400],
  ['bare CR in a value', 'GET / HTTP/1.1\r\nHost: app.test\r\nX-A: b\rContent-Length: 5\r\n\r\n', 400],
  ['bare LF in a value', 'GET / HTTP/1.1\r\nHost: app.test\r\nX-A: b\nContent-Length: 5\r\n\r\n', 400],
  ['NUL in a value', 'GET / HTTP/1.1\r\nHost: app.test\r\nX-A: b\0c\r\n\r\n', 400],
  ['NUL in a name', 'GET / HTTP/1.1\r\nHost: app.test\r\nX\0A: b\r\n\r\n', 400],
  ['no colon', 'GET / HTTP/1.1\r\nHost: app.test\r\nContent-Length 5\r\n\r\n', 400],
  ['empty name', 'GET / HTTP/1.1\r\nHost: app.test\r\n: b\r\n\r\n', 400],
  ['CR in a name', 'GET / HTTP/1.1\r\nHost: app.test\r\nContent\rLength: 5\r\n\r\n', 400],
  ['space in a name', 'GET / HTTP/1.1\r\nHost: app.test\r\nContent Length: 5\r\n\r\n', 400],
  ['DEL in a value', 'GET / HTTP/1.1\r\nHost: app.test\r\nX-A: b\x7fc\r\n\r\n', 400],
]);

refuses('8: thousands of fields with the length last', [
  ...[1_100, 3_000, 5_000].map(
    (fields): Case => [
      `${fields}`,
      post(`${'a:b\r\n'.repeat(fields)}Content-Length: ${embedded.length}`, embedded),
      431,
    ],
  ),
  ['one field of 1 MB', `GET / HTTP/1.1\r\nHost: app.test\r\nX-A: ${'b'.repeat(1_000_000)}\r\n\r\n`, 431],
  ['no end at all', `GET / HTTP/1.1\r\nHost: app.test\r\nX-A: ${'b'.repeat(300_000)}`, 431],
]);

framing('9: fields named as what every object has, and 2,000 with an Upgrade', () =>
  withPair(echoLine, async (pair) => {
    const client = connect(pair.port);
    client.send(
      'GET /proto HTTP/1.1\r\nHost: app.test\r\n__proto__: x\r\nconstructor: y\r\ntoString: z\r\nhasOwnProperty: w\r\n\r\n',
    );
    assert.is((await client.response()).status, 200);
    const [request] = pair.origin.requests;
    assert.is(request.get('constructor'), 'y');
    assert.is(request.get('tostring'), 'z');
    assert.is(request.get('hasOwnProperty'), 'w');
    assert.is(request.get('__proto__'), undefined, 'a name with underscores is dropped');
    client.close();
    const many = `Connection: upgrade\r\nUpgrade: websocket\r\n${'a: b\r\n'.repeat(2_000)}`;
    await expectRefused(pair, '2,000 fields', `GET / HTTP/1.1\r\nHost: app.test\r\n${many}\r\n`, 431);
  }),
);

framing('12: a request inside the body of GET, HEAD, OPTIONS and DELETE stays a body', () =>
  withPair(echoLine, async (pair) => {
    const { port, origin } = pair;
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
      for (const body of [
        `Content-Length: ${embedded.length}\r\n\r\n${embedded}`,
        `Transfer-Encoding: chunked\r\n\r\n${embedded.length.toString(16)}\r\n${embedded}\r\n0\r\n\r\n`,
      ]) {
        const client = connect(port).send(`${method} /outer HTTP/1.1\r\nHost: app.test\r\n${body}`);
        const answer = await client.response({ head: method === 'HEAD' });
        assert.is(answer.status, 200);
        if (method !== 'HEAD') assert.is(answer.text, `${method} /outer HTTP/1.1`);
        const request = origin.requests.at(-1)!;
        assert.is(request.line, `${method} /outer HTTP/1.1`);
        assert.is(request.text, embedded);
        client.send('GET /after HTTP/1.1\r\nHost: app.test\r\n\r\n');
        assert.is((await client.response()).text, 'GET /after HTTP/1.1');
        client.close();
        await expectHealthy(pair, method);
      }
    }
    assert.not.ok(origin.requests.some(({ line }) => line.includes('smuggled')));
  }),
);

refuses('13: versions', [
  ['HTTP/0.9', 'GET /\r\n', 400, 505],
  ['HTTP/9.9', 'GET / HTTP/9.9\r\nHost: app.test\r\n\r\n', 400, 505],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: app.test\r\n\r\n', 400, 505],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: app.test\r\n\r\n', 400, 505],
  ['HTTP/1.10', 'GET / HTTP/1.10\r\nHost: app.test\r\n\r\n', 400, 505],
  ['HTTP/1', 'GET / HTTP/1\r\nHost: app.test\r\n\r\n', 400, 505],
  ['lower case', 'GET / http/1.1\r\nHost: app.test\r\n\r\n', 400],
  ['no version', 'GET / \r\nHost: app.test\r\n\r\n', 400],
  ['HTTPS', 'GET / HTTPS/1.1\r\nHost: app.test\r\n\r\n', 400],
  ['two spaces', 'GET  / HTTP/1.1\r\nHost: app.test\r\n\r\n', 400],
  ['something behind the version', 'GET / HTTP/1.1 x\r\nHost: app.test\r\n\r\n', 400],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 405, 505],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
]);

framing('14: 200 pipelined requests are answered in their order, with others in between', () =>
  withPair(echoLine, async (pair) => {
    const client = connect(pair.port);
    const line = (i: number) => (i % 10 === 3 ? `POST /p${i}` : `GET /p${i}`);
    const request = (i: number) =>
      `${line(i)} HTTP/1.1\r\nHost: app.test\r\n${i % 10 === 3 ? 'Content-Length: 5\r\n\r\nhello' : '\r\n'}`;
    client.send(Array.from({ length: 200 }, (_, i) => request(i)).join(''));
    await expectHealthy(pair, 'while 200 wait');
    for (let i = 0; i < 200; i++) assert.is((await client.response()).text, `${line(i)} HTTP/1.1`);
    assert.is(pair.origin.requests.filter(({ line }) => line.includes(' /p')).length, 200);
    client.close();
  }),
);

framing('14: a flood of pipelined requests leaves the others their turn', () =>
  withPair(
    echoLine,
    async (pair) => {
      const { port, route, origin, access } = pair;
      route({ id: 'app.test', target: origin.target });
      const client = connect(port).send('GET / HTTP/1.1\r\nHost:no.test\r\n\r\n'.repeat(5_000));
      let most = 0;
      for (let before = 0; access.length < 5_000; before = access.length) {
        await new Promise((resolve) => setImmediate(resolve));
        most = Math.max(most, access.length - before);
      }
      assert.ok(most < 100, `${most} in one turn`);
      await expectHealthy(pair, 'the flood');
      client.close();
    },
    { settings: { logAccess: true } },
  ),
);

framing.run();
