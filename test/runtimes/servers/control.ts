/** What the servers of all runtimes have in common: a proxy, and paths by which the checks tell it what to do. */
import * as oo from '../../../src/index.ts';
import { checkHandlers } from '../handlers/index.mjs';

declare const CONTRACT_TOKEN: string;
const control = `/.contract/${CONTRACT_TOKEN}/`;
const told: string[] = [];

/** @param extra what the runtime has to be given: its clientIp, say */
export function contractServer(extra: Partial<oo.ProxyOptions> = {}) {
  const proxy = oo.createProxy({
    routes: [],
    options: oo.routeOptions,
    handlers: checkHandlers,
    hooks: {
      onFailure: ({ code, route, cause }) => void told.push(`failure ${route?.id ?? ''} ${code}: ${cause}`),
      onResponse: ({ route, status, attempts, target }) =>
        void told.push(`response ${route} ${status} ${attempts} ${target}`),
      onHealth: ({ route, target, state, cause }) => void told.push(`health ${route} ${target} ${state} ${cause}`),
    },
    ...extra,
  });
  const does: Record<string, (body: never) => unknown> = {
    use: (routes: oo.ProxyRoute[]) => proxy.update(routes) ?? 'done',
    explain({ url: asked, method }: { url: string; method: string }) {
      const { route, url, pool, lines } = proxy.explain(new Request(asked, { method }));
      return { route, url, pool, lines };
    },
    stats: () => proxy.stats(),
    told: () => told.splice(0),
  };
  const obey = async (request: Request, what: string) => {
    try {
      return Response.json(does[what]((await request.json()) as never));
    } catch (error) {
      return new Response(String(error), { status: 400 });
    }
  };
  return async (request: Request, env?: unknown, context?: unknown): Promise<Response> => {
    const at = request.url.indexOf(control);
    return at < 0 ? proxy.fetch(request, env, context) : obey(request, request.url.slice(at + control.length));
  };
}
