import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { grpcHealthRequest, readGrpcHealth } from '../../src/core/health-grpc.ts';

const grpc = suite('health gRPC');

grpc('asks for the server as a whole, and for a service', () => {
  assert.equal([...grpcHealthRequest('')], [0, 0, 0, 0, 0]);
  assert.equal([...grpcHealthRequest('ab')], [0, 0, 0, 0, 4, 0x0a, 2, 97, 98]);
  const long = grpcHealthRequest('x'.repeat(200));
  assert.equal([...long.subarray(0, 8)], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
  assert.is(long.length, 208);
  assert.equal([...grpcHealthRequest('x'.repeat(300)).subarray(0, 5)], [0, 0, 0, 1, 47]);
});

const frame = (...message: number[]) => Uint8Array.from([0, 0, 0, 0, message.length, ...message]);
const answers: [name: string, body: Uint8Array, serving: number][] = [
  ['serving', frame(8, 1), 1],
  ['not serving', frame(8, 2), 2],
  ['an empty message is the default', frame(), 0],
  ['the last one counts', frame(8, 2, 8, 1), 1],
  ['fields that are not known', frame(0x12, 2, 7, 7, 8, 1, 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8), 1],
  ['a long number', frame(8, 0x81, 0), 1],
  ['more after it', Uint8Array.from([...frame(8, 1), 9, 9]), 1],
  ['nothing', new Uint8Array(0), -1],
  ['compressed', Uint8Array.from([1, 0, 0, 0, 2, 8, 1]), -1],
  ['cut short', frame(8, 1).subarray(0, 6), -1],
  ['a number that does not end', frame(8, 0x80), -1],
  ['a length past the end', frame(0x12, 9, 1), -1],
  ['a length that does not end', frame(0x12, 0x80), -1],
  ['a group', frame(0x0b), -1],
];
for (const [name, body, serving] of answers) grpc(name, () => assert.is(readGrpcHealth(body), serving));

grpc('reads inside of a bigger buffer', () => {
  const bytes = Uint8Array.from([9, 9, ...frame(8, 1)]);
  assert.is(readGrpcHealth(bytes.subarray(2)), 1);
});

grpc.run();
