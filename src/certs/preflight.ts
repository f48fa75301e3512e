import { randomBytes } from 'node:crypto';
import type { CaaRecord } from 'node:dns';
import { parseRouteId } from '../core/host.ts';
import type { Route } from '../core/types.ts';
import type { CertificateManager, CertificateStatus } from './manager-types.ts';
import type { Probe } from './preflight-probe.ts';
import type { Challenge } from './types.ts';
import { isAddress, isLocalName, wildcardOf } from './wanted.ts';

/** One thing that was looked at. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly message: string;
  /** How to mend it; '' where it is ok. */
  readonly hint: string;
}

export interface PreflightOptions {
  readonly manager: Pick<CertificateManager, 'status' | 'unmet'>;
  readonly routes: () => Iterable<Route>;
  readonly probe: Probe;
  /** Makes our workers answer a challenge, and forget it again. */
  readonly present: (challenge: Challenge) => Promise<void>;
  readonly cleanup: (challenge: Challenge) => Promise<void>;
  /** The CA's directory URL; '' where ACME is off. */
  readonly directory: string;
  /** Whether HTTP-01 is among the ways that are tried. */
  readonly http01: boolean;
  /** Where our HTTP listener is: what port 80 has to lead to. */
  readonly httpPort: () => number;
  /** Which port a CA asks. Default 80. */
  readonly caPort?: number;
  /** Epoch ms. */
  readonly now: () => number;
}

/** More addresses than a name of one server has. */
const maxAddresses = 4;

/** What CAs are named by in CAA records, by their directories' hosts. */
const caaNames: readonly (readonly [RegExp, string])[] = [
  [/(^|\.)letsencrypt\.org$/, 'letsencrypt.org'],
  [/(^|\.)zerossl\.com$/, 'sectigo.com'],
  [/(^|\.)pki\.goog$/, 'pki.goog'],
  [/(^|\.)buypass\.com$/, 'buypass.com'],
  [/(^|\.)ssl\.com$/, 'ssl.com'],
];

/**
 * Looks at what decides whether a name gets a certificate: the routes, the last attempt, DNS, port 80 and CAA, as a CA would, but
 * from this machine. Nothing is asked of the CA. Never rejects for what it finds.
 * @param name in normal form; `+rsa` does not count
 */
export async function preflight(name: string, options: PreflightOptions): Promise<Finding[]> {
  const host = name.replace(/\+rsa$/, '');
  const status = options.manager.status(name);
  const found = [routeFinding(host, options), ...attemptFindings(status, options)];
  const unmet = options.manager.unmet().find((one) => one.name === host);
  if (unmet) return [...found, bad('CA', unmet.reason, unmet.hint)];
  if (status?.source === 'saved') {
    return [...found, ok('CA', 'the certificate was saved by a person: oo does not ask a CA')];
  }
  if (isLocalName(host)) return [...found, ok('CA', "the local CA gives it: DNS, port 80 and CAA don't matter")];
  if (options.directory === '') {
    const hint = 'Start the server with another --acme than off, or bring a certificate: oo cert save.';
    return [...found, bad('CA', 'ACME is off', hint)];
  }
  if (host.startsWith('*.')) return [...found, await caaFinding(host, options)];
  const { finding, addresses } = await addressesOf(host, options.probe);
  const ports = options.http01 ? await Promise.all(addresses.map((one) => portFinding(one, host, options))) : [];
  const caa = isAddress(host) ? [] : [await caaFinding(host, options)];
  return [...found, finding, ...ports, ...caa];
}

function ok(what: string, message: string): Finding {
  return { what, ok: true, message, hint: '' };
}

