// time limit: 300 s

import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAcmeIssuer } from '../../src/certs/issuer.ts';
import { IssueError } from '../../src/certs/types.ts';
import {
  type FrontAnswer,
  type FrontRequest,
  type FrontSettings,
  problem,
  startAcmeFront,
} from '../helpers/acme-front.ts';
import { startPebble } from '../helpers/pebble.ts';
import { sleep, until } from '../helpers/wait.ts';
import { contextOf, failureOf, issue, issuerOf, memoryAccounts, requestFor, startAnswers } from './issuer-kit.ts';

const pebble = await startPebble();
const answers = await startAnswers(pebble);
const eabKey = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';

const faults = suite('issuer: faults');

faults.before.each(() => {
  answers.http = true;
  answers.alpn = true;
  answers.ever.length = 0;
});
// Told at the end: an error in here would hide the test's own.
const left: string[] = [];
faults.after.each(() => {
  left.push(...answers.shown.keys());
  answers.shown.clear();
});

/** A front for one test, and an issuer that talks to it. */
async function behind(settings: FrontSettings, options: Parameters<typeof issuerOf>[1] = {}) {
  const front = await startAcmeFront(pebble, settings);
  return { front, issuer: issuerOf(front, options) };
}

const on = (resource: FrontRequest['resource'], answer: FrontAnswer) => ({
  fault: (asked: FrontRequest) => (asked.resource === resource ? answer : undefined),
});

// Nonces, authorizations, accounts

faults('half of all nonces refused', async () => {
  const refusing = await startPebble({ nonceReject: 50, httpPort: pebble.httpPort, tlsPort: pebble.tlsPort });
  const one = issuerOf(refusing);
  const names = Array.from({ length: 5 }, (_, index) => `n${index}.example.com`);
  const all = await Promise.all(names.map((name) => issue(one, [name], answers)));
  assert.equal(
    all.map(({ id }) => id),
    names,
  );
  refusing.close();
});

faults('an authorization that is valid already needs no challenge', async () => {
  const reusing = await startPebble({ authzReuse: 100, httpPort: pebble.httpPort, tlsPort: pebble.tlsPort });
  const one = issuerOf(reusing);
  await issue(one, ['r.example.com'], answers);
  assert.is(answers.ever.length, 1);
  await issue(one, ['r.example.com'], answers);
  assert.is(answers.ever.length, 1);
  await issue(one, ['r.example.com', 'r2.example.com'], answers);
  assert.equal(
    answers.ever.map(({ name }) => name),
    ['r.example.com', 'r2.example.com'],
  );
  reusing.close();
});

faults('a CA that has forgotten the account gets it again, with the same key', async () => {
  const restarted = await startPebble({ httpPort: pebble.httpPort, tlsPort: pebble.tlsPort });
  const accounts = memoryAccounts();
  const one = issuerOf(restarted, { accounts });
  await issue(one, ['s.example.com'], answers);
  await restarted.startAgain();
  const both = ['s1.example.com', 's2.example.com'];
  await Promise.all(both.map((name) => issue(one, [name], answers)));
  assert.is(new Set(accounts.saved.map(({ key }) => key)).size, 1);
  // The key, its account, and the account that was made after.
  assert.is(accounts.saved.length, 3);
  restarted.close();
});

faults('a CA that wants external accounts', async () => {
  const wanting = await startPebble({ eab: { 'kid-1': eabKey }, httpPort: pebble.httpPort, tlsPort: pebble.tlsPort });
  const without = await failureOf(issue(issuerOf(wanting), ['t.example.com'], answers));
  assert.is(without.step, 'account');
  assert.is(without.problem, 'externalAccountRequired');
  assert.match(without.hint, /--acme-eab-kid and --acme-eab-key/);
  const wrong = await failureOf(
    issue(issuerOf(wanting, { eab: { kid: 'kid-2', hmacKey: eabKey } }), ['t.example.com'], answers),
  );
  assert.is(wrong.step, 'account');
  assert.match(wrong.hint, /--acme-eab-kid/);
  await issue(issuerOf(wanting, { eab: { kid: 'kid-1', hmacKey: eabKey } }), ['t.example.com'], answers);
  wanting.close();
});

