// time limit: 240 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { useDirectWrite } from '../../src/edge/direct-write.ts';
import { useTlsHandles } from '../../src/edge/tls-handles.ts';
import { front } from '../helpers/front.ts';

// HTTP/2 over TLS as the executable has it, judged by the tests of HTTP/2 over plain TCP.
const found = useDirectWrite() && useTlsHandles();
front.tls = true;

const handles = suite('HTTP/2 over TLS handles');
handles('this Node has them', () => assert.ok(found));
handles.run();

for (const name of ['forwarding', 'websocket', 'attacks', 'soak', 'large']) await import(`./http2-${name}.test.ts`);
