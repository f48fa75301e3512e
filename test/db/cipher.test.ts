import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cipherOf, deriveKey, newKeyText, newSalt, openSealed, type Place } from '../../db/cipher.ts';

const cipher = suite('db: sealed values');
const salt = newSalt();
const place: Place = 'certificates.private_key';

async function code(text: string): Promise<string> {
  return deriveKey(text, salt).then(
    (key) => `opened ${key.id.length}`,
    (error) => `${error.code} ${error.message}`,
  );
}

cipher('what is sealed opens in its place and row, whatever it is', async () => {
  const key = await deriveKey(newKeyText(), salt);
  for (const text of ['', 'k', 'ü€😀\n\0', 'x'.repeat(100_000)]) {
    assert.is(key.open(place, 'a', key.seal(place, 'a', text)), text);
  }
});

cipher('two seals of one text differ all over', async () => {
  const key = await deriveKey(newKeyText(), salt);
  const [one, two] = [key.seal(place, 'a', 'same'), key.seal(place, 'a', 'same')];
  assert.is(one.slice(0, 20), two.slice(0, 20));
  assert.is.not(one.slice(20, 36), two.slice(20, 36), 'the nonce');
  assert.is.not(one.slice(36), two.slice(36));
});

cipher('a value opens nowhere else: row, column, database, key', async () => {
  const text = newKeyText();
  const key = await deriveKey(text, salt);
  const sealed = key.seal(place, 'a', 'secret');
  assert.is(key.open(place, 'b', sealed), undefined);
  assert.is(key.open('acme_accounts.private_key', 'a', sealed), undefined);
  const elsewhere = await deriveKey(text, newSalt());
  assert.is(elsewhere.open(place, 'a', sealed), undefined);
  assert.is(elsewhere.open(place, 'a', sealed.replace(key.id, elsewhere.id)), undefined, 'the id is no way around');
  assert.is((await deriveKey(newKeyText(), salt)).open(place, 'a', sealed), undefined);
});

cipher('a value with any byte changed, cut or added to does not open', async () => {
  const key = await deriveKey(newKeyText(), salt);
  const sealed = key.seal(place, 'a', 'a secret');
  const [version, id, body] = sealed.split('.');
  const bytes = Buffer.from(body, 'base64url');
  const opens = (changed: Buffer) => key.open(place, 'a', `${version}.${id}.${changed.toString('base64url')}`);
  assert.is(opens(bytes), 'a secret');
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes);
    changed[i] ^= 1 << (i % 8);
    assert.is(opens(changed), undefined, `byte ${i}`);
    assert.is(opens(bytes.subarray(0, i)), undefined, `cut to ${i}`);
  }
  assert.is(opens(Buffer.concat([bytes, Buffer.alloc(1)])), undefined);
  for (const other of ['', 'v1', `v2.${id}.${body}`, body, 'a secret'])
    assert.is(key.open(place, 'a', other), undefined);
});

cipher('32 bytes are one key as hex, as base64 and with space around; another text is another key', async () => {
  const bytes = Buffer.from(newKeyText(), 'base64');
  const texts = [
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('base64'),
    `${bytes.toString('base64url')}=`,
    ` ${bytes.toString('base64')}\n`,
  ];
  const ids = new Set((await Promise.all(texts.map((text) => deriveKey(text, salt)))).map(({ id }) => id));
  assert.is(ids.size, 1);
  const others = [bytes.toString('hex').slice(1), `${bytes.toString('base64url')}`];
  for (const other of others) assert.not(ids.has((await deriveKey(other, salt)).id), 'a passphrase');
});

cipher('a passphrase is the same key in either normal form, and another under another salt', async () => {
  const composed = 'grüße aus der küche';
  const key = await deriveKey(composed, salt);
  assert.is((await deriveKey(composed.normalize('NFD'), salt)).id, key.id);
  assert.is.not((await deriveKey(composed, newSalt())).id, key.id);
  assert.is(await code('correct horse battery staple'), 'opened 16');
});

cipher('a short passphrase is refused, and the message does not hold it', async () => {
  assert.is(await code(' fifteen letters '), 'OO_STORE_KEY The encryption key is too short: 15 characters.');
  assert.is(await code('sixteen  letters'), 'opened 16');
  assert.is(await code('  '), 'OO_STORE_KEY The encryption key is too short: 0 characters.');
});

cipher('a cipher opens by whichever of its keys', async () => {
  const [one, two] = await Promise.all([deriveKey(newKeyText(), salt), deriveKey(newKeyText(), salt)]);
  const keys = cipherOf(one);
  const sealed = two.seal(place, 'a', 'x');
  assert.is(openSealed(keys, place, 'a', sealed), undefined);
  keys.known.set(two.id, two);
  assert.is(openSealed(keys, place, 'a', sealed), 'x');
  assert.is(openSealed(keys, place, 'a', one.seal(place, 'a', 'y')), 'y');
});

// The format is on people's disks: this one was written by the first version and must open for ever.
cipher('a value of the first format still opens', async () => {
  const key = await deriveKey('00'.repeat(32), Buffer.alloc(16, 7).toString('base64'));
  assert.is(
    key.open(place, 'example.com', 'v1.162eff61284159c2.mB9kvBvdCQkxn6WJLOaX_9juJvArDldzG59YKVXKncjR'),
    'a key',
  );
  const phrase = await deriveKey('correct horse battery staple', Buffer.alloc(16, 7).toString('base64'));
  assert.is(phrase.id, '1d9e0846080b3ef3');
});

cipher.run();