// The way to the CA

faults('the CA is down, and comes back', async () => {
  const down = await startPebble({ httpPort: pebble.httpPort, tlsPort: pebble.tlsPort });
  const one = issuerOf(down);
  await down.stop();
  const failure = await failureOf(issue(one, ['u.example.com'], answers));
  assert.is(failure.step, 'directory');
  assert.match(failure.message, /the CA at 127\.0\.0\.1:\d+ refuses connections/);
  assert.match(failure.hint, /curl -v https:\/\/127\.0\.0\.1/);
  await down.startAgain();
  await issue(one, ['u.example.com'], answers);
  await down.stop();
  const later = await failureOf(issue(one, ['u2.example.com'], answers));
  assert.match(later.message, /refuses connections/);
  down.close();
});

faults('the CA does not answer: bounded, and good again later', async () => {
  const slow = await startPebble({ httpPort: pebble.httpPort, tlsPort: pebble.tlsPort });
  const one = issuerOf(slow, { timeouts: { requestMs: 2_500 } });
  slow.pause();
  const failure = await failureOf(issue(one, ['v.example.com'], answers));
  assert.match(failure.message, /does not answer in time/);
  slow.resume();
  await issue(one, ['v.example.com'], answers);
  slow.close();
});

faults('a slow CA only takes longer', async () => {
  const { issuer, front } = await behind({});
  front.settings.slowMs = 40;
  await issue(issuer, ['w.example.com'], answers);
  assert.ok(front.requests.length > 8);
});

faults('a CA that validates for too long', async () => {
  const sleeping = await startPebble({
    validationSleepS: 120,
    env: { PEBBLE_VA_SLEEPTIME: '120' },
    httpPort: pebble.httpPort,
    tlsPort: pebble.tlsPort,
  });
  const one = issuerOf(sleeping, { timeouts: { validationMs: 500 } });
  const names = Array.from({ length: 3 }, (_, index) => `x${index}.example.com`);
  // It sleeps for a random time: that three of them are over at once will not be.
  const failure = await failureOf(issue(one, names, answers));
  assert.is(failure.step, 'authorization');
  assert.match(failure.message, /not done by the CA within 0\.5 s/);
  sleeping.close();
});

faults('all of an issuance is bounded, too', async () => {
  const { issuer } = await behind(on('newOrder', { status: 201, delayMs: 20_000 }), { timeouts: { issueMs: 500 } });
  assert.match((await failureOf(issue(issuer, ['y.example.com'], answers))).message, /not done in time/);
});

faults('connections that break, and errors that pass', async () => {
  let broken = 0;
  const { issuer, front } = await behind({
    fault({ resource }) {
      if (resource === 'newOrder' && broken < 2) return broken++ === 0 ? { status: 0, reset: true } : { status: 503 };
      if (resource === 'finalize' && broken < 3) {
        broken++;
        return problem(500, 'serverInternal', 'database trouble');
      }
      return undefined;
    },
  });
  await issue(issuer, ['z.example.com'], answers);
  assert.is(broken, 3);
  assert.is(front.requests.filter(({ resource }) => resource === 'newOrder').length, 3);
});

faults('a finalize whose answer was lost is looked after, not made anew', async () => {
  let lost = false;
  const { issuer, front } = await behind({
    change({ resource }, body) {
      if (resource !== 'finalize' || lost) return body;
      lost = true;
      throw new Error('lost');
    },
  });
  await issue(issuer, ['z2.example.com'], answers);
  assert.is(front.orders().length, 1);
});

faults('an error that stays', async () => {
  const { issuer } = await behind(on('newOrder', problem(500, 'serverInternal', 'database trouble')));
  const failure = await failureOf(issue(issuer, ['aa.example.com'], answers));
  assert.is(failure.problem, 'serverInternal');
  assert.match(failure.message, /internal error: database trouble/);
});

// What it refuses

