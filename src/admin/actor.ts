import type { Context } from 'hono';

const actorForm = /^[\x21-\x7e]{1,100}$/;

/** Who made the request, by its token or as it says itself: for the change log, not for rights. */
export function actorOf(c: Context): string {
  const named = (c.env as { actor?: string } | undefined)?.actor ?? c.req.header('oo-actor');
  return named !== undefined && actorForm.test(named) ? named : 'api';
}
