import { X509Certificate } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAcmeIssuer } from '../../src/certs/issuer.ts';
import { certIdOf } from '../../src/certs/issuer-renewal.ts';
import type { Certificate } from '../../src/certs/types.ts';
import { type FrontSettings, problem, type RenewalInfo, startAcmeFront } from '../helpers/acme-front.ts';
import { startPebble } from '../helpers/pebble.ts';
import { failureOf, issue, issuerOf, memoryAccounts, startAnswers } from './issuer-kit.ts';

const pebble = await startPebble();
const answers = await startAnswers(pebble);
const day = 86_400_000;

const renewal = suite('issuer: ARI and profiles');

/** A certificate by way of a front with these settings. */
async function issued(settings: FrontSettings) {
  const front = await startAcmeFront(pebble, settings);
  const issuer = issuerOf(front);
  const certificate = await issue(issuer, ['a.example.com'], answers);
  return { front, issuer, certificate };
}

/** The window that comes of what the CA says. */
async function windowFor(info: (certificate: Certificate) => RenewalInfo | undefined, now = Date.now()) {
  const { front, issuer, certificate } = await issued({ renewal: () => undefined });
  front.settings.renewal = () => info(certificate);
  return { certificate, now, ask: () => issuer.renewalWindow(certificate, now), front };
}

renewal('the CertID is the key identifier of the issuer and the serial', async () => {
  const { certificate } = await issued({});
  const intermediate = new X509Certificate(await pebble.intermediate());
  const [keyId, serial] = certIdOf(certificate.chain)!.split('.');
  const ski = Buffer.from(keyId, 'base64url').toString('hex');
  assert.match(pebble.log(), new RegExp(`${commonName(intermediate)} with serial .* and SKI ${ski}`));
  assert.is(BigInt(`0x${Buffer.from(serial, 'base64url').toString('hex')}`).toString(), certificate.serial);
});

