// time limit: 600 s
import { request } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { freePort, get, type Server, serve } from './oo.ts';
import { startUpstream } from './upstream.ts';

/** How often the main process is killed. OO_TEST_KILLS=1000 for a longer run. */
const kills = Number(process.env.OO_TEST_KILLS ?? 200);
const routesOfOne = 50;

const killed = suite('kill -9 amid applies');
killed.after.each(cleanUp);

type Name = 'left' | 'right';

/** One of the two configurations: half of its routes are there in both, with another target; so are the services and settings. */
function configuration(name: Name, target: string) {
  const ids = Array.from({ length: routesOfOne }, (_, i) => (i % 2 === 0 ? `both-${i}` : `${name}-${i}`));
  const isLeft = name === 'left';
  return {
    owner: 'flip',
    prune: true,
    routes: ids.map((id) => ({ id: `${id}.example.com`, target, responseHeaders: { set: { 'x-side': name } } })),
    services: ['both-svc', `${name}-svc`].map((id) => ({ id, balance: isLeft ? 'least-requests' : 'round-robin' })),
    settings: isLeft
      ? { historyRevisions: 60, recentRequests: 10 }
      : { historyRevisions: 50, apiRequestsPerMinute: 900_000 },
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** One call over the socket; undefined: the server died before its answer was whole. */
function call(stateDir: string, method: string, path: string, body?: unknown): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const asked = request({ socketPath: join(stateDir, 'oo.sock'), method, path, agent: false });
    asked.setTimeout(20_000, () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
    });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function read<T>(stateDir: string, path: string): Promise<T> {
  const answer = await call(stateDir, 'GET', path);
  assert.is(answer?.status, 200, `GET ${path}: ${JSON.stringify(answer?.body)}`);
  return answer?.body as T;
}

interface State {
  readonly revision: number;
  readonly routes: readonly { readonly id: string }[];
  readonly services: readonly { readonly id: string }[];
  readonly settings: object;
}

/** A state without its revision, as text that two equal ones share. */
function textOf({ routes, services, settings }: State): string {
  const byId = (one: { readonly id: string }, other: { readonly id: string }) => (one.id < other.id ? -1 : 1);
  return JSON.stringify([routes.toSorted(byId), services.toSorted(byId), settings]);
}

/** The last apply that was acknowledged, and the one that was not. */
interface Applies {
  revision: number;
  acknowledged: Name;
  /** Undefined where the acknowledged one was the last. */
  pending?: Name;
}

const other = (name: Name): Name => (name === 'left' ? 'right' : 'left');

killed(`${kills} kills: one of the two, whole; no acknowledged apply is lost; the history agrees`, async () => {
  const [left, right] = [await startUpstream('left'), await startUpstream('right')];
  const wanted = { left: configuration('left', left.target), right: configuration('right', right.target) };
  const flags = ['--workers', '1'];
  const options = { stateDir: temporary(), port: await freePort(), adminPort: await freePort(), flags };
  const { stateDir } = options;
  let server: Server = await serve(options);
  const applies: Applies = { revision: 0, acknowledged: 'right' };

  /** Applies one after the other until the server dies. */
  async function applyUntilDead(): Promise<void> {
    for (;;) {
      const name = other(applies.acknowledged);
      applies.pending = name;
      const answer = await call(stateDir, 'POST', '/v1/apply', { ...wanted[name], reason: `to the ${name}` });
      if (answer === undefined) return;
      assert.is(answer.status, 200, JSON.stringify(answer.body));
      const { revision } = answer.body as { revision: number };
      assert.is(revision, applies.revision + 1);
      Object.assign(applies, { revision, acknowledged: name, pending: undefined });
    }
  }

  // What each of them is, as the server says it where nothing was ever killed.
  const whole = {} as Record<Name, string>;
  for (const name of ['left', 'right'] as const) {
    const answer = await call(stateDir, 'POST', '/v1/apply', wanted[name]);
    assert.is(answer?.status, 200, JSON.stringify(answer?.body));
    const state = await read<State>(stateDir, '/v1/export');
    const counts = [state.routes.length, state.services.length, Object.keys(state.settings).length];
    assert.equal(counts, [routesOfOne, 2, 2]);
    whole[name] = textOf(state);
    Object.assign(applies, { revision: state.revision, acknowledged: name });
  }
  assert.is.not(whole.left, whole.right);

  const counts = { applies: 0, lost: 0, kept: 0 };
  for (let round = 0; round < kills; round++) {
    const before = applies.revision;
    const applying = applyUntilDead();
    // Every fourth dies in or before its first apply; the others at any moment of a later one.
    if (round % 4 > 0) await until(() => applies.revision > before, 'an apply', 20_000);
    await sleep(Math.random() * 25);
    server.signal('SIGKILL');
    await within(server.ended, 'the end', 10_000);
    await within(applying, 'the last apply', 30_000);
    counts.applies += applies.revision - before;
    server = await serve(options);

    const state = await read<State>(stateDir, '/v1/export');
    const isKept = state.revision === applies.revision + 1;
    const name = isKept ? applies.pending : applies.acknowledged;
    const said = `round ${round}: acknowledged ${JSON.stringify(applies)}, there is revision ${state.revision}`;
    assert.ok(isKept || state.revision === applies.revision, said);
    assert.ok(name, said);
    assert.is(textOf(state), whole[name], `${said}, which is not ${name}`);
    if (applies.pending !== undefined) counts[isKept ? 'kept' : 'lost']++;
    await agrees(stateDir, state.revision, name, whole);
    const page = await get(options.port, '/', { host: 'both-8.example.com' });
    assert.equal([page.status, page.text, page.headers['x-side']], [200, name, name], said);
    Object.assign(applies, { revision: state.revision, acknowledged: name, pending: undefined });
  }
  assert.is((await server.stop()).code, 0);
  console.log(
    `${kills} kills, ${counts.applies} acknowledged applies; of those under way ${counts.lost} were not stored, ${counts.kept} were`,
  );
  // Else nothing was killed amid an apply, and this has shown nothing.
  assert.ok(counts.lost > 0, 'none was under way');
});

/** Fails unless the history has every revision up to this one, which alternate, and shows each as it was. */
async function agrees(stateDir: string, revision: number, name: Name, whole: Record<Name, string>): Promise<void> {
  const { revisions } = await read<{
    revisions: readonly { revision: number; reason: string; changes: number; actor: string }[];
  }>(stateDir, '/v1/history?limit=5');
  const shown = Math.min(5, revision);
  assert.equal(
    revisions.map((one) => one.revision),
    Array.from({ length: shown }, (_, i) => revision - i),
  );
  let side = name;
  for (const [i, { revision: at, reason, changes }] of revisions.entries()) {
    // The first two were without a reason; the first one made all of it.
    if (at > 2) assert.is(reason, `to the ${side}`);
    if (at > 1) assert.is(changes, routesOfOne + routesOfOne / 2 + 3 + 1, `changes of revision ${at}`);
    if (i > 0 && i < 3) {
      assert.is(textOf(await read<State>(stateDir, `/v1/export?at=${at}`)), whole[side], `revision ${at}`);
      const { resources } = await read<{ resources: unknown[] }>(stateDir, `/v1/diff?from=${at}&to=${at + 1}`);
      assert.is(resources.length, routesOfOne + routesOfOne / 2 + 3 + 1, `from ${at} to ${at + 1}`);
    }
    side = other(side);
  }
}

killed.run();
