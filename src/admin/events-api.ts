import type { Context } from 'hono';
import { allows, type Caller, callerOf, type Scope } from './access.ts';
import type { EventRing, NumberedEvent } from './event-ring.ts';
import { scopesOfKind, visible } from './event-types.ts';
import type { ServerEvent } from './events.ts';
import { short } from './fault.ts';
import { type Api, demand } from './operation.ts';
import { refuse } from './reply.ts';
import { eventKinds, eventsQuery } from './wire/event.ts';

/** Nothing may happen for long, and who waits gives up on silence: a comment this often, ms. */
const heartbeatMs = 15_000;
/** Who follows at one time. */
const defaultClients = 100;
/** What may wait for a reader who is slower than what happens, bytes; beyond it the connection is cut, and the reader may come back. */
const defaultQueueBytes = 256 * 1024;

export interface EventsApiOptions {
  readonly ring: EventRing;
  /** Default 100. */
  readonly maxClients?: number;
  /** Default 256 KiB. */
  readonly maxQueueBytes?: number;
}

type Kind = ServerEvent['kind'];
type Format = 'sse' | 'ndjson';

/**
 * GET `/v1/events`: what happens, as it happens: changes of the configuration, of health, of certificates. As server-sent events, each with its `id`,
 * its kind as `event`, and JSON as `data`; `Last-Event-ID` replays what came after it, as far as it is kept. With `format=ndjson` a line of JSON for
 * each, empty ones between. `kind` (repeatable) chooses; of each kind one sees what the scopes of the token allow.
 */
export function addEventCalls({ on }: Api, options: EventsApiOptions): void {
  const { ring, maxClients = defaultClients, maxQueueBytes = defaultQueueBytes } = options;
  let clients = 0;
  on(
    {
      ...{ id: 'followEvents', method: 'get', path: '/v1/events', tag: 'events', scope: 'events:read' },
      summary: 'What happens, as it happens',
      description:
        'Server-sent events: `change` (with the scope history:read, or of routes and services what routes:read and services:read show), ' +
        '`health` (instances:read), `certificate` (certs:read). `Last-Event-ID` replays what came after.',
      query: eventsQuery,
      answers: {
        200: { description: 'It goes on until one leaves.', type: ['text/event-stream', 'application/x-ndjson'] },
      },
    },
    (c) => {
      const asked = askedOf(c);
      if (asked instanceof Response) return asked;
      if (clients >= maxClients) return full(c);
      clients += 1;
      const after = c.req.header('last-event-id') ?? c.req.query('after');
      const body = streamOf({ ...asked, ring, after, maxQueueBytes, caller: callerOf(c), onEnd: () => (clients -= 1) });
      const type = asked.format === 'sse' ? 'text/event-stream' : 'application/x-ndjson';
      // nginx holds answers back unless it is told not to.
      return c.body(body, 200, { 'content-type': type, 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    },
  );
}

interface Asked {
  readonly kinds: ReadonlySet<Kind>;
  readonly format: Format;
}

function askedOf(c: Context): Asked | Response {
  const named = c.req.queries('kind') ?? [];
  const strange = named.find((kind) => !(eventKinds as readonly string[]).includes(kind));
  if (strange !== undefined) return bad(c, `kind is '${short(strange)}'; expected ${eventKinds.join(', ')}`);
  const format = c.req.query('format') ?? 'sse';
  if (format !== 'sse' && format !== 'ndjson') return bad(c, `format is '${short(format)}'; expected sse or ndjson`);
  const kinds = (named.length === 0 ? eventKinds : named) as readonly Kind[];
  const caller = callerOf(c);
  const seen = kinds.filter((kind) => scopesOfKind[kind].some((scope) => allows(caller, scope)));
  // What is asked for by name, and not allowed, is said; of all kinds, those that are allowed will do.
  const lacks =
    named.length > 0 ? kinds.find((kind) => !seen.includes(kind)) : seen.length === 0 ? kinds[0] : undefined;
  if (lacks !== undefined) return demand(c, scopesOfKind[lacks][0] satisfies Scope) as Response;
  return { kinds: new Set(seen), format };
}

interface StreamOptions extends Asked {
  readonly ring: EventRing;
  readonly after: string | undefined;
  readonly caller: Caller;
  readonly maxQueueBytes: number;
  readonly onEnd: () => void;
}

function streamOf(options: StreamOptions): ReadableStream<Uint8Array> {
  const { ring, after, caller, kinds, format, maxQueueBytes, onEnd } = options;
  const encoder = new TextEncoder();
  const bytesOf = (event: NumberedEvent): Uint8Array | undefined => {
    const shown = kinds.has(event.kind) ? visible(event, caller) : undefined;
    return shown && encoder.encode(textOf(shown, format));
  };
  const missed = (after === undefined ? [] : ring.after(after)).flatMap((event) => bytesOf(event) ?? []);
  // Who catches up must not be cut for it: what was missed has room of its own.
  const highWaterMark = missed.reduce((sum, { length }) => sum + length, maxQueueBytes);
  let end = () => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const write = (bytes: Uint8Array) => {
          controller.enqueue(bytes);
          if ((controller.desiredSize ?? 0) > 0) return;
          end();
          controller.error(tooSlow());
        };
        const silence = encoder.encode(format === 'sse' ? ':\n\n' : '\n');
        const isExpired = () =>
          caller.expiresAt !== undefined && caller.expiresAt !== 0 && caller.expiresAt <= Date.now();
        let isOver = false;
        const close = () => {
          if (isOver) return;
          end();
          controller.close();
        };
        // Its holder may have lost the token meanwhile, by this server or another one.
        const look = () => void caller.hold?.isGood().then((good) => good || close());
        const tell = (bytes: Uint8Array | undefined) => {
          if (isExpired()) close();
          else if (bytes !== undefined) write(bytes);
        };
        const heartbeat = setInterval(() => {
          tell(silence);
          look();
        }, heartbeatMs);
        const unwatch = caller.hold?.watch(look);
        const unlisten = ring.listen((event) => tell(bytesOf(event)), close);
        end = () => {
          end = () => {};
          isOver = true;
          clearInterval(heartbeat);
          unwatch?.();
          unlisten();
          onEnd();
        };
        // At once, so that who follows knows that it has begun.
        controller.enqueue(format === 'sse' ? encoder.encode('retry: 2000\n\n') : silence);
        for (const bytes of missed) controller.enqueue(bytes);
      },
      cancel: () => end(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark }),
  );
}

/** What serves the answer writes the error to the log as it is, stack and all. */
function tooSlow(): Error {
  const message = 'events: a reader who was too slow was cut off';
  return Object.assign(new Error(message), { stack: message });
}

function textOf({ id, kind, at, data }: NumberedEvent, format: Format): string {
  const json = JSON.stringify({ id, kind, at: new Date(at).toISOString(), data });
  return format === 'sse' ? `id: ${id}\nevent: ${kind}\ndata: ${json}\n\n` : `${json}\n`;
}

function full(c: Context): Response {
  c.header('Retry-After', '10');
  return refuse(c, 429, {
    error: 'Too many follow the events already.',
    code: 'OO_TOO_MANY_REQUESTS',
    hint: 'Close one of the others, or come back later.',
  });
}

function bad(c: Context, error: string): Response {
  return refuse(c, 400, { error: `${error}.`, code: 'OO_BAD_REQUEST', hint: 'Correct the query and send it again.' });
}
