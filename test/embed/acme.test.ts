// time limit: 120 s
import { readdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AcmeOptions } from '../../src/node.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { type Pebble, startPebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { get, listening } from './kit.ts';

const acme = suite('the edge as a library gets certificates by ACME');

let pebble: Pebble;
let edges = 0;
acme.before(async () => {
  pebble = await startPebble();
});
acme.after.each(cleanUp);
acme.after(() => pebble.close());

const ca = (challenges: AcmeOptions['challenges']): AcmeOptions => ({
  ...{ directory: pebble.directory, ca: pebble.ca, email: 'who@example.com', challenges },
});

/** On the ports where pebble looks. */
const edgeAt = (storage: string, challenges: AcmeOptions['challenges'], target: string, ...ids: string[]) =>
  listening(
    ids.map((id) => ({ id, target })),
    {
      http: { port: pebble.httpPort, host: '127.0.0.1' },
      https: { port: pebble.tlsPort, host: '127.0.0.1' },
      certificates: { acme: ca(challenges), storage },
    },
  );

for (const challenge of ['http-01', 'tls-alpn-01'] as const)
  acme(`${challenge}: ordered, served, and kept over a restart with its account`, async () => {
    const storage = temporary();
    const origin = await startOrigin(() => reply('hello'));
    const name = `${challenge}.pebble.example`;
    const first = await edgeAt(storage, [challenge], origin.target, name);
    const served = () => first.edge.certificates()[0].served;
    await until(served, 'the certificate', 40_000).catch((error) => {
      throw new Error(`${error.message}\n${first.lines.join('\n')}`);
    });
    const root = await pebble.root();
    const ask = (port: number) => get({ port, ca: root, servername: name, headers: { host: name } });
    assert.is((await ask(first.httpsPort)).text, 'hello');
    const [{ serial, source, renewAt }] = first.edge.certificates();
    assert.is(source, 'acme');
    assert.ok(renewAt > Date.now());
    await first.edge.close({ timeoutMs: 0 });

    const other = `2.${name}`;
    const second = await edgeAt(storage, [challenge], origin.target, name, other);
    // It is there at once, before anything was ordered.
    assert.is((await ask(second.httpsPort)).text, 'hello');
    await until(() => second.edge.certificates().every((one) => one.served), 'the second certificate', 40_000);
    assert.is(second.edge.certificates().find(({ id }) => id === name)?.serial, serial);
    const accounts = readdirSync(storage).filter((file) => file.startsWith('accounts'));
    assert.is(accounts.length, 1);
    assert.is(pebble.log().match(/There are now \d+ accounts/g)?.length, ++edges, 'one account a storage');
    await second.edge.close({ timeoutMs: 0 });
  });

acme.run();
