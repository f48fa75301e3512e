import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate and its key: ECDSA P-256, self-signed, valid for 30 days. */
export interface Identity {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Makes a certificate for these names, in a directory of its own. @throws where openssl fails */
export function makeIdentity(dir: string, names: readonly string[]): Identity {
  mkdirSync(dir, { recursive: true });
  const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const what = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  const whom = [
    '-subj',
    `/CN=${names[0]}`,
    '-addext',
    `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`,
  ];
  execFileSync('openssl', ['req', ...what, ...whom, '-keyout', keyFile, '-out', certFile], { stdio: 'pipe' });
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile, keyFile };
}

/** A certificate as it is minted by the thousand, in memory. */
export interface Minted {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * Mints one certificate a name, each with a key of its own, all names as long as the first. openssl makes one; the others are its
 * bytes with another name and key, signed anew, which takes a fraction of a millisecond.
 */
export function mint(dir: string, names: readonly string[]): Minted[] {
  const first = makeIdentity(dir, names.slice(0, 1));
  const model = new X509Certificate(first.cert);
  const spki = model.publicKey.export({ type: 'spki', format: 'der' });
  const signed = contentOf(model.raw).inner;
  return names.map((name) => {
    if (name.length !== names[0].length) throw new Error(`${name} is not as long as ${names[0]}`);
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const body = Buffer.from(signed.subarray(0, contentOf(signed).end));
    replaceAll(body, Buffer.from(names[0]), Buffer.from(name));
    replaceAll(body, spki, publicKey.export({ type: 'spki', format: 'der' }));
    return {
      name,
      cert: certificate(body, privateKey),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  });
}

/** Writes one file a certificate, chain and key together, as HAProxy wants them. */
export function writeMinted(dir: string, minted: readonly Minted[]): void {
  mkdirSync(dir, { recursive: true });
  for (const { name, cert, key } of minted) writeFileSync(join(dir, `${name}.pem`), cert + key);
}

/** What a certificate signs, signed: with ecdsa-with-SHA256 (RFC 5758). */
function certificate(body: Buffer, key: KeyObject): string {
  const algorithm = Buffer.from('300a06082a8648ce3d040302', 'hex');
  const signature = sign('sha256', body, key);
  const bits = tagged(0x03, Buffer.concat([Buffer.of(0), signature]));
  const base64 = tagged(0x30, Buffer.concat([body, algorithm, bits])).toString('base64');
  const lines = base64.match(/.{1,64}/g)!.join('\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}

/** A DER value's content, and where the value ends. */
function contentOf(der: Buffer): { inner: Buffer; end: number } {
  const long = der[1] & 0x80 ? der[1] & 0x7f : 0;
  const length = long === 0 ? der[1] : der.readUIntBE(2, long);
  const start = 2 + long;
  return { inner: der.subarray(start, start + length), end: start + length };
}

function replaceAll(bytes: Buffer, from: Buffer, to: Buffer): void {
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + to.length)) to.copy(bytes, at);
}
