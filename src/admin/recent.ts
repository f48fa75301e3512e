import { type Impact, impactOf, type RequestHead, type Routing } from '../core/impact.ts';
import type { TargetSpec } from '../core/pool-types.ts';
import { draft } from '../core/routes.ts';
import type { Route } from '../core/types.ts';
import type { Configuration } from './configuration.ts';
import type { ResourceChange } from './resources.ts';

export type { Impact } from '../core/impact.ts';

/** The requests that were seen lately. */
export interface Recent {
  /** What a change of the present configuration would do to them. @param changes as a dry run tells them */
  impact(changes: readonly ResourceChange[]): Promise<Impact>;
}

export interface RecentOptions {
  readonly configuration: Pick<Configuration, 'table' | 'service'>;
  /** The heads that the workers keep. */
  readonly heads: () => Promise<readonly RequestHead[]>;
}

/** Plans with the requests that were seen lately. */
export function createRecent({ configuration, heads }: RecentOptions): Recent {
  return {
    async impact(changes) {
      const seen = await heads();
      const before: Routing = {
        table: configuration.table,
        serviceTarget: (slug) => targetOf(configuration.service(slug)),
      };
      return impactOf(before, routingAfter(before, changes), seen);
    },
  };
}

/** A configuration with changes made. */
export function routingAfter(before: Routing, changes: readonly ResourceChange[]): Routing {
  const next = draft(before.table);
  const services = new Map<string, TargetSpec | undefined>();
  for (const { kind, id, after } of changes) {
    if (kind === 'service') services.set(id, targetOf(after));
    if (kind !== 'route') continue;
    if (after === null) next.remove(id);
    else next.save(after as Route);
  }
  return {
    table: next.finish(before.table.revision + 1),
    serviceTarget: (slug) => (services.has(slug) ? services.get(slug) : before.serviceTarget?.(slug)),
  };
}

function targetOf(definition: object | null | undefined): TargetSpec | undefined {
  return (definition as { readonly target?: TargetSpec } | null | undefined)?.target;
}

/**
 * A dry run's answer with its impact.
 * @param recent undefined: nobody has seen any
 * @param answer of a dry run it has `changes`; others stay as they are
 */
export async function withImpact<T extends { readonly changes?: readonly ResourceChange[] }>(
  recent: Recent | undefined,
  answer: T,
): Promise<T & { readonly impact?: Impact }> {
  if (recent === undefined || answer.changes === undefined) return answer;
  return { ...answer, impact: await recent.impact(answer.changes) };
}
