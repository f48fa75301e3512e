import net from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import type { Route } from '../../src/core/types.ts';
import { accepting } from '../../src/edge/accept.ts';
import { clock } from '../../src/edge/clock.ts';
import { createEdge, EdgeListenError, type EdgeOptions } from '../../src/node.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { get, listening, loopback } from './kit.ts';

const embedded = suite('the edge as a library');
embedded.after.each(() => {
  accepting.handles = true;
  cleanUp();
});

/** Waits until something that takes its time to find out holds. */
async function reaches(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < 100, `not within ${tries} tries: ${holds}`);
    await sleep(20);
  }
}

const hello = () => startOrigin(() => reply('hello'));

embedded('forwards, with all that an edge adds', async () => {
  const origin = await hello();
  const access: string[] = [];
  const { httpPort, httpsPort } = await listening([{ id: 'app.test', target: origin.target }], {
    accessLog: (line) => access.push(line),
  });
  assert.is(httpsPort, 0);
  const got = await get({ port: httpPort, path: '/a?b', headers: { host: 'app.test' } });
  assert.is(got.text, 'hello');
  const [asked] = origin.requests;
  assert.is(asked.line, 'GET /a?b HTTP/1.1');
  assert.is(asked.get('x-forwarded-for'), '127.0.0.1');
  assert.is(asked.get('host'), 'app.test');
  await until(() => access.length === 1, 'a line of the access log');
  assert.match(access[0], '"route":"app.test"');
  assert.is((await get({ port: httpPort, headers: { host: 'other.test' } })).status, 404);
});

embedded('reads sockets by the public way where they have no handle', async () => {
  accepting.handles = false;
  const body = 'x'.repeat(300_000);
  const origin = await startOrigin((request) => reply(request.text));
  const { httpPort } = await listening([{ id: '*', target: origin.target }]);
  const got = await get({ port: httpPort, method: 'POST', body });
  assert.is(got.text, body);
  // Half a head, then the rest; then a second request of the same connection.
  const client = connect(httpPort).send('GET /one HTTP/1.1\r\nHo');
  await sleep(20);
  client.send('st: a\r\n\r\n');
  assert.is((await client.response()).status, 200);
  client.send('GET /two HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.is((await client.response()).status, 200);
});

embedded('a WebSocket passes both ways', async () => {
  const server = closeLater(new WebSocketServer({ port: 0, host: '127.0.0.1' }));
  await new Promise((resolve) => server.on('listening', resolve));
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
  const target = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  const { httpPort } = await listening([{ id: '*', target }]);
  const socket = closeLater(new WebSocket(`ws://127.0.0.1:${httpPort}/chat`));
  const message = new Promise<string>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => socket.send('hi'));
    socket.on('message', (data) => resolve(String(data)));
  });
  assert.is(await within(message, 'the echo'), 'echo hi');
});

embedded('routes change while requests run, and none fails', async () => {
  const [one, two] = [await startOrigin(() => reply('one')), await startOrigin(() => reply('two'))];
  const { edge, httpPort } = await listening([{ id: '*', target: one.target }]);
  let running = true;
  const seen = new Map<string, number>();
  const ask = async () => {
    while (running) {
      const { status, text } = await get({ port: httpPort });
      assert.is(status, 200);
      seen.set(text, (seen.get(text) ?? 0) + 1);
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, ask));
  for (let i = 0; i < 40; i++) {
    const others = Array.from({ length: i }, (_, n) => ({ id: `h${n}.test`, target: one.target }));
    edge.update([{ id: '*', target: i % 2 === 0 ? two.target : one.target }, ...others]);
    await sleep(5);
  }
  running = false;
  await clients;
  assert.ok(seen.get('one')! > 0 && seen.get('two')! > 0, [...seen].join(' '));
  assert.is([...seen.keys()].length, 2);
});

embedded('a change does not touch a request that is under way', async () => {
  const slow = await startOrigin({});
  const { edge, httpPort } = await listening([{ id: '*', target: slow.target }]);
  const answer = get({ port: httpPort });
  await until(() => slow.text.includes('\r\n\r\n'), 'the request at the origin');
  edge.update([]);
  assert.is((await get({ port: httpPort })).status, 404);
  slow.connections[0].send(reply('late'));
  assert.is((await answer).text, 'late');
});

