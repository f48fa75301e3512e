import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep } from '../helpers/wait.ts';
import { openEcho, openEvents, startApp, startAppProcess } from './apps.ts';
import { ask, countTexts } from './asks.ts';
import { freePort, get, run, type Server, withServer } from './oo.ts';

const services = suite('services, as the seed tells of them');
services.after.each(cleanUp);

/** A call of the registry over the service port, as an instance makes it. */
async function call(server: Server, method: string, path: string, token: string, body?: object) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const page = await get(server.adminPort, path, { method, headers, body: body && JSON.stringify(body) });
  return { ...page, json: page.text === '' ? undefined : JSON.parse(page.text) };
}

/** Rows of a table, each by its columns. */
function rows(table: string): string[][] {
  return table
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/\s{2,}/));
}

/** Waits until `oo instance ls` shows this status for the url. @returns how long that took, ms */
async function shows(server: Server, url: string, status: string, ms = 10_000): Promise<number> {
  const began = performance.now();
  for (;;) {
    const { out } = await server.ok('instance', 'ls');
    const row = rows(out).find((cells) => cells[1] === url);
    const took = performance.now() - began;
    if (row?.[2] === status) return took;
    if (took > ms) throw new Error(`${url} is not ${status} within ${ms} ms: ${out}`);
    await sleep(50);
  }
}

const quickCheck = { kind: 'tcp', intervalMs: 200, rise: 1, fall: 2, timeoutMs: 500 };

services('a token, a registration, a request: the whole story', async () => {
  const app = await startApp('app');
  await withServer(async (server) => {
    const { adminPort: port } = server;
    const home = await get(port, '/');
    assert.is(home.status, 200);
    assert.match(home.text, /\boo\b/);
    const unknown = await get(port, '/user-svc/login');
    assert.is(unknown.status, 404);
    assert.match(unknown.text, 'user-svc');

    const created = await server.ok('token', 'create', '--service', 'user-svc');
    const token = created.out.trim();
    assert.match(token, /^oo_/);
    assert.match(created.err, 'user-svc');
    assert.is((await call(server, 'PUT', '/registry-svc/instance', 'wrong', { url: app.url })).status, 401);
    assert.is((await get(port, '/registry-svc/instances')).status, 401);
    const registered = await call(server, 'PUT', '/registry-svc/instance', token, { url: app.url });
    assert.is(registered.status, 201, registered.text);
    assert.equal(registered.json, {});

    const page = await get(port, '/user-svc/login?next=%2Fhome');
    assert.equal([page.status, page.text], [200, 'app /user-svc/login?next=%2Fhome']);
    assert.is((await get(port, '/user-svc')).text, 'app /user-svc');
    assert.match((await get(port, '/')).text, home.text.slice(0, 20), 'never an instance');

    const { instances } = (await call(server, 'GET', '/registry-svc/instances?slug=user-svc', token)).json;
    assert.is(instances.length, 1);
    const [instance] = instances;
    assert.is(instance.url, app.url);
    assert.is(instance.slug, 'user-svc');
    assert.ok(Date.parse(instance.lastHeartbeat) > Date.now() - 60_000);
    const [heads, row] = rows((await server.ok('instance', 'ls')).out);
    assert.equal(heads, ['INSTANCE ID', 'URL', 'STATUS', 'OWNER SLUG', 'LAST HEARTBEAT']);
    assert.equal([row[0], row[1], row[3]], [instance.id, app.url, 'user-svc']);
    assert.match(row[4], /^\d+s ago$/);
    const nodes = rows((await server.ok('node', 'ls')).out);
    assert.equal(nodes[0], ['NODE ID', 'URL', 'LAST HEARTBEAT']);
    assert.is(nodes.length, 2);
    const { node } = (await call(server, 'GET', '/registry-svc/node/self', token)).json;
    assert.equal([node.id, node.url], nodes[1].slice(0, 2));

    const removed = await call(server, 'DELETE', `/registry-svc/instance/${instance.id}`, token);
    assert.is(removed.status, 204);
    assert.is((await call(server, 'DELETE', `/registry-svc/instance/${instance.id}`, token)).status, 204);
    const gone = await get(port, '/user-svc/login');
    assert.ok(gone.status === 404 || gone.status === 503, `${gone.status}`);
  });
});

