import tls from 'node:tls';

// RFC 9325 and Mozilla's "intermediate": forward secrecy and authenticated encryption only, so that RFC 9113 §9.2 holds, too.
// Any of them will do: the client, who knows what its hardware is good at, chooses.
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

const groups = 'X25519MLKEM768:X25519:prime256v1:secp384r1';

const settings: tls.SecureContextOptions = {
  ciphers,
  ecdhCurve: groups,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  honorCipherOrder: false,
  // The same in each process and for each certificate, so that all open each other's sessions.
  sessionIdContext: 'oo',
};

/**
 * @param cert PEM, the leaf first
 * @param key PEM
 * @param ticketKey what sessions are sealed with, `ticketKeyBytes` long
 * @throws what OpenSSL says of PEM that it can't read, or of a key that belongs to another certificate
 */
export function createServerContext(cert: string, key: string, ticketKey: Buffer): tls.SecureContext {
  // Node's types lack what `tls.Server` passes on here.
  const options: tls.SecureContextOptions & { ticketKeys: Buffer } = { ...settings, cert, key, ticketKeys: ticketKey };
  return tls.createSecureContext(options);
}

/** What answers a TLS-ALPN-01 challenge; undefined for a certificate that can't be read. */
export function createChallengeContext(cert: string, key: string): tls.SecureContext | undefined {
  try {
    return tls.createSecureContext({ ...settings, cert, key });
  } catch {
    return undefined;
  }
}
