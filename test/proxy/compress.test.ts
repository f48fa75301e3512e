import { once } from 'node:events';
import type http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import zlib from 'node:zlib';
import { serve } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProxy, type Route, routeOptions } from '../../src/index.ts';
import { countEncoding } from '../../src/proxy/compress.ts';
import { decoded, textOf } from '../helpers/encoded.ts';
import { askPortable as ask, closeOrigins, origin, type Portable, portable } from '../helpers/portable.ts';
import { until } from '../helpers/wait.ts';

const compress = suite('compress, by the portable proxy');
compress.after.each(async () => {
  closeOrigins();
  await until(() => countEncoding() === 0, 'the end of all encoders');
});

const body = textOf(8_000);
const html = { 'content-type': 'text/html' };

/** A proxy before an origin that answers so. */
async function before(
  answer: (response: http.ServerResponse, url: string) => void,
  route: Partial<Route> = {},
): Promise<Portable> {
  const up = await origin(({ url }, response) => answer(response, url));
  return portable([{ target: up.address, compress: true, ...route }]);
}

const get = (proxy: Portable, accepted = 'gzip', more: Record<string, string> = {}, method = 'GET') =>
  ask(proxy, '/', { method, headers: { ...(accepted === '' ? {} : { 'accept-encoding': accepted }), ...more } });
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());
const fieldsOf = ({ headers }: Response, ...names: string[]) => names.map((name) => headers.get(name));

compress('gzip, and what becomes of the fields', async () => {
  const sent = {
    ...html,
    etag: '"v1"',
    'accept-ranges': 'bytes',
    'content-md5': 'x',
    'repr-digest': 'x',
    vary: 'Origin',
  };
  const proxy = await before((res) => void res.writeHead(200, { ...sent, 'content-length': body.length }).end(body));
  for (const accepted of ['gzip', 'br, zstd, gzip;q=0.1', '*']) {
    const answer = await get(proxy, accepted);
    const bytes = await bytesOf(answer);
    assert.equal(decoded(bytes, 'gzip'), body);
    assert.ok(bytes.length < body.length / 2);
    assert.equal(fieldsOf(answer, 'content-encoding', 'etag', 'vary', 'content-length'), [
      ...['gzip', 'W/"v1"', 'Origin, Accept-Encoding', String(bytes.length)],
    ]);
    assert.equal(fieldsOf(answer, 'accept-ranges', 'content-md5', 'repr-digest'), [null, null, null]);
  }
  const head = await get(proxy, 'gzip', {}, 'HEAD');
  assert.equal(fieldsOf(head, 'content-encoding', 'etag', 'content-length'), ['gzip', 'W/"v1"', null]);
  assert.is(head.body, null);
});

compress('a client that does not take it gets it as it is, and caches are told', async () => {
  const sent = { ...html, etag: '"v1"', 'accept-ranges': 'bytes', 'content-length': body.length };
  const proxy = await before((res) => void res.writeHead(200, sent).end(body));
  for (const accepted of ['', 'deflate', 'gzip;q=0', 'identity, gzip;q=0.5', 'br']) {
    const answer = await get(proxy, accepted);
    assert.equal(fieldsOf(answer, 'content-encoding', 'content-length', 'vary', 'etag', 'accept-ranges'), [
      ...[null, String(body.length), 'Accept-Encoding', '"v1"', 'bytes'],
    ]);
    assert.equal(await bytesOf(answer), body);
  }
});

