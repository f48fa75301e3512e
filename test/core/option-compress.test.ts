import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type CompressFacts,
  compileCompress,
  compressCodings,
  isCompressible,
  isTransformRefused,
  pickCoding,
  variesByEncoding,
  weakTag,
} from '../../src/core/option-compress.ts';

const compress = suite('option compress');

function faultsOf(value: unknown): string[] {
  const faults: string[] = [];
  compileCompress(value, (message) => void faults.push(message));
  return faults;
}

const options = (value: unknown = true) => {
  const compiled = compileCompress(value, (message) => assert.unreachable(message));
  assert.ok(compiled);
  return compiled;
};

compress('what a client gets', () => {
  const rows: [accepted: string, expected: string | null][] = [
    ['', null],
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip, deflate, br', 'br'],
    ['deflate', null],
    ['*', 'zstd'],
    ['*;q=0', null],
    ['gzip;q=0', null],
    ['*, zstd;q=0', 'br'],
    ['*;q=0, gzip', 'gzip'],
    ['gzip;q=1.0, br;q=0.9, zstd;q=0.8', 'gzip'],
    ['gzip ; q=0.5 , br ; q=0.7', 'br'],
    ['identity', null],
    ['identity;q=0', null],
    ['identity;q=0, gzip;q=0.1', 'gzip'],
    ['identity;q=1, gzip;q=0.5', null],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    ['identity, gzip', 'gzip'],
    ['gzip;q=nonsense', null],
    ['gzip;q=2', null],
    ['gzip;q=0.0001', null],
    ['gzip;q=0.001', 'gzip'],
    [',,gzip,', 'gzip'],
    [' , ; , ;q=1', null],
    ['gzip;level=1;q=0', null],
  ];
  for (const [accepted, expected] of rows) assert.is(pickCoding(accepted, compressCodings), expected, accepted);
  assert.is(pickCoding('gzip, br, zstd', ['gzip', 'br']), 'gzip', 'ours decides between those that it likes the same');
  assert.is(pickCoding('zstd', ['gzip']), null);
  assert.is(pickCoding('*;q=0.5, br', ['gzip', 'br']), 'br');
});

compress('any Accept-Encoding: never a coding that was refused, never one that is not ours', () => {
  fc.assert(
    fc.property(fc.string(), (accepted) => {
      const coding = pickCoding(accepted, compressCodings);
      if (coding !== null) assert.ok(/gzip|br|zstd|\*/i.test(accepted));
      assert.is(pickCoding(`${accepted.replaceAll(/[",;=]/g, '')},gzip;q=0,br;q=0,zstd;q=0`, compressCodings), null);
    }),
  );
});

const page: CompressFacts = {
  ...{ status: 200, contentType: 'text/html; charset=utf-8', contentEncoding: '' },
  ...{ cacheControl: '', contentLength: 5_000 },
};

compress('which responses', () => {
  const rows: [change: Partial<CompressFacts>, expected: boolean][] = [
    [{}, true],
    [{ contentLength: -1 }, true],
    [{ contentLength: 1_024 }, true],
    [{ contentLength: 1_023 }, false],
    [{ contentLength: 0 }, false],
    [{ status: 404 }, true],
    [{ status: 500 }, true],
    [{ status: 201 }, true],
    [{ status: 204 }, false],
    [{ status: 206 }, false],
    [{ status: 304 }, false],
    [{ status: 101 }, false],
    [{ contentEncoding: 'gzip' }, false],
    [{ contentEncoding: 'identity' }, true],
    [{ cacheControl: 'no-transform' }, false],
    [{ cacheControl: 'public, No-Transform , max-age=1' }, false],
    [{ cacheControl: 'public, no-transformer' }, true],
  ];
  for (const [change, expected] of rows)
    assert.is(isCompressible(options(), { ...page, ...change }), expected, JSON.stringify(change));
  assert.is(isCompressible(options({ minBytes: 0 }), { ...page, contentLength: 1 }), true);
  assert.is(isCompressible(options({ minBytes: 0 }), { ...page, contentLength: 0 }), false);
});

