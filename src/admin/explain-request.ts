import { type Cidr, isWithin, parseCidr } from '../core/cidr.ts';
import { type AskedRequest, fieldOf, readAskedUrl } from '../core/explain-request.ts';
import { plainIp } from '../core/headers.ts';
import type { ExplainRequest, ServerFacts } from './explain-types.ts';

function isRange(range: Cidr | string): range is Cidr {
  return typeof range !== 'string';
}

const methodForm = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/** The request that is asked about. @returns what is wrong with it, as one sentence */
export function readRequest(
  { url, method = 'GET', headers = {}, from = '127.0.0.1' }: ExplainRequest,
  { https }: ServerFacts,
): AskedRequest | string {
  const read = readAskedUrl(url, https > 0 ? 'https' : 'http');
  if (typeof read === 'string') return `The URL '${url.slice(0, 200)}' can't be explained: ${read}.`;
  if (!methodForm.test(method)) return `The method '${method.slice(0, 100)}' is none; expected such as GET or POST.`;
  const address = plainIp(from.replace(/^\[(.*)\]$/, '$1'));
  if (typeof parseCidr(address) === 'string' || address.includes('/'))
    return `'${from.slice(0, 100)}' is no address; expected such as 203.0.113.9 or 2001:db8::9.`;
  const fields: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (!methodForm.test(name)) return `The header '${name.slice(0, 100)}' has no name that a field can have.`;
    for (const one of typeof value === 'string' ? [value] : value) fields.push([name.toLowerCase(), one.trim()]);
  }
  const host = fields.find(([name]) => name === 'host')?.[1];
  return { ...read, authority: host ?? read.authority, method, from: address, fields };
}

/** Whether what the client says of those before it counts. */
export function isTrusted({ from }: AskedRequest, { trustedProxies }: ServerFacts): boolean {
  return isWithin(trustedProxies.map(parseCidr).filter(isRange), from);
}

/** The last of those that it has come through that is no trusted proxy itself: as the edge's `clientOf`. */
export function clientOf(request: AskedRequest, { trustedProxies }: ServerFacts): string {
  const ranges = trustedProxies.map(parseCidr).filter(isRange);
  const chain = fieldOf(request, 'x-forwarded-for').split(',').filter(Boolean);
  let client = request.from;
  for (let i = chain.length - 1; i >= 0 && isWithin(ranges, client); i--) client = plainIp(chain[i].trim());
  return client;
}