const untouched: [name: string, status: number, fields: Record<string, string>, body: Buffer | string][] = [
  ['an event stream', 200, { 'content-type': 'text/event-stream' }, body],
  ['an image', 200, { 'content-type': 'image/png' }, body],
  ['no type', 200, {}, body],
  ['a part', 206, { ...html, 'content-range': 'bytes 0-7999/9000', etag: '"b"' }, body],
  ['what nobody may change', 200, { ...html, 'cache-control': 'public, no-transform', etag: '"b"' }, body],
  ['a short one', 200, { ...html, etag: '"b"' }, 'short'],
  ['an empty one', 200, html, ''],
  ['gRPC', 200, { 'content-type': 'application/grpc' }, body],
];
for (const [name, status, fields, content] of untouched) {
  compress(`${name} is left alone`, async () => {
    const proxy = await before(
      (res) => void res.writeHead(status, { ...fields, 'content-length': content.length }).end(content),
    );
    const answer = await get(proxy);
    assert.equal(fieldsOf(answer, 'content-encoding', 'vary', 'content-length'), [null, null, String(content.length)]);
    for (const [field, value] of Object.entries(fields)) assert.is(answer.headers.get(field), value);
    assert.equal(await bytesOf(answer), Buffer.from(content));
  });
}

compress('bodies without a length: whole, short, large, and what does not get shorter', async () => {
  const noise = Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 2_654_435_761) >>> 24));
  const random = zlib.deflateRawSync(Buffer.concat([noise, textOf(60_000)]));
  const large = textOf(1_000_000);
  let sent: Buffer = body;
  const proxy = await before((res) => {
    res.writeHead(200, html);
    for (let i = 0; i < sent.length; i += 30_000) res.write(sent.subarray(i, i + 30_000));
    res.end();
  });
  const small = await get(proxy);
  assert.is(small.headers.get('content-encoding'), 'gzip');
  assert.equal(decoded(await bytesOf(small), 'gzip'), body);
  sent = Buffer.from('short');
  const short = await get(proxy);
  assert.equal(fieldsOf(short, 'content-encoding', 'vary', 'content-length'), [null, null, '5']);
  assert.is(await short.text(), 'short');
  sent = random;
  const odd = await get(proxy);
  assert.equal(fieldsOf(odd, 'content-encoding', 'vary'), [null, 'Accept-Encoding']);
  assert.equal(await bytesOf(odd), random);
  sent = large;
  const long = await get(proxy);
  assert.equal(fieldsOf(long, 'content-encoding', 'content-length'), ['gzip', null]);
  assert.equal(decoded(await bytesOf(long), 'gzip'), large);
  sent = Buffer.alloc(0);
  assert.is(await (await get(proxy)).text(), '');
});

compress('what has no end in sight is not held back', async () => {
  let more = (_: string) => {};
  for (const type of ['text/html', 'application/x-ndjson', 'text/event-stream']) {
    const proxy = await before((res) => {
      res.writeHead(200, { 'content-type': type }).write('first');
      more = (text) => void (text === '' ? res.end() : res.write(text));
    });
    const answer = await get(proxy);
    const reader = answer
      .body!.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .getReader();
    assert.is((await reader.read()).value, 'first');
    more('second');
    assert.is((await reader.read()).value, 'second');
    more('');
    assert.is((await reader.read()).done, true);
    assert.equal(fieldsOf(answer, 'content-encoding', 'vary'), [
      null,
      type === 'text/event-stream' ? null : 'Accept-Encoding',
    ]);
  }
});

compress('a known length that comes slowly is encoded as it comes', async () => {
  const proxy = await before((res) => {
    res.writeHead(200, { ...html, 'content-length': body.length }).write(body.subarray(0, 4_000));
    setTimeout(() => res.end(body.subarray(4_000)), 250);
  });
  const answer = await get(proxy);
  assert.equal(fieldsOf(answer, 'content-encoding', 'content-length'), ['gzip', null]);
  assert.equal(decoded(await bytesOf(answer), 'gzip'), body);
});

compress('a target that breaks off: before anything has left it is 502, later the answer is cut', async () => {
  const proxy = await before((res) => {
    res.writeHead(200, { ...html, 'content-length': body.length }).write(body.subarray(0, 4_000), () => res.destroy());
  });
  const answer = await get(proxy);
  assert.equal([answer.status, answer.headers.get('x-oo-code')], [502, 'OO_UPSTREAM_CLOSED']);
  assert.is(proxy.failures.length, 1);
  const large = textOf(300_000);
  const later = await before((res) => {
    res
      .writeHead(200, { ...html, 'content-length': large.length })
      .write(large.subarray(0, 200_000), () => res.destroy());
  });
  const cut = await get(later);
  assert.is(cut.status, 200);
  let failed = false;
  await bytesOf(cut).catch(() => {
    failed = true;
  });
  assert.ok(failed, 'nobody takes it for a whole one');
});

