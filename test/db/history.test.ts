import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createConfigurationStore } from '../../db/configuration.ts';
import type { Connection } from '../../db/connection.ts';
import { openFile } from '../../db/file.ts';
import { migrate } from '../../db/migrations.ts';
import { openRemote } from '../../db/remote.ts';
import type { ConfigurationState, ResourceChange, StoredSettings } from '../../src/admin/resources.ts';
import type { Commit } from '../../src/admin/store.ts';
import type { Route } from '../../src/core/types.ts';
import type { Definition } from '../../src/services/types.ts';
import { startHrana } from '../helpers/hrana.ts';
import { random } from '../helpers/random.ts';
import { temporary } from '../helpers/temporary.ts';

const history = suite('db: the history of the configuration');

const empty: ConfigurationState = { revision: 0, routes: [], services: [], settings: {} };

const places: readonly [string, () => Promise<{ connection: Connection; end(): Promise<void> }>][] = [
  ['a file', async () => ({ connection: openFile(join(temporary(), 'oo.db')), end: async () => {} })],
  [
    'a URL',
    async () => {
      const server = await startHrana(join(temporary(), 'shared.db'));
      return { connection: await openRemote(server.url), end: server.close };
    },
  ],
];

/** Two small pages' worth, so that every reading takes several. */
const pageLimits = { rows: 4, characters: 300 };

for (const [name, start] of places) {
  history(`in ${name}: random changes, and any state and difference of before is that of a model`, async () => {
    const { connection, end } = await start();
    await migrate(connection);
    const limits = { revisions: 25, changes: 150 };
    const store = createConfigurationStore(connection, { limits, pageLimits, now: () => 7 });
    const chance = random(name.length);
    const states = [empty];
    for (let revision = 1; revision <= 40; revision++) {
      const [commit, next] = randomChange(states[revision - 1], chance);
      assert.equal(await store.commit(commit), { revision, at: 7 });
      states.push(next);
    }
    assert.equal(await store.load(), states[40]);
    const kept = (await store.history.list(1_000)).map(({ revision }) => revision);
    assert.equal(
      kept,
      [...kept].sort((a, b) => b - a),
    );
    assert.ok(kept.length > 10 && kept.length <= 25 && kept[0] === 40, String(kept));
    const first = kept.at(-1)! - 1;
    for (let at = 0; at <= 41; at++) {
      const isKept = at >= first && at <= 40;
      assert.equal(await store.history.at(at), isKept ? states[at] : undefined, `@${at}`);
      const to = Math.floor(chance() * 41);
      const wanted = isKept && to >= first ? difference(states[at], states[to]) : undefined;
      assert.equal(await store.history.between(at, to), wanted, `@${at} to @${to}`);
      const made = await store.history.revision(at);
      if (!isKept || at === first) assert.is(made, undefined, `@${at}`);
      else {
        assert.equal(made?.resources, difference(states[at - 1], states[at]));
        assert.equal([made?.actor, made?.from, made?.reason], ['test', '10.0.0.1', `to @${at}`]);
        assert.is(made?.changes, made?.resources.length);
      }
    }
    assert.equal(
      (await store.history.list(3, 39)).map(({ revision, at }) => [revision, at]),
      [
        [38, 7],
        [37, 7],
        [36, 7],
      ],
    );
    connection.close();
    await end();
  });
}

history(
  'a commit says how many revisions are kept, and one over the limit of changes leaves only the present',
  async () => {
    const connection = openFile(join(temporary(), 'oo.db'));
    await migrate(connection);
    const store = createConfigurationStore(connection, { limits: { revisions: 10, changes: 20 } });
    const save = (base: number, count: number, historyRevisions?: number) =>
      store.commit({
        ...{ base, remove: [], actor: 'test', ...(historyRevisions && { historyRevisions }) },
        save: Array.from({ length: count }, (_, i) => ({ id: `h${i}`, target: `t${base}` })),
      });
    for (let base = 0; base < 12; base++) await save(base, 1);
    assert.is((await store.history.list(100)).length, 10);
    await save(12, 1, 3);
    assert.equal(
      (await store.history.list(100)).map(({ revision }) => revision),
      [13, 12, 11],
    );
    assert.equal((await store.history.at(10))?.routes, [{ id: 'h0', target: 't9' }]);
    assert.is(await store.history.at(9), undefined);
    await save(13, 21);
    assert.equal(await store.history.list(100), []);
    assert.equal((await store.history.at(14))?.routes.length, 21);
    assert.is(await store.history.at(13), undefined);
    assert.equal(await store.history.between(14, 14), []);
    connection.close();
  },
);

