import * as assert from 'uvu/assert';
import { ask, connect } from './client.ts';
import type { Message } from './message.ts';
import type { Origin } from './origin.ts';

let count = 0;

/** What `expectRefused` works on: an edge's port, and the only origin that it forwards to. */
export interface Victim {
  readonly port: number;
  readonly origin: Origin;
}

/**
 * Sends an attack with an honest request right behind it, and proves that it came to nothing: one answer with one of
 * `statuses`, then the end of the connection; not a byte at the origin; and the next client gets its own answer.
 */
export async function expectRefused(
  { port, origin }: Victim,
  what: string,
  attack: string | Uint8Array,
  ...statuses: number[]
): Promise<Message> {
  const before = origin.text;
  const follower = `/follower-${++count}`;
  const client = connect(port).send(attack).send(`GET ${follower} HTTP/1.1\r\nHost: app.test\r\n\r\n`);
  try {
    const answer = await client.response().catch((error: Error) => {
      throw new Error(`${what}: ${error.message}`);
    });
    assert.ok(statuses.includes(answer.status), `${what}: answered ${answer.status}, not ${statuses.join(' or ')}`);
    assert.is(answer.get('connection'), 'close', `${what}: the connection is kept`);
    await client.gone().catch(() => assert.unreachable(`${what}: the connection is not ended`));
    assert.is(client.text, '', `${what}: more than one answer`);
    assert.is(origin.text, before, `${what}: bytes reached the origin`);
    await expectHealthy({ port, origin }, what);
    assert.not.match(origin.text, follower, `${what}: what came behind it was forwarded`);
    return answer;
  } finally {
    client.close();
  }
}

/** Proves that another client gets its own answer, which names its path, from an origin that saw nothing else. */
export async function expectHealthy({ port, origin }: Victim, what: string): Promise<void> {
  const before = origin.text.length;
  const path = `/healthy-${++count}`;
  const answer = await ask(port, `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`);
  assert.is(answer.status, 200, `${what}: the next client got ${answer.status}`);
  assert.is(answer.text, `GET ${path} HTTP/1.1`, `${what}: the next client got another's answer`);
  assert.ok(origin.text.length > before, `${what}: the origin did not see the next client`);
}

/** Answers each request with its own request line: an answer that went astray shows. */
export function echoLine(request: Message): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${request.line.length}\r\n\r\n${request.line}`;
}
