import { randomUUID } from 'node:crypto';
import type { CompiledOptions } from '../core/option-compile.ts';
import { corsFields, type Field } from '../core/option-cors.ts';
import { dropFields, putLines } from '../core/option-header-rules.ts';
import { rewriteTarget } from '../core/option-path.ts';
import type { Placeholder } from '../core/option-placeholder.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import type { AskedHost } from './asked-host.ts';
import type { Upstream } from './downstream.ts';
import type { Edge } from './edge.ts';
import { findField, found } from './request-field.ts';
import type { RequestRegisters } from './request-head.ts';

const originName = Buffer.from('origin');
const prefixName: ReadonlySet<string> = new Set(['x-forwarded-prefix']);
const corsNames: ReadonlySet<string> = new Set([
  ...['access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers'],
]);
const variesByOrigin = /^vary:(?:[^\n]*[ \t,:])?(?:origin|\*)[ \t]*(?:,|\r)/im;

/** Where a request has come from. */
export interface RewriteSource {
  readonly edge: Edge;
  readonly asked: AskedHost;
  /** The peer's address. */
  readonly peer: string;
  /** Where it has one already. Default: a new one. */
  readonly requestId?: string;
}

/** @returns null where the route's options leave heads as they are */
export function rewriteOf(
  route: CompiledRoute,
  buffer: Buffer,
  head: RequestRegisters,
  from: RewriteSource,
): Rewrite | null {
  const { options } = route;
  if (options === null) return null;
  const { path, requestHeaders, responseHeaders, cors } = options;
  const changesHeads = path !== null || requestHeaders !== null || responseHeaders !== null || cors !== null;
  return changesHeads ? new Rewrite(route, options, buffer, head, from) : null;
}

/**
 * Writes the head for `up` anew. @param length of the head as it is there, in `up.out`
 * @returns its new length
 */
export function writeRewritten(up: Upstream, rewrite: Rewrite, length: number, target: Target): number {
  const head = rewrite.request(up.out.toString('latin1', 0, length), target.basePath);
  const out = head.length > up.out.length ? up.headRoom(head.length) : up.out;
  return out.write(head, 0, 'latin1');
}

/**
 * What the options of its route make of the heads of one request and its response; made while the request's head is there. Heads are texts
 * here, one character a byte: only routes with such options pay for that.
 */
export class Rewrite {
  /** It can't be told what the upstream's path would be: OO_BAD_PATH. */
  readonly isRefused: boolean;
  readonly changesRequest: boolean;
  readonly changesResponse: boolean;
  private id = '';
  private readonly options: CompiledOptions;
  /** Path and query that the upstream gets after its own path; '' where they stay as they are. */
  private readonly target: string;
  private readonly stripped: string;
  /** The request's Origin, where the route has `cors`. */
  private readonly origin: string;
  private readonly values: Readonly<Record<Placeholder, string>> | null;

  constructor(
    route: CompiledRoute,
    options: CompiledOptions,
    buffer: Buffer,
    head: RequestRegisters,
    from: RewriteSource,
  ) {
    const { path, cors, requestHeaders, responseHeaders } = options;
    this.options = options;
    this.id = from.requestId ?? '';
    this.origin = cors !== null && findField(buffer, head, originName) ? textOf(buffer, found.start, found.end) : '';
    const sent = path === null ? '' : targetOf(buffer, head);
    const rewritten = path === null ? { target: '', stripped: '' } : rewriteTarget(path, sent);
    this.isRefused = rewritten === undefined;
    this.target = rewritten === undefined || rewritten.target === sent ? '' : rewritten.target;
    this.stripped = rewritten?.stripped ?? '';
    const fills = requestHeaders?.fills === true || responseHeaders?.fills === true;
    this.values = fills ? valuesOf(route, buffer, head, from, this.requestId) : null;
    this.changesRequest = this.target !== '' || this.stripped !== '' || requestHeaders !== null;
    this.changesResponse = responseHeaders !== null || cors !== null;
  }

  /** Answers of ours tell it as well. */
  get requestId(): string {
    this.id ||= randomUUID();
    return this.id;
  }

  private readonly fill = (name: Placeholder): string => this.values?.[name] ?? '';

  /**
   * The head that the upstream gets.
   * @param head as it would get it: proven HTTP/1.1, with our forwarding fields, its empty line included
   * @param basePath its target's own path, which is in there before the request's
   */
  request(head: string, basePath: string): string {
    const { target, stripped } = this;
    const rules = this.options.requestHeaders;
    let changed = head.slice(0, -2);
    if (target !== '') {
      const from = changed.indexOf(' ') + 1;
      changed = changed.slice(0, from) + basePath + target + changed.slice(changed.indexOf(' ', from));
    }
    if (stripped !== '') {
      const prefix = priorPrefix(changed) + stripped;
      changed = `${dropFields(changed, prefixName)}X-Forwarded-Prefix: ${prefix}\r\n`;
    }
    if (rules !== null) changed = dropFields(changed, rules.drop) + putLines(rules, this.fill);
    return `${changed}\r\n`;
  }

  /** The head of an upstream's final answer as the client gets it. @param head without its empty line */
  response(head: string): string {
    const { responseHeaders: rules, cors } = this.options;
    let changed = head;
    if (rules !== null) changed = dropFields(changed, rules.drop) + putLines(rules, this.fill);
    if (cors === null) return changed;
    changed = dropFields(changed, corsNames);
    for (const [name, value] of corsFields(cors, this.origin)) {
      if (name !== 'Vary' || !variesByOrigin.test(changed)) changed += `${name}: ${value}\r\n`;
    }
    return changed;
  }

  /** Lines, without their ends, that an answer of ours gets, so that the page that asked can read it. */
  replyLines(lines: readonly string[]): string[] {
    const { cors } = this.options;
    // A preflight's has its own.
    if (cors === null || lines.some((line) => /^access-control-/i.test(line))) return [];
    return corsFields(cors, this.origin).map(([name, value]: Field) => `${name}: ${value}`);
  }
}

function textOf(buffer: Buffer, from: number, to: number): string {
  return buffer.toString('latin1', from, to);
}

/** Path and query as sent; an absolute target may lack the path. */
function targetOf(buffer: Buffer, head: RequestRegisters): string {
  const target = textOf(buffer, head.pathStart, head.targetEnd);
  return target.startsWith('/') ? target : `/${target}`;
}

/** What a trusted proxy before us has taken off; all others' are gone by now. */
function priorPrefix(head: string): string {
  return /^x-forwarded-prefix:[ \t]*(\/[!-+\--~]*?)\/?[ \t]*\r$/im.exec(head)?.[1].replace(/\/$/, '') ?? '';
}

function valuesOf(
  route: CompiledRoute,
  buffer: Buffer,
  head: RequestRegisters,
  { edge, asked, peer }: RewriteSource,
  requestId: string,
): Readonly<Record<Placeholder, string>> {
  const isTold = head.captureCount > 0;
  // As the upstream is told: a trusted proxy knows better than the connection.
  const told = (isTold ? asked.priorLines(buffer, head) : asked.lines).toString('latin1');
  const uri = targetOf(buffer, head);
  return {
    'client.ip': isTold ? edge.clientOf(peer, buffer, head) : peer,
    host: /^X-Forwarded-Host: ([^\r]*)/m.exec(told)?.[1] ?? '',
    scheme: /^X-Forwarded-Proto: ([^\r]*)/m.exec(told)?.[1] ?? '',
    method: textOf(buffer, head.methodStart, head.methodEnd),
    path: uri.replace(/\?.*$/s, ''),
    uri,
    route: route.id,
    'request.id': requestId,
  };
}
