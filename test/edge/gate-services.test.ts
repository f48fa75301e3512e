import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../src/core/routes.ts';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startServicePort } from '../helpers/service-port.ts';
import { until } from '../helpers/wait.ts';

const gates = suite('gates of services');
gates.after.each(cleanUp);

const get = (path = '/user-svc/x') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
const paused = { rollout: { gate: { state: 'paused' } } } as const;

/** A service behind the service port and behind a route. */
async function start() {
  const origin = await startOrigin(({ line }) => reply(line));
  const service = await startServicePort({ 'user-svc': [origin.target] });
  const { edge } = service;
  const port = await edge.listen({ port: 0, host: '127.0.0.1' }, false);
  let revision = 0;
  const route = (options: Partial<Route> = {}) => {
    const compiled = compile([{ id: '*', target: 'service://user-svc', ...options }], ++revision);
    if ('faults' in compiled) throw new Error(compiled.faults[0].message);
    edge.table = compiled.table;
  };
  route();
  const waiting = (name: string) => edge.pools.named(name)?.record.waiting ?? 0;
  return { origin, service, port, route, waiting, urls: [origin.target] };
}

gates('a paused service holds the requests of its routes and of the service port', async () => {
  const { service, origin, port, waiting, urls } = await start();
  service.save('user-svc', urls, paused);
  const routed = connect(port).send(get('/a'));
  const direct = connect(service.port).send(get('/user-svc/b'));
  await until(() => waiting('service user-svc') === 2, 'two to wait');
  service.save('other-svc', urls);
  service.save('user-svc', urls, paused);
  assert.is(origin.connections.length, 0);
  service.save('user-svc', urls);
  assert.is((await routed.response()).text, 'GET /a HTTP/1.1');
  assert.is((await direct.response()).text, 'GET /user-svc/b HTTP/1.1');
  assert.is(waiting('service user-svc'), 0);
});

gates('a paused route over a service holds its own only', async () => {
  const { service, port, route, waiting } = await start();
  route(paused);
  const routed = connect(port).send(get('/a'));
  await until(() => waiting('route *') === 1, 'it to wait');
  assert.is((await ask(service.port, get())).status, 200);
  route();
  assert.is((await routed.response()).status, 200);
});

gates('both paused: it passes one after the other', async () => {
  const { service, port, route, waiting, urls } = await start();
  route(paused);
  service.save('user-svc', urls, paused);
  const routed = connect(port).send(get('/a'));
  await until(() => waiting('route *') === 1, 'it to wait at the first');
  route();
  await until(() => waiting('service user-svc') === 1 && waiting('route *') === 0, 'it to wait at the second');
  service.save('user-svc', urls);
  assert.is((await routed.response()).status, 200);
});

gates('a stopped service shows its page; one that is gone while they wait is 404 at its port', async () => {
  const { service, port, waiting, urls } = await start();
  service.save('user-svc', urls, { rollout: { gate: { state: 'stopped', message: 'Moving house' } } });
  for (const each of [port, service.port]) {
    const answer = await ask(each, get());
    assert.is(answer.get('x-oo-code'), 'OO_STOPPED');
    assert.match(answer.text, 'Moving house');
  }
  service.save('user-svc', urls, paused);
  const direct = connect(service.port).send(get());
  await until(() => waiting('service user-svc') === 1, 'it to wait');
  service.remove('user-svc');
  assert.is((await direct.response()).get('x-oo-code'), 'OO_NO_SERVICE');
});

gates('places of a service: whoever waits goes when an instance registers, or is back', async () => {
  const { service, origin, port, waiting } = await start();
  const held = await startOrigin({ request: () => undefined });
  const limits = { maxConnections: 1 };
  service.save('user-svc', [held.target], { limits });
  connect(service.port).send(get());
  await held.got(1);
  const routed = connect(port).send(get('/a'));
  const direct = connect(service.port).send(get());
  await until(() => waiting('service user-svc') === 2, 'two to wait');
  service.save('user-svc', [held.target, origin.target], { limits });
  assert.is((await routed.response()).status, 200);
  assert.is((await direct.response()).status, 200);
});

gates.run();