embedded('a refused update changes nothing, and says every fault', async () => {
  const origin = await hello();
  const { edge, httpPort } = await listening([{ id: '*', target: origin.target }]);
  const wrong = [{ id: 'a b', target: origin.target }, { id: 'c' }] as Route[];
  let refusal: unknown;
  try {
    edge.update(wrong);
  } catch (error) {
    refusal = error;
  }
  assert.instance(refusal, TypeError);
  assert.is(((refusal as Error).cause as unknown[]).length, 2);
  assert.is((await get({ port: httpPort })).text, 'hello');
});

embedded('what the embedder does to its routes afterwards changes nothing', async () => {
  const origin = await hello();
  const targets = [{ url: origin.target }];
  const route: { id: string; target: { url: string }[] } = { id: '*', target: targets };
  const { edge, httpPort } = await listening([route]);
  targets[0].url = 'http://127.0.0.1:1';
  route.id = 'gone.test';
  edge.update([{ id: '*', target: [{ url: origin.target }] }]);
  assert.is((await get({ port: httpPort })).text, 'hello');
});

embedded('services are told by their instances, and change', async () => {
  const [one, two] = [await startOrigin(() => reply('one')), await startOrigin(() => reply('two'))];
  const { edge, httpPort } = await listening([{ id: '*', target: 'service://users' }], {
    services: { users: { target: [one.target] } },
  });
  assert.is((await get({ port: httpPort })).text, 'one');
  await edge.setServices({ users: { target: [two.target] } });
  assert.is((await get({ port: httpPort })).text, 'two');
  const refused = await edge.setServices({ users: { target: 'nonsense://x' } }).then(
    () => null,
    (error) => error,
  );
  assert.instance(refused, TypeError);
  assert.match(refused.message, "service 'users'");
  const empty = await edge.setServices({ users: {} }).then(
    () => null,
    (error) => error,
  );
  assert.match(empty.message, 'has no target');
  assert.is((await get({ port: httpPort })).text, 'two');
});

embedded('probes take an instance out, and bring it back', async () => {
  let well = false;
  const [good, bad] = [
    await startOrigin(() => reply('good')),
    await startOrigin(() => (well ? reply('bad') : reply('', '', '500 No'))),
  ];
  const flips: string[] = [];
  const health = { path: '/up', intervalMs: 100, timeoutMs: 100, rise: 1, fall: 1 };
  const { edge, httpPort } = await listening([{ id: '*', target: [good.target, bad.target], health, outlier: false }], {
    hooks: { onHealth: ({ address, state }) => flips.push(`${address} ${state}`) },
  });
  await until(() => flips.includes(`${bad.target} Unreachable`), 'the flip');
  const texts = async () =>
    new Set(await Promise.all(Array.from({ length: 20 }, async () => (await get({ port: httpPort })).text)));
  // Flips are gathered for a moment before the edge is told.
  await reaches(async () => [...(await texts())].join() === 'good');
  const state = edge.stats().health.find(({ address }) => address === bad.target);
  assert.is(state?.state, 'Unreachable');
  well = true;
  await until(() => flips.includes(`${bad.target} Healthy`), 'the way back');
  await reaches(async () => (await texts()).size === 2);
});

embedded('an instance whose answers are errors is left out, and never more than half of them', async () => {
  const bad = () => startOrigin(() => reply('', '', '502 No'));
  const [good, one, two] = [await startOrigin(() => reply('good')), await bad(), await bad()];
  const { edge, httpPort, lines } = await listening([
    { id: '*', target: [good.target, one.target, two.target], retry: false, balance: 'round-robin' },
  ]);
  for (let i = 0; i < 60; i++) await get({ port: httpPort });
  await until(() => lines.some((line) => line.includes('is left out')), 'an ejection');
  const out = edge.stats().health.filter(({ ejected }) => ejected !== null);
  assert.is(out.length, 1);
  assert.ok([one.target, two.target].includes(out[0].address), out[0].address);
});

