import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkText } from '../../cli/cert-renew.ts';
import { detailText } from '../../cli/cert-text.ts';
import type { CertificateDetail } from '../../src/admin/certs.ts';
import { certServer } from '../helpers/cert-cli.ts';
import { seedRows } from '../helpers/memory-certificates.ts';

const renew = suite('cli: oo cert renew, check, and what get says');
const at = '2025-09-08T13:17:15.000Z';
const now = Date.parse(at);
const failure = {
  at: '2025-09-08T13:12:15.000Z',
  step: 'authorization',
  directory: 'https://ca.example/dir',
  message: 'DNS problem: NXDOMAIN looking up A for a.test',
  hint: 'Add an A record',
  problem: 'dns',
};

renew('renew: each step, then the result', async () => {
  const { oo, memory, stop } = await certServer();
  const steps = [
    { at, step: 'order', detail: 'for a.test' },
    { at, step: 'finalize', detail: '' },
  ];
  memory.renewals.set('a.test', { steps, outcome: { certificate: seedRows[0] } });
  for (const line of ['cert renew A.test', 'cert renew a.test --wait', 'ce renew a.test']) {
    assert.equal(
      await oo(line),
      {
        code: 0,
        out: 'renewed a.test: issued by E6, valid until 2025-11-07 13:17 UTC\n',
        err: 'order (ordering): for a.test\nfinalize (sending the certificate request)\n',
      },
      line,
    );
  }
  assert.equal(await oo('cert renew a.test -q'), { code: 0, out: 'a.test\n', err: '' });
  const json = await oo('cert renew a.test -o json');
  assert.equal([JSON.parse(json.out), json.err], [{ certificate: seedRows[0] }, '']);
  await stop();
});

renew('renew: a failure is explained, and exit code 1', async () => {
  const { oo, memory, stop } = await certServer();
  const nextTryAt = new Date(Date.now() + 3_600_000 * 3 + 60_000).toISOString();
  memory.renewals.set('a.test', { steps: [], outcome: { failure, nextTryAt } });
  const { code, out, err } = await oo('cert renew a.test');
  assert.equal([code, out], [1, '']);
  const [message, hint] = err.split('\n');
  assert.is(
    message,
    "oo: a.test failed at authorization (the CA's check of the name) at ca.example: DNS problem: NXDOMAIN looking up A for a.test (dns)",
  );
  assert.match(hint, /^ {4}Add an A record\. oo tries again .* UTC \(in 3 hours\)\.$/);
  const json = await oo('cert renew a.test -o json');
  assert.is(json.code, 1);
  assert.equal(JSON.parse(json.out), { failure, nextTryAt });
  await stop();
});

renew('renew --no-wait returns when it has begun; an unknown name is refused either way', async () => {
  const { oo, memory, stop } = await certServer();
  memory.renewals.set('a.test', { steps: [], outcome: { failure, nextTryAt: null } });
  assert.equal(await oo('cert renew a.test --no-wait'), {
    code: 0,
    out: 'begun a.test: oo cert get a.test shows how it goes\n',
    err: '',
  });
  for (const line of ['cert renew zz.test', 'cert renew zz.test --no-wait']) {
    const { code, err } = await oo(line);
    assert.is(code, 1);
    assert.match(err, 'oo: There is no certificate zz.test.\n');
  }
  await stop();
});

renew('renew: a server that ends on the way is told', async () => {
  const { oo, memory, stop } = await certServer();
  memory.renew = async (_id, onStep) => {
    onStep({ at, step: 'order', detail: '' });
    setTimeout(() => void stop(), 50);
    return { done: new Promise(() => {}) };
  };
  const { code, err } = await oo('cert renew a.test');
  assert.is(code, 1);
  assert.match(err, /The connection to the server in .* broke/);
});

renew('check: a line for each thing; exit code 1 if one is not ok', async () => {
  const { oo, memory, stop } = await certServer();
  memory.checks.set('a.test', [
    { what: 'DNS', ok: true, message: 'a.test leads to 8.8.8.8', hint: '' },
    { what: 'port 80', ok: false, message: 'nothing listens.', hint: 'Forward it.' },
  ]);
  assert.equal(await oo('cert check a.test'), {
    code: 1,
    out: 'ok   DNS      a.test leads to 8.8.8.8\nNOT  port 80  nothing listens. Forward it.\n',
    err:
      'oo: One thing stands in the way of a certificate for a.test.\n' +
      '    Mend what is not ok, then run: oo cert renew a.test\n',
  });
  assert.is((await oo('cert check a.test -q')).out, 'port 80\n');
  memory.checks.set('b.test', [{ what: 'DNS', ok: true, message: 'fine', hint: '' }]);
  assert.equal(await oo('cert check b.test'), { code: 0, out: 'ok   DNS  fine\n', err: '' });
  assert.is(JSON.parse((await oo('cert check a.test -o json')).out).length, 2);
  assert.is(checkText([]), '');
  await stop();
});

