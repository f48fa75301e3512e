import type { HandlerOptions } from './handler-types.ts';

/** What a route does beside forwarding, as it is written in a file. Each left out: not done, and nothing is paid for it. */
export interface RouteOptions {
  /** Taken off the front of the path before the target's own is put there: true for the route's prefix, or a prefix such as `/api`. */
  readonly stripPrefix?: boolean | string;
  /** Put before the path, such as `/v2`; after `stripPrefix`. */
  readonly addPrefix?: string;
  /** Answers with a redirect in place of forwarding; a text is short for `{ to }`. A route with it needs no target. */
  readonly redirect?: string | RedirectOptions;
  /** Answers with this in place of forwarding; a text is short for `{ body }`. A route with it needs no target. */
  readonly respond?: string | RespondOptions;
  /** Changes of the request's fields on the way to the upstream. */
  readonly requestHeaders?: HeaderRules;
  /** Changes of the response's fields on the way to the client. */
  readonly responseHeaders?: HeaderRules;
  /** Only who names one of these users, with the password, is let in. */
  readonly basicAuth?: BasicAuthOptions;
  /** Another server is asked about each request: 2xx lets it in, all else is the answer. A text is short for `{ url }`. */
  readonly forwardAuth?: string | ForwardAuthOptions;
  /** Which clients are let in, by their address. */
  readonly access?: AccessOptions;
  /** How many requests a client may make. Counted in each process: the limit is divided among a server's workers, and servers do not add up. */
  readonly rateLimit?: RateLimitOptions;
  /** Bodies that the upstream has not encoded are encoded where the client takes it. true: by the defaults. */
  readonly compress?: boolean | CompressOptions;
  /** Which other sites' pages may call it. true: any, without credentials. */
  readonly cors?: boolean | CorsOptions;
  /** Answers 503 with a page in place of forwarding. A text is short for `{ message }`. */
  readonly maintenance?: boolean | string | MaintenanceOptions;
  /** Requests are sent there as well; what it answers is thrown away. A text is short for `{ target }`. */
  readonly mirror?: string | MirrorOptions;
  /** A program of its own around forwarding (handler-types.ts), after all guards. A text is short for `{ file }`. A route with it needs no target. */
  readonly handler?: string | HandlerOptions;
}

export interface RedirectOptions {
  /** `https://www.example.com`, or a path such as `/new`. */
  readonly to: string;
  /** 301, 302, 303, 307 or 308. Default 308. */
  readonly status?: number;
  /** Whether the request's path after the route's prefix, and its query, are put behind `to`. Default true for a `to` without a path, else false. */
  readonly keepPath?: boolean;
}

export interface RespondOptions {
  /** 200 to 599. Default 200. */
  readonly status?: number;
  /** Default ''. */
  readonly body?: string;
  /** Default text/plain; charset=utf-8. */
  readonly contentType?: string;
  /** More fields by name. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** First `remove`, then `set` (in the place of all of that name), then `add`. Names in any case. Fields that frame a message are refused. */
export interface HeaderRules {
  readonly remove?: readonly string[];
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string | readonly string[]>>;
}

export interface BasicAuthOptions {
  /** What the client is asked in. Default `oo`. */
  readonly realm?: string;
  /** By name: what `oo hash` makes of the password, `$scrypt$…`. */
  readonly users: Readonly<Record<string, string>>;
}

export interface ForwardAuthOptions {
  /** `http://127.0.0.1:9091/verify`; it is asked with GET, the request's Cookie, Authorization and Accept fields, and X-Forwarded-Method, -Proto, -Host, -Uri, -For. */
  readonly url: string;
  /** Which other fields of the request it gets. Default none. */
  readonly sendHeaders?: readonly string[];
  /** Which fields of its 2xx answer go on to the upstream, in the place of the client's. Default none. */
  readonly copyHeaders?: readonly string[];
  /** Default 10,000. */
  readonly timeoutMs?: number;
}

/** `deny` is asked first; with an `allow`, who is not in it is refused as well. */
export interface AccessOptions {
  /** Addresses and CIDRs. */
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

export interface RateLimitOptions {
  /** Requests in `perMs`, whole, 1 or more. */
  readonly requests: number;
  /** Default 1,000. */
  readonly perMs?: number;
  /** How many may come at once. Default `requests`. */
  readonly burst?: number;
  /** Whose requests are counted together: `ip` (default; IPv6 by its /64), `header:NAME`, `cookie:NAME`. Without that field: by ip. */
  readonly by?: string;
}

export interface CompressOptions {
  /** In the order that is liked best. Default zstd, br, gzip. */
  readonly codings?: readonly ('zstd' | 'br' | 'gzip')[];
  /** Shorter bodies stay as they are. Default 1,024. */
  readonly minBytes?: number;
  /** Media types, `text/*` for a family. Default: text and what is text in truth (JSON, JavaScript, SVG, XML, WebAssembly). */
  readonly types?: readonly string[];
}

export interface CorsOptions {
  /** `https://app.example.com`, `https://*.example.com`, or `*`. Default `*`. */
  readonly origins?: readonly string[];
  /** Default GET, HEAD, POST, PUT, PATCH, DELETE. */
  readonly methods?: readonly string[];
  /** Which request fields may be sent. Default: those that are asked for. */
  readonly headers?: readonly string[];
  /** Which response fields the page may read. Default none. */
  readonly exposeHeaders?: readonly string[];
  /** Whether cookies may come along; not with `*`. Default false. */
  readonly credentials?: boolean;
  /** How long a browser keeps the answer, whole seconds. Default 600. */
  readonly maxAgeSeconds?: number;
}

export interface MaintenanceOptions {
  /** What the page says. */
  readonly message?: string;
  /** Default 300. */
  readonly retryAfterSeconds?: number;
  /** Addresses and CIDRs that are let through all the same. */
  readonly allow?: readonly string[];
}

export interface MirrorOptions {
  /** `http://10.0.0.9:3000`. */
  readonly target: string;
  /** Of all requests, 0 to 100. Default 100. */
  readonly percent?: number;
  /** Requests with longer bodies are not mirrored. Default 1 MiB. */
  readonly maxBodyBytes?: number;
}

/** The names of all options, as files spell them. */
export const routeOptionNames = [
  ...(['stripPrefix', 'addPrefix', 'redirect', 'respond', 'requestHeaders', 'responseHeaders'] as const),
  ...(['basicAuth', 'forwardAuth', 'access', 'rateLimit', 'compress', 'cors', 'maintenance', 'mirror'] as const),
  'handler' as const,
] satisfies (keyof RouteOptions)[];
