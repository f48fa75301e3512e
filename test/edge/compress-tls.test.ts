// time limit: 120 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { useDirectWrite } from '../../src/edge/direct-write.ts';
import { useTlsHandles } from '../../src/edge/tls-handles.ts';
import { front } from '../helpers/front.ts';

// As the executable writes: without the layers of a stream, over TLS.
const found = useDirectWrite() && useTlsHandles();
front.tls = true;

const handles = suite('compress over TLS');
handles('this Node has handles', () => assert.ok(found));
handles.run();

for (const name of ['bodies', 'failures']) await import(`./compress-${name}.test.ts`);
