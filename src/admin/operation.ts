import type { Context, Hono } from 'hono';
import type * as v from 'valibot';
import { nearest } from '../core/nearest.ts';
import { allows, callerOf, type Scope } from './access.ts';
import { type AuditEntry, entryOf, isAudited } from './audit.ts';
import { short } from './fault.ts';
import { refuse, wrongMethod } from './reply.ts';

/** What a call answers with one status. */
export interface Answer {
  readonly description: string;
  /** Of its JSON body; left out: it has none, or `type` says what it is. */
  readonly schema?: v.GenericSchema;
  /** The media type of a body that is no JSON; several: the caller chooses. */
  readonly type?: string | readonly string[];
}

/**
 * One call of the API: what lets somebody make it, and all that /openapi.json says of it. `Api.on` holds the scope; query and body are the handler's to
 * read (`read` of body.ts, with the same schema).
 */
export interface Operation {
  /** `saveRoutes`: the name of a generated client's function. Each once. */
  readonly id: string;
  readonly method: 'get' | 'put' | 'post' | 'delete';
  /** As OpenAPI has it: `/v1/routes/{id}`. A parameter is one segment, escapes taken off by `c.req.param`. */
  readonly path: string;
  /** The heading that it stands under: `routes`. */
  readonly tag: string;
  /** A line. */
  readonly summary: string;
  readonly description?: string;
  /** `any`: whoever has a token; `open`: everybody. */
  readonly scope: Scope | 'any' | 'open';
  /** Of its parameters in the query: a strictObject of texts and lists of texts. Under /v1 others are refused: one that is misspelt would be passed over. */
  readonly query?: QuerySchema;
  /** What its path's parameters are. */
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: v.GenericSchema;
  /** Default true, where there is a `body`. */
  readonly bodyRequired?: boolean;
  /** It takes If-Match, and may answer 412. */
  readonly conditional?: boolean;
  readonly answers: Readonly<Record<number, Answer>>;
}

/** A strictObject. */
export type QuerySchema = v.GenericSchema & { readonly entries: Readonly<Record<string, v.GenericSchema>> };

type Handler = (c: Context) => Response | Promise<Response>;

/** The API while it is put together: each call in the file of its noun. */
export interface Api {
  readonly app: Hono;
  /** All so far. */
  readonly operations: readonly Operation[];
  /** Adds a call. Who lacks its scope gets 403. */
  on(operation: Operation, handler: Handler): void;
  /** When all are there: other methods of their paths answer 405, with Allow. */
  finish(): void;
}

/**
 * Puts calls into an app.
 * @param onWrite told of each write, of whatever outcome, when it is answered
 */
export function createApi(app: Hono, onWrite?: (entry: AuditEntry) => void): Api {
  const operations: Operation[] = [];
  return {
    app,
    operations,
    on(operation, handler) {
      operations.push(operation);
      const path = operation.path.replace(/\{(\w+)\}/g, ':$1');
      app.on(
        operation.method.toUpperCase(),
        path,
        async (c, next) => {
          // Also after what throws: Hono has made it an answer by then.
          await next();
          const entry = onWrite && isAudited(operation) ? entryOf(c, operation, Date.now()) : undefined;
          if (entry !== undefined) onWrite?.(entry);
        },
        (c) => forbidden(c, operation) ?? strange(c, operation) ?? handler(c),
      );
    },
    finish() {
      const methods = new Map<string, Set<string>>();
      for (const { path, method } of operations)
        methods.set(path, (methods.get(path) ?? new Set()).add(method.toUpperCase()));
      for (const [path, own] of methods) {
        const list = ['GET', 'PUT', 'POST', 'DELETE'].filter((method) => own.has(method));
        const allow = list.join(', ').replace('GET', 'GET, HEAD');
        app.all(path.replace(/\{(\w+)\}/g, ':$1'), (c) => wrongMethod(c, allow));
      }
    },
  };
}

function forbidden(c: Context, { scope }: Operation): Response | undefined {
  if (scope === 'any' || scope === 'open') return undefined;
  return demand(c, scope);
}

function strange(c: Context, { path, query }: Operation): Response | undefined {
  const known = Object.keys(query?.entries ?? {});
  const given = Object.keys(c.req.queries()).filter((one) => !known.includes(one));
  // The seed's calls pass over what they don't know; but who only wants to try must not be taken at his word.
  const name = path.startsWith('/v1/') ? given[0] : given.find((one) => one === 'dryRun');
  if (name === undefined) return undefined;
  const near = nearest(name, known);
  const has = known.length === 0 ? 'It has none.' : `It has ${known.join(', ')}.`;
  return refuse(c, 400, {
    error: `${c.req.method} ${c.req.path} has no parameter '${short(name)}'.`,
    code: 'OO_BAD_REQUEST',
    hint: near === undefined ? has : `Did you mean ${near}?`,
  });
}

/** For what only the body tells: undefined if the caller may, else the 403. */
export function demand(c: Context, scope: Scope): Response | undefined {
  const caller = callerOf(c);
  if (allows(caller, scope)) return undefined;
  return refuse(c, 403, {
    error: `This token is not for ${c.req.method} ${c.req.path}: it lacks ${scope}.`,
    code: 'OO_FORBIDDEN',
    hint: `Make one that has it: oo token create --scope ${scope}`,
  });
}