embedded('a client stays with its instance by a cookie, across edges with one secret', async () => {
  const origins = await Promise.all(['a', 'b', 'c', 'd'].map((name) => startOrigin(() => reply(name))));
  const routes = [{ id: '*', target: origins.map(({ target }) => target), balance: { sticky: true } }];
  const stickySecrets = ['a secret of this test'];
  const [first, second, stranger] = await Promise.all([
    listening(routes, { stickySecrets }),
    listening(routes, { stickySecrets }),
    listening(routes),
  ]);
  const { headers, text } = await get({ port: first.httpPort });
  const cookie = headers['set-cookie']![0].split(';')[0];
  for (let i = 0; i < 10; i++) assert.is((await get({ port: second.httpPort, headers: { cookie } })).text, text);
  // One that it has not signed is replaced.
  assert.ok((await get({ port: stranger.httpPort, headers: { cookie } })).headers['set-cookie']);
});

embedded('drains: what runs is answered, new connections are refused, nothing is left', async () => {
  const slow = await startOrigin({});
  const { edge, httpPort } = await listening([{ id: '*', target: slow.target }]);
  const answer = get({ port: httpPort });
  await until(() => slow.text.includes('\r\n\r\n'), 'the request at the origin');
  const closed = edge.close();
  assert.is(edge.close(), closed);
  const refused = await get({ port: httpPort }).then(
    () => null,
    (error) => error,
  );
  assert.is(refused?.code, 'ECONNREFUSED');
  slow.connections[0].send(reply('done'));
  assert.is((await answer).text, 'done');
  await within(closed, 'the end');
  assert.equal(edge.stats().clients, 0);
  await until(() => slow.open === 0, 'the upstream connection to end');
  const again = await edge.listen().then(
    () => null,
    (error) => error,
  );
  assert.match(again.message, 'closed');
  // A change that comes too late harms nobody.
  edge.update([]);
  await edge.setServices({});
  await edge.setCertificates([]);
});

embedded('a drain that is asked to hurry cuts what still runs', async () => {
  const silent = await startOrigin({});
  const { edge, httpPort } = await listening([{ id: '*', target: silent.target }]);
  const answer = get({ port: httpPort }).then(
    () => null,
    (error) => error,
  );
  await until(() => silent.text.includes('\r\n\r\n'), 'the request at the origin');
  const closed = edge.close();
  void edge.close({ timeoutMs: 20 });
  await within(closed, 'the end');
  assert.is((await answer)?.code, 'ECONNRESET');
});

embedded('closes while it starts, and without ever having listened', async () => {
  const edge = createEdge({ routes: [], http: loopback, log: () => {} });
  const ports = edge.listen();
  const closed = edge.close();
  const { httpPort } = await ports;
  await within(closed, 'the end');
  assert.is(
    (
      await get({ port: httpPort }).then(
        () => null,
        (error) => error,
      )
    )?.code,
    'ECONNREFUSED',
  );
  await createEdge({ routes: [] }).close();
});

embedded('two edges side by side: one is closed, the other goes on', async () => {
  const [one, two] = [await startOrigin(() => reply('one')), await startOrigin(() => reply('two'))];
  const first = await listening([{ id: '*', target: one.target }]);
  const second = await listening([{ id: '*', target: two.target }], { keepAliveTimeoutMs: 600 });
  const ask = async () =>
    Promise.all([first, second].map(async ({ httpPort }) => (await get({ port: httpPort })).text));
  for (const texts of await Promise.all(Array.from({ length: 20 }, ask))) assert.equal(texts, ['one', 'two']);
  const kept = connect(second.httpPort).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.is((await kept.response()).text, 'two');
  await first.edge.close({ timeoutMs: 0 });
  kept.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.is((await kept.response()).text, 'two');
  // Its clock still turns: an idle connection is ended in its time.
  await until(() => kept.ended !== '', 'the idle connection to end');
});

