import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { places } from './open-store.ts';

for (const [name, start] of places) {
  const secrets = suite(`db: sticky secrets in ${name}`);

  secrets('are made once, 32 bytes, and outlive the server; the newest is first', async () => {
    const place = await start();
    const first = await place.open();
    const made = await first.secrets.stickySecrets();
    assert.is(made.length, 1);
    assert.is(Buffer.from(made[0], 'base64').length, 32);
    assert.equal(await first.secrets.stickySecrets(), made);
    first.close();
    const db = new Database(place.path);
    db.exec("INSERT INTO sticky_secrets VALUES (2, 'newer', 5)");
    db.close();
    const second = await place.open();
    assert.equal(await second.secrets.stickySecrets(), ['newer', made[0]]);
    second.close();
    await place.end();
  });

  secrets('each database has its own', async () => {
    const both = await Promise.all([start(), start()]);
    const found = [];
    for (const place of both) {
      const database = await place.open();
      found.push((await database.secrets.stickySecrets())[0]);
      database.close();
      await place.end();
    }
    assert.is.not(found[0], found[1]);
  });

  secrets.run();
}

const shared = suite('db: sticky secrets behind a URL, many servers');

shared('servers that make them together, and one whose answer is lost, have the same', async () => {
  const place = await places[1][1]();
  const servers = await Promise.all([place.open(), place.open(), place.open()]);
  place.server?.moods('answer', 'answer', 'answer', 'lose', 'lose');
  const found = await Promise.all(servers.map(({ secrets }) => secrets.stickySecrets()));
  assert.is(found[0].length, 1);
  for (const one of found) assert.equal(one, found[0]);
  for (const { close } of servers) close();
  await place.end();
});

shared.run();
