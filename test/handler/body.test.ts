import { PassThrough } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lookAt, writeBody } from '../../src/handler/body.ts';
import { headersOf, rawFields } from '../../src/handler/fields.ts';

const body = suite('handler bodies');

const bytes = (text: string) => new TextEncoder().encode(text);

body('all of a text is there at once, however long', async () => {
  for (const size of [0, 1, 100_000, 3_000_000]) {
    const { done, bytes: length } = await lookAt(new Response('x'.repeat(size)).body as ReadableStream<Uint8Array>);
    assert.ok(done, String(size));
    assert.is(length, size);
  }
});

body('of a stream what is there is taken, and the rest when it comes', async () => {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes('one'));
      setTimeout(() => {
        controller.enqueue(bytes('two'));
        controller.close();
      }, 30);
    },
  });
  const look = await lookAt(stream);
  assert.not(look.done);
  assert.is(look.bytes, 3);
  const to = new PassThrough();
  assert.is(await writeBody(look, to), 6);
  assert.is(String(to.read()), 'onetwo');
});

body('a chunk that is no bytes is an error', async () => {
  const stream = new ReadableStream({ start: (controller) => controller.enqueue('text') });
  try {
    await lookAt(stream as never);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /no Uint8Array/);
  }
});

body("fields of one connection, and our own, are nobody's", () => {
  const headers = headersOf(['A', '1', 'Connection', 'x', 'X-Oo-1', 'secret', 'TE', 'trailers', 'a', '2'], 'x-oo-1');
  assert.equal([...headers], [['a', '1, 2']]);
  headers.set('transfer-encoding', 'chunked');
  headers.set('content-length', '5');
  headers.append('set-cookie', 'a=1');
  headers.append('set-cookie', 'b=2');
  assert.equal(rawFields(headers, 'x-oo-1'), ['a', '1, 2', 'set-cookie', 'a=1', 'set-cookie', 'b=2']);
});

body.run();