compress('a client that leaves ends its encoder, and the target’s answer', async () => {
  let closed = false;
  const proxy = await before((res) => {
    res.on('close', () => {
      closed = true;
    });
    res.writeHead(200, { ...html, 'content-length': 10_000_000 }).write(textOf(300_000));
  });
  const answer = await get(proxy);
  assert.is(countEncoding(), 1);
  await answer.body!.cancel();
  await until(() => closed, 'the target to be told');
  assert.is(countEncoding(), 0);
});

compress('304: with a weak tag for who asks with one', async () => {
  const proxy = await before((res) => void res.writeHead(304, { etag: '"v1"' }).end());
  const weak = await get(proxy, 'gzip', { 'if-none-match': 'W/"v1"' });
  assert.equal([weak.status, ...fieldsOf(weak, 'etag', 'vary')], [304, 'W/"v1"', 'Accept-Encoding']);
  const strong = await get(proxy, 'gzip', { 'if-none-match': '"v1"' });
  assert.equal(fieldsOf(strong, 'etag', 'vary'), ['"v1"', 'Accept-Encoding']);
});

compress('header rules come before it: the type that they say counts', async () => {
  const rules = {
    responseHeaders: { set: { 'Content-Type': 'application/json' } },
    compress: { minBytes: 10, types: ['application/json'] },
  };
  const proxy = await before((res) => void res.writeHead(200, { 'content-type': 'image/png' }).end(body), rules);
  assert.is((await get(proxy)).headers.get('content-encoding'), 'gzip');
});

compress('what this runtime can’t do is refused, with what to do', () => {
  const routes = (option: Route['compress']) => [{ id: 'app.test', target: 'h:1', compress: option }];
  const says = (form: RegExp) => (error: Error) => error instanceof TypeError && form.test(error.message);
  assert.throws(
    () => createProxy({ options: routeOptions, routes: routes({ codings: ['br', 'zstd'] }) }),
    says(/'app\.test' has compress without gzip/),
  );
  const { CompressionStream: own } = globalThis;
  Reflect.deleteProperty(globalThis, 'CompressionStream');
  try {
    assert.throws(
      () => createProxy({ options: routeOptions, routes: routes(true) }),
      says(/'app\.test' has compress.*no CompressionStream/),
    );
    createProxy({ options: routeOptions, routes: routes(false) });
  } finally {
    globalThis.CompressionStream = own;
  }
});

compress('over a real server, to a client that decodes', async () => {
  const up = await origin((_, res) => void res.writeHead(200, html).end(body));
  const { fetch: handle } = createProxy({
    options: routeOptions,
    routes: [{ id: '*', target: up.address, compress: true }],
  });
  const server = serve({ fetch: handle, port: 0, hostname: '127.0.0.1', overrideGlobalObjects: false });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) });
  assert.is(answer.headers.get('content-encoding'), 'gzip');
  assert.equal(await bytesOf(answer), body);
  server.close();
  (server as http.Server).closeAllConnections();
});

compress('over a real server, a client that leaves ends its encoder', async () => {
  const up = await origin((_, res) => {
    res.writeHead(200, { ...html, 'content-length': 10_000_000 }).write(textOf(300_000));
  });
  const { fetch: handle } = createProxy({
    options: routeOptions,
    routes: [{ id: '*', target: up.address, compress: true }],
  });
  const server = serve({ fetch: handle, port: 0, hostname: '127.0.0.1', overrideGlobalObjects: false });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = net.connect(port, '127.0.0.1').on('error', () => {});
  client.write('GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n');
  await once(client, 'data');
  assert.is(countEncoding(), 1);
  client.destroy();
  await until(() => countEncoding() === 0, 'the encoder’s end');
  server.close();
  (server as http.Server).closeAllConnections();
});

compress.run();
