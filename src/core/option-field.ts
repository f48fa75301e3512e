import type { Kind } from './pool-proof.ts';

const nameForm = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
/** Visible ASCII, with spaces and tabs inside: what stands in one line of any head, HTTP/2's too. */
const valueForm = /^(?:[\u0021-\u007e](?:[\t\u0020-\u007e]*[\u0021-\u007e])?)?$/;
const maxValueLength = 4_096;

/** They say where a message begins and ends, and what becomes of its connection: never an option's business. */
const framing = new Set([
  ...['connection', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'proxy-connection', 'te'],
  ...['trailer', 'transfer-encoding', 'upgrade'],
]);

/** What oo itself tells upstreams of the client. */
const told = new Set([
  ...['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto', 'x-real-ip'],
]);

/** @param name in any case */
export function isFraming(name: string): boolean {
  return framing.has(name.toLowerCase());
}

/** Whether oo itself sets this field of requests: X-Forwarded-For and the like. @param name in any case */
export function isForwarding(name: string): boolean {
  return told.has(name.toLowerCase());
}

export function isFieldName(value: unknown): value is string {
  return typeof value === 'string' && nameForm.test(value);
}

/** Whether it can stand in one line of a head: nothing that ends the line, no white space around it. */
export function isFieldValue(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxValueLength && valueForm.test(value);
}

export const fieldValue: Kind = {
  expected: `up to ${maxValueLength} visible ASCII characters in one line`,
  is: isFieldValue,
};
