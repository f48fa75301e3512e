import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../src/core/routes.ts';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type Origin, reply, startOrigin } from '../helpers/origin.ts';
import { startServicePort } from '../helpers/service-port.ts';

const health = suite('service port: health');
health.after.each(cleanUp);

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`;

health('a service without a healthy instance: 503 that says why, without an address; then it is back', async () => {
  const first = await startOrigin(echoLine);
  const second = await startOrigin(echoLine);
  const { port, errors, down, up } = await startServicePort({ 'user-svc': [first.target, second.target] });
  down(first.target, second.target);
  const refused = await ask(port, get('/user-svc/x', 'Accept: application/json\r\n'));
  assert.equal([refused.status, refused.get('retry-after')], [503, '1']);
  const { error, code } = JSON.parse(refused.text) as Record<string, string>;
  assert.is(code, 'OO_NO_INSTANCE');
  assert.is(error, 'No instance of user-svc is healthy: 2 registered, 2 unreachable.');
  assert.match(
    errors[0],
    /^503 OO_NO_INSTANCE route=service user-svc .*client=127\.0\.0\.1 request=\S+: No instance of user-svc is healthy: 2 registered, 2 unreachable\.$/,
  );
  assert.match((await ask(port, get('/user-svc'))).text, /^503 .*No instance of user-svc is healthy/);
  assert.match((await ask(port, get('/user-svc', 'Accept: text/html\r\n'))).text, 'No instance of user-svc is healthy');
  assert.is(first.text + second.text, '');
  up(second.target);
  for (let i = 0; i < 5; i++) assert.is((await ask(port, get('/user-svc'))).status, 200);
  assert.equal([first.requests.length, second.requests.length], [0, 5]);
});

health('even a single instance that probes have found down is not tried', async () => {
  const origin = await startOrigin(echoLine);
  const { port, down, up } = await startServicePort({ a: [origin.target] });
  assert.is((await ask(port, get('/a'))).status, 200);
  down(origin.target);
  assert.match((await ask(port, get('/a'))).text, 'No instance of a is healthy: 1 registered, 1 unreachable.');
  assert.is(origin.requests.length, 1);
  up(origin.target);
  assert.is((await ask(port, get('/a'))).status, 200);
});

health('a service that nobody has registered for is 503, not 404', async () => {
  const { port } = await startServicePort({ 'user-svc': [] });
  const answer = await ask(port, get('/user-svc'));
  assert.is(answer.status, 503);
  assert.match(answer.text, 'No instance of user-svc is registered.');
});

health('a pipelined request to a service that is down keeps its place, and its connection goes on', async () => {
  const origin = await startOrigin(echoLine);
  const dead = await startOrigin(echoLine);
  const { port, down } = await startServicePort({ a: [origin.target], b: [dead.target] });
  down(dead.target);
  const client = connect(port).send(get('/a/1') + get('/b/2') + get('/a/3'));
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) statuses.push((await client.response()).status);
  assert.equal(statuses, [200, 503, 200]);
});

health('an instance that dies unseen: another one is tried where that is safe', async () => {
  const dead = await startOrigin();
  const alive = await startOrigin(echoLine);
  const { port } = await startServicePort({ a: [dead.target, alive.target] });
  dead.close();
  for (let i = 0; i < 20; i++) assert.is((await ask(port, get(`/a/${i}`))).text, `GET /a/${i} HTTP/1.1`);
});

health('a post that an instance may have begun on is not sent to another', async () => {
  const origins: Origin[] = [];
  for (let i = 0; i < 2; i++) origins.push(await startOrigin((_, { socket }) => void socket.destroy()));
  const { port } = await startServicePort({ a: origins.map(({ target }) => target) });
  const answer = await ask(port, 'POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\n{}');
  assert.is(answer.status, 502);
  assert.is(origins[0].requests.length + origins[1].requests.length, 1);
});

health('the options of a definition hold: its body limit, its fixed instances', async () => {
  const origin = await startOrigin(() => reply('fixed'));
  const { port, save } = await startServicePort();
  save('a', [], { target: origin.target, maxBodyBytes: 10 });
  assert.is((await ask(port, get('/a'))).text, 'fixed');
  const post = (length: number) =>
    `POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`;
  assert.is((await ask(port, post(10))).status, 200);
  assert.is((await ask(port, post(11))).status, 413);
});

health('a service that is stopped says so on its path; the others and the own paths go on', async () => {
  const origin = await startOrigin(() => reply('up'));
  const { port, save, errors } = await startServicePort({ other: [origin.target] });
  save('a', [origin.target], { rollout: { gate: { state: 'stopped', message: 'Back at noon.' } } });
  const answer = await ask(port, get('/a/x'));
  assert.equal([answer.status, answer.get('x-oo-code')], [503, 'OO_STOPPED']);
  assert.match(answer.text, 'Back at noon.');
  assert.ok(answer.get('retry-after') !== undefined);
  assert.is((await ask(port, get('/other'))).text, 'up');
  save('a', [origin.target]);
  assert.is((await ask(port, get('/a/x'))).text, 'up');
  assert.equal(errors, []);
});

health('a service that is paused keeps requests waiting until it is open again', async () => {
  const origin = await startOrigin(() => reply('up'));
  const { port, save } = await startServicePort();
  save('a', [origin.target], { rollout: { gate: { state: 'paused' } } });
  const client = connect(port).send(get('/a/1') + get('/a/2'));
  await ask(port, get('/nobody'));
  assert.is(origin.text, '');
  save('a', [origin.target]);
  assert.is((await client.response()).text, 'up');
  assert.is((await client.response()).text, 'up');
});

health('a route that leads to a service shares its instances; its public answer names nothing', async () => {
  const origin = await startOrigin(echoLine);
  const { edge, port, down, errors, remove } = await startServicePort({ 'user-svc': [origin.target] });
  const compiled = compile([{ id: 'a.test', target: 'service://user-svc' }], 1);
  if ('faults' in compiled) throw new Error(compiled.faults[0].message);
  edge.table = compiled.table;
  const front = await edge.listen({ port: 0, host: '127.0.0.1' }, false);
  assert.is((await ask(front, get('/x'))).text, 'GET /x HTTP/1.1');
  assert.is((await ask(port, get('/user-svc/x'))).text, 'GET /user-svc/x HTTP/1.1');
  assert.is(origin.connections.length, 1);
  down(origin.target);
  const answer = await ask(front, get('/x'));
  assert.is(answer.get('x-oo-code'), 'OO_NO_INSTANCE');
  assert.not.match(answer.text, 'user-svc');
  assert.match(errors.at(-1)!, /route=a\.test .*: No instance of user-svc is healthy: 1 registered, 1 unreachable\./);
  remove('user-svc');
  assert.is((await ask(front, get('/x'))).get('x-oo-code'), 'OO_NO_INSTANCE');
  assert.match(errors.at(-1)!, /route=a\.test .*: No service 'user-svc' is registered\./);
});

health.run();
