import { normalizeAuthority } from '../core/host.ts';
import type { CertificateAdmin, CertificateDetail } from './certs.ts';
import type { CertificateView } from './explain-types.ts';

const none = { id: '', names: [], notAfter: '', issuer: '' };

/**
 * What a TLS client that names this host is shown: as `find` of the edge's certificates looks for it, the name, then its wildcard.
 * @param certificates undefined: this server has none at all @param now epoch ms
 */
export async function explainCertificate(
  authority: string,
  certificates: Pick<CertificateAdmin, 'get'> | undefined,
  now: number,
): Promise<CertificateView> {
  const host = normalizeAuthority(authority)?.host;
  if (host === undefined) return { ...none, state: 'none', text: 'the host is not one that a client can name' };
  if (certificates === undefined) return { ...none, state: 'none', text: 'this server has no certificates' };
  const name = host.replace(/^\[(.*)\]$/, '$1');
  const detail = await find(certificates, name);
  const dot = name.indexOf('.');
  const wild = dot < 0 || name.includes(':') ? undefined : await find(certificates, `*${name.slice(dot)}`);
  if (detail?.certificate) return served(detail, now);
  if (wild?.certificate) return served(wild, now);
  const wanted = detail ?? wild;
  if (wanted === undefined) {
    const text = `there is no certificate for ${name}, and no route asks for one: the handshake is refused, unless one is had on demand`;
    return { ...none, state: 'none', text };
  }
  return missing(wanted);
}

async function find(certificates: Pick<CertificateAdmin, 'get'>, name: string): Promise<CertificateDetail | undefined> {
  // What is the key of an account, or of the local CA, is refused.
  return certificates.get(name).catch(() => undefined);
}

function served({ id, names, certificate }: CertificateDetail, now: number): CertificateView {
  const { notAfter = '', issuer = '' } = certificate!;
  const isOver = notAfter !== '' && Date.parse(notAfter) <= now;
  const by = issuer === '' ? '' : ` by ${issuer}`;
  const text = isOver
    ? `${id}${by} expired ${notAfter}: clients refuse it`
    : `${id}${by}, for ${names.slice(0, 5).join(', ')}, until ${notAfter}`;
  return { id, state: isOver ? 'expired' : 'served', names, notAfter, issuer, text };
}

function missing({ id, names, unmet, lastFailure, running, nextTryAt }: CertificateDetail): CertificateView {
  const base = { ...none, id, names };
  if (unmet !== null) return { ...base, state: 'none', text: `${id} gets none: ${unmet.reason}. ${unmet.hint}` };
  const why = running !== null ? 'it is being got now' : (lastFailure?.message ?? 'its turn has not come');
  const next = nextTryAt === null ? '' : `; the next try is at ${nextTryAt}`;
  return { ...base, state: 'waiting', text: `${id} has none yet: ${why}${next}. The handshake is refused until then` };
}
