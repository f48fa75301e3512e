import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  explainFault,
  explainProblem,
  oneLine,
  type ProblemContext,
  readChallengeProblem,
  readProblem,
  utc,
} from '../../src/certs/problem.ts';

const now = Date.parse('2026-03-01T12:00:00Z');
const around: ProblemContext = {
  directory: 'https://ca.example/dir',
  names: ['a.example.com'],
  challenge: '',
  caaIdentities: ['ca.example'],
  retryAfter: 0,
  now,
};
const acme = (type: string, detail: string, more: object = {}) => ({
  type: `urn:ietf:params:acme:error:${type}`,
  detail,
  ...more,
});
const explain = (body: unknown, context: Partial<ProblemContext> = {}, status = 403) =>
  explainProblem(readProblem(body, status), { ...around, ...context });

const problem = suite('certs: problem');

// What to do about it: each type that RFC 8555 and RFC 9773 have, and what must stand in its hint.
const table: [type: string, context: Partial<ProblemContext>, hint: RegExp][] = [
  ['accountDoesNotExist', {}, /new account/],
  ['alreadyReplaced', {}, /without naming the old certificate/],
  ['badCSR', {}, /--key-type/],
  ['badNonce', {}, /tried again/],
  ['badPublicKey', {}, /--key-type/],
  ['badSignatureAlgorithm', {}, /--key-type/],
  ['caa', {}, /Add a CAA record: a\.example\.com\. CAA 0 issue "ca\.example"/],
  ['caa', { names: ['*.example.com'] }, /: example\.com\. CAA 0 issuewild "ca\.example"/],
  ['caa', { caaIdentities: [] }, /"the CA's domain"/],
  ['connection', { challenge: 'http-01' }, /Port 80 of a\.example\.com .*oo cert check a\.example\.com/],
  ['connection', { challenge: 'tls-alpn-01' }, /Port 443 of a\.example\.com/],
  ['connection', { challenge: 'dns-01' }, /name servers of a\.example\.com/],
  ['dns', { challenge: 'http-01' }, /needs an A or AAAA record/],
  ['dns', { challenge: 'dns-01', names: ['*.example.com'] }, /TXT record at _acme-challenge\.example\.com/],
  ['externalAccountRequired', {}, /--acme-eab-kid and --acme-eab-key/],
  ['incorrectResponse', { challenge: 'http-01' }, /Another server answers http:\/\/a\.example\.com/],
  ['invalidContact', {}, /--acme-email/],
  ['invalidProfile', {}, /--acme-profile/],
  ['malformed', {}, /report it/],
  ['orderNotReady', {}, /tried again/],
  ['rateLimited', {}, /growing pauses; for trials use --acme staging/],
  ['rateLimited', { retryAfter: now + 60_000 }, /Not tried again before 2026-03-01 12:01:00 UTC/],
  ['rejectedIdentifier', {}, /public name/],
  ['rejectedIdentifier', { names: ['192.0.2.1'] }, /--acme-profile shortlived/],
  ['malformed', { names: ['2001:db8::1'] }, /--acme-profile shortlived/],
  ['serverInternal', {}, /tried again/],
  ['tls', { challenge: 'tls-alpn-01' }, /port 443 of a\.example\.com/],
  ['unauthorized', { challenge: 'http-01' }, /Another server answers http:\/\/a\.example\.com/],
  ['unauthorized', { challenge: 'tls-alpn-01' }, /ends TLS/],
  ['unauthorized', { challenge: 'dns-01' }, /TXT record _acme-challenge\.a\.example\.com/],
  ['unauthorized', {}, /account .*--acme-eab-kid/],
  ['unsupportedContact', {}, /--acme-email/],
  ['unsupportedIdentifier', {}, /--acme-profile shortlived/],
  ['userActionRequired', {}, /website \(https:\/\/ca\.example\/dir\)/],
];
for (const [type, context, hint] of table) {
  problem(`${type} ${JSON.stringify(context)}`, () => {
    const words = explain(acme(type, 'in its own words'), context);
    assert.match(words.hint, hint);
    assert.is(words.problem, type);
    assert.match(words.message, /^[^:]{10,}: in its own words$/);
    assert.not.match(words.message, new RegExp(`^${type}`));
  });
}

problem('a person who must act is told where', () => {
  const words = explain(acme('userActionRequired', 'new terms', { instance: 'https://ca.example/tos' }));
  assert.is(words.hint, 'Open https://ca.example/tos and do as it says');
  const sly = explain(acme('userActionRequired', 'new terms', { instance: 'javascript:alert(1)' }));
  assert.not.match(sly.hint, /javascript/);
});