faults('a name that does not resolve: no second way is tried', async () => {
  await pebble.setDns('ab.example.com', { servfail: true });
  const failure = await failureOf(issue(issuerOf(pebble), ['ab.example.com'], answers));
  assert.is(failure.problem, 'dns');
  assert.match(failure.message, /^ab\.example\.com: http-01: the CA could not look up the name: .*could not resolve/);
  assert.match(failure.hint, /A or AAAA record .*SERVFAIL/);
  assert.equal(
    answers.ever.map(({ type }) => type),
    ['http-01'],
  );
});

faults('a name that leads to where nobody listens', async () => {
  await pebble.setDns('ac.example.com', { a: ['127.0.0.9'] });
  const failure = await failureOf(issue(issuerOf(pebble), ['ac.example.com'], answers));
  assert.is(failure.problem, 'connection');
  assert.match(
    failure.message,
    /http-01: the CA could not connect.*connection refused; tls-alpn-01: .*Failed to connect/,
  );
  assert.match(failure.hint, /Port 80 of ac\.example\.com must be open.*oo cert check ac\.example\.com/);
});

faults('a CAA record that forbids: which one to add; no second way is tried', async () => {
  const error = { type: 'urn:ietf:params:acme:error:caa', detail: 'CAA record for ad.example.com prevents issuance' };
  const { issuer, front } = await behind({
    caaIdentities: ['ca.example'],
    change({ resource }, body) {
      if (resource !== 'authorization' || (body as { status: string }).status === 'pending') return body;
      const challenges = (body as { challenges: { type: string }[] }).challenges;
      return { ...(body as object), status: 'invalid', challenges: challenges.map((one) => ({ ...one, error })) };
    },
  });
  const failure = await failureOf(issue(issuer, ['ad.example.com'], answers));
  assert.is(failure.problem, 'caa');
  assert.match(failure.hint, /Add a CAA record: ad\.example\.com\. CAA 0 issue "ca\.example"/);
  assert.is(front.orders().length, 1);
});

faults('a rate limit, by Retry-After: asked once, and told until when', async () => {
  const limit = problem(429, 'rateLimited', 'too many new orders', { 'retry-after': '3600' });
  const { issuer, front } = await behind(on('newOrder', limit));
  const failure = await failureOf(issue(issuer, ['ae.example.com'], answers));
  assert.is(failure.step, 'order');
  assert.is(failure.problem, 'rateLimited');
  assert.ok(Math.abs(failure.retryAfter - Date.now() - 3_600_000) < 60_000);
  assert.match(failure.hint, /Not tried again before 20\d\d-\d\d-\d\d .* UTC/);
  assert.is(front.orders().length, 1);
});

faults('a rate limit, by its text', async () => {
  const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 7_200_000);
  const text = `too many certificates (5) already issued for this exact set of domains in the last 168h0m0s, retry after ${until.toISOString().slice(0, 19).replace('T', ' ')} UTC: see https://ca.example/docs`;
  const { issuer } = await behind(on('newOrder', problem(429, 'rateLimited', text)));
  const failure = await failureOf(issue(issuer, ['af.example.com'], answers));
  assert.is(failure.retryAfter, until.getTime());
});

faults('a person must act first', async () => {
  const body = {
    type: 'urn:ietf:params:acme:error:userActionRequired',
    detail: 'Terms of service have changed',
    instance: 'https://ca.example/tos',
  };
  const { issuer } = await behind(on('newOrder', { status: 403, body }));
  const failure = await failureOf(issue(issuer, ['ag.example.com'], answers));
  assert.is(failure.hint, 'Open https://ca.example/tos and do as it says');
});

faults('a refused contact address', async () => {
  const { issuer } = await behind(on('newAccount', problem(400, 'invalidContact', 'example.com is no mail domain')));
  const failure = await failureOf(issue(issuer, ['ah.example.com'], answers));
  assert.is(failure.step, 'account');
  assert.match(failure.hint, /--acme-email/);
});

faults('another contact, refused: told; none, refused: no reason to have no certificates', async () => {
  const accounts = memoryAccounts();
  const { front, issuer } = await behind({}, { accounts, contact: 'a@example.com' });
  await issue(issuer, ['ah.example.com'], answers);
  front.settings.fault = on('account', problem(400, 'invalidContact', 'not that one')).fault;
  const other = issuerOf(front, { accounts, contact: 'b@example.com' });
  assert.match((await failureOf(issue(other, ['ah.example.com'], answers))).message, /not that one/);
  await issue(issuerOf(front, { accounts }), ['ah.example.com'], answers);
});

