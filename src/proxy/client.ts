import { type Cidr, isWithin } from '../core/cidr.ts';
import { forwardedFields, keptFields, plainIp, requestPlan } from '../core/headers.ts';
import { normalizeAuthority } from '../core/host.ts';
import type { GuardedRequest } from '../core/option-guard.ts';
import type { Fill, Placeholder } from '../core/option-placeholder.ts';
import type { Scheme } from '../core/types.ts';
import { bodyOf } from './fetch.ts';
import { appendField, type Fields } from './fields.ts';

/** One request and who sends it, as routes' options and upstreams get to know of it. */
export class ProxyClient implements GuardedRequest {
  readonly request: Request;
  readonly url: URL;
  readonly requestId: string;
  /** The peer's address, '' where it is not known. */
  readonly peer: string;
  private readonly proxies: readonly Cidr[];
  private readonly trusted: boolean;
  /** Whether its Content-Length is that of its body. */
  private readonly sized: boolean;
  private told: [name: string, value: string][] | undefined;

  /** @param proxies those whose X-Forwarded-* are believed */
  constructor(request: Request, url: URL, requestId: string, peer: string, proxies: readonly Cidr[], sized = true) {
    this.request = request;
    this.url = url;
    this.requestId = requestId;
    this.peer = peer;
    this.proxies = proxies;
    this.sized = sized;
    this.trusted = proxies.length > 0 && isWithin(proxies, peer);
  }

  /** The same client with what a handler has made of its request. Scheme, host and port stay. @param sized it is the handler's own, unchanged */
  as(request: Request, sized: boolean): ProxyClient {
    const { requestId, peer, proxies } = this;
    const url = new URL(this.url);
    const { pathname, search } = new URL(request.url);
    url.pathname = pathname;
    url.search = search;
    return new ProxyClient(request, url, requestId, peer, proxies, sized);
  }

  get method(): string {
    return this.request.method;
  }

  get path(): string {
    return this.url.pathname;
  }

  /** With its question mark, also where nothing follows that. */
  get query(): string {
    const { search, href, hash } = this.url;
    return search === '' && href.endsWith(`?${hash}`) ? '?' : search;
  }

  /** The peer's, or the last one in X-Forwarded-For that is no trusted proxy's. */
  get address(): string {
    const { request, proxies } = this;
    let client = plainIp(this.peer);
    if (!this.trusted) return client;
    const chain = request.headers.get('x-forwarded-for')?.split(',') ?? [];
    for (let i = chain.length - 1; i >= 0 && isWithin(proxies, client); i--) client = plainIp(chain[i].trim());
    return client;
  }

  field(name: string): string {
    return this.request.headers.get(name) ?? '';
  }

  /** What upstreams are told of the client. */
  get forwarded(): readonly [name: string, value: string][] {
    this.told ??= this.tell();
    return this.told;
  }

  private tell(): [name: string, value: string][] {
    const { request, url, trusted } = this;
    const scheme = schemeOf(url);
    const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
    const { capture } = requestPlan(trusted);
    const prior = Object.fromEntries(capture.map((name) => [name, request.headers.get(name) ?? undefined]));
    return forwardedFields({ clientIp: this.peer, scheme, host: this.host, port, trusted, prior });
  }

  /** The Host field, if it means what the URL says; the URL is what was decided by. */
  get host(): string {
    const { request, url } = this;
    const sent = request.headers.get('host') ?? '';
    if (sent === url.host) return sent;
    return normalizeAuthority(sent)?.host === normalizeAuthority(url.host)?.host ? sent : url.host;
  }

  /** What an upstream gets: all fields but Host, which is the target's affair. Names in lower case. */
  fields(): Fields {
    const { request } = this;
    const unsized = !this.sized || bodyOf(request) === null;
    const fields: Fields = [];
    for (const field of keptFields(request.headers, requestPlan(this.trusted))) {
      const [name] = field;
      // Trailers end here; and Node's client refuses to announce any.
      if (name === 'host' || name === 'expect' || name === 'transfer-encoding' || name === 'trailer') continue;
      if (!unsized || name !== 'content-length') fields.push(field);
    }
    for (const [name, value] of this.forwarded) appendField(fields, name.toLowerCase(), value);
    return fields;
  }

  /** What the placeholders of header rules stand for. @param route its id */
  fill(route: string): Fill {
    return (name) => this.valueOf(name, route);
  }

  private valueOf(name: Placeholder, route: string): string {
    const told = (field: string) => this.forwarded.find(([known]) => known === field)?.[1] ?? '';
    switch (name) {
      case 'client.ip':
        return this.address;
      // A trusted proxy knows better than the connection.
      case 'host':
        return told('X-Forwarded-Host');
      case 'scheme':
        return told('X-Forwarded-Proto');
      case 'method':
        return this.method;
      case 'path':
        return this.path;
      case 'uri':
        return this.path + this.query;
      case 'route':
        return route;
      case 'request.id':
        return this.requestId;
    }
  }
}

export function schemeOf(url: URL): Scheme {
  return url.protocol === 'https:' ? 'https' : 'http';
}
