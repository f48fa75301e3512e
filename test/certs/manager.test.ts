import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { manage } from '../helpers/manage.ts';

const manager = suite('certificate manager');

manager('each host that a route names gets a certificate, by a path, too', async () => {
  const { it, ca, published } = await manage({ routes: ['a.example.com', 'b.example.com/api'] });
  await it.settled();
  assert.equal(ca.orders.map(({ id }) => id).sort(), ['a.example.com', 'b.example.com']);
  assert.equal([...published.keys()].sort(), ['a.example.com', 'b.example.com']);
});

manager.run();