faults('another contact, for an account that the CA has forgotten: it is made again', async () => {
  const accounts = memoryAccounts();
  const { front } = await behind({});
  await issue(issuerOf(front, { accounts, contact: 'a@example.com' }), ['ah.example.com'], answers);
  const { key } = accounts.saved.at(-1)!;
  front.settings.fault = on('account', problem(400, 'accountDoesNotExist', 'who?')).fault;
  await issue(issuerOf(front, { accounts, contact: 'b@example.com' }), ['ah.example.com'], answers);
  assert.equal([accounts.saved.at(-1)!.contact, accounts.saved.at(-1)!.key], ['b@example.com', key]);
});

faults('a CA that gives the order under way to all who ask for its names: both kinds of key are had', async () => {
  let under: { body: unknown; location: string } | undefined;
  const { front, issuer } = await behind({
    change({ resource }, body) {
      // What is finalized is not given out again.
      if (resource === 'finalize') under = undefined;
      return body;
    },
    fault({ resource }) {
      if (resource !== 'newOrder' || under === undefined) return undefined;
      return { status: 201, headers: { location: under.location }, body: under.body };
    },
  });
  const change = front.settings.change!;
  front.settings.change = (asked, body, headers) => {
    if (asked.resource === 'newOrder') under = { body, location: headers.location };
    return change(asked, body, headers);
  };
  const both = await Promise.all([
    issue(issuer, ['ay.example.com'], answers),
    issue(issuer, ['ay.example.com'], answers, { keyType: 'rsa', id: 'ay.example.com+rsa' }),
  ]);
  assert.equal(
    both.map(({ keyType }) => keyType),
    ['ecdsa', 'rsa'],
  );
});

faults('subproblems are told by name', async () => {
  const body = {
    type: 'urn:ietf:params:acme:error:rejectedIdentifier',
    detail: 'Error creating new order',
    subproblems: [
      {
        type: 'urn:ietf:params:acme:error:rejectedIdentifier',
        detail: 'The CA forbids issuance for this name by policy',
        identifier: { type: 'dns', value: 'ai.example.com' },
      },
    ],
  };
  const { issuer } = await behind(on('newOrder', { status: 400, body }));
  const failure = await failureOf(issue(issuer, ['ok.example.com', 'ai.example.com'], answers));
  assert.match(failure.message, /Error creating new order; ai\.example\.com: .*by policy/);
});

faults('an order that goes invalid at the end', async () => {
  const error = { type: 'urn:ietf:params:acme:error:serverInternal', detail: 'the signer is on fire' };
  const { issuer } = await behind({
    change({ resource }, body) {
      const order = body as { status: string };
      return resource === 'order' && order.status === 'valid' ? { ...order, status: 'invalid', error } : body;
    },
  });
  const failure = await failureOf(issue(issuer, ['aj.example.com'], answers));
  assert.is(failure.step, 'finalize');
  assert.match(failure.message, /the signer is on fire/);
});

// What makes no sense

faults('a certificate for another name or key is not taken', async () => {
  const other = await issue(issuerOf(pebble), ['other.example.com'], answers);
  const { issuer } = await behind({
    change: ({ resource }, body) => (resource === 'certificate' ? other.chain : body),
  });
  const failure = await failureOf(issue(issuer, ['ak.example.com'], answers));
  assert.is(failure.step, 'check');
  assert.match(failure.message, /the key is not the key of the certificate/);
});

faults('a certificate that has expired by our clock', async () => {
  const now = () => Date.now() + 20 * 365 * 86_400_000;
  const failure = await failureOf(issuerOf(pebble).issue(requestFor(['al.example.com']), contextOf(answers, { now })));
  assert.is(failure.step, 'check');
  assert.match(failure.hint, /clock/);
});

