import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Route } from '../../src/core/types.ts';
import { handlerSettings } from '../../src/edge/handler-place.ts';
import { HandlerProcesses } from '../../src/edge/handler-processes.ts';
import type { EdgeSettings } from '../../src/edge/settings.ts';
import { closeLater } from './cleanup.ts';
import { startEdge, type TestEdge } from './proxy.ts';
import { temporary } from './temporary.ts';

/** An edge in this process, and its handlers in processes of their own. */
export interface HandlerEdge extends TestEdge {
  readonly handlers: HandlerProcesses;
  /** What the main process logs of them. */
  readonly log: string[];
  /** Publishes as a server does. */
  publish(...routes: Route[]): Promise<void>;
}

const entry = resolve(import.meta.dirname, '../../cli/main.ts');

export async function startHandlers(
  routes: readonly Route[],
  settings: Partial<EdgeSettings> & { logAccess?: boolean } = {},
): Promise<HandlerEdge> {
  const log: string[] = [];
  const place = handlerSettings(temporary());
  mkdirSync(place.directory, { recursive: true });
  let edge: TestEdge | undefined;
  const handlers = new HandlerProcesses({
    ...{ ...place, entry, drainTimeoutMs: 5_000 },
    log: (line) => void log.push(line),
    onHung: (key) => edge?.edge.handlers.onHung(key),
  });
  closeLater({ close: () => handlers.stop() });
  await handlers.apply({ save: routes, remove: [] });
  edge = await startEdge(routes, { ...settings, handlers: place });
  const { route } = edge;
  let ids = routes.map(({ id }) => id);
  const publish = async (...next: Route[]) => {
    await handlers.apply({ save: next, remove: ids.filter((id) => !next.some((other) => other.id === id)) });
    route(...next);
    ids = next.map(({ id }) => id);
    handlers.settle();
  };
  return { ...edge, handlers, log, publish };
}

/** A handler's source: the body of its function. */
export function handlerSource(body: string, before = ''): string {
  return `${before}\nexport default async function handle(request, next, context) {\n${body}\n}\n`;
}
