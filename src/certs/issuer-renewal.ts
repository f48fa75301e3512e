import { X509Certificate } from 'node:crypto';
import type { Directory } from './issuer-directory.ts';
import { CaFault, retryAfterOf, type Transport } from './issuer-transport.ts';
import { oneLine } from './problem.ts';
import type { Certificate, RenewalWindow } from './types.ts';

// RFC 9773 §4.3: how often to ask is the CA's to say, within reason.
const leastPauseMs = 60_000;
const mostPauseMs = 24 * 3_600_000;
const usualPauseMs = 6 * 3_600_000;

/**
 * What a CA knows a certificate by (RFC 9773 §4.1): the key identifier of its issuer and its serial number.
 * @param chain PEM, the leaf first
 * @returns undefined where the certificate does not say who issued it
 */
export function certIdOf(chain: string): string | undefined {
  const { raw, serialNumber } = new X509Certificate(chain);
  const keyId = authorityKeyId(raw);
  if (keyId === undefined) return undefined;
  const even = serialNumber.length % 2 === 0 ? serialNumber : `0${serialNumber}`;
  // As DER has it: positive, so a first bit that is set has a zero byte before it.
  const serial = /^[89a-f]/i.test(even) ? `00${even}` : even;
  return `${keyId.toString('base64url')}.${Buffer.from(serial, 'hex').toString('base64url')}`;
}

/** OBJECT IDENTIFIER 2.5.29.35, in DER. */
const authorityKeyIdentifier = Buffer.from('0603551d23', 'hex');
const octetString = 0x04;
const sequence = 0x30;
/** [0] IMPLICIT OCTET STRING: the keyIdentifier (RFC 5280 §4.2.1.1). */
const keyIdentifier = 0x80;

/** Node shows no more of this extension than that it is there. */
function authorityKeyId(certificate: Buffer): Buffer | undefined {
  const found = certificate.indexOf(authorityKeyIdentifier);
  if (found === -1) return undefined;
  const extension = element(certificate.subarray(found + authorityKeyIdentifier.length), octetString);
  const identifier = extension && element(extension, sequence);
  return identifier && element(identifier, keyIdentifier);
}

/** The content of the DER element that `bytes` begin with, if it has this tag. All that we look for is shorter than 128 bytes. */
function element(bytes: Buffer, tag: number): Buffer | undefined {
  const length = bytes[1];
  return bytes[0] === tag && length > 0 && length < 0x80 && length <= bytes.length - 2
    ? bytes.subarray(2, 2 + length)
    : undefined;
}

/**
 * When the CA suggests to renew.
 * @returns undefined where the CA has no ARI, or the certificate can't be asked for
 * @throws CaProblem; CaFault, also for a window that makes no sense
 */
export async function askWindow(
  transport: Transport,
  directory: Directory,
  certificate: Certificate,
  now: number,
): Promise<RenewalWindow | undefined> {
  if (directory.renewalInfo === undefined) return undefined;
  const id = certIdOf(certificate.chain);
  if (id === undefined) return undefined;
  const url = `${directory.renewalInfo.replace(/\/$/, '')}/${id}`;
  const { data, headers } = await transport.send({ method: 'GET', url });
  const retryAfter = retryAfterOf(headers, now);
  const pause = retryAfter === 0 ? usualPauseMs : Math.min(Math.max(retryAfter - now, leastPauseMs), mostPauseMs);
  return { ...readWindow(data, certificate, new URL(url).host), askAgainAt: now + pause };
}

/** @throws CaFault where it is none */
function readWindow(
  data: unknown,
  { notBefore, notAfter }: Certificate,
  host: string,
): Omit<RenewalWindow, 'askAgainAt'> {
  const { suggestedWindow, explanationURL } = (data ?? {}) as Record<string, unknown>;
  const { start, end } = (suggestedWindow ?? {}) as Record<string, unknown>;
  const from = Date.parse(oneLine(start));
  const to = Date.parse(oneLine(end));
  const text = `${oneLine(start) || '?'} to ${oneLine(end) || '?'}`;
  const bad = (why: string) =>
    new CaFault(
      'OO_ACME_BAD_WINDOW',
      `the CA's renewal window ${why}: ${text}`,
      host,
      'Renewal goes by the lifetime that is left, until the CA says something better',
    );
  if (Number.isNaN(from) || Number.isNaN(to)) throw bad('has no dates');
  // RFC 9773 §4.2: such a window is not to be used.
  if (to <= from) throw bad('ends before it begins');
  if (from >= notAfter) throw bad('begins when the certificate has expired');
  // One in the past is right: it means now. One that goes on past the expiry is cut, with a tenth of the lifetime for trying.
  const latest = notAfter - (notAfter - notBefore) / 10;
  const url = oneLine(explanationURL);
  return {
    start: Math.min(from, latest),
    end: Math.min(to, latest),
    explanationUrl: /^https?:\/\//.test(url) && URL.canParse(url) ? url : '',
  };
}
