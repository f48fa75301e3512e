import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AskedHost } from '../../src/edge/asked-host.ts';
import { RecentHeads } from '../../src/edge/recent.ts';
import type { RequestRegisters } from '../../src/edge/request-head.ts';
import { WorkerAnswers } from '../../src/edge/worker-answers.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { request, withSession } from '../helpers/http2.ts';
import { reply } from '../helpers/origin.ts';
import { withPair } from '../helpers/proxy.ts';
import { within } from '../helpers/wait.ts';

const recent = suite('recent heads');
recent.after.each(cleanUp);

const echo = { request: () => reply('ok') };
const get = (target: string, host = 'app.test', fields = '') =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${fields}\r\n`;

recent('scheme, method, host and path of a request are kept: no query, no field', () =>
  withPair(echo, async ({ edge, port }) => {
    edge.recent.resize(10);
    await ask(port, get('/a/b?token=secret', 'App.test:80', 'Cookie: sid=secret\r\nAuthorization: Basic c2VjcmV0\r\n'));
    await ask(
      port,
      'POST http://other.test/c?q=secret HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    );
    await ask(port, 'GET /d HTTP/1.0\r\n\r\n');
    await ask(port, get('/../e'));
    const heads = edge.recent.list();
    assert.equal(heads, [
      { scheme: 'http', method: 'GET', host: 'App.test:80', path: '/a/b' },
      { scheme: 'http', method: 'POST', host: 'other.test', path: '/c' },
      { scheme: 'http', method: 'GET', host: '', path: '/d' },
      { scheme: 'http', method: 'GET', host: 'app.test', path: '/../e' },
    ]);
    assert.not.match(JSON.stringify(heads), /secret/);
  }),
);

recent('over HTTP/2 as well', () =>
  withSession(echo, async (session, { edge }) => {
    edge.recent.resize(10);
    await within(request(session, { ':path': '/x/y?z=secret', cookie: 'a=secret' }), 'the answer');
    assert.equal(edge.recent.list(), [{ scheme: 'http', method: 'GET', host: 'app.test', path: '/x/y' }]);
  }),
);

recent('none is kept until somebody says how many; what is kept is bounded, the newest stay', () =>
  withPair(echo, async ({ edge, port }) => {
    await ask(port, get('/1'));
    assert.equal(edge.recent.list(), []);
    edge.recent.resize(3);
    for (const n of [2, 3, 4, 5]) await ask(port, get(`/${n}`));
    const paths = () => edge.recent.list().map(({ path }) => path);
    assert.equal(paths(), ['/3', '/4', '/5']);
    edge.recent.resize(2);
    assert.equal(paths(), ['/4', '/5']);
    edge.recent.resize(4);
    for (const n of [6, 7, 8]) await ask(port, get(`/${n}`));
    assert.equal(paths(), ['/5', '/6', '/7', '/8']);
    edge.recent.resize(0);
    await ask(port, get('/9'));
    assert.equal(paths(), []);
  }),
);

recent('a path that is too long to help anybody is passed over', () =>
  withPair(echo, async ({ edge, port }) => {
    edge.recent.resize(3);
    await ask(port, get(`/${'x'.repeat(600)}`));
    await ask(port, get('/short'));
    assert.equal(
      edge.recent.list().map(({ path }) => path),
      ['/short'],
    );
  }),
);

const bytes = Buffer.from('GET /0000000 HTTP/1.1\r\n');
const head = { methodStart: 0, methodEnd: 3, pathStart: 4, pathEnd: 12 } as RequestRegisters;
const asked = { authority: 'app.test', scheme: 'http', service: false } as AskedHost;

/** What the data path does for each request. @returns how many of the ring's places were written */
function pass(ring: RecentHeads, count: number): number {
  let noted = 0;
  for (let i = 0; i < count; i++) {
    bytes.write(String(i).padStart(7, '0'), 5, 'latin1');
    if (ring.skip-- !== 0) continue;
    noted++;
    ring.note(asked, bytes, head);
  }
  return noted;
}

recent('of a busy worker about a hundred a second are kept, spread over all of its requests', () => {
  let seed = 7;
  const ring = new RecentHeads(10_000, () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  });
  const first = pass(ring, 5_000);
  assert.ok(first < 400, `${first} in the first quarter of a second, when nothing is known of what comes`);
  ring.onTick();
  let noted = 0;
  for (let tick = 0; tick < 40; tick++) {
    noted += pass(ring, 5_000);
    ring.onTick();
  }
  assert.ok(noted > 600 && noted < 1_500, `${noted} in ten seconds, of 200,000`);
  const late = ring
    .list()
    .slice(-noted)
    .filter(({ path }) => Number(path.slice(1)) >= 2_500).length;
  assert.ok(late > noted * 0.4 && late < noted * 0.6, `${late} of ${noted} in the second half of their tick`);
});

recent('when it gets quiet, each one is kept again', () => {
  const ring = new RecentHeads(10_000);
  for (let tick = 0; tick < 8; tick++) {
    pass(ring, 20_000);
    ring.onTick();
  }
  for (let tick = 0; tick < 40; tick++) ring.onTick();
  assert.is(pass(ring, 10), 10);
});

recent(
  'the main process asks each worker; who does not answer is left out, who answers late is passed over',
  async () => {
    const answers = new WorkerAnswers();
    const ids: number[] = [];
    const one = answers.ask((id) => ids.push(id));
    const two = answers.ask((id) => ids.push(id));
    answers.take({ type: 'recent', id: ids[1], heads: [] });
    answers.take({ type: 'recent', id: 99, heads: [] });
    assert.equal(await two, { type: 'recent', id: ids[1], heads: [] });
    assert.is(await within(one, 'the end of its time', 5_000), undefined);
  },
);

recent.run();
