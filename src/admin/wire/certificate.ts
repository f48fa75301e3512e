import * as v from 'valibot';
import { about, flag, maybe, several, text, texts, time, timeOrNull, whole, yes } from './common.ts';

const pem = about(text, 'PEM: the leaf first, then its intermediates.');

/** A certificate as the API shows it: the seed's fields, then ours. Never a private key. */
export const certificateWire = v.object({
  id: about(text, 'Its first name, with +rsa for an RSA one beside it; of an ACME account’s key, acme_account+key.', {
    examples: ['example.com'],
  }),
  createdAt: time,
  updatedAt: time,
  notBefore: maybe(time, 'From here on: only of a certificate.'),
  notAfter: v.optional(time),
  commonName: v.optional(text),
  dnsNames: v.optional(texts),
  issuer: maybe(text, 'Common name of who signed it.', { examples: ['E6'] }),
  serialNumber: maybe(text, 'Decimal.'),
  isCA: v.optional(flag),
  signatureAlgorithm: v.optional(text),
  publicKeyAlgorithm: v.optional(text),
  publicKeyBitLength: v.optional(v.number()),
  cert: v.optional(pem),
  names: maybe(texts, 'DNS names and IP addresses.'),
  source: maybe(v.picklist(['acme', 'saved', 'local']), 'By ACME, saved by a person, or of the local CA.'),
  warnings: maybe(texts, 'When it was just saved: what was mended in the chain, or is odd.'),
});

export const waitingNameWire = v.object({
  id: text,
  reason: about(text, "Why: the last attempt's failure, or what stands in the way."),
  nextTryAt: about(timeOrNull, 'When the next attempt is due; null: none is planned.'),
});

const stepWire = v.object({ at: time, step: text, detail: text });

export const certificateFailureWire = v.object({
  at: time,
  step: about(text, 'At which step: order, authorization …'),
  directory: about(text, "The CA's directory URL; '' for none."),
  message: text,
  hint: about(text, 'What to do about it.'),
  problem: about(text, "The ACME problem's type, rateLimited; '' if there was none."),
});

export const certificateDetailWire = v.object({
  id: text,
  names: texts,
  certificate: about(v.nullable(certificateWire), 'Null: there is none yet.'),
  stored: about(flag, 'False: it is only in memory, since the database could not keep it.'),
  chain: v.array(v.object({ subject: text, issuer: text, notBefore: time, notAfter: time, serialNumber: text })),
  keyType: about(text, 'ecdsa or rsa.'),
  source: v.picklist(['acme', 'saved', 'local']),
  directory: about(text, "The CA's directory URL that it came from; '' for none."),
  unmet: about(v.nullable(v.object({ reason: text, hint: text })), 'Why this name gets none by itself; null: it does.'),
  routes: about(texts, 'Ids of the routes that ask for it.'),
  renewAt: about(timeOrNull, 'When renewal is due; null: it is not planned.'),
  renewalWindow: about(
    v.nullable(v.object({ start: time, end: time, explanationUrl: text })),
    "The CA's own renewal window, where it has said one (RFC 9773).",
  ),
  failures: about(whole(0), 'Failed attempts in a row.'),
  lastFailure: v.nullable(certificateFailureWire),
  nextTryAt: timeOrNull,
  running: about(v.nullable(stepWire), 'The attempt that is under way.'),
});

export const checkLineWire = v.object({
  what: about(text, 'DNS, port 80, CAA, route, rate limit …'),
  ok: flag,
  message: about(text, 'What was found; for what is not ok, what is wrong.'),
  hint: about(text, "How to mend it; '' where it is ok."),
});

export const certificatesWire = v.object({
  certs: v.array(certificateWire),
  waiting: maybe(v.array(waitingNameWire), 'Names that routes serve and that have no certificate yet.'),
});
export const seedCertificatesWire = v.object({ certs: v.array(certificateWire) });
export const certificateQuery = v.strictObject({ id: several });
export const rawQuery = v.strictObject({ withKey: about(yes, 'Whether the private key is wanted, too.') });
export const renewQuery = v.strictObject({ wait: about(yes, 'Answer with each step as it is made.') });
export const removedCertificateWire = v.object({
  removed: text,
  routes: about(texts, 'Ids of routes that still ask for it, so that another will be had.'),
});
export const rawWire = v.object({ chain: pem, key: maybe(text, 'PEM; only where it was asked for.') });
export const rotatedWire = v.object({
  rows: about(whole(0), 'How many rows are encrypted anew.'),
  message: about(text, 'What the next start needs: where the key is now, in words.'),
});
export const trustRootWire = v.object({
  cert: pem,
  commonName: text,
  fingerprint: about(text, 'SHA-256, upper case hex with colons.'),
  notAfter: time,
});
export const begunWire = v.object({ id: text });
export const checkedWire = v.object({ lines: v.array(checkLineWire) });
/** A line of JSON each, with empty ones between that only say that this lives. */
export const ndjson = 'application/x-ndjson';
