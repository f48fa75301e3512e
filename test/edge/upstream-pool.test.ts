// time limit: 60 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { clock } from '../../src/edge/clock.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { echo, type RawConnection, startNode, startRaw } from '../helpers/http2-origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';
import { data, goaway, headers, ok, ping, reset, settings } from '../http2/wire.ts';

const pool = suite('HTTP/2 upstream pool');
pool.after.each(cleanUp);

const HEADERS = 1;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const REFUSED = 7;

const get = (path = '/x') => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = (body: string) => `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const answer = (id: number, text = 'ok') => Buffer.concat([headers(id, ok, false), data(id, text, true)]);
const route = (target: string) => [{ id: '*', target }];

pool('no more streams than the server allows; the others go to connections of their own', async () => {
  const open = new Map<RawConnection, number>();
  let most = 0;
  const origin = await startRaw({
    greeting: settings([3, 3]),
    request: (id, connection) => {
      open.set(connection, (open.get(connection) ?? 0) + 1);
      most = Math.max(most, open.get(connection) ?? 0);
      setTimeout(() => {
        open.set(connection, (open.get(connection) ?? 0) - 1);
        connection.send(answer(id));
      }, 30);
    },
  });
  const edge = await startEdge(route(origin.target));
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(edge.port, get())));
  for (const { text } of answers) assert.is(text, 'ok');
  assert.is(origin.connections.length, 4);
  assert.is(most, 3);
  assert.is(edge.edge.upstreams.size, 4);
  // What it has learned holds for the next ones; and the oldest connections are used first.
  await Promise.all(Array.from({ length: 6 }, () => ask(edge.port, get())));
  assert.is(origin.connections.length, 4);
  assert.is(most, 3);
});

pool('at the limit of connections requests are answered 503, if none may wait', async () => {
  const origin = await startRaw({
    greeting: settings([3, 2]),
    request: (id, connection) => void setTimeout(() => connection.send(answer(id)), 100),
  });
  const limits = { maxWaiting: 0 };
  const edge = await startEdge([{ id: '*', target: origin.target, limits }], { maxUpstreamConnections: 1 });
  assert.is((await ask(edge.port, get())).text, 'ok');
  const answers = await Promise.all(Array.from({ length: 4 }, () => ask(edge.port, get())));
  assert.equal(answers.map(({ status }) => status).sort(), [200, 200, 503, 503]);
  assert.is(origin.connections.length, 1);
});

pool('those that came before the server said what it allows wait for a stream', async () => {
  const origin = await startRaw({
    silent: true,
    connected: (connection) => void setTimeout(() => connection.send(settings([3, 1])), 100),
    request: (id, connection) => void setTimeout(() => connection.send(answer(id)), 30),
  });
  const edge = await startEdge(route(origin.target), { maxUpstreamConnections: 1 });
  const answers = await Promise.all(Array.from({ length: 4 }, () => ask(edge.port, get())));
  for (const { text } of answers) assert.is(text, 'ok');
  assert.is(origin.connections.length, 1);
});

pool('a server that allows no stream: 504, over one connection', async () => {
  const origin = await startRaw({ greeting: settings([3, 0]) });
  const edge = await startEdge(route(origin.target), { connectTimeoutMs: 300 });
  const first = ask(edge.port, get());
  await sleep(100);
  const answers = await Promise.all([first, ask(edge.port, get()), ask(edge.port, get())]);
  for (const { status, get: field } of answers) {
    assert.is(status, 504);
    assert.is(field('x-oo-code'), 'OO_CONNECT_TIMEOUT');
  }
  assert.is(origin.connections.length, 1);
  assert.is(origin.frames.filter(({ type }) => type === HEADERS).length, 0);
});

pool('a server that allows fewer than it did: those that run go on, others go elsewhere', async () => {
  const origin = await startRaw({
    greeting: settings([3, 5]),
    request: (id, connection) => {
      if (connection.index > 0) connection.send(answer(id, 'elsewhere'));
    },
  });
  const edge = await startEdge(route(origin.target), { maxUpstreamConnections: 2 });
  const running = Array.from({ length: 4 }, () => ask(edge.port, get()));
  await origin.got(HEADERS, 4);
  origin.connections[0].send(settings([3, 2]));
  await until(() => origin.connections[0].of(4).length >= 3, 'the answer to SETTINGS');
  assert.is((await ask(edge.port, get())).text, 'elsewhere');
  for (const id of [1, 3, 5, 7]) origin.connections[0].send(answer(id, 'here'));
  for (const { text } of await Promise.all(running)) assert.is(text, 'here');
  assert.is(origin.connections.length, 2);
});

pool('a server that allows them later', async () => {
  const origin = await startRaw({
    greeting: settings([3, 0]),
    connected: (connection) => void setTimeout(() => connection.send(settings([3, 10])), 100),
    request: (id, connection) => void connection.send(answer(id)),
  });
  const edge = await startEdge(route(origin.target));
  assert.is((await ask(edge.port, get())).text, 'ok');
  assert.is(origin.connections.length, 1);
});

/** Refuses the first request of the first connection in a way of its own. */
async function withRefusal(refuse: (id: number, connection: RawConnection) => void) {
  let refused = false;
  const origin = await startRaw({
    frame: ({ type, flags, id }, connection) => {
      if (type > HEADERS || (flags & 1) === 0) return;
      if (!refused) {
        refused = true;
        refuse(id, connection);
      } else connection.send(answer(id, connection.body(id) || 'ok'));
    },
  });
  return { origin, edge: await startEdge(route(origin.target)) };
}

for (const [name, request, expected] of [
  ['GET', get(), 'ok'],
  ['POST', post('hello'), 'hello'],
  [
    'POST in chunks',
    'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'hello',
  ],
]) {
  pool(`${name} that was refused unseen is sent again`, async () => {
    const { origin, edge } = await withRefusal((id, connection) => connection.send(reset(id, REFUSED)));
    const { status, text } = await ask(edge.port, request);
    assert.is(status, 200);
    assert.is(text, expected);
    assert.is(origin.connections.length, 1);
    assert.equal(edge.errors, []);
  });

  pool(`${name} above the last stream of a GOAWAY is sent over another connection`, async () => {
    const { origin, edge } = await withRefusal((_, connection) => {
      connection.send(goaway(0, 0));
      connection.socket.end();
    });
    const { status, text } = await ask(edge.port, request);
    assert.is(status, 200);
    assert.is(text, expected);
    assert.is(origin.connections.length, 2);
    assert.equal(edge.errors, []);
  });
}

pool('refused again and again: 502 in the end', async () => {
  let refused = 0;
  const origin = await startRaw({
    request: (id, connection) => {
      refused++;
      connection.send(reset(id, REFUSED));
    },
  });
  const edge = await startEdge(route(origin.target));
  const { status, get: field } = await ask(edge.port, post('hello'));
  assert.is(status, 502);
  assert.is(field('x-oo-code'), 'OO_UPSTREAM_CLOSED');
  assert.ok(refused >= 2 && refused <= 12, String(refused));
});

pool('a long body that was refused: 502, for it is gone', async () => {
  const origin = await startRaw({
    frame: ({ type, id }, connection) => {
      if (type === 0 && connection.body(id).length > 60_000) connection.send(reset(id, REFUSED));
    },
    greeting: settings([4, 10_000_000]),
    connected: (connection) => void connection.send(Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0x10, 0, 0])),
  });
  const edge = await startEdge(route(origin.target));
  const client = connect(edge.port).send(`POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n`);
  client.send('x'.repeat(100_000));
  const { status } = await client.response();
  assert.is(status, 502);
});

pool('after GOAWAY running streams end, new ones open elsewhere', async () => {
  const origin = await startRaw({
    request: (id, connection) => {
      if (connection.index === 0) connection.send(goaway(id, 0), headers(id, ok, false), data(id, 'first '));
      else connection.send(answer(id, 'second'));
    },
  });
  const edge = await startEdge(route(origin.target));
  const client = connect(edge.port).send(get());
  await client.has('first ');
  assert.is((await ask(edge.port, get())).text, 'second');
  assert.is(origin.connections[0].ended, '');
  origin.connections[0].send(data(1, 'and last', true));
  assert.is((await client.response()).text, 'first and last');
  await until(() => origin.connections[0].ended === 'end', 'the first connection to end');
  assert.is(origin.connections[1].ended, '');
});

pool('a graceful shutdown of a real server loses nothing', async () => {
  const origin = await startNode((stream, fields, session) => {
    if (fields[':path'] === '/last') session.goaway(0, 2 ** 31 - 1);
    setTimeout(() => {
      if (fields[':path'] === '/last') session.close();
      echo(stream, fields, session);
    }, 20);
  });
  const edge = await startEdge(route(`h2c://127.0.0.1:${origin.port}`));
  for (let round = 0; round < 5; round++) {
    const paths = ['/a', '/last', '/b', '/c'];
    const answers = await Promise.all(paths.map((path) => ask(edge.port, get(path))));
    assert.equal(
      answers.map(({ text }) => text),
      paths.map((path) => `GET ${path} `),
    );
  }
  assert.ok(origin.sessions.length >= 5);
});

