import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEdge, type EdgeOptions } from '../../src/node.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { get, listening, loopback } from './kit.ts';

const options = suite('options of the edge as a library');
options.after.each(cleanUp);

const ca = 'https://ca.example/directory';

/** Each wrong, with what its refusal names. */
const wrong: readonly [given: object, named: string][] = [
  [{ routes: undefined }, 'routes is undefined'],
  [{ routes: 'a.test' }, "routes is 'a.test'"],
  [{ routes: {} }, 'routes is an object'],
  [{ routes: [{ id: 'a.test', target: 'http://127.0.0.1:9' }, null] }, 'routes[1] is null'],
  [{ services: 5 }, 'services is 5'],
  [{ services: { users: null } }, "service 'users' is null"],
  [{ handlers: 5 }, 'handlers is 5'],
  [{ handlers: { './a.mjs': 'x' } }, "handlers['./a.mjs'] is 'x'"],
  [{ log: 'x' }, "log is 'x'"],
  [{ accessLog: true }, 'accessLog is true'],
  [{ hooks: null }, 'hooks is null'],
  [{ hooks: { onhealth() {} } }, "hooks has no 'onhealth'"],
  [{ hooks: { onHealth: 'x' } }, "hooks.onHealth is 'x'"],
  // Else it listens on all addresses.
  [{ http: { port: 0, hostname: '127.0.0.1' } }, "http has no 'hostname'"],
  [{ http: 80 }, 'http is 80'],
  [{ https: true }, 'https is true'],
  [{ trustedProxies: [5] }, 'trustedProxies is 5'],
  [{ toString: 5 }, "no option 'toString'"],
  [{ certificates: null }, 'certificates is null'],
  // Else they would not be kept, or had from no CA, and nothing would say so.
  [{ certificates: './certificates' }, "certificates is './certificates'"],
  [{ certificates: { store: './certificates' } }, "certificates has no 'store'"],
  [{ certificates: { own: {} } }, 'certificates.own is an object'],
  [{ certificates: { own: [null] } }, 'certificates.own[0]'],
  [{ certificates: { storage: '' } }, 'certificates.storage is'],
  [{ certificates: { storage: { list() {} } } }, 'certificates.storage.read'],
  [{ certificates: { keyType: 'dsa' } }, "certificates.keyType is 'dsa'"],
  [{ certificates: { local: 'no' } }, "certificates.local is 'no'"],
  [{ certificates: { onDemand: true } }, 'certificates.onDemand is true'],
  [{ certificates: { onDemand: {} } }, 'certificates.onDemand.ask'],
  [{ certificates: { onDemand: { ask() {}, perHour: 'x' } } }, 'certificates.onDemand.perHour'],
  [{ certificates: { acme: null } }, 'certificates.acme is null'],
  [{ certificates: { acme: ca } }, 'certificates.acme is'],
  [{ certificates: { acme: [{ directory: ca }, { directory: 'http://ca.example/' }] } }, 'acme[1].directory'],
  [{ certificates: { acme: { directory: ca, mail: 'a@b.test' } } }, "certificates.acme has no 'mail'"],
  [{ certificates: { acme: { directory: ca, email: 5 } } }, 'certificates.acme.email is 5'],
  [{ certificates: { acme: { directory: ca, ca: 'x' } } }, 'certificates.acme.ca'],
  [{ certificates: { acme: { directory: ca, challenges: ['http'] } } }, "certificates.acme.challenges is 'http'"],
  [{ certificates: { acme: { directory: ca, eab: { kid: 'a' } } } }, 'certificates.acme.eab.hmacKey'],
];

for (const [given, named] of wrong)
  options(`refused: ${named}`, () => {
    try {
      createEdge({ routes: [], http: loopback, ...given } as EdgeOptions);
    } catch (error) {
      assert.instance(error, TypeError);
      assert.ok((error as Error).message.includes(named), (error as Error).message);
      return;
    }
    assert.unreachable('it was not refused');
  });

options('a time to close that can not be used is refused, and a long one does not cut', async () => {
  const slow = await startOrigin({});
  const { edge, httpPort } = await listening([{ id: '*', target: slow.target }]);
  for (const timeoutMs of [Number.NaN, -1, '5', null] as number[]) {
    const refusal = await edge.close({ timeoutMs }).then(
      () => null,
      (error) => error,
    );
    assert.instance(refusal, TypeError);
    assert.match(refusal.message, 'timeoutMs is');
  }
  const answer = get({ port: httpPort });
  while (slow.connections.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const closed = edge.close({ timeoutMs: Number.POSITIVE_INFINITY });
  setTimeout(() => slow.connections[0].send(reply('late')), 100);
  assert.is((await answer).text, 'late');
  await closed;
});

options('callbacks that reject end nothing', async () => {
  const origin = await startOrigin(() => reply('hello'));
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  const rejects = async () => {
    throw new Error('of the embedder');
  };
  const { httpPort } = await listening(
    [
      { id: '*', target: origin.target },
      { id: 'dead.test', target: 'http://127.0.0.1:1' },
    ],
    { log: rejects, accessLog: rejects },
  );
  assert.is((await get({ port: httpPort })).status, 200);
  assert.is((await get({ port: httpPort, headers: { host: 'dead.test' } })).status, 502);
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off('unhandledRejection', note);
  assert.equal(unhandled, []);
});

options.run();
