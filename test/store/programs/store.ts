// Run by Node, Bun and Deno (test/store/runtimes.test.ts): a file, and a database server that the test runs. Says a line for each step.
import process from 'node:process';
import { openStore } from '../../../src/store.ts';

// A watch alone keeps no process alive, and here some are waited for.
const awake = setInterval(() => {}, 1_000);
const [path, url, authToken, cut] = process.argv.slice(2);
const a = { id: 'a.test', target: 'http://127.0.0.1:1' };
const say = (...what: unknown[]) => console.log(what.map((one) => JSON.stringify(one)).join(' '));
const codeOf = (error: { code?: string; name: string }) => error.code ?? error.name;
const ids = (routes: readonly { id: string }[]) => routes.map(({ id }) => id);

const own = await openStore({ url: `file:${path}` });
const saved = await own.save([a]);
say('saved', 'revision' in saved && saved.revision, ids(await own.routes()));
say('conflict', await own.save([{ ...a, target: 'http://127.0.0.1:2' }], { revision: 0 }));
say('refused', await own.save([{ id: 'x', target: 'ftp://x' }]).catch(codeOf));
say('locked', await openStore({ url: path }).catch(codeOf));
const beside = await openStore({ url: path, readOnly: true });
const heard = new Promise((resolve) => beside.watch((routes) => resolve(ids(routes)), { everyMs: 100 }));
say('beside', await heard);
say('read only', await beside.remove(['a.test']).catch(codeOf));
const watched = new Promise((resolve) => {
  beside.watch((routes) => routes.length === 2 && resolve(ids(routes)), { everyMs: 100 });
});
await own.save([{ ...a, id: 'b.test' }]);
say('watched', await watched);
beside.close();
own.close();
const anew = await openStore({ url: path });
say('anew', ids(await anew.routes()));

const remote = await openStore({ url, authToken, readOnly: true });
say('remote', ids(await remote.routes()));
say('token', await (await openStore({ url, authToken: 'wrong', readOnly: true })).routes().catch(codeOf));
const codeAt = async (at: string) => (await openStore({ url: at, readOnly: true })).routes().catch(codeOf);
say('away', await codeAt('http://127.0.0.1:1'));
say('cut', await codeAt(cut));
const changed = new Promise((resolve) => remote.watch((routes) => resolve(ids(routes)), { everyMs: 100 }));
// The test saves another one now.
say('ready');
say('changed', await changed);
clearInterval(awake);
// It ends although it watches.