history(
  'what is removed that was not there is no change; a thing that is put back as it was is no difference',
  async () => {
    const connection = openFile(join(temporary(), 'oo.db'));
    await migrate(connection);
    const store = createConfigurationStore(connection);
    const by = { actor: 'test' };
    const route = { id: 'a', redirect: 'https://b.test' } as Route;
    await store.commit({ base: 0, save: [route], remove: [], ...by, services: { save: [{ id: 's' }], remove: [] } });
    await store.commit({ base: 1, save: [], remove: ['a'], ...by, settings: { historyRevisions: 5 } });
    await store.commit({ base: 2, save: [route], remove: [], ...by, settings: {} });
    assert.equal(await store.history.between(1, 3), []);
    assert.equal(await store.history.between(3, 2), [
      { kind: 'route', id: 'a', before: route, after: null },
      { kind: 'settings', id: 'server', before: null, after: { historyRevisions: 5 } },
    ]);
    assert.equal(await store.load(), { revision: 3, routes: [route], services: [{ id: 's' }], settings: {} });
    const changes = await store.changesSince(1);
    assert.is.not(changes, 'too old');
    assert.equal((changes as { settings?: StoredSettings }).settings, {}, 'gone is {}');
    connection.close();
  },
);

/** Some things saved, some removed, each of them a change. */
function randomChange(state: ConfigurationState, chance: () => number): [Commit, ConfigurationState] {
  const revision = state.revision + 1;
  const of = <T extends { id: string }>(list: readonly T[], make: (id: string) => T) => {
    const things = new Map(list.map((thing) => [thing.id, thing]));
    const save: T[] = [];
    const remove: string[] = [];
    for (let i = 0; i < 9; i++) {
      const id = `t${i}`;
      const what = chance();
      if (what < 0.25) save.push(make(id));
      else if (what < 0.4 && things.has(id)) remove.push(id);
    }
    for (const thing of save) things.set(thing.id, thing);
    for (const id of remove) things.delete(id);
    const next = [...things.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return { save, remove, next };
  };
  const text = () => 'ü"\u0000'.repeat(1 + Math.floor(chance() * 30));
  const routes = of(state.routes, (id): Route => ({ id, target: `http://10.0.0.${revision}`, respond: text() }));
  const services = of(state.services, (id): Definition => ({ id, title: `${revision} ${text()}` }));
  const isSet = chance() < 0.3;
  const settings = isSet ? (chance() < 0.5 ? {} : { recentRequests: revision }) : state.settings;
  const isChanged = JSON.stringify(settings) !== JSON.stringify(state.settings);
  return [
    {
      ...{ base: state.revision, save: routes.save, remove: routes.remove, services },
      ...{ actor: 'test', from: '10.0.0.1', reason: `to @${revision}`, ...(isChanged && { settings }) },
    },
    { revision, routes: routes.next, services: services.next, settings },
  ];
}

/** By kind and id, as the history has it. */
function difference(from: ConfigurationState, to: ConfigurationState): ResourceChange[] {
  const things = (state: ConfigurationState) =>
    new Map<string, ResourceChange['after']>([
      ...state.routes.map((route) => [`route ${route.id}`, route] as const),
      ...state.services.map((service) => [`service ${service.id}`, service] as const),
      ...(Object.keys(state.settings).length > 0 ? [['settings server', state.settings] as const] : []),
    ]);
  const [before, after] = [things(from), things(to)];
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key)))
    .sort()
    .map((key) => {
      const [kind, id] = key.split(' ') as [ResourceChange['kind'], string];
      return { kind, id, before: before.get(key) ?? null, after: after.get(key) ?? null };
    });
}

history.run();
