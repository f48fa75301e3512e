import type { IncomingMessage } from 'node:http';
import { type ClientRequest, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { refused } from './client.ts';
import { CliError } from './failure.ts';
import type { Place } from './remote.ts';
import { socketPath } from './state.ts';

/** A call whose body or answer is no JSON. */
export interface RawCall {
  readonly method: string;
  readonly path: string;
  readonly actor: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readable;
  /** The longest silence, ms. */
  readonly silenceMs: number;
}

/** @returns the answer, where its status is below 400; its body is the caller's to read @throws CliError */
export async function rawCall(place: Place, call: RawCall): Promise<IncomingMessage> {
  const response = await answerOf(place, call);
  const { statusCode = 0 } = response;
  if (statusCode < 400) return response;
  const text = (await bytesOf(response)).toString();
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // Its status says it.
  }
  throw refused(problem, statusCode);
}

function answerOf(place: Place, { method, path, actor, headers = {}, body, silenceMs }: RawCall) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    const fail = (error: Error) => {
      const hint = 'See what the server wrote to its log, and try again.';
      reject(new CliError(`The connection to the server broke: ${error.message}.`, { hint, cause: error }));
    };
    const sent = open(place, method, path, { ...headers, ...('stateDir' in place && { 'oo-actor': actor }) });
    let isAnswered = false;
    sent.setTimeout(silenceMs, () => sent.destroy(new Error(`no answer within ${silenceMs / 1_000} s`)));
    sent.on('response', (response) => {
      isAnswered = true;
      resolve(response);
    });
    sent.on('error', fail);
    if (body === undefined) sent.end();
    // A server that refuses may answer before it has all.
    else pipeline(body, sent, (error) => void (error && !isAnswered && setTimeout(() => fail(error), 200)));
  });
}

function open(place: Place, method: string, path: string, headers: Record<string, string>): ClientRequest {
  if ('stateDir' in place) {
    const socket = socketPath(place.stateDir);
    return requestHttp({ socketPath: socket, method, path, headers: { host: 'localhost', ...headers } });
  }
  const { url: server, token, ca } = place;
  const url = new URL(path, server);
  const trusted = ca === undefined ? undefined : [...rootCertificates, ca];
  const all = { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return request(url, { method, headers: all, agent: false, ca: trusted });
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const list: Uint8Array[] = [];
  for await (const chunk of chunks) list.push(chunk);
  return Buffer.concat(list);
}
