import { type Answered, type Body, emptyMs, type Reader, type SendInit, within } from './fetch.ts';
import { hasField } from './fields.ts';
import { openTunnel, type Tunnel } from './node-upgrade.ts';

/** As much of node:http and node:https as is used here. */
interface NodeHttp {
  readonly Agent: new (options: object) => object;
  request(options: object): NodeRequest;
}

interface NodeStream {
  on(event: string, listener: (...given: never[]) => void): this;
  once(event: string, listener: (argument: never) => void): this;
  destroy(error?: Error): void;
}

interface NodeRequest extends NodeStream {
  strictContentLength: boolean;
  setHeader(name: string, value: string): void;
  write(chunk: Uint8Array): boolean;
  end(): void;
}

interface NodeSocket extends NodeStream {
  readonly connecting: boolean;
  readonly encrypted?: boolean;
}

interface NodeResponse extends NodeStream {
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly rawHeaders: readonly string[];
  /** All of it has come. */
  readonly complete: boolean;
  read(): Uint8Array<ArrayBuffer> | null;
  pause(): void;
  resume(): void;
}

type NodeSend = (url: string, init: SendInit) => Promise<Answered>;

/** Bytes of a response that wait for its reader. */
const held = 65_536;
/** An idle connection is given up after this long, ms: less than most servers wait. */
const idleMs = 4_000;
const addressForm = /^(https?):\/\/((\[[^\]]+\]|[^/:?#]*)(?::(\d+))?)(.*)$/;

/**
 * Sends by node:http, on Node alone: its `fetch` puts the target into Host, decodes bodies, adds fields and rewrites the target; node:http does none of this.
 * It is got at run time, so that nothing imports it. The other runtimes' node:http is made of their fetch.
 * @returns undefined where this is not Node
 */
export function nodeSend(): NodeSend | undefined {
  if ('Bun' in globalThis || 'Deno' in globalThis || 'WebSocketPair' in globalThis) return undefined;
  const { process } = globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } };
  const load = (id: string) => process?.getBuiltinModule?.(id) as NodeHttp | undefined;
  const [http, https] = [load('node:http'), load('node:https')];
  if (typeof http?.request !== 'function' || typeof https?.request !== 'function') return undefined;
  const settings = { keepAlive: true, scheduling: 'lifo', timeout: idleMs };
  const clients = {
    http: { ...http, agent: new http.Agent(settings) },
    https: { ...https, agent: new https.Agent(settings) },
  };
  return (url, init) => {
    const [, scheme, , host, port, path] = addressForm.exec(url) as unknown as [
      string,
      'http' | 'https',
      string,
      string,
      string,
      string,
    ];
    const { request, agent } = clients[scheme];
    const hostname = host.startsWith('[') ? host.slice(1, -1) : host;
    // By default the name that is checked would be Host's, which is the client's.
    const servername = host.startsWith('[') || /^[\d.]+$/.test(host) ? '' : host;
    const { method, signal } = init;
    const options = {
      hostname,
      port,
      path,
      method,
      agent,
      servername,
      headers: recordOf(init),
      setHost: false,
      signal,
    };
    return exchange(request(options), init);
  };
}

function recordOf({ fields, upgrade }: SendInit): Record<string, string> {
  const record: Record<string, string> = Object.create(null);
  for (const [name, value] of fields) record[name] = value;
  if (upgrade) Object.assign(record, { connection: 'Upgrade', upgrade: 'websocket' });
  return record;
}

function exchange(request: NodeRequest, { fields, body, signal, upgrade }: SendInit): Promise<Answered> {
  const tunnel = (upgrade?.env as { upgrade?: Tunnel } | undefined)?.upgrade;
  return new Promise((resolve, reject) => {
    let reader: Reader | undefined;
    const stop = (error: Error) => {
      void reader?.cancel(error).catch(() => {});
      reject(error);
    };
    request.on('error', stop);
    request.on('close', () => stop(new Error('the connection was closed')));
    request.on('response', (response: NodeResponse) => {
      // Once this is through, what of the body has come with the head is there.
      queueMicrotask(() => resolve(answerOf(response)));
    });
    request.on('upgrade', (response: NodeResponse, socket: NodeSocket, early: Uint8Array) => {
      if (tunnel === undefined || response.statusCode !== 101 || tunnel.taken) {
        socket.destroy();
        return reject(new RangeError('the upstream changes to a protocol that nobody asked for'));
      }
      tunnel.taken = true;
      resolve(openTunnel(tunnel, socket as never, early, response.rawHeaders));
    });
    if (body === null) return request.end();
    // A length that is not the body's would make the rest of it the next request.
    request.strictContentLength = true;
    const begin = () => {
      try {
        reader = body.getReader();
      } catch (error) {
        // Another one reads it. Thrown here it would end the program.
        return request.destroy(error as Error);
      }
      pump(reader, request, hasField(fields, 'content-length')).catch((error) =>
        request.destroy(signal.aborted ? undefined : error),
      );
    };
    // Until there is a connection nothing of the body is read: another attempt may need it.
    request.once('socket', (socket: NodeSocket) => {
      if (socket.connecting) socket.once(socket.encrypted ? 'secureConnect' : 'connect', begin);
      else begin();
    });
  });
}

async function pump(reader: Reader, request: NodeRequest, hasLength: boolean): Promise<void> {
  let wake = () => {};
  request.on('drain', () => wake());
  request.on('close', () => wake());
  let next = reader.read();
  if (!hasLength) {
    // Node's servers give a body to requests without one as well. Of some methods its client thinks that they have none, and would not say where it ends.
    const first = await within(next, emptyMs);
    if (first?.done) return request.end();
    request.setHeader('transfer-encoding', 'chunked');
  }
  for (;;) {
    const { done, value } = await next;
    if (done) return request.end();
    if (!request.write(value))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    next = reader.read();
  }
}

function answerOf(response: NodeResponse): Answered {
  const { statusCode: status, statusMessage: statusText, rawHeaders } = response;
  const headers = new Headers();
  for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i], rawHeaders[i + 1]);
  return { status, statusText, headers, body: response.complete ? bytesOf(response) : bodyOf(response) };
}

/** All of a body that has come with its head: a stream would cost more than the rest of the exchange. */
function bytesOf(response: NodeResponse): Uint8Array<ArrayBuffer> {
  const bytes = response.read() ?? new Uint8Array();
  // Now it ends, and its connection is free.
  response.resume();
  return bytes;
}

function bodyOf(response: NodeResponse): Body {
  let over = false;
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        const end = (finish: () => void) => {
          if (over) return;
          over = true;
          finish();
        };
        response.on('data', (chunk: Uint8Array<ArrayBuffer>) => {
          if (over) return;
          controller.enqueue(chunk);
          if ((controller.desiredSize ?? 0) <= 0) response.pause();
        });
        response.on('end', () => end(() => controller.close()));
        response.on('error', (error: Error) => end(() => controller.error(error)));
        response.on('close', () =>
          end(() => controller.error(new Error('the upstream closed in the middle of its body'))),
        );
      },
      pull: () => response.resume(),
      cancel() {
        over = true;
        response.destroy();
      },
    },
    { highWaterMark: held, size: (chunk) => chunk.byteLength },
  );
}
