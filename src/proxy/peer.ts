import { type Cidr, parseCidr } from '../core/cidr.ts';

/** @throws TypeError */
export function trustedRange(text: string): Cidr {
  const range = parseCidr(text);
  if (typeof range === 'string') throw new TypeError(`trusted proxy ${range}`);
  return range;
}

/** The peer's address as @hono/node-server, Deno and Bun give it. */
export function peerAddress(request: Request, env: unknown): string | undefined {
  const from = (env ?? {}) as {
    incoming?: { socket?: { remoteAddress?: string } };
    remoteAddr?: { hostname?: string };
    requestIP?: (request: Request) => { address?: string } | null;
  };
  return from.incoming?.socket?.remoteAddress ?? from.remoteAddr?.hostname ?? from.requestIP?.(request)?.address;
}
