// A Deno server (or a Deno Deploy app): two instances, sticky to none, retried on the other one.
// Try it: deno add npm:@oo/proxy npm:hono && SHOP=http://127.0.0.1:3000,http://127.0.0.1:3001 deno run -NE deno.ts
import { createProxy } from '@oo/proxy';

const target = (Deno.env.get('SHOP') ?? 'http://127.0.0.1:3000').split(',');
const proxy = createProxy({
  routes: [{ id: '*', target }],
  hooks: { onHealth: ({ target, state, cause }) => console.error(`${target} is ${state} ${cause}`) },
});

Deno.serve({ port: Number(Deno.env.get('PORT') ?? 8000), hostname: '127.0.0.1' }, proxy.fetch);
