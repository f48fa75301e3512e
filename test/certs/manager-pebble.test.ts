// time limit: 120 s
import { createServer } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createCertificateManager } from '../../src/certs/manager.ts';
import { type Challenge, challengeKey, type ServedCertificate } from '../../src/certs/types.ts';
import { systemClock } from '../../src/clock.ts';
import { routesOf } from '../helpers/manage.ts';
import { memoryCertificateStore } from '../helpers/memory-certificate-store.ts';
import { type Pebble, startPebble } from '../helpers/pebble.ts';
import { until } from '../helpers/wait.ts';
import { issuerOf } from './issuer-kit.ts';

const real = suite('certificate managers and pebble');
const boundMs = 60_000;

let pebble: Pebble;
real.before(async () => {
  pebble = await startPebble({ nonceReject: 20 });
});
real.after(() => pebble.close());

/** A server with workers in memory. */
function server(store: ReturnType<typeof memoryCertificateStore>) {
  const served = new Map<string, ServedCertificate>();
  const challenges = new Map<string, Challenge>();
  const lines: string[] = [];
  const issuer = issuerOf(pebble, { accounts: store, challenges: ['http-01'] });
  const manager = createCertificateManager({
    store,
    issuers: [issuer],
    settings: { shared: true },
    log: (line) => lines.push(line),
    publisher: {
      async certificates({ save, remove }) {
        for (const one of save) served.set(one.id, one);
        for (const id of remove) served.delete(id);
      },
      async challenges({ save, remove }) {
        for (const one of save) challenges.set(challengeKey(one), one);
        for (const key of remove) challenges.delete(key);
      },
    },
  });
  let stopped = false;
  const poll = async () => {
    if (stopped) return;
    await manager.poll();
    systemClock.after(100, poll);
  };
  return {
    ...{ manager, served, challenges, lines },
    async start(routes: string[]) {
      await manager.start(routesOf(routes));
      await poll();
    },
    async stop() {
      stopped = true;
      await manager.stop();
      issuer.close();
    },
  };
}

real('two on one store issue once a name; the one that is asked answers for the other', async () => {
  const store = memoryCertificateStore();
  const servers = [server(store), server(store)];
  const [, asked] = servers;
  // The CA comes to the second one only, which asks its main process as a worker does.
  const edge = createServer(async (request, response) => {
    const key = `http-01 ${request.url!.split('/').at(-1)}`;
    const found = asked.challenges.has(key) || (await asked.manager.askChallenge(key));
    const challenge = found ? asked.challenges.get(key) : undefined;
    if (challenge?.type === 'http-01') response.end(challenge.content);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => edge.listen(pebble.httpPort, '127.0.0.1', resolve));
  const hosts = Array.from({ length: 12 }, (_, i) => `h${i}.pebble.example`);
  await Promise.all(servers.map((one) => one.start(hosts)));
  const told = () => servers.flatMap(({ lines }) => lines).join('\n');
  await until(() => servers.every(({ served }) => served.size === hosts.length), 'all served', boundMs).catch(
    (error) => {
      throw new Error(`${error.message}\n${told()}`);
    },
  );
  const keys = ({ served }: (typeof servers)[0]) => [...served.values()].map(({ id, key }) => `${id} ${key}`).sort();
  assert.equal(keys(servers[0]), keys(servers[1]));
  assert.is(pebble.log().split('Issued certificate serial').length - 1, hosts.length);
  assert.is(store.leases.size, 0);
  await until(() => store.challenges.size === 0, 'no challenge is left');
  await Promise.all(servers.map((one) => one.stop()));
  edge.closeAllConnections();
  edge.close();
});

real('a CA that is down is explained, and asked again; when it is back, all is well', async () => {
  const store = memoryCertificateStore();
  const one = server(store);
  await pebble.stop();
  await one.start(['down.pebble.example']);
  const failure = () => one.manager.status('down.pebble.example')?.lastFailure;
  await until(() => failure() !== null, 'a failure', boundMs);
  assert.is(failure()?.step, 'directory');
  assert.match(
    one.lines[0],
    /^certificate down\.pebble\.example: directory failed at 127\.0\.0\.1:\d+: .* Next attempt in \d+ seconds/,
  );
  await pebble.startAgain();
  const edge = createServer((request, response) => {
    const challenge = one.challenges.get(`http-01 ${request.url!.split('/').at(-1)}`);
    response.end(challenge?.type === 'http-01' ? challenge.content : '');
  });
  await new Promise<void>((resolve) => edge.listen(pebble.httpPort, '127.0.0.1', resolve));
  const begun = await one.manager.renew('down.pebble.example');
  assert.is(begun.kind, 'begun');
  await until(() => one.served.size === 1, 'served', boundMs).catch((error) => {
    throw new Error(`${error.message}\n${one.lines.join('\n')}`);
  });
  await one.stop();
  edge.closeAllConnections();
  edge.close();
});

real.run();
