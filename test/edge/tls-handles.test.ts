// time limit: 300 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { useDirectWrite } from '../../src/edge/direct-write.ts';
import { useTlsHandles } from '../../src/edge/tls-handles.ts';
import { acceptStreams, arrivals } from '../../src/edge/tls-socket.ts';
import { front } from '../helpers/front.ts';

// What the executable does by itself.
const found = useDirectWrite() && useTlsHandles();
front.tls = true;

const handles = suite('TLS handles');

handles('this Node has them, and the data path uses them', () => {
  assert.ok(found);
  assert.is.not(arrivals.accept, acceptStreams);
});

handles.run();

// What is said of the listener itself holds by either way.
await import('./tls-listener.test.ts');
await import('./tls-floods.test.ts');

// The same edge, over TLS, judged by the same tests.
for (const name of [
  'upgrade',
  'isolation',
  'upstream-attacks',
  'timeouts',
  'retry',
  'framing-attacks',
  'large',
  'gate',
])
  await import(`./${name}.test.ts`);
