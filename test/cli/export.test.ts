import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import type { Definition } from '../../src/services/types.ts';
import { type ConfigurationServer, configurationServer } from '../helpers/configuration-server.ts';
import { random } from '../helpers/random.ts';
import { temporary } from '../helpers/temporary.ts';

const exporting = suite('cli: oo export');

function test(name: string, run: (server: ConfigurationServer) => Promise<void>): void {
  exporting(name, async () => {
    const server = await configurationServer();
    try {
      await run(server);
    } finally {
      await server.stop();
    }
  });
}

/** All that a configuration says, in one order. */
function stateOf({ configuration }: ConfigurationServer) {
  const routes = configuration.list().map(({ rollout: _, ...route }) => route);
  return { routes, services: configuration.services(), settings: configuration.settings() };
}

/** Any configuration: values that YAML could take for something else are among them. */
function anyConfiguration(next: () => number) {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)];
  const texts = [
    'no',
    '1e3',
    '0x10',
    '2026-01-01',
    'a: b',
    '# x',
    '- y',
    ' z ',
    'ä→\u2028',
    '"q"',
    "it's",
    '|',
    'a\nb\n',
    '*',
    '~',
    '',
  ];
  const targets: Route['target'][] = [
    'http://10.0.0.2:3000',
    ['http://a:1', { url: 'http://b:2', weight: 3, priority: 1 }],
    'service://web',
  ];
  const options: (() => Partial<Route>)[] = [
    () => ({ balance: pick(['random', { policy: 'hash', by: 'header:x-no' }] as const) }),
    () => ({ health: pick([false, '/up', { path: '/up', intervalMs: 500 }]) }),
    () => ({ hsts: pick([true, 'max-age=5']) }),
    () => ({ respond: { body: pick(texts), headers: { 'x-a': pick(['no', '1e3', '0', 'x y']) } } }),
    () => ({ maintenance: { message: pick(texts) || 'x' } }),
    () => ({ responseHeaders: { set: { 'x-b': pick(['yes', '012', 'a#b']) }, remove: ['server'] } }),
    () => ({ owner: pick(['shop', 'no', '007']) }),
    () => ({ maxBodyBytes: 1024, idleTimeoutMs: 250 }),
  ];
  const hosts = [
    'a.example.com',
    '*.example.com',
    '127.0.0.1',
    '[::1]',
    '*',
    'x:8080',
    '1e3',
    'no',
    'b.example.com/app',
  ];
  const routes = hosts
    .filter(() => next() < 0.6)
    .map((id) => {
      const extra = options.filter(() => next() < 0.3).map((option) => option());
      const target = pick(targets);
      const route: Route = Object.assign({ id, target }, ...extra);
      // A service's pool is the service's to say.
      if (target === 'service://web')
        for (const field of ['balance', 'health'] as const) delete (route as never)[field];
      return route;
    });
  const services: Definition[] = ['web', 'no', '5']
    .filter(() => next() < 0.5)
    .map((id) => ({ id, balance: 'random', image: pick(texts), nested: { list: [pick(texts), 1, null, true] } }));
  const settings = next() < 0.5 ? { historyRevisions: 10 + Math.floor(next() * 90) } : {};
  return { routes, services, settings };
}

test('any configuration, applied elsewhere, is the same; to files as well', async (server) => {
  const other = await configurationServer();
  const dir = join(temporary(), 'config');
  try {
    const next = random(7);
    for (let round = 0; round < 25; round++) {
      const wanted = anyConfiguration(next);
      const ids = { routes: server.configuration.list(), services: server.configuration.services() };
      await server.configuration.remove(
        ids.routes.map(({ id }) => id),
        { actor: 'test' },
      );
      await server.configuration.removeServices(
        ids.services.map(({ id }) => id),
        { actor: 'test' },
      );
      const applied = await server.configuration.apply(wanted, { actor: 'test' });
      assert.ok('revision' in applied, JSON.stringify(applied));
      const format = round % 2 === 0 ? 'yaml' : 'json';
      const { code, out, err } = await server.oo(`export -o ${format}`);
      assert.equal([code, err], [0, '']);
      await other.configuration.remove(
        other.configuration.list().map(({ id }) => id),
        { actor: 'test' },
      );
      await other.configuration.removeServices(
        other.configuration.services().map(({ id }) => id),
        { actor: 'test' },
      );
      if (Object.values(wanted).some((part) => Object.keys(part).length > 0)) {
        const taken = await other.oo('apply -', out);
        assert.is(taken.code, 0, `${out}\n${taken.err}`);
      }
      const expected = stateOf(server);
      const { settings, ...things } = stateOf(other);
      assert.equal(things, { routes: expected.routes, services: expected.services }, `round ${round}\n${out}`);
      if (Object.keys(wanted.settings).length > 0) assert.equal(settings, expected.settings);
      // Files that are there are made to say the next one, each time in their place.
      assert.is((await server.oo(['export', dir])).code, 0);
      assert.is((await server.oo(['diff', dir])).code <= 1, true);
      assert.equal((await server.oo(['diff', dir])).out, '', `round ${round}`);
    }
  } finally {
    await other.stop();
  }
});

test('pauses are no part of it, and apply keeps them', async ({ oo, configuration }) => {
  const rollout = { gate: { state: 'stopped' as const, message: 'later' } };
  await configuration.save([{ id: 'a', target: 'http://t', rollout }], { actor: 'test' });
  const { out } = await oo('export');
  assert.is(out, 'routes:\n  - id: a\n    target: http://t\n');
  await oo('apply -', out);
  assert.equal(configuration.get('a')?.rollout, rollout);
});

test('of one owner; as it was', async ({ oo }) => {
  await oo('apply - --owner shop', 'id: a\ntarget: http://old');
  await oo('apply -', '- {id: a, target: http://new}\n- {id: b, target: http://t}');
  assert.is((await oo('export --owner shop')).out, 'owner: shop\nroutes:\n  - id: a\n    target: http://new\n');
  assert.match((await oo('export --at @1')).out, /http:\/\/old/);
  assert.is((await oo('export --at @9')).code, 1);
  assert.is((await oo('export -o xml')).code, 2);
});

test('a file keeps its comments; one with an owner holds what is theirs', async ({ oo, configuration }) => {
  const path = join(temporary(), 'shop.yaml');
  const text = '# The shop.\nowner: shop\nroutes:\n  # first\n  a:\n    target: http://old # rack 1\n';
  writeFileSync(path, text);
  await oo(['apply', path]);
  await oo('route save --id b --target http://t');
  await configuration.save([{ id: 'a', target: 'http://new' }], { actor: 'test' });
  assert.equal(await oo(['export', path]), { code: 0, out: `wrote ${path}\n`, err: '' });
  assert.is(readFileSync(path, 'utf8'), text.replace('old', 'new'));
  assert.is((await oo(['export', path])).out, `unchanged ${path}\n`);
  assert.is((await oo(['diff', path])).code, 0);
});

exporting.run();