for (const [name, request] of [
  ['with a length', post('hello')],
  [
    'in chunks',
    'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: u\r\n\r\n',
  ],
]) {
  pool(`a body ${name} that waited for a connection in vain goes whole to the next one`, async () => {
    const origin = await startRaw({
      silent: true,
      connected: (connection) => {
        if (connection.index < 2) setTimeout(() => connection.socket.destroy(), 30);
        else connection.send(settings());
      },
      frame: ({ type, flags, id }, connection) => {
        if (type <= HEADERS && (flags & 1) !== 0) connection.send(answer(id, connection.body(id)));
      },
    });
    const edge = await startEdge(route(origin.target));
    assert.is((await ask(edge.port, request)).text, 'hello');
    assert.is(origin.connections.length, 3);
    assert.equal(edge.errors, []);
  });
}

pool('a body over the limit of its route: 413, and the stream is reset', async () => {
  const origin = await startRaw();
  const edge = await startEdge([{ id: '*', target: origin.target, maxBodyBytes: 1_000 }]);
  const client = connect(edge.port).send('POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await origin.got(HEADERS, 1);
  client.send(`800\r\n${'x'.repeat(0x800)}\r\n`);
  assert.is((await client.response()).status, 413);
  await origin.got(RST_STREAM, 1);
  assert.is(origin.connections[0].of(RST_STREAM)[0].payload.readUInt32BE(0), 8);
});

pool('a connection that dies while it carries requests: repeated where that is safe', async () => {
  let served = 0;
  const origin = await startRaw({
    request: (id, connection) => {
      if (connection.index === 0 && served++ > 0) return void connection.socket.destroy();
      connection.send(answer(id));
    },
  });
  const edge = await startEdge(route(origin.target));
  assert.is((await ask(edge.port, get())).text, 'ok');
  assert.is((await ask(edge.port, get())).text, 'ok');
  assert.is(origin.connections.length, 2);
});

pool('the same for a request that may have had an effect: 502', async () => {
  let served = 0;
  const origin = await startRaw({
    request: (id, connection) => {
      if (served++ > 0) return void connection.socket.destroy();
      connection.send(answer(id));
    },
  });
  const edge = await startEdge(route(origin.target));
  assert.is((await ask(edge.port, get())).text, 'ok');
  const { status, get: field } = await ask(edge.port, post('hello'));
  assert.is(status, 502);
  assert.is(field('x-oo-code'), 'OO_UPSTREAM_CLOSED');
  assert.is(origin.connections.length, 1);
});

pool('a response cut in the middle is cut for its client, and for no other', async () => {
  const origin = await startRaw({
    request: (id, connection) => void connection.send(headers(id, ok, false), data(id, `part of ${id}`)),
  });
  const edge = await startEdge(route(origin.target));
  const [one, two] = [connect(edge.port).send(get()), connect(edge.port).send(get())];
  await one.has('part of');
  await two.has('part of');
  const cut = one.text.includes('part of 1') ? one : two;
  const whole = cut === one ? two : one;
  origin.connections[0].send(reset(1, 2));
  assert.is(await cut.gone(), 'reset');
  origin.connections[0].send(data(3, '.', true));
  assert.match((await whole.response()).text, /^part of 3\.$/);
  assert.match(edge.errors.join(), /reset by the peer \(INTERNAL_ERROR\); the response was cut/);
});

pool('an idle connection says goodbye', async () => {
  const origin = await startRaw({ request: (id, connection) => void connection.send(answer(id)) });
  const edge = await startEdge(route(origin.target), { upstreamIdleMs: 300 });
  assert.is((await ask(edge.port, get())).text, 'ok');
  await until(() => origin.connections[0].ended === 'end', 'the end of the connection');
  assert.is(origin.connections[0].of(GOAWAY).length, 1);
  await until(() => edge.edge.upstreams.size === 0, 'the edge to forget it');
  assert.is((await ask(edge.port, get())).text, 'ok');
  assert.is(origin.connections.length, 2);
});

pool('one that does not end its side is dropped after a while', async () => {
  const origin = await startRaw({ halfOpen: true, request: (id, connection) => void connection.send(answer(id)) });
  const edge = await startEdge(route(origin.target), { upstreamIdleMs: 300 });
  await ask(edge.port, get());
  await until(() => origin.connections[0].ended === 'end', 'the end of the connection');
  await until(() => edge.edge.upstreams.size === 0, 'the edge to forget it');
});

pool(
  'a request that times out takes its stream along; a connection that says nothing gets no more of them',
  async () => {
    const origin = await startRaw({
      request: (id, connection) => {
        if (connection.index > 0) connection.send(answer(id));
      },
    });
    const edge = await startEdge([{ id: '*', target: origin.target, responseTimeoutMs: 600 }]);
    const late = await ask(edge.port, get());
    assert.is(late.status, 504);
    assert.is(late.get('x-oo-code'), 'OO_UPSTREAM_TIMEOUT');
    await origin.got(RST_STREAM, 1);
    assert.is((await ask(edge.port, get())).text, 'ok');
    assert.is(origin.connections.length, 2);
  },
);

pool('a connection that has said nothing since a request was sent is asked whether it is there', async () => {
  let deaf = false;
  let mute = false;
  const origin = await startRaw({
    request: (id, connection) => {
      if (!mute) connection.send(answer(id));
    },
    frame: ({ type, payload }, connection) => {
      if (type === PING && !deaf) connection.send(ping(payload.toString('latin1'), true));
    },
  });
  const edge = await startEdge(route(origin.target));
  const tick = (laterMs: number) => {
    for (const upstream of edge.edge.upstreams) upstream.onTick(clock.now + laterMs);
  };
  assert.is((await ask(edge.port, get())).text, 'ok');
  mute = true;
  const first = ask(edge.port, get());
  await origin.got(HEADERS, 2);
  tick(9_000);
  tick(10_500);
  await origin.got(PING, 1);
  await sleep(50);
  // It is there.
  tick(21_000);
  tick(32_000);
  await sleep(50);
  assert.is(origin.connections[0].of(PING).length, 1);
  // The next one is silent, too: not so soon again.
  const second = ask(edge.port, get());
  await origin.got(HEADERS, 3);
  tick(11_000);
  await sleep(50);
  assert.is(origin.connections[0].of(PING).length, 1);
  origin.connections[0].send(answer(3), answer(5));
  assert.is((await first).text, 'ok');
  assert.is((await second).text, 'ok');
  deaf = true;
  const third = ask(edge.port, get());
  await origin.got(HEADERS, 4);
  tick(11_000);
  await origin.got(PING, 2);
  tick(22_000);
  const { status, get: field } = await third;
  assert.is(status, 504);
  assert.is(field('x-oo-code'), 'OO_UPSTREAM_TIMEOUT');
  assert.match(edge.errors.join(), /no answer to PING/);
  assert.is(edge.edge.upstreams.size, 0);
});

pool('a silent body is cut; one whose client takes nothing is not the upstream’s fault', async () => {
  const origin = await startRaw({
    request: (id, connection) => void connection.send(headers(id, ok, false), data(id, 'part')),
  });
  const edge = await startEdge([{ id: '*', target: origin.target, idleTimeoutMs: 500 }]);
  const client = connect(edge.port).send(get());
  await client.has('part');
  assert.is(await client.gone(), 'reset');
  assert.match(edge.errors.join(), /OO_UPSTREAM_TIMEOUT .*silent in the body/);
  await origin.got(RST_STREAM, 1);
});

pool('an upstream that takes no body: 504, by the route’s own time', async () => {
  const origin = await startRaw({ greeting: settings([4, 10]) });
  const edge = await startEdge([{ id: '*', target: origin.target, idleTimeoutMs: 500 }]);
  const { status, get: field } = await ask(edge.port, post('more than ten bytes'));
  assert.is(status, 504);
  assert.is(field('x-oo-code'), 'OO_UPSTREAM_TIMEOUT');
  assert.is(origin.connections[0].body(1), 'more than ');
});

pool('nobody there: 502 after all attempts; a connect that hangs: 504', async () => {
  const gone = await startRaw();
  const { target } = gone;
  gone.close();
  const edge = await startEdge(route(target));
  const refused = await ask(edge.port, post('hello'));
  assert.is(refused.status, 502);
  assert.is(refused.get('x-oo-code'), 'OO_CONNECT_FAILED');
  assert.is(edge.edge.upstreams.size, 0);
});

pool.run();
