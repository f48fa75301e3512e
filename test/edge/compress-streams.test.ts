// time limit: 120 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { publicEncoders, useEncoders } from '../../src/edge/compress-body.ts';
import { hasHandles } from '../../src/edge/compress-handles.ts';

const streams = suite('compress by streams');
streams('this Node has handles, which are used elsewhere', () => assert.ok(hasHandles()));
streams.run();

// What a Node without them does is judged by the same tests.
useEncoders(publicEncoders);
for (const name of ['', '-bodies', '-failures']) await import(`./compress${name}.test.ts`);
