import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { certServer, ooAt } from '../helpers/cert-cli.ts';

const key = suite('cli: oo key');

key('rotate: by the server, with a key made anew, of a file, of stdin, or of the variable', async () => {
  const { dir, oo, memory, stop } = await certServer();
  const said = { code: 0, out: '3 values are encrypted anew\n', err: 'The key is in oo.key.\n' };
  assert.equal(await oo('key rotate'), said);
  const file = join(dir, 'new.key');
  writeFileSync(file, 'of a file\n');
  assert.equal(await oo(`keys rotate --new-key-file ${file}`), said);
  assert.equal(await oo('key rotate --new-key-file -', ' of stdin\n'), said);
  const byVariable = ooAt(dir, { OO_NEW_ENCRYPTION_KEY: 'of the variable' });
  assert.equal(await byVariable('key rotate'), said);
  assert.equal(memory.newKeys, [undefined, 'of a file', 'of stdin', 'of the variable']);
  assert.equal(JSON.parse((await oo('key rotate -o json')).out), { rows: 3, message: 'The key is in oo.key.' });
  await stop();
});

key('rotate: keys that are none are refused before anything is sent', async () => {
  const { dir, oo, memory, stop } = await certServer();
  writeFileSync(join(dir, 'empty'), '\n');
  const both = await ooAt(dir, { OO_NEW_ENCRYPTION_KEY: 'x' })('key rotate --new-key-file y');
  assert.equal(
    [both.code, both.err.split('\n')[0]],
    [2, 'oo: --new-key-file and OO_NEW_ENCRYPTION_KEY are given both.'],
  );
  const empty = await oo(`key rotate --new-key-file ${join(dir, 'empty')}`);
  assert.equal([empty.code, empty.err.split('\n')[0]], [1, 'oo: The new key is empty.']);
  assert.is((await oo('key rotate --new-key-file /not/there')).code, 1);
  assert.is((await oo('key rotate --new-key-file a --new-key-file b')).code, 2);
  assert.equal(memory.newKeys, []);
  await stop();
});

key.run();