function bad(what: string, message: string, hint: string): Finding {
  return { what, ok: false, message: sentence(message), hint: hint && sentence(hint) };
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function routeFinding(host: string, { routes }: PreflightOptions): Finding {
  const ids: string[] = [];
  for (const { id } of routes()) {
    const parsed = parseRouteId(id);
    if (typeof parsed === 'string') continue;
    const routed = parsed.host.replace(/^\[(.*)\]$/, '$1');
    if (routed === host || routed === '*' || routed === wildcardOf(host)) ids.push(id);
  }
  if (ids.length === 0) {
    return bad('route', `no route has ${host}`, `Save one: oo route save --id ${quoted(host)} --target http://…`);
  }
  const more = ids.length > 3 ? ` and ${ids.length - 3} more` : '';
  return ok('route', `${ids.slice(0, 3).join(', ')}${more}`);
}

function quoted(host: string): string {
  return host.startsWith('*') ? `'${host}'` : host;
}

/** How the certificate stands, and what the CA has said so far. */
function attemptFindings(status: CertificateStatus | undefined, { now }: PreflightOptions): Finding[] {
  if (!status) return [];
  const { certificate, lastFailure, nextTryAt, running } = status;
  const findings: Finding[] = [];
  if (certificate) {
    const until = moment(certificate.notAfter);
    findings.push(
      certificate.notAfter > now()
        ? ok('certificate', `there is one, valid until ${until}`)
        : bad(
            'certificate',
            `the one that is there expired at ${until}`,
            'What follows says why there is no newer one.',
          ),
    );
  } else if (running) findings.push(ok('certificate', 'it is being got now'));
  const next = nextTryAt > now() ? ` oo tries again at ${moment(nextTryAt)}.` : '';
  if (lastFailure?.problem === 'rateLimited') {
    const wait = lastFailure.retryAfter > now() ? ` It asks to wait until ${moment(lastFailure.retryAfter)}.` : '';
    findings.push(bad('rate limit', sentence(lastFailure.message) + wait, `${lastFailure.hint}${next}`));
    return findings;
  }
  if (status.source === 'acme') findings.push(ok('rate limit', 'the CA has not refused for one'));
  if (lastFailure) {
    const message = `failed at ${moment(lastFailure.at)}, step ${lastFailure.step}: ${lastFailure.message}`;
    findings.push(bad('last attempt', message, `${lastFailure.hint && sentence(lastFailure.hint)}${next}`.trim()));
  }
  return findings;
}

function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

async function addressesOf(host: string, probe: Probe): Promise<{ finding: Finding; addresses: string[] }> {
  if (isAddress(host)) return { finding: ok('DNS', 'an address needs none'), addresses: [host] };
  const [v4, v6] = await Promise.allSettled([probe.resolve4(host), probe.resolve6(host)]);
  const addresses = [v4, v6].flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  const failure = [v4, v6].find((one) => one.status === 'rejected')?.reason as NodeJS.ErrnoException | undefined;
  if (addresses.length === 0) return { finding: noAddress(host, failure), addresses };
  const inner = addresses.filter(isLocalName);
  if (inner.length > 0) {
    const message = `${host} leads to ${inner.join(', ')}, which no CA can reach`;
    const hint =
      'Make its A and AAAA records the public addresses, prove it by DNS-01 (--acme-dns-hook), or bring one: oo cert save.';
    return { finding: bad('DNS', message, hint), addresses: addresses.slice(0, maxAddresses) };
  }
  return {
    finding: ok('DNS', `${host} leads to ${addresses.join(', ')}`),
    addresses: addresses.slice(0, maxAddresses),
  };
}

function noAddress(host: string, failure: NodeJS.ErrnoException | undefined): Finding {
  const add = `Add an A or AAAA record for ${host} with this server's public address where its DNS is kept.`;
  if (failure === undefined) return bad('DNS', `${host} has neither an A nor an AAAA record`, add);
  if (failure.code === 'ENOTFOUND') return bad('DNS', `${host} does not exist`, add);
  return bad('DNS', `the lookup of ${host} failed: ${dnsReason(failure)}`, brokenDns(host));
}

function dnsReason({ code, message }: NodeJS.ErrnoException): string {
  const reasons: Record<string, string> = {
    ESERVFAIL: 'SERVFAIL',
    EREFUSED: 'REFUSED',
    ECONNREFUSED: 'no DNS server answers',
    ETIMEOUT: 'no answer in time',
  };
  return reasons[code ?? ''] ?? code ?? message;
}

function brokenDns(host: string): string {
  return `Look at its name servers and at DNSSEC: dig +trace ${host}. A CA refuses a name whose DNS fails.`;
}

/** Asks an address for a token that only our own workers know. */
async function portFinding(address: string, host: string, options: PreflightOptions): Promise<Finding> {
  const { probe, present, cleanup, caPort = 80 } = options;
  const what = `port ${caPort}`;
  const token = randomBytes(16).toString('base64url');
  const challenge: Challenge = { type: 'http-01', name: host, token, content: `oo check ${token}` };
  await present(challenge);
  try {
    const { status, server, body } = await probe.get(address, caPort, host, `/.well-known/acme-challenge/${token}`);
    if (status === 200 && body.trim() === challenge.content) return ok(what, `${address} leads here`);
    const who = server ? ` (${server.slice(0, 60)})` : '';
    const hint = `Another program has port ${caPort} of ${address}, or the address is another machine's: stop that program, or mend DNS.`;
    return bad(what, `another server${who} answers at ${address}, with status ${status}`, hint);
  } catch (error) {
    return unreachable(address, error as NodeJS.ErrnoException, options);
  } finally {
    await cleanup(challenge);
  }
}

function unreachable(address: string, error: NodeJS.ErrnoException, options: PreflightOptions): Finding {
  const { caPort = 80, httpPort } = options;
  const what = `port ${caPort}`;
  const here = httpPort();
  const forward =
    here === caPort ? '' : ` oo listens on port ${here}: forward port ${caPort} to it, or use --http-port ${caPort}.`;
  switch (error.code) {
    case 'ECONNREFUSED':
      return bad(
        what,
        `nothing listens on port ${caPort} of ${address}`,
        forward.trim() || 'Is it the address of this machine? Mend DNS or the port forwarding.',
      );
    case 'ETIMEDOUT':
      return bad(
        what,
        `${address} does not answer`,
        `Open port ${caPort} in the firewalls on the way (a machine that cannot reach its own public address may be right nevertheless).${forward}`,
      );
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
      return bad(
        what,
        `${address} cannot be reached from here`,
        address.includes(':')
          ? 'If this server has no IPv6, remove the AAAA record: CAs try it first.'
          : "Is it this server's address? Mend the A record.",
      );
    default:
      return bad(
        what,
        `asking ${address} failed: ${error.message}`,
        `Look with: curl -v http://${address.includes(':') ? `[${address}]` : address}:${caPort}/`,
      );
  }
}

/** RFC 8659: the records of the name itself, else of the closest parent that has some. */
async function caaFinding(host: string, { probe, directory }: PreflightOptions): Promise<Finding> {
  const wild = host.startsWith('*.');
  let domain = wild ? host.slice(2) : host;
  for (; domain !== ''; domain = domain.includes('.') ? domain.slice(domain.indexOf('.') + 1) : '') {
    try {
      const records = await probe.resolveCaa(domain);
      if (records.length > 0) return judgeCaa(domain, records, wild, directory);
    } catch (error) {
      const failure = error as NodeJS.ErrnoException;
      if (failure.code !== 'ENOTFOUND')
        return bad('CAA', `the CAA lookup of ${domain} failed: ${dnsReason(failure)}`, brokenDns(domain));
    }
  }
  return ok('CAA', 'no record: any CA may');
}

function judgeCaa(domain: string, records: readonly CaaRecord[], wild: boolean, directory: string): Finding {
  const issue = records.flatMap(({ issue }) => issue ?? []);
  const issuewild = records.flatMap(({ issuewild }) => issuewild ?? []);
  const counts = wild && issuewild.length > 0 ? issuewild : issue;
  if (counts.length === 0) return ok('CAA', `the records of ${domain} forbid no CA`);
  const allowed = counts.map((value) => value.split(';')[0].trim().toLowerCase());
  const names = allowed.filter(Boolean).join(', ') || 'none';
  const ca = caaNameOf(directory);
  if (ca === undefined) return ok('CAA', `${domain} allows only ${names}: see whether that is the CA of ${directory}`);
  if (allowed.includes(ca)) return ok('CAA', `${domain} allows ${ca}`);
  const tag = counts === issuewild ? 'issuewild' : 'issue';
  return bad('CAA', `${domain} allows only these CAs: ${names}`, `Add the record: ${domain}. CAA 0 ${tag} "${ca}"`);
}

function caaNameOf(directory: string): string | undefined {
  const host = URL.canParse(directory) ? new URL(directory).hostname : '';
  return caaNames.find(([form]) => form.test(host))?.[1];
}
