import type { CaaRecord } from 'node:dns';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CertificateStatus, Unmet } from '../../src/certs/manager-types.ts';
import { type Finding, type PreflightOptions, preflight } from '../../src/certs/preflight.ts';
import { createProbe, type Probe } from '../../src/certs/preflight-probe.ts';
import { type Challenge, challengeKey, type IssueFailure } from '../../src/certs/types.ts';
import { startEdge } from '../helpers/proxy.ts';

const checks = suite('certs: what a CA will look at');
const now = Date.UTC(2025, 0, 1);
const letsEncrypt = 'https://acme-v02.api.letsencrypt.org/directory';

interface World {
  readonly a?: Record<string, string[]>;
  readonly aaaa?: Record<string, string[]>;
  readonly caa?: Record<string, Partial<CaaRecord>[]>;
  /** Errors by name, of all lookups. */
  readonly dns?: Record<string, string>;
  /** What answers at an address: our own workers, a status of another server's, or an error. */
  readonly at?: Record<string, 'oo' | number | string>;
}

function fault(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** The world as a table, and a server with a route for app.example.com. */
function options(world: World, more: Partial<PreflightOptions> = {}) {
  const answered = new Map<string, string>();
  const cleaned: Challenge[] = [];
  const look = <T>(name: string, table: Record<string, T[]> = {}): Promise<T[]> => {
    const code = world.dns?.[name];
    return code ? Promise.reject(fault(code)) : Promise.resolve(table[name] ?? []);
  };
  const probe: Probe = {
    resolve4: (name) => look(name, world.a),
    resolve6: (name) => look(name, world.aaaa),
    resolveCaa: (name) => look(name, world.caa) as Promise<CaaRecord[]>,
    async get(address, port, host, path) {
      assert.equal([port, host.includes('example')], [80, true]);
      const answer = world.at?.[address] ?? 'ECONNREFUSED';
      if (typeof answer === 'number') return { status: answer, server: 'nginx/1.22', body: 'hello' };
      if (answer !== 'oo') throw fault(answer);
      return { status: 200, server: '', body: answered.get(path.split('/')[3]) ?? '' };
    },
  };
  return {
    cleaned,
    answered,
    probe,
    manager: { status: () => undefined, unmet: () => [] },
    routes: () => [{ id: 'app.example.com/api', target: 't' }],
    present: async (challenge: Challenge) => {
      if (challenge.type === 'http-01') answered.set(challenge.token, challenge.content);
    },
    cleanup: async (challenge: Challenge) => {
      answered.delete(challenge.token);
      cleaned.push(challenge);
    },
    directory: letsEncrypt,
    http01: true,
    httpPort: () => 80,
    now: () => now,
    ...more,
  };
}

function shown(findings: readonly Finding[]): string[] {
  return findings.map(
    ({ what, ok, message, hint }) => `${ok ? 'ok' : 'NOT'} ${what}: ${message}${hint && ` → ${hint}`}`,
  );
}

const good: World = {
  a: { 'app.example.com': ['8.8.8.8'] },
  aaaa: { 'app.example.com': ['2600::1'] },
  caa: { 'example.com': [{ critical: 0, issue: 'letsencrypt.org; accounturi=x' }] },
  at: { '8.8.8.8': 'oo', '2600::1': 'oo' },
};

checks('all is well: a line for each thing, and no challenge is left', async () => {
  const given = options(good);
  assert.equal(shown(await preflight('app.example.com', given)), [
    'ok route: app.example.com/api',
    'ok DNS: app.example.com leads to 8.8.8.8, 2600::1',
    'ok port 80: 8.8.8.8 leads here',
    'ok port 80: 2600::1 leads here',
    'ok CAA: example.com allows letsencrypt.org',
  ]);
  assert.equal([given.answered.size, given.cleaned.length], [0, 2]);
});

const cases: [what: string, world: World, line: RegExp, more?: Partial<PreflightOptions>][] = [
  [
    'no route',
    good,
    /^NOT route: no route has app\.example\.com\. → Save one: oo route save --id app\.example\.com/,
    { routes: () => [] },
  ],
  [
    'a wildcard route',
    good,
    /^ok route: \*\.example\.com, \*$/,
    {
      routes: () => [
        { id: '*.example.com', target: 't' },
        { id: '*', target: 't' },
        { id: 'example.com', target: 't' },
      ],
    },
  ],
  [
    'a name that does not exist',
    { dns: { 'app.example.com': 'ENOTFOUND' } },
    /^NOT DNS: app\.example\.com does not exist\. → Add an A or AAAA record/,
  ],
  ['a name without addresses', {}, /^NOT DNS: app\.example\.com has neither an A nor an AAAA record\. → Add/],
  [
    'SERVFAIL',
    { dns: { 'app.example.com': 'ESERVFAIL' } },
    /^NOT DNS: the lookup of app\.example\.com failed: SERVFAIL\. → Look at its name servers and at DNSSEC/,
  ],
  ['DNS that is silent', { dns: { 'app.example.com': 'ETIMEOUT' } }, /failed: no answer in time\./],
  [
    'a private address',
    { a: { 'app.example.com': ['10.0.0.1'] } },
    /^NOT DNS: app\.example\.com leads to 10\.0\.0\.1, which no CA can reach\./,
  ],
  ['nothing on port 80', { ...good, at: {} }, /^NOT port 80: nothing listens on port 80 of 8\.8\.8\.8\./],
  [
    'another port of ours',
    { ...good, at: {} },
    /oo listens on port 8080: forward port 80 to it/,
    { httpPort: () => 8080 },
  ],
  [
    'a firewall',
    { ...good, at: { '8.8.8.8': 'ETIMEDOUT' } },
    /^NOT port 80: 8\.8\.8\.8 does not answer\. → Open port 80 in the firewalls/,
  ],
  [
    'no IPv6',
    { ...good, at: { '2600::1': 'ENETUNREACH' } },
    /^NOT port 80: 2600::1 cannot be reached from here\. → If this server has no IPv6, remove the AAAA record/,
  ],
  [
    'another server',
    { ...good, at: { '8.8.8.8': 404 } },
    /^NOT port 80: another server \(nginx\/1\.22\) answers at 8\.8\.8\.8, with status 404\./,
  ],
  [
    'another server that says 200 to all',
    { ...good, at: { '8.8.8.8': 200 } },
    /^NOT port 80: another server .* with status 200\./,
  ],
  [
    'something else',
    { ...good, at: { '8.8.8.8': 'ECONNRESET' } },
    /^NOT port 80: asking 8\.8\.8\.8 failed: ECONNRESET\. → Look with: curl/,
  ],
  ['no CAA at all', { ...good, caa: {} }, /^ok CAA: no record: any CA may$/],
  [
    'CAA that forbids',
    { ...good, caa: { 'example.com': [{ issue: 'digicert.com' }] } },
    /^NOT CAA: example\.com allows only these CAs: digicert\.com\. → Add the record: example\.com\. CAA 0 issue "letsencrypt\.org"\.$/,
  ],
  [
    'CAA that forbids all',
    { ...good, caa: { 'example.com': [{ issue: ';' }] } },
    /^NOT CAA: example\.com allows only these CAs: none\./,
  ],
  [
    'the closest CAA counts',
    { ...good, caa: { 'app.example.com': [{ issue: 'LetsEncrypt.org' }], 'example.com': [{ issue: ';' }] } },
    /^ok CAA: app\.example\.com allows letsencrypt\.org$/,
  ],
  [
    'CAA of mail only',
    { ...good, caa: { 'example.com': [{ iodef: 'mailto:a@b' }] } },
    /^ok CAA: the records of example\.com forbid no CA$/,
  ],
  [
    'CAA that cannot be read',
    { ...good, dns: { 'example.com': 'ESERVFAIL' } },
    /^NOT CAA: the CAA lookup of example\.com failed: SERVFAIL\./,
  ],
  [
    'a CA that is not known',
    good,
    /^ok CAA: example\.com allows only letsencrypt\.org: see whether that is the CA of https:\/\/ca\.test$/,
    { directory: 'https://ca.test' },
  ],
  ['ACME off', good, /^NOT CA: ACME is off\. → Start the server with another --acme/, { directory: '' }],
];
for (const [what, world, line, more] of cases) {
  checks(what, async () => {
    const lines = shown(await preflight('app.example.com', options(world, more)));
    assert.ok(
      lines.some((one) => line.test(one)),
      `${line}\n${lines.join('\n')}`,
    );
  });
}

checks('a wildcard: no ports, and issuewild counts', async () => {
  const caa = { 'example.com': [{ issue: 'letsencrypt.org' }, { issuewild: 'digicert.com' }] };
  const lines = shown(await preflight('*.example.com', options({ caa })));
  assert.is(lines.length, 2);
  assert.match(lines[1], /^NOT CAA: example\.com allows only these CAs: digicert\.com\. .* CAA 0 issuewild /);
});

checks('an address needs no DNS and no CAA', async () => {
  const given = options({ at: { '8.8.8.8': 'oo' } });
  given.probe.get = async (_, __, host, path) => {
    assert.is(host, '8.8.8.8');
    return { status: 200, server: '', body: given.answered.get(path.split('/')[3]) ?? '' };
  };
  const lines = shown(await preflight('8.8.8.8', given));
  assert.equal(lines.slice(1), ['ok DNS: an address needs none', 'ok port 80: 8.8.8.8 leads here']);
});

checks('local names, saved certificates and unmet names end early', async () => {
  const local = shown(await preflight('app.test', options({})));
  assert.match(local[1], /^ok CA: the local CA gives it/);
  const unmet: Unmet = {
    name: '*.example.com',
    routes: [],
    reason: 'CAs give a wildcard only by DNS-01',
    hint: 'A hook',
  };
  const manager = { status: () => undefined, unmet: () => [unmet] };
  assert.is(
    shown(await preflight('*.example.com', options({}, { manager })))[1],
    'NOT CA: CAs give a wildcard only by DNS-01. → A hook.',
  );
  const saved = { status: () => ({ source: 'saved' }) as CertificateStatus, unmet: () => [] };
  assert.match(
    shown(await preflight('app.example.com', options(good, { manager: saved })))[1],
    /^ok CA: .* saved by a person/,
  );
});

const failure: IssueFailure = {
  at: now - 60_000,
  step: 'order',
  directory: letsEncrypt,
  message: 'too many certificates for example.com',
  hint: 'Wait.',
  problem: 'rateLimited',
  retryAfter: now + 3_600_000,
};

checks('the last attempt: a rate limit with its end, another failure with its step', async () => {
  const status = { source: 'acme', lastFailure: failure, nextTryAt: now + 7_200_000, certificate: undefined };
  const manager = { status: () => status as unknown as CertificateStatus, unmet: () => [] };
  const limited = shown(await preflight('app.example.com', options(good, { manager })));
  assert.is(
    limited[1],
    'NOT rate limit: too many certificates for example.com. It asks to wait until 2025-01-01 01:00 UTC. → Wait. oo tries again at 2025-01-01 02:00 UTC.',
  );
  status.lastFailure = { ...failure, problem: 'dns', message: 'no A record', hint: 'Add one' };
  const failed = shown(await preflight('app.example.com', options(good, { manager })));
  assert.is(failed[1], 'ok rate limit: the CA has not refused for one');
  assert.is(
    failed[2],
    'NOT last attempt: failed at 2024-12-31 23:59 UTC, step order: no A record. → Add one. oo tries again at 2025-01-01 02:00 UTC.',
  );
});

checks('the probe: a real GET with its Host, long answers cut', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/big') return response.end('x'.repeat(100_000));
    if (request.url === '/drop') return request.socket.destroy();
    response.setHeader('server', 'it');
    return response.end(`${request.headers.host} ${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const { get } = createProbe();
  assert.equal(await get('127.0.0.1', port, 'app.test', '/x'), { status: 200, server: 'it', body: 'app.test /x' });
  assert.ok((await get('127.0.0.1', port, 'app.test', '/big')).body.length < 100_000);
  const code = (work: Promise<unknown>) =>
    work.then(
      () => '',
      (error) => error.code,
    );
  assert.is(await code(get('127.0.0.1', port, 'app.test', '/drop')), 'ECONNRESET');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  assert.is(await code(get('127.0.0.1', port, 'app.test', '/x')), 'ECONNREFUSED');
});

checks('over the wire: our own edge answers what is asked, and forgets it', async () => {
  const { edge, port, close } = await startEdge([{ id: 'app.example.com', target: '127.0.0.1:1' }], {
    https: { port: 0, host: '127.0.0.1' },
  });
  const given = options(
    { a: { 'app.example.com': ['127.0.0.1'] } },
    {
      caPort: port,
      present: async (challenge) => edge.challenges.save([challenge]),
      cleanup: async (challenge) => edge.challenges.remove([challengeKey(challenge)]),
    },
  );
  given.probe.get = createProbe().get;
  const line = async () => shown(await preflight('app.example.com', given)).find((one) => one.includes(`port ${port}`));
  assert.is(await line(), `ok port ${port}: 127.0.0.1 leads here`);
  given.present = async () => {};
  assert.match((await line()) ?? '', /^NOT port \d+: another server answers at 127\.0\.0\.1, with status 404\./);
  close();
  assert.match((await line()) ?? '', /^NOT port \d+: nothing listens on port/);
});

checks.run();
