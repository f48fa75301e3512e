import { parseRouteId } from './host.ts';
import { shorten } from './pool-proof.ts';
import type { Route } from './types.ts';

/** @param fault is told of each fault @returns the response line that the route adds, with its end; '' for none */
export type TlsProver = (route: Route, fault: (field: keyof Route, message: string) => void) => string;

/** Proves what a route says of TLS. */
export const proveTls: TlsProver = (route, fault) => {
  const { http, hsts, keyType, certificate } = route;
  if (http !== undefined && http !== 'redirect' && http !== 'allow')
    fault('http', `http is '${shorten(http)}'; expected redirect or allow`);
  if (hsts !== undefined && typeof hsts !== 'boolean' && !(typeof hsts === 'string' && hstsForm.test(hsts)))
    fault('hsts', `hsts is '${shorten(hsts)}'; expected true, false, or such as max-age=31536000; includeSubDomains`);
  if (keyType !== undefined && keyType !== 'ecdsa' && keyType !== 'rsa')
    fault('keyType', `keyType is '${shorten(keyType)}'; expected ecdsa or rsa`);
  if (certificate !== undefined && !isCertificateName(certificate))
    fault('certificate', `certificate is '${shorten(certificate)}'; expected a host such as example.com`);
  return hstsLine(hsts);
};

function isCertificateName(name: string): boolean {
  const id = parseRouteId(name);
  return typeof id !== 'string' && id.port === 0 && id.prefix === '' && id.host !== '*' && id.host === name;
}

/** RFC 6797 §6.1, in the form that everybody writes. */
const hstsForm = /^max-age=\d{1,10}(; ?(includeSubDomains|preload)){0,2}$/i;
const defaultHsts = 'max-age=31536000';

function hstsLine(hsts: Route['hsts']): string {
  if (hsts === undefined || hsts === false) return '';
  return `Strict-Transport-Security: ${hsts === true ? defaultHsts : hsts}\r\n`;
}
