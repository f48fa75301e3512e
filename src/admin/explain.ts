import { explainOptions } from '../core/explain-options.ts';
import { compile } from '../core/routes.ts';
import { compileService, serviceFaults } from '../core/service.ts';
import type { RouteTable } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { Registry } from '../services/registry-types.ts';
import type { CertificateAdmin } from './certs.ts';
import type { Configuration } from './configuration.ts';
import { explainCertificate } from './explain-certificate.ts';
import { limitsOf, retriesText, upstreamOf } from './explain-forward.ts';
import { listenerOf } from './explain-listener.ts';
import { matchRoute, matchService } from './explain-match.ts';
import { outcomeOf } from './explain-outcome.ts';
import { explainRoutePool } from './explain-pool.ts';
import { clientOf, isTrusted, readRequest } from './explain-request.ts';
import type { ExplainRequest, Explanation, ServerFacts, Unexplained } from './explain-types.ts';
import type { ReadLive } from './status.ts';

export interface ExplainOptions {
  readonly configuration: Pick<Configuration, 'table' | 'service' | 'history'>;
  /** Left out: there are no services. */
  readonly registry?: Pick<Registry, 'pool'>;
  /** Left out: there are no certificates. */
  readonly certificates?: Pick<CertificateAdmin, 'get'>;
  readonly live: ReadLive;
  readonly server: () => ServerFacts;
  /** What a sticky cookie of a pool says for an address, the newest secret's first. Default: nobody knows. */
  readonly stickyTokens?: (pool: string, address: string) => readonly string[];
  /** Epoch ms. */
  readonly now: () => number;
}

/** Says what becomes of a request, and why. */
export type Explain = (asked: ExplainRequest) => Promise<Explanation | Unexplained>;

/** Routes and definitions of one revision. */
interface World {
  readonly table: RouteTable;
  readonly definition: (slug: string) => object | undefined;
}

/** Explains requests by the configuration, with the data path's own functions, and what is known of the instances. */
export function createExplain(options: ExplainOptions): Explain {
  const { configuration, registry, live, server, stickyTokens = () => [], now } = options;

  async function worldAt(revision: number | undefined): Promise<World | undefined> {
    const { table } = configuration;
    if (revision === undefined || revision === table.revision)
      return { table, definition: (slug) => configuration.service(slug) };
    const state = await configuration.history.at(revision);
    if (state === undefined) return undefined;
    const services = new Map(state.services.map((one) => [one.id, one]));
    return { table: tableOf(state), definition: (slug) => services.get(slug) };
  }

  function serviceRouteIn(world: World, slug: string): CompiledRoute | undefined {
    const definition = world.definition(slug);
    const members = registry?.pool(slug)?.members;
    if (definition === undefined && members === undefined) return undefined;
    // One that a later oo has stored, and that this one refuses, is used without its options: as workers do.
    const good = definition !== undefined && serviceFaults(slug, definition).length === 0 ? definition : {};
    return compileService({ slug, options: good, members: members ?? [] });
  }

  return async (asked) => {
    const facts = server();
    const request = readRequest(asked, facts);
    if (typeof request === 'string') return unexplained(400, request, 'See oo explain --help.');
    const world = await worldAt(asked.at);
    if (world === undefined) {
      const hint = 'oo history lists those that are kept.';
      return unexplained(404, `Revision ${asked.at} is not kept, or there is none yet.`, hint);
    }
    const trusted = isTrusted(request, facts);
    const client = trusted ? clientOf(request, facts) : request.from;
    const listener = listenerOf(request, facts, world.table, trusted);
    const certificate =
      request.scheme === 'https' && listener.name === 'https'
        ? await explainCertificate(request.authority, options.certificates, now())
        : null;
    const services = (slug: string) => serviceRouteIn(world, slug);
    const found = listener.name === 'service' ? matchService(request, services) : matchRoute(request, world.table);
    const { route } = found;
    // What is led to HTTPS meets the options there.
    const view = route === undefined || listener.leadsTo !== '' ? undefined : explainOptions(route, request, client);
    const { instances } = await live();
    const poolFacts = { serviceRoute: services, instances, stickyTokens, now: now() };
    const pool = route === undefined ? null : explainRoutePool(route, request, client, poolFacts);
    const outcome = outcomeOf(request, listener, certificate, found, view, pool);
    const isForwarded = outcome.kind === 'forwarded' || outcome.kind === 'waits';
    const limits = isForwarded && route ? limitsOf(route, services, facts) : [];
    return {
      revision: world.table.revision,
      request: {
        ...{ method: request.method, url: asked.url, host: request.authority },
        ...{ path: request.path + request.query, client, trusted },
      },
      ...{ outcome, listener, certificate, match: found.match, options: view?.steps ?? [] },
      upstream: isForwarded && route && view ? upstreamOf(request, route, view, trusted) : null,
      pool: view?.answer === null ? pool : null,
      limits,
      retries: isForwarded ? retriesText(request, limits) : '',
    };
  };
}

function unexplained(status: Unexplained['status'], error: string, hint: string): Unexplained {
  return { status, error, hint };
}

/** Routes that this program refuses are left out, as at its start. */
function tableOf({ routes, revision }: { readonly routes: Parameters<typeof compile>[0]; readonly revision: number }) {
  const compiled = compile(routes, revision);
  if ('table' in compiled) return compiled.table;
  const bad = new Set(compiled.faults.map(({ index }) => index));
  const rest = compile(
    [...routes].filter((_, index) => !bad.has(index)),
    revision,
  );
  if ('table' in rest) return rest.table;
  throw new Error(`The routes of revision ${revision} cannot be compiled.`);
}
