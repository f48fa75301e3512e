import type { CertificateAdmin, Renewal, RenewalOutcome } from '../src/admin/certs.ts';
import { type Caller, refused } from './client.ts';
import { CliError } from './failure.ts';

/** Certificates by way of a running server (here) or of the database itself. Rejects with errors for people. */
export interface CertificatesApi extends CertificateAdmin {
  close(): Promise<void>;
}

/** The certificates of a running server. */
export function connectCertificates(call: Caller): CertificatesApi {
  const at = (id: string, rest = '') => `/v1/certs/${encodeURIComponent(id)}${rest}`;
  return {
    list: async () => (await call('GET', '/v1/certs')).certs,
    waiting: async () => (await call('GET', '/v1/certs')).waiting,
    get: (id) => call('GET', at(id)),
    async save(list) {
      const saved = [];
      for (const { id, ...body } of list) saved.push(await call('PUT', at(id), body));
      return saved;
    },
    remove: (id) => call('DELETE', at(id)),
    renew: (id, onStep) => follow(call, at(id, '/renew?wait=true'), onStep),
    check: async (name) => (await call('GET', at(name, '/check'))).lines,
    raw: (id, withKey) => call('GET', at(id, `/raw?withKey=${withKey}`)),
    rotateKey: (newKey) => call('POST', '/v1/keys/rotate', { newKey }),
    trustRoot: () => call('GET', '/v1/trust/root'),
    close: async () => {},
  };
}

/** Begins an attempt that nobody waits for. */
export async function beginRenewal(call: Caller, id: string): Promise<void> {
  await call('POST', `/v1/certs/${encodeURIComponent(id)}/renew`);
}

/** One call is the whole attempt, so that it has begun is known with its outcome only. */
async function follow(call: Caller, path: string, onStep: Parameters<CertificateAdmin['renew']>[1]): Promise<Renewal> {
  let outcome: RenewalOutcome | undefined;
  let error: CliError | undefined;
  const done = call('POST', path, undefined, (line) => {
    if (line.step) onStep(line.step);
    else if (line.outcome) outcome = line.outcome;
    else error = refused(line);
  }).then(() => {
    if (error) throw error;
    if (outcome) return outcome;
    const hint = 'It may have been stopped. oo cert get shows how things stand.';
    throw new CliError('The server ended before the attempt did.', { hint });
  });
  return { done };
}