services('definitions: saved, listed, in force, removed', async () => {
  await withServer(async (server) => {
    const file = join(server.stateDir, 'definitions.yaml');
    writeFileSync(file, 'id: user-svc\nbalance: least-requests\nhealth: /up\n---\nid: mail-svc\n');
    const saved = await server.ok('definition', 'save', file);
    assert.match(saved.out, 'created user-svc');
    assert.match(saved.out, 'mail-svc');
    const listed = rows((await server.ok('definition', 'ls')).out);
    assert.equal(listed[0], ['DEFINITION ID', 'OPTIONS']);
    assert.match(listed.map((cells) => cells.join(' ')).join('\n'), 'user-svc balance=least-requests health=/up');
    // One that is defined and has no instance is known: 503, not 404.
    const empty = await get(server.adminPort, '/user-svc/login');
    assert.is(empty.status, 503);
    assert.ok(Number(empty.headers['retry-after']) > 0);
    assert.match(empty.text, 'user-svc');
    const wrong = await run(['definition', 'save', '-', '--state-dir', server.stateDir], {
      input: 'id: user-svc\nbalance: fairly\n',
    });
    assert.is(wrong.code, 1);
    assert.match(wrong.err, /^stdin:2: .*balance/);
    await server.ok('definition', 'rm', 'user-svc', 'mail-svc');
    assert.is(rows((await server.ok('definition', 'ls')).out).length, 1);
    assert.is((await get(server.adminPort, '/never-svc/login')).status, 404);
  });
});

services('states: Unknown, Healthy, Unreachable and back; with none healthy 503 and when to ask again', async () => {
  await withServer(async (server) => {
    const slow = { id: 'late-svc', health: { ...quickCheck, intervalMs: 3_600_000 } };
    const definitions = [{ id: 'user-svc', health: quickCheck }, slow];
    const file = join(server.stateDir, 'definitions.json');
    writeFileSync(file, JSON.stringify(definitions));
    await server.ok('definition', 'save', file);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    await server.ok('instance', 'save', '--slug', 'late-svc', '--url', 'http://127.0.0.1:9');
    const { out } = await server.ok('instance', 'ls', '--slug', 'late-svc');
    assert.match(out, /Unknown|Unreachable/);
    await server.ok('instance', 'save', '--slug', 'user-svc', '--url', url);
    console.log(`Unreachable after ${Math.round(await shows(server, url, 'Unreachable'))} ms`);
    const page = await get(server.adminPort, '/user-svc/login');
    assert.is(page.status, 503, page.text);
    assert.ok(Number(page.headers['retry-after']) > 0);
    assert.match(page.text, 'user-svc');
    const [instance] = JSON.parse((await server.ok('instance', 'ls', '--slug', 'user-svc', '-o', 'json')).out);
    assert.match(instance.details, /refused|connect/i);

    const app = await startAppProcess('app', port);
    console.log(`Healthy after ${Math.round(await shows(server, url, 'Healthy'))} ms`);
    assert.is((await get(server.adminPort, '/user-svc/login')).text, 'app /user-svc/login');
    app.kill();
    console.log(`Unreachable again after ${Math.round(await shows(server, url, 'Unreachable'))} ms`);
    assert.is((await get(server.adminPort, '/user-svc/login')).status, 503);
  });
});

services('the service port and a route over the service: the same instances, WebSockets and events', async () => {
  const list = await Promise.all(['a', 'b', 'c'].map(startApp));
  await withServer(
    async (server) => {
      for (const { url } of list) await server.ok('instance', 'save', '--slug', 'user-svc', '--url', url);
      await server.ok('route', 'save', '--id', 'localhost', '--target', 'service://user-svc');
      const places = [
        { port: server.adminPort, base: '/user-svc' },
        { port: server.port, base: '' },
      ];
      for (const { port, base } of places) {
        const counts = countTexts(await ask(port, 300, { path: `${base}/x` }));
        assert.equal(
          Object.keys(counts).sort(),
          list.map((_, i) => `${'abc'[i]} ${base}/x`),
          `${port}`,
        );
        const echo = await openEcho({ port, path: `${base}/ws` });
        assert.match(await echo.echo('hello'), /^[abc]: hello$/);
        const events = openEvents({ port, path: `${base}/events` });
        await events.more(3);
        assert.ok(events.inOrder());
        events.close();
        echo.close();
      }
      // One that leaves is out in both, one that comes is in.
      const [first] = JSON.parse((await server.ok('instance', 'ls', '-o', 'json')).out);
      const gone = list.findIndex(({ url }) => url === first.url);
      await server.ok('instance', 'rm', first.id);
      for (const { port, base } of places) {
        const texts = Object.keys(countTexts(await ask(port, 100, { path: `${base}/x` })));
        assert.is(texts.length, 2);
        assert.not.ok(texts.includes(`${'abc'[gone]} ${base}/x`));
      }
    },
    { flags: ['--workers', '2'] },
  );
});

services.run();