faults('broken JSON, an empty answer, a list in place of an order', async () => {
  const wrong: FrontAnswer[] = [
    { status: 201, headers: { 'content-type': 'application/json', location: 'https://x/' }, body: '{"status":' },
    { status: 201, headers: { location: 'https://x/' }, body: '' },
    { status: 201, headers: { 'content-type': 'application/json', location: 'https://x/' }, body: '[]' },
  ];
  for (const answer of wrong) {
    const { issuer } = await behind(on('newOrder', answer));
    const failure = await failureOf(issue(issuer, ['am.example.com'], answers));
    assert.is(failure.step, 'order');
    assert.match(failure.message, /broken JSON|something other than was asked for/);
  }
});

faults('a directory that is a web page', async () => {
  const { issuer } = await behind(
    on('directory', { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>' }),
  );
  const failure = await failureOf(issue(issuer, ['an.example.com'], answers));
  assert.is(failure.step, 'directory');
  assert.match(failure.message, /is no ACME directory/);
  assert.match(failure.hint, /--acme/);
});

faults('a directory that is not there', async () => {
  const { issuer } = await behind(on('directory', { status: 404, body: 'nope' }));
  assert.match((await failureOf(issue(issuer, ['an.example.com'], answers))).hint, /Is the directory URL right/);
});

faults('an answer without end', async () => {
  const { issuer } = await behind(on('directory', { status: 200, body: 'x'.repeat(2_000_000) }));
  assert.match((await failureOf(issue(issuer, ['ao.example.com'], answers))).message, /more than 1048576 bytes/);
});

faults('a token that is a path is not shown', async () => {
  const { issuer } = await behind({
    change({ resource }, body) {
      if (resource !== 'authorization') return body;
      const challenges = (body as { challenges: object[] }).challenges;
      return { ...(body as object), challenges: challenges.map((one) => ({ ...one, token: '../../admin' })) };
    },
  });
  const failure = await failureOf(issue(issuer, ['ap.example.com'], answers));
  assert.match(failure.message, /proven by nothing that is known here/);
  assert.is(answers.ever.length, 0);
});

// ATTACKS 43: https only

faults('a directory over http is refused at once', () => {
  for (const directory of ['http://127.0.0.1:14000/dir', 'ftp://ca.example/', 'ca.example/directory', '']) {
    assert.throws(
      () => createAcmeIssuer({ directory, accounts: memoryAccounts() }),
      (error: Error) => error instanceof IssueError && /https|no URL/.test(error.failure.message),
      directory,
    );
  }
});

faults(
  'a redirect to http is refused, and nothing goes there; one to https is followed for the directory only',
  async () => {
    let asked = 0;
    const plain = createHttpServer((_, response) => {
      asked++;
      response.end('{}');
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const location = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/dir`;
    const { issuer, front } = await behind(on('directory', { status: 302, headers: { location } }));
    const failure = await failureOf(issue(issuer, ['aq.example.com'], answers));
    assert.match(failure.message, /redirect is not https: http:/);
    front.settings.fault = on('newOrder', { status: 307, headers: { location } }).fault;
    assert.match((await failureOf(issue(issuer, ['aq.example.com'], answers))).message, /is not https/);
    front.settings.fault = on('newOrder', { status: 307, headers: { location: `${front.directory}/x` } }).fault;
    assert.match((await failureOf(issue(issuer, ['aq.example.com'], answers))).message, /to another place \(307\)/);
    plain.close();
    assert.is(asked, 0);
    const moved = issuerOf(front, { directory: front.directory.replace('/dir', '/moved') });
    front.settings.fault = ({ path }) =>
      path === '/moved' ? { status: 301, headers: { location: '/dir' } } : undefined;
    await issue(moved, ['aq.example.com'], answers);
  },
);

faults('http URLs inside the directory, and of orders, are refused', async () => {
  for (const name of ['newNonce', 'newAccount', 'newOrder', 'renewalInfo']) {
    const { issuer } = await behind({ directory: { [name]: 'http://127.0.0.1:1/x' } });
    const failure = await failureOf(issue(issuer, ['ar.example.com'], answers));
    assert.is(failure.step, 'directory');
    assert.match(failure.message, new RegExp(`the ${name} URL in the CA's directory is not https`));
  }
  const { issuer } = await behind({
    change: ({ resource }, body) =>
      resource === 'newOrder' ? { ...(body as object), authorizations: ['http://127.0.0.1:1/authZ/x'] } : body,
  });
  assert.match((await failureOf(issue(issuer, ['ar.example.com'], answers))).message, /is not https/);
});

faults('a server that speaks no TLS, or hangs up', async () => {
  const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const directory = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
  const one = createAcmeIssuer({ directory, accounts: memoryAccounts() });
  const failure = await failureOf(issue(one, ['as.example.com'], answers));
  assert.match(failure.message, /does not speak TLS|broke the connection/);
  server.close();
});

faults('a CA file without certificates is refused at once', () => {
  assert.throws(
    () => createAcmeIssuer({ directory: pebble.directory, ca: 'nothing', accounts: memoryAccounts() }),
    (error: Error) => error instanceof IssueError && /--acme-ca-file/.test(error.failure.hint),
  );
});

// Aborts and the surroundings

faults('an abort at any step: nothing more is sent, answers are taken down, the next attempt is good', async () => {
  const accounts = memoryAccounts();
  for (const step of ['directory', 'account', 'order', 'challenge', 'authorization', 'finalize', 'download', 'check']) {
    const { front, issuer } = await behind({}, { accounts: { ...accounts } });
    const aborting = new AbortController();
    const onStep = (now: string) => {
      if (now === step) aborting.abort();
    };
    const context = contextOf(answers, { signal: aborting.signal, onStep });
    const promise = issuer.issue(requestFor(['at.example.com']), context);
    if (step === 'check') {
      await promise;
      continue;
    }
    const failure = await failureOf(promise);
    assert.is(failure.step, step);
    assert.match(failure.message, /stopped/);
    const sent = front.requests.length;
    await sleep(150);
    assert.is(front.requests.length, sent, `after ${step}`);
    await issue(issuer, ['at.example.com'], answers);
    front.close();
  }
});

faults('aborted before it begins: the CA is not asked', async () => {
  const { front, issuer } = await behind({});
  const failure = await failureOf(
    issuer.issue(requestFor(['au.example.com']), contextOf(answers, { signal: AbortSignal.abort() })),
  );
  assert.match(failure.message, /stopped/);
  assert.is(front.requests.length, 0);
});

faults('an answer that cannot be shown: told, and the others are taken down', async () => {
  let count = 0;
  const present = async (challenge: Parameters<typeof answers.present>[0]) => {
    if (++count === 2) throw Object.assign(new Error('the database is locked'), { hint: 'Wait' });
    await answers.present(challenge);
  };
  const promise = issuerOf(pebble).issue(
    requestFor(['av.example.com', 'av2.example.com']),
    contextOf({ ...answers, present }),
  );
  const failure = await failureOf(promise);
  assert.is(failure.step, 'challenge');
  assert.equal([failure.message, failure.hint], ['the database is locked', 'Wait']);
});

faults('a store that cannot be written: no account is made that would be lost', async () => {
  const accounts = { ...memoryAccounts(), saveAccount: () => Promise.reject(new Error('disk full')) };
  const { front, issuer } = await behind({}, { accounts });
  const failure = await failureOf(issue(issuer, ['aw.example.com'], answers));
  assert.is(failure.step, 'account');
  assert.match(failure.message, /disk full/);
  assert.is(front.requests.filter(({ resource }) => resource === 'newAccount').length, 0);
});

faults('a clean-up that fails does not cost the certificate', async () => {
  const context = contextOf({
    ...answers,
    cleanup: async (challenge) => {
      await answers.cleanup(challenge);
      throw new Error('a worker is gone');
    },
  });
  const certificate = await issuerOf(pebble).issue(requestFor(['ax.example.com']), context);
  assert.is(certificate.id, 'ax.example.com');
  await until(
    () => context.steps.some(({ detail }) => /take the http-01 answer down: a worker is gone/.test(detail)),
    'it to be told',
  );
});

faults('every answer has been taken down', () => {
  assert.equal(left, []);
});

faults.run();