problem('subproblems: by name; of `compound` and `malformed`, the first says what to do', () => {
  const subproblems = [
    acme('caa', 'CAA forbids', { identifier: { type: 'dns', value: 'b.example.com' } }),
    acme('dns', 'NXDOMAIN', { identifier: { type: 'dns', value: 'c.example.com' } }),
  ];
  const words = explain(acme('compound', 'two errors', { subproblems }));
  assert.match(words.message, /two errors; b\.example\.com: .*CAA forbids; c\.example\.com: .*NXDOMAIN$/);
  assert.match(words.hint, /b\.example\.com\. CAA 0 issue/);
  assert.match(explain(acme('malformed', 'x', { subproblems })).hint, /CAA 0 issue/);
  assert.match(explain(acme('rateLimited', 'x', { subproblems })).hint, /trials/);
});

problem('when again: Retry-After, else a date in the text, never in the past or absurdly late', () => {
  const text = 'too many certificates already issued, retry after 2026-03-01 13:30:00 UTC: see https://ca.example/';
  assert.is(explain(acme('rateLimited', text)).retryAfter, Date.parse('2026-03-01T13:30:00Z'));
  assert.is(explain(acme('rateLimited', text.replace(' 13:', 'T13:'))).retryAfter, Date.parse('2026-03-01T13:30:00Z'));
  assert.is(explain(acme('rateLimited', text), { retryAfter: now + 5_000 }).retryAfter, now + 5_000);
  assert.is(explain(acme('rateLimited', text.replace('2026', '2025'))).retryAfter, 0);
  assert.is(explain(acme('rateLimited', text.replace('2026', '2099'))).retryAfter, now + 31 * 86_400_000);
  assert.is(explain(acme('rateLimited', text.replace('2026-03', '2026-99'))).retryAfter, 0);
  const sub = acme('rateLimited', 'x', { subproblems: [acme('rateLimited', text)] });
  assert.is(explain(sub).retryAfter, Date.parse('2026-03-01T13:30:00Z'));
});

problem('what is no problem document', () => {
  assert.is(explain('', {}, 502).message, 'the CA answered 502');
  assert.is(explain('<html>\nBad  Gateway', {}, 502).message, 'the CA answered 502: <html> Bad Gateway');
  assert.match(explain('nope', {}, 404).hint, /directory URL/);
  for (const body of [null, undefined, 7, [], { type: 7, detail: {} }, { subproblems: [null, 7, {}] }]) {
    const words = explain(body, {}, 500);
    assert.equal([words.message, words.problem, words.retryAfter], ['the CA answered 500', '', 0]);
  }
  assert.is(explain({ type: 'about:blank', title: 'Too busy' }, {}, 503).message, 'the CA answered 503: Too busy');
  assert.is(explain({ type: 'https://ca.example/errors/x', detail: 'y' }).message, 'https://ca.example/errors/x: y');
});

problem("a type that is a property of every object is nobody's", () => {
  for (const type of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    const words = explain(acme(type, 'x'));
    assert.is(words.message, `${type}: x`);
    assert.type(words.hint, 'string');
    assert.is(explainFault(type, { host: 'h', directory: 'd' }), undefined);
  }
});

problem('a log line stays one line, and bounded', () => {
  const words = explain(acme('malformed', `a\r\nb\u0000\u001b[31mc\u2028d${'x'.repeat(5_000)}`));
  assert.match(words.message, /: a b \[31mc dx+…$/);
  assert.ok(words.message.length < 800);
  assert.is(oneLine(7), '');
});

problem('a challenge whose text says that the name could not be looked up', () => {
  const read = (type: string, detail: string) => readChallengeProblem(acme(type, detail)).type;
  assert.is(read('connection', 'could not resolve URL "http://x/"'), 'dns');
  assert.is(read('malformed', 'Could not resolve URL'), 'dns');
  assert.is(read('connection', 'connection refused'), 'connection');
  assert.is(read('caa', 'SERVFAIL looking up CAA'), 'caa');
});

problem('faults of the way to the CA', () => {
  const context = { host: 'ca.example:14000', directory: 'https://ca.example:14000/dir' };
  const refused = explainFault('ECONNREFUSED', context)!;
  assert.is(refused.message, 'the CA at ca.example:14000 refuses connections');
  assert.match(refused.hint, /curl -v https:\/\/ca\.example:14000\/dir/);
  for (const code of ['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'])
    assert.match(explainFault(code, context)!.hint, /--acme-ca-file/);
  assert.match(explainFault('CERT_HAS_EXPIRED', context)!.hint, /clock/);
  assert.match(explainFault('ENOTFOUND', context)!.message, /unknown to DNS/);
  assert.is(explainFault('EWHATEVER', context), undefined);
});

problem('utc', () => {
  assert.is(utc(now), '2026-03-01 12:00:00 UTC');
});

problem.run();
