import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CertificateAdmin } from '../../src/admin/certs.ts';
import { createDoctor, type DoctorOptions } from '../../src/admin/doctor.ts';
import type { Live } from '../../src/admin/status.ts';

const doctor = suite('admin: the doctor');

const now = Date.parse('2026-11-23T12:00:00Z');
const instance = {
  ...{ key: 'a', address: '10.0.0.2:3000', state: 'Healthy', since: 0, reason: '', ejected: null, pools: [] },
  ...{ requests: 0, failures: 0, inFlight: 0, open: 0, breaker: '', latencyMs: -1 },
} as const;

function options(given: Partial<DoctorOptions> & { instances?: object[]; pools?: object[] }): DoctorOptions {
  const { instances = [], pools = [], ...rest } = given;
  return {
    live: async () => ({ at: now, revision: 1, workers: 2, quiet: 0, instances, pools }) as unknown as Live,
    workers: 2,
    hosts: () => [],
    database: async () => {},
    databaseName: 'file:oo.db',
    disk: async () => ({ free: 10 * 1024 ** 3, total: 20 * 1024 ** 3 }),
    now: () => now,
    ...rest,
  };
}

const text = async (given: Parameters<typeof options>[0]) =>
  (await createDoctor(options(given))()).map(({ what, ok, message, hint }) =>
    `${ok ? 'ok' : 'NOT'} ${what}: ${message} ${hint}`.trim(),
  );

doctor('all is well', async () => {
  assert.equal(await text({}), [
    'ok database: file:oo.db answers in 0 ms',
    'ok disk: 10.0 GiB of 20.0 GiB are free',
    'ok workers: 2 of 2 answer',
    'ok upstreams: nothing is known against 0 instances of 0 routes and services',
  ]);
});

doctor('a database that is away, a full disk, a worker that is silent', async () => {
  const away = Object.assign(new Error('The database is away.'), { hint: 'Bring it back.' });
  const lines = await text({
    workers: 3,
    database: () => Promise.reject(away),
    disk: async () => ({ free: 100 * 1024 ** 2, total: 20 * 1024 ** 3 }),
  });
  assert.is(lines[0], 'NOT database: The database is away. Bring it back. Traffic goes on meanwhile; changes do not.');
  assert.match(lines[1], /^NOT disk: 100 MiB of 20\.0 GiB are free Make room/);
  assert.match(lines[2], /^NOT workers: 2 of 3 answer/);
});

doctor('a slow database', async () => {
  let at = now;
  const slow = async () => {
    at += 700;
  };
  assert.match((await text({ database: slow, now: () => at }))[0], /^NOT database: file:oo\.db took 700 ms/);
});

doctor('instances that fail, in words; many of them are counted', async () => {
  const down = { ...instance, state: 'Unreachable', reason: 'connection refused', pools: [{ name: 'app', share: 1 }] };
  const out = { ...instance, ejected: { cause: '5 failures in a row', leftMs: 4_200 } };
  const lines = await text({ instances: [down, out, { ...instance, breaker: 'open' }, instance] });
  assert.match(lines[3], /^NOT instance 10\.0\.0\.2:3000: it fails its probes \(app\): connection refused Start it/);
  assert.match(lines[4], /^NOT instance .*: requests fail there: 5 failures in a row It is tried again in 5 s\.$/);
  assert.match(lines[5], /its breaker is open/);
  assert.is(lines.length, 6);
  const many = await text({ instances: Array.from({ length: 14 }, () => down) });
  assert.match(many.at(-1) ?? '', /^NOT instances: 4 more, likewise/);
});

doctor('a pool without an instance', async () => {
  const lines = await text({ pools: [{ kind: 'service', name: 'web', state: 'none' }] });
  assert.match(lines[3], /^NOT service web: no instance can take its requests .*oo explain web/);
});

doctor('certificates near their end, expired, missing; names that a CA would not find', async () => {
  const at = (ms: number) => new Date(now + ms).toISOString();
  const admin = {
    list: async () => [
      { id: 'good.example.com', notAfter: at(40 * 86_400_000) },
      { id: 'late.example.com', notAfter: at(3 * 86_400_000) },
      { id: 'gone.example.com', notAfter: at(-1) },
      { id: 'acme_account+key' },
    ],
    waiting: async () => [{ id: 'new.example.com', reason: '', nextTryAt: null }],
    check: async (host: string) => {
      if (host === 'odd.example.com') throw Object.assign(new Error('No answer.'), { hint: 'Ask again.' });
      return [{ what: 'DNS', ok: host.startsWith('good'), message: 'found', hint: 'Mend it.' }];
    },
  } as unknown as CertificateAdmin;
  const hosts = () => ['good.example.com', 'bad.example.com', 'odd.example.com'];
  const lines = (await text({ certificates: admin, hosts })).slice(4);
  assert.match(lines[0], /^NOT certificate late\.example\.com: it expires in 3 days oo cert get late/);
  assert.match(lines[1], /^NOT certificate gone\.example\.com: it has expired/);
  assert.match(lines[2], /^NOT certificate new\.example\.com: there is none yet/);
  assert.equal(lines.slice(3), [
    'ok good.example.com: a CA would find all it looks for',
    'NOT bad.example.com DNS: found Mend it.',
    'NOT odd.example.com check: No answer. Ask again.',
  ]);
  const many = await text({
    certificates: admin,
    hosts: () => Array.from({ length: 12 }, (_, i) => `good${i}.example.com`),
  });
  assert.match(many.at(-1) ?? '', /^ok names: 2 more were not looked up/);
});

doctor.run();
