import { connect } from '../helpers/client.ts';
import type { Message } from '../helpers/message.ts';
import type { RuntimeName, Subject } from './runtime.ts';

/** One row of the table: what a client and an origin see, over real sockets. */
export interface Check {
  /** What holds, in a few words for docs/runtimes.md. Unique. */
  readonly name: string;
  run(subject: Subject): Promise<void>;
  /** Where it does not hold; that it does not is shown, too. */
  readonly cannot?: Partial<Record<RuntimeName, Limit>>;
}

export interface Limit {
  /** One line for docs/runtimes.md. */
  readonly why: string;
  /** What the failure says: `run` must reject with it. */
  readonly fails: RegExp;
}

export interface Group {
  readonly title: string;
  readonly checks: readonly Check[];
}

/** Makes the same limit of several runtimes. */
export function limit(why: string, fails: RegExp, ...names: RuntimeName[]): Check['cannot'] {
  return Object.fromEntries(names.map((name) => [name, { why, fails }]));
}

/** @throws Error `what: ACTUAL, expected EXPECTED` where their JSON differs */
export function see(actual: unknown, expected: unknown, what: string): void {
  const [is, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== wanted) throw new Error(`${what}: ${is}, expected ${wanted}`);
}

/** @throws Error with `what` where it does not hold */
export function hold(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

export interface Ask {
  readonly host?: string;
  readonly method?: string;
  /** Lines, each with its CRLF. */
  readonly fields?: string;
  /** With its length. */
  readonly body?: string;
  readonly ms?: number;
}

/** A whole request, as it goes over the wire. */
export function requestText(path: string, { host = 'app.test', method = 'GET', fields = '', body }: Ask = {}): string {
  const framing = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}${framing}\r\n${body ?? ''}`;
}

/** Sends a request on a connection of its own, and takes the response. */
export async function ask({ port }: Subject, path: string, options: Ask = {}): Promise<Message> {
  const client = connect(port).send(requestText(path, options));
  try {
    return await client.response({ head: options.method === 'HEAD', ms: options.ms });
  } finally {
    client.close();
  }
}

/** The code in an answer of oo's own. */
export function codeOf({ text }: Message): string {
  return /OO_[A-Z_]+/.exec(text)?.[0] ?? '';
}