renewal('the example of RFC 9773 appendix A', () => {
  // The RFC's own certificate: AKI 69:88:5B:6B:87:46:40:41:E1:B3:7B:84:7B:A0:AE:2C:DE:01:C8:D4, serial 00:87:65:43:21.
  const chain = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;
  assert.is(certIdOf(chain), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE');
});

renewal('a certificate that does not name its issuer has no CertID', async () => {
  const { certificate, issuer } = await issued({ renewal: () => undefined });
  // The extension's name made another one.
  const named = new X509Certificate(certificate.chain).raw.toString('hex');
  const nameless = Buffer.from(named.replace('0603551d23', '0603551d7f'), 'hex');
  const chain = new X509Certificate(nameless).toString();
  assert.is(certIdOf(chain), undefined);
  assert.is(await issuer.renewalWindow({ ...certificate, chain }, Date.now()), undefined);
});

renewal('the window, its explanation, and when to ask again', async () => {
  const start = new Date(Date.now() + 10 * day);
  const end = new Date(Date.now() + 12 * day);
  const { ask, now, certificate, front } = await windowFor(() => ({
    start,
    end,
    explanationUrl: 'https://ca.example/incident',
    retryAfter: '7200',
  }));
  assert.equal(await ask(), {
    start: start.getTime(),
    end: end.getTime(),
    explanationUrl: 'https://ca.example/incident',
    askAgainAt: now + 7_200_000,
  });
  const asked = front.requests.filter(({ resource }) => resource === 'renewalInfo');
  assert.equal(
    asked.map(({ method, path }) => `${method} ${path}`),
    [`GET /renewal-info/${certIdOf(certificate.chain)}`],
  );
});

renewal('no Retry-After, an absurd one, a date', async () => {
  const base = { start: new Date(Date.now() + day), end: new Date(Date.now() + 2 * day) };
  for (const [retryAfter, expected] of [
    [undefined, 6 * 3_600_000],
    ['1', 60_000],
    ['99999999', day],
    ['soon', 6 * 3_600_000],
  ] as const) {
    const { ask, now } = await windowFor(() => ({ ...base, ...(retryAfter ? { retryAfter } : {}) }));
    assert.is((await ask())!.askAgainAt - now, expected, retryAfter ?? 'none');
  }
  const { ask, now } = await windowFor(() => ({ ...base, retryAfter: new Date(Date.now() + 7_200_000).toUTCString() }));
  assert.ok(Math.abs((await ask())!.askAgainAt - now - 7_200_000) < 60_000);
});

renewal('a window in the past means now; one beyond the expiry is cut', async () => {
  const past = { start: new Date(Date.now() - 2 * day), end: new Date(Date.now() - day) };
  const one = await windowFor(() => past);
  assert.is((await one.ask())!.end, past.end.getTime());
  const two = await windowFor(({ notAfter }) => ({ start: new Date(notAfter - day), end: new Date(notAfter + day) }));
  const { notBefore, notAfter } = two.certificate;
  const cut = (await two.ask())!;
  assert.is(cut.end, notAfter - (notAfter - notBefore) / 10);
  assert.ok(cut.start <= cut.end);
});

renewal('windows that make no sense are refused in words', async () => {
  const now = Date.now();
  const bad: [RenewalInfo | ((certificate: Certificate) => RenewalInfo), RegExp][] = [
    [{ start: new Date(now + 2 * day), end: new Date(now + day) }, /ends before it begins/],
    [{ start: new Date(now), end: new Date(now) }, /ends before it begins/],
    [{ start: 'soon', end: 'later' }, /has no dates/],
    [({ notAfter }) => ({ start: new Date(notAfter), end: new Date(notAfter + day) }), /has expired/],
  ];
  for (const [info, expected] of bad) {
    const { ask } = await windowFor((certificate) => (typeof info === 'function' ? info(certificate) : info));
    assert.match((await failureOf(ask())).message, expected);
  }
});

renewal('a CA without ARI, of another CA, or that does not know the certificate', async () => {
  const { certificate, issuer, front } = await issued({});
  assert.is(await issuer.renewalWindow(certificate, Date.now()), undefined);
  assert.is(await issuer.renewalWindow({ ...certificate, directory: 'https://other.example/' }, Date.now()), undefined);
  const fresh = issuerOf(front);
  front.settings.renewal = () => undefined;
  assert.match((await failureOf(fresh.renewalWindow(certificate, Date.now()))).message, /certificate not found/);
});

renewal('the CA down: an error in words', async () => {
  const { certificate, front } = await issued({ renewal: () => undefined });
  front.close();
  const failure = await failureOf(issuerOf(front).renewalWindow(certificate, Date.now()));
  assert.match(failure.message, /refuses connections/);
});

renewal('an order names the certificate that it replaces, where the CA has ARI', async () => {
  const { certificate, issuer, front } = await issued({ renewal: () => undefined });
  await issue(issuer, ['a.example.com'], answers, { replaces: certificate });
  assert.equal(
    front.orders().map(({ replaces }) => replaces),
    [undefined, certIdOf(certificate.chain)],
  );
  const other = { ...certificate, directory: 'https://other.example/' };
  await issue(issuer, ['a.example.com'], answers, { replaces: other });
  assert.is(front.orders()[2].replaces, undefined);
  const without = await issued({});
  await issue(without.issuer, ['a.example.com'], answers, { replaces: without.certificate });
  assert.equal(
    without.front.orders().map(({ replaces }) => replaces),
    [undefined, undefined],
  );
});

renewal('one that was replaced already is ordered without saying so', async () => {
  const { certificate, issuer, front } = await issued({ renewal: () => undefined });
  front.settings.fault = ({ resource, payload }) =>
    resource === 'newOrder' && payload?.replaces !== undefined
      ? problem(
          409,
          'alreadyReplaced',
          'cannot indicate an order replaces a certificate which already has a replacement order',
        )
      : undefined;
  await issue(issuer, ['a.example.com'], answers, { replaces: certificate });
  assert.is(front.orders().length, 3);
});

renewal('a rate limit is not asked around', async () => {
  const { certificate, issuer, front } = await issued({ renewal: () => undefined });
  front.settings.fault = ({ resource }) =>
    resource === 'newOrder' ? problem(429, 'rateLimited', 'too many') : undefined;
  await failureOf(issue(issuer, ['a.example.com'], answers, { replaces: certificate }));
  assert.is(front.orders().length, 2);
});

renewal('a profile is asked for by name; one that the CA does not have is refused before an order', async () => {
  const front = await startAcmeFront(pebble, { profiles: { classic: 'the default', shortlived: 'six days' } });
  await issue(issuerOf(front, { profile: 'shortlived' }), ['a.example.com'], answers);
  await issue(issuerOf(front), ['a.example.com'], answers);
  assert.equal(
    front.orders().map(({ profile }) => profile),
    ['shortlived', undefined],
  );
  const failure = await failureOf(issue(issuerOf(front, { profile: 'tiny' }), ['a.example.com'], answers));
  assert.is(failure.step, 'order');
  assert.is(failure.message, 'the CA has no profile tiny; it has classic, shortlived');
  assert.match(failure.hint, /--acme-profile/);
  const none = await failureOf(issue(issuerOf(pebble, { profile: 'tiny' }), ['a.example.com'], answers));
  assert.is(none.message, 'the CA has no profile tiny; it has no profiles');
  assert.is(front.orders().length, 2);
});

renewal('60-second certificates are good as they come', async () => {
  const short = await startPebble({
    certificateValidityPeriod: 60,
    httpPort: pebble.httpPort,
    tlsPort: pebble.tlsPort,
  });
  const accounts = memoryAccounts();
  const issuer = createAcmeIssuer({ directory: short.directory, ca: short.ca, accounts });
  const { notBefore, notAfter } = await issue(issuer, ['s.example.com'], answers);
  assert.ok(notAfter - notBefore <= 61_000, `${notAfter - notBefore} ms`);
  short.close();
});

function commonName(certificate: X509Certificate): string {
  return /CN=(.*)/.exec(certificate.subject)![1];
}

renewal.run();