const detail: CertificateDetail = {
  id: 'singulatron.com',
  names: ['singulatron.com', 'www.singulatron.com'],
  certificate: seedRows[0],
  stored: true,
  chain: [
    {
      subject: 'singulatron.com',
      issuer: 'E6',
      notBefore: at,
      notAfter: '2025-11-07T13:17:14.000Z',
      serialNumber: '1',
    },
    { subject: 'E6', issuer: 'ISRG Root X1', notBefore: at, notAfter: '2027-03-12T23:59:59.000Z', serialNumber: '2' },
  ],
  keyType: 'ecdsa',
  source: 'acme',
  directory: 'https://ca.example/dir',
  unmet: null,
  routes: ['singulatron.com', 'www.singulatron.com'],
  renewAt: '2025-10-08T04:00:00.000Z',
  renewalWindow: {
    start: '2025-10-08T00:00:00.000Z',
    end: '2025-10-09T00:00:00.000Z',
    explanationUrl: 'https://why.example',
  },
  failures: 0,
  lastFailure: null,
  nextTryAt: '2025-10-08T04:00:00.000Z',
  running: null,
};

renew('get: a certificate that is well', () => {
  assert.is(
    detailText(detail, now),
    `\
Name:     singulatron.com
Status:   valid for 59 days
Names:    singulatron.com, www.singulatron.com
Source:   automatic, from https://ca.example/dir
Valid:    2025-08-09 13:17 UTC to 2025-11-07 13:17 UTC (89 days)
Issuer:   E6
Serial:   343948155511226677889900
Key:      ECDSA, 256 bits
Chain:    singulatron.com (signed by E6, until 2025-11-07 13:17 UTC)
          E6 (signed by ISRG Root X1, until 2027-03-12 23:59 UTC)
Routes:   singulatron.com, www.singulatron.com
Renewal:  2025-10-08 04:00 UTC (in 29 days)
CA says:  renew between 2025-10-08 00:00 UTC and 2025-10-09 00:00 UTC; why: https://why.example
`,
  );
});

renew('get: a name that has none, with the last error, the step, what to do and the next try', () => {
  const wanted = {
    ...detail,
    ...{ certificate: null, chain: [], renewAt: null, renewalWindow: null, names: ['a.test'], id: 'a.test' },
    ...{ failures: 3, lastFailure: failure, nextTryAt: '2025-09-08T13:20:15.000Z', routes: ['a.test/app'] },
  };
  assert.is(
    detailText(wanted, now),
    `\
Name:        a.test
Status:      no certificate yet; the last attempt failed
Names:       a.test
Source:      automatic, by ACME, from https://ca.example/dir
Key:         ECDSA
Routes:      a.test/app
Last error:  2025-09-08 13:12 UTC (5 minutes ago), 3 attempts in a row
  step:      authorization (the CA's check of the name), at ca.example
  what:      DNS problem: NXDOMAIN looking up A for a.test (dns)
What to do:  Add an A record
Next try:    2025-09-08 13:20 UTC (in 3 minutes)
`,
  );
  const running = { ...wanted, running: { at, step: 'order', detail: '' } };
  assert.match(
    detailText(running, now),
    'Status:      no certificate yet; an attempt is under way: order (ordering)\n',
  );
});

for (const [what, change, line] of [
  ['expired', {}, 'Status:   expired 27 days ago'],
  [
    'only in memory',
    { stored: false },
    'Status:   expired 27 days ago; only in memory: the database could not keep it',
  ],
  ['saved', { source: 'saved' }, 'Source:   saved by a person (oo cert save): oo does not renew it'],
  ['local', { source: 'local' }, 'Source:   the local CA: oo trust makes this machine believe it'],
  ['without routes', { routes: [] }, 'Routes:   none'],
  [
    'unmet',
    { certificate: null, unmet: { reason: 'no DNS hook', hint: 'Give one.' } },
    'Status:      no certificate: no DNS hook',
  ],
  ['unmet, too', { certificate: null, unmet: { reason: 'no DNS hook', hint: 'Give one.' } }, 'What to do:  Give one.'],
] as const) {
  renew(`get: ${what}`, () => {
    const text = detailText({ ...detail, ...change }, Date.parse('2025-12-05T00:00:00Z'));
    assert.ok(text.split('\n').includes(line), text);
  });
}

renew.run();
