import type { CompiledRoute, Target } from '../core/types.ts';
import { copyKept } from '../http1/lines.ts';
import { FORM_ORIGIN, type RequestScanner } from '../http1/scan.ts';

/** What is known of a request's head, whatever it came as: the registers of http1's scanner, as far as an exchange reads them. */
export type RequestRegisters = Pick<
  RequestScanner,
  | ('methodStart' | 'methodEnd' | 'method' | 'idempotent' | 'targetStart' | 'targetEnd' | 'form')
  | ('pathStart' | 'pathEnd' | 'plainPath' | 'absoluteTls' | 'authorityStart' | 'authorityEnd')
  | ('hostLineStart' | 'hostLineEnd' | 'expectContinue' | 'acceptStart' | 'acceptEnd' | 'end' | 'minor')
  | ('contentLength' | 'chunked' | 'upgradeStart' | 'upgradeEnd')
  | ('cuts' | 'cutCount' | 'cutAlso' | 'captures' | 'captureCount')
>;

/** Most bytes that `writeRequestHead` can need. */
export function requestHeadBound(scanner: RequestRegisters, target: Target, lines: Uint8Array): number {
  return scanner.end - scanner.methodStart + lines.length + target.basePath.length + target.authority.length + 256;
}

/**
 * Writes the head that the upstream gets: the client's own bytes, less what the plan cuts, plus `lines`.
 * The request line and Host are made anew only where they must change.
 * @param target whom it is for: one of the route's
 * @param lines our forwarding fields, with their CRLFs, without the empty line
 * @returns how many bytes of `out` were written
 */
export function writeRequestHead(
  out: Buffer,
  buffer: Buffer,
  scanner: RequestRegisters,
  route: CompiledRoute,
  target: Target,
  lines: Uint8Array,
): number {
  const asSent =
    scanner.form === FORM_ORIGIN &&
    scanner.minor === 1 &&
    target.basePath === '' &&
    route.route.hostHeader !== 'upstream';
  let at = asSent
    ? copyKept(out, 0, buffer, scanner.methodStart, scanner.end - 2, scanner.cuts, scanner.cutCount)
    : writeChanged(out, buffer, scanner, route, target);
  if (scanner.upgradeEnd > 0) {
    at += out.write('Connection: upgrade\r\nUpgrade: ', at, 'latin1');
    at += buffer.copy(out, at, scanner.upgradeStart, scanner.upgradeEnd);
    at += out.write('\r\n', at, 'latin1');
  }
  out.set(lines, at);
  at += lines.length;
  out[at++] = 13;
  out[at++] = 10;
  return at;
}

/** Absolute-form, HTTP/1.0, a target with a path of its own, or the upstream's Host. */
function writeChanged(
  out: Buffer,
  buffer: Buffer,
  scanner: RequestRegisters,
  route: CompiledRoute,
  target: Target,
): number {
  let at = buffer.copy(out, 0, scanner.methodStart, scanner.methodEnd);
  at += out.write(` ${target.basePath}`, at, 'latin1');
  // An absolute target may lack its path: `GET http://host?query`.
  if (buffer[scanner.pathStart] !== 47) at += out.write('/', at, 'latin1');
  at += buffer.copy(out, at, scanner.pathStart, scanner.targetEnd);
  at += out.write(' HTTP/1.1\r\nHost: ', at, 'latin1');
  if (route.route.hostHeader === 'upstream' || scanner.authorityEnd === 0)
    at += out.write(target.authority, at, 'latin1');
  else at += buffer.copy(out, at, scanner.authorityStart, scanner.authorityEnd);
  at += out.write('\r\n', at, 'latin1');
  const fields = buffer.indexOf('\r\n', scanner.targetEnd) + 2;
  if (scanner.hostLineEnd > 0) scanner.cutAlso(scanner.hostLineStart, scanner.hostLineEnd);
  return copyKept(out, at, buffer, fields, scanner.end - 2, scanner.cuts, scanner.cutCount);
}
