// time limit: 240 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { useDirectWrite } from '../../src/edge/direct-write.ts';
import { useTlsHandles } from '../../src/edge/tls-handles.ts';
import { front } from '../helpers/front.ts';

// What the executable does by itself; http2-tls-front.test.ts goes by the public way.
const found = useDirectWrite() && useTlsHandles();

const handles = suite('HTTP/2 over TLS on handles');
handles('this Node has them', () => assert.ok(found));
handles.run();

// The same edge, judged by the same tests.
front.tls = true;
for (const name of ['forwarding', 'websocket', 'attacks', 'soak', 'large']) await import(`./http2-${name}.test.ts`);