compress('which types', () => {
  const is = (contentType: string, value: unknown = true) => isCompressible(options(value), { ...page, contentType });
  const text = ['text/plain', 'TEXT/HTML', 'application/json', 'application/problem+json;x=y', 'image/svg+xml'];
  for (const type of [...text, 'application/wasm', 'application/manifest+json', 'text/javascript ; charset=utf-8'])
    assert.ok(is(type), type);
  const others = ['', 'nonsense', '/json', 'image/png', 'video/mp4', 'application/octet-stream', 'font/woff2'];
  const streams = ['text/event-stream', 'Text/Event-Stream; charset=utf-8', 'multipart/x-mixed-replace; boundary=x'];
  const rpc = ['application/grpc', 'application/grpc+json', 'application/grpc-web+proto', 'application/connect+json'];
  for (const type of [...others, ...streams, ...rpc]) assert.not(is(type), type);
  const types = ['application/X-thing', 'text/*', 'application/*'];
  assert.ok(is('application/x-thing', { types }));
  assert.ok(is('text/css', { types }));
  for (const type of [...streams, ...rpc, 'image/svg+xml']) assert.not(is(type, { types }), type);
});

compress('what it becomes', () => {
  assert.is(options(true), options(true), 'routes share the default');
  assert.is(compileCompress(false, assert.unreachable), null);
  assert.is(compileCompress(undefined, assert.unreachable), null);
  const compiled = options({ codings: ['gzip', 'br'], minBytes: 10 });
  assert.equal(compiled, { codings: ['gzip', 'br'], minBytes: 10, types: null });
  assert.ok(Object.isFrozen(compiled));
  assert.is(options({}).minBytes, 1_024);
});

compress('faults say what is wrong and what is expected', () => {
  const rows: [value: unknown, expected: RegExp][] = [
    [null, /^compress is empty; expected true, false, or a mapping/],
    ['gzip', /^compress is 'gzip'; expected true/],
    [[], /^compress is an empty list; expected true/],
    [{ level: 9 }, /^unknown field 'compress.level'; expected one of codings, minBytes, types$/],
    [{ codings: [] }, /^compress.codings is an empty list; expected a list of zstd, br and gzip, each once$/],
    [{ codings: ['gzip', 'gzip'] }, /^compress.codings is a list; expected/],
    [{ codings: ['deflate'] }, /^compress.codings is a list; expected/],
    [{ codings: 'gzip' }, /^compress.codings is 'gzip'; expected/],
    [{ minBytes: -1 }, /^compress.minBytes is '-1'; expected a whole number from 0 to/],
    [{ types: [] }, /^compress.types is an empty list; expected/],
    [{ types: ['html'] }, /^compress.types\[0\] is 'html'; expected a media type such as/],
    [{ types: ['text/*', { toString: 1 }] }, /^compress.types\[1\] is a mapping; expected a media type/],
    [{ types: ['*/*'] }, /^compress.types\[0\] is '\*\/\*'; expected a media type/],
    [{ types: ['text/event-stream'] }, /^compress.types\[0\] is 'text\/event-stream', which is never encoded/],
  ];
  for (const [value, expected] of rows) {
    const faults = faultsOf(value);
    assert.is(faults.length, 1, JSON.stringify(value));
    assert.match(faults[0], expected);
  }
});

compress('whatever shape it has, nothing is thrown', () => {
  const anything = fc.oneof(
    fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }),
    fc.record({ codings: fc.anything(), minBytes: fc.anything(), types: fc.array(fc.anything()) }),
  );
  fc.assert(fc.property(anything, (value) => void faultsOf(value)));
});

compress('fields', () => {
  assert.is(weakTag('"a"'), 'W/"a"');
  assert.is(weakTag('W/"a"'), 'W/"a"');
  assert.ok(variesByEncoding('Origin, accept-encoding'));
  assert.ok(variesByEncoding('*'));
  assert.not(variesByEncoding('Accept, X-Accept-Encoding'));
  assert.not(variesByEncoding(''));
  assert.ok(isTransformRefused('NO-TRANSFORM'));
  assert.not(isTransformRefused(''));
});

compress.run();
