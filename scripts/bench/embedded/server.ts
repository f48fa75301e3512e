/**
 * A program that embeds a proxy, for Node, Bun and Deno: `server.js PORT UPSTREAM HOW`. What is compared is HOW; the server around it is the
 * runtime's own, on Node that of @hono/node-server.
 */
import { Hono } from 'hono';
import { proxy } from 'hono/proxy';
import { createProxy } from '../../../src/index.ts';

type Serve = (request: Request, env?: unknown) => Response | Promise<Response>;

const { Bun, Deno, process } = globalThis as {
  Bun?: { serve(options: object): unknown; argv: string[] };
  Deno?: { serve(options: object, handle: (request: Request, info: unknown) => unknown): unknown; args: string[] };
  process: { argv: string[] };
};
const [port, upstream, how] = Deno?.args ?? process.argv.slice(2);
const target = `http://127.0.0.1:${upstream}`;

function pathOf(url: string): string {
  return url.slice(url.indexOf('/', 8));
}

/** The least that passes a request on. */
const bare: Serve = (request) => {
  const { method, headers, body } = request;
  const init = { method, headers, body, redirect: 'manual', duplex: 'half' } as RequestInit;
  return fetch(target + pathOf(request.url), init);
};

function handlerOf(): Serve {
  if (how === 'bare') return bare;
  if (how === 'hono') {
    const app = new Hono();
    app.all('*', (context) => proxy(target + pathOf(context.req.url), { raw: context.req.raw }));
    return (request, env) => app.fetch(request, env as object);
  }
  const embedded = createProxy({ routes: [{ id: '*', target }] });
  if (how === 'oo') return embedded.fetch;
  const app = new Hono();
  app.route('/', embedded.app);
  return (request, env) => app.fetch(request, env as object);
}

const handle = handlerOf();
const where = { port: Number(port), hostname: '127.0.0.1' };
if (Bun !== undefined) Bun.serve({ ...where, fetch: handle });
else if (Deno !== undefined) Deno.serve({ ...where, onListen: () => {} }, handle);
else (await import('@hono/node-server')).serve({ ...where, fetch: handle });
