import type { AcmeOptions, CertificateOptions, CertificateStorage } from './certificate-types.ts';
import { proveFunction, proveList, proveMapping, proveOneOf, proveText, show } from './shape.ts';

const names = ['own', 'acme', 'local', 'storage', 'keyType', 'onDemand'];
const acmeNames = ['directory', 'email', 'ca', 'eab', 'profile', 'challenges', 'dnsHook'];
const ways = ['http-01', 'tls-alpn-01', 'dns-01'];
const methods: readonly (keyof CertificateStorage)[] = ['list', 'read', 'write', 'create', 'remove'];

/**
 * Proves where certificates come from, as far as that shows before a start; those of `own` are proven where they are read.
 * @throws TypeError that names the option
 */
export function proveCertificates(options: CertificateOptions): void {
  proveMapping('certificates', options, 'such as { storage, acme }', names);
  const { own, acme, local, storage, keyType, onDemand } = options;
  if (own !== undefined) proveList('certificates.own', own, 'a list such as [{ cert, key }]');
  if (acme !== undefined) for (const [index, each] of [acme].flat().entries()) proveAcme(nameOf(acme, index), each);
  if (local !== undefined) proveOneOf('certificates.local', local, [true, false]);
  if (storage !== undefined) proveStorage(storage);
  if (keyType !== undefined) proveOneOf('certificates.keyType', keyType, ['ecdsa', 'rsa']);
  if (onDemand === undefined) return;
  proveMapping('certificates.onDemand', onDemand, 'such as { ask: (name) => knows(name) }', ['ask', 'perHour']);
  proveFunction('certificates.onDemand.ask', onDemand.ask, 'a function: (name) => whether it gets a certificate');
  const { perHour = 1 } = onDemand;
  if (!Number.isInteger(perHour) || perHour < 1)
    throw new TypeError(`certificates.onDemand.perHour is ${show(perHour)}; expected a whole number, 1 or more`);
}

function nameOf(acme: CertificateOptions['acme'], index: number): string {
  return Array.isArray(acme) ? `certificates.acme[${index}]` : 'certificates.acme';
}

function proveAcme(what: string, acme: AcmeOptions): void {
  proveMapping(what, acme, 'such as { directory, email }', acmeNames);
  const { directory, challenges, eab } = acme;
  if (typeof directory !== 'string' || !/^https:/i.test(directory) || !URL.canParse(directory))
    throw new TypeError(`${what}.directory is ${show(directory)}; expected the https URL of a CA's directory`);
  for (const name of ['email', 'profile', 'dnsHook'] as const)
    if (acme[name] !== undefined && typeof acme[name] !== 'string')
      throw new TypeError(`${what}.${name} is ${show(acme[name])}; expected a text`);
  if (acme.ca !== undefined && !String(acme.ca).includes('-----BEGIN CERTIFICATE-----'))
    throw new TypeError(`${what}.ca holds no certificate in PEM form; expected that of the CA's own TLS`);
  if (challenges !== undefined) {
    proveList(`${what}.challenges`, challenges, `a list of some of ${ways.join(', ')}`);
    for (const way of challenges) proveOneOf(`${what}.challenges`, way, ways);
  }
  if (eab === undefined) return;
  proveMapping(`${what}.eab`, eab, 'the { kid, hmacKey } that the CA has given', ['kid', 'hmacKey']);
  for (const name of ['kid', 'hmacKey'] as const) proveText(`${what}.eab.${name}`, eab[name], 'what the CA has given');
}

function proveStorage(storage: string | CertificateStorage): void {
  const expected = `a directory, or an object with the methods ${methods.join(', ')}`;
  if (typeof storage === 'object' && storage !== null) {
    for (const method of methods)
      proveFunction(`certificates.storage.${method}`, storage[method], 'a function, as CertificateStorage says');
  } else proveText('certificates.storage', storage, expected);
}