embedded('a request right after the start is in time, however long ago the program has loaded it', async () => {
  const origin = await startOrigin({});
  // No edge has turned the clock for an hour.
  clock.now = performance.now() - 3_600_000;
  const { httpPort } = await listening([{ id: '*', target: origin.target }]);
  const answer = get({ port: httpPort });
  await until(() => origin.text.includes('\r\n\r\n'), 'the request at the origin');
  await sleep(400);
  origin.connections[0].send(reply('in time'));
  assert.is((await answer).text, 'in time');
});

embedded('what a log or a hook throws ends nothing', async () => {
  const throws = () => {
    throw new Error('of the embedder');
  };
  const { edge, httpPort } = await listening([{ id: '*', target: 'http://127.0.0.1:1', health: '/' }], {
    ...{ log: throws, accessLog: throws, hooks: { onHealth: throws } },
  });
  assert.is((await get({ port: httpPort })).status, 502);
  await until(() => edge.stats().health[0]?.state === 'Unreachable', 'the probe', 20_000);
  assert.is((await get({ port: httpPort })).status, 502);
});

embedded('a port in use is said, nothing stays open, and it may be tried again', async () => {
  const origin = await hello();
  const taken = net.createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as net.AddressInfo;
  const edge = createEdge({
    ...{ routes: [{ id: '*', target: origin.target, http: 'allow' }], log: () => {} },
    ...{ http: { port, host: '127.0.0.1' }, https: loopback },
  });
  closeLater({ close: () => void edge.close({ timeoutMs: 0 }) });
  const failure = await edge.listen().then(
    () => null,
    (error) => error,
  );
  assert.instance(failure, EdgeListenError);
  assert.is(failure.code, 'EADDRINUSE');
  assert.is(failure.listener, 'http');
  assert.match(failure.message, `port ${port} of 127.0.0.1`);
  assert.match(failure.message, '0 takes any free one');
  await new Promise((resolve) => taken.close(resolve));
  assert.is((await edge.listen()).httpPort, port);
  assert.is((await get({ port })).text, 'hello');
  assert.match(
    (
      await edge.listen().then(
        () => null,
        (error) => error,
      )
    ).message,
    'listens already',
  );
});

embedded('an address that this machine has not is said', async () => {
  const edge = createEdge({ routes: [], http: { port: 0, host: '192.0.2.77' }, log: () => {} });
  const failure = await edge.listen().then(
    () => null,
    (error) => error,
  );
  assert.is(failure.code, 'EADDRNOTAVAIL');
  assert.match(failure.message, '192.0.2.77');
});

const refused: [what: string, options: unknown, says: string][] = [
  ['no options', undefined, 'needs options'],
  ['an option that there is not', { routes: [], ports: 80 }, "no option 'ports'"],
  ['no listener', { routes: [], http: null }, 'expected one of them at least'],
  ['a port that is none', { routes: [], http: { port: 70_000 } }, 'http.port is 70000'],
  ['a host that is none', { routes: [], https: { port: 0, host: '' } }, "https.host is ''"],
  ['a time-out that is none', { routes: [], headTimeoutMs: -1 }, 'headTimeoutMs is -1'],
  ['a proxy that is none', { routes: [], trustedProxies: ['nonsense'] }, 'nonsense'],
  ['short secrets', { routes: [], stickySecrets: ['short'] }, 'at least 16 characters'],
  ['routes that are refused', { routes: [{ id: '*' }] }, 'target'],
  ['what is no data', { routes: [{ id: '*', target: 'http://a', hsts: () => true }] }, 'no plain data'],
  ['services that are refused', { routes: [], services: { 'a b': { target: 'http://a' } } }, "service 'a b'"],
  ['certificates that are none', { routes: [], certificates: { own: [{ cert: 'x', key: 'y' }] } }, 'own[0]'],
];
for (const [what, options, says] of refused)
  embedded(`refuses ${what}, in words`, () => {
    let error: unknown;
    try {
      createEdge(options as EdgeOptions);
    } catch (thrown) {
      error = thrown;
    }
    assert.instance(error, TypeError);
    assert.match((error as Error).message, says);
  });

embedded.run();
