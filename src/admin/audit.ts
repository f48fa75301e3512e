import type { Context } from 'hono';
import { callerOf } from './access.ts';
import type { Operation } from './operation.ts';

/** A write that somebody made by the API. Never what was in its body or its query. */
export interface AuditEntry {
  /** Epoch ms. */
  readonly at: number;
  /** As `Caller` has it: `token:tok_1a2b…`, `cli`. */
  readonly actor: string;
  /** An address, or `socket`. */
  readonly from: string;
  /** The id of the operation: `saveRoutes`. */
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  /** What it was about, as far as that is known: ids of routes, services, instances, certificates, tokens. At most 100. */
  readonly ids: readonly string[];
  /** Of the answer. What is told step by step has begun with it. */
  readonly status: number;
  /** The one that it made; null for none. */
  readonly revision: number | null;
}

/** As it is stored. */
export interface AuditRow extends AuditEntry {
  /** Grows with each. */
  readonly id: number;
}

export interface AuditQuery {
  readonly limit: number;
  /** Only older ones than this id. */
  readonly before?: number;
  readonly actor?: string;
  /** Epoch ms: none that is older. */
  readonly since?: number;
}

/** Where they are kept (db/ has it). Methods reject with errors as `asStoreFailure` knows them. */
export interface AuditStore {
  /** @param entries with a key of each, by which one that comes twice is known @param keep how many remain: the newest */
  add(entries: readonly (AuditEntry & { readonly key: string })[], keep: number): Promise<void>;
  /** The newest first. */
  list(query: AuditQuery): Promise<readonly AuditRow[]>;
}

/** What a handler knows of its write, and the path does not say. */
export interface Noted {
  readonly ids?: readonly string[];
  /** The revision that it made. */
  readonly revision?: number;
  /** It changed nothing that anybody asks for: a heartbeat. */
  readonly passing?: true;
}

const notes = new WeakMap<Request, Noted>();
const backupPath = '/v1/backup';
const most = { ids: 100, text: 300 };

/** Says what the request's write was about. What was noted before stays, unless it is said again. */
export function note(c: Context, noted: Noted): void {
  notes.set(c.req.raw, { ...notes.get(c.req.raw), ...noted });
}

/**
 * Whether a call changes something, or gives a secret away. A POST that only reads has a scope to read.
 */
export function isAudited({ method, scope, path }: Operation): boolean {
  if (method === 'get') return path.endsWith('/raw') || path === backupPath;
  return !scope.endsWith(':read');
}

/** The entry for a request that has been answered; undefined where nothing is to be told: a dry run, a heartbeat. */
export function entryOf(
  c: Context,
  { id, query }: Pick<Operation, 'id' | 'query'>,
  now: number,
): AuditEntry | undefined {
  const { ids, revision, passing } = notes.get(c.req.raw) ?? {};
  const isTried = c.req.query('dryRun') === 'true' && query !== undefined && 'dryRun' in query.entries;
  if (passing || isTried) return undefined;
  // Of what is read, only private keys and all at once.
  if (c.req.method === 'HEAD') return undefined;
  if (c.req.method === 'GET' && c.req.path !== backupPath && c.req.query('withKey') !== 'true') return undefined;
  const { actor, from } = callerOf(c);
  const named = ids ?? Object.values(c.req.param() as Record<string, string>);
  return {
    ...{ at: now, actor, from, operation: id, method: c.req.method, path: short(c.req.path) },
    ids: named.slice(0, most.ids).map(short),
    status: c.res.status,
    revision: revision ?? null,
  };
}

function short(text: string): string {
  const line = text.replace(/\p{C}/gu, '?');
  return line.length > most.text ? `${line.slice(0, most.text)}…` : line;
}
