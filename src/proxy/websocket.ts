/** What is sent with the handshake to the upstream. */
export interface DialInit {
  readonly headers: Headers;
  readonly signal: AbortSignal;
}

/** A client that asks for a WebSocket. */
export interface Upgrade {
  readonly request: Request;
  /** What the runtime gives with it. */
  readonly env: unknown;
}

type Data = string | ArrayBuffer | Uint8Array<ArrayBuffer>;

/** What a standard WebSocket and the server's side of Bun's have in common. */
interface Socket {
  send(data: Data): unknown;
  close(code?: number, reason?: string): void;
  terminate?(): void;
  readonly bufferedAmount?: number;
  getBufferedAmount?(): number;
}

interface BunServer {
  upgrade(request: Request, options: object): boolean;
}

interface DenoUpgrades {
  upgradeWebSocket?(request: Request, options: object): { socket: WebSocket; response: Response };
}

/** Bytes that may wait for a side that does not read: no runtime lets us read slower, so more than that ends both. */
export const mostWaiting = 16 * 1024 * 1024;
/** An end that was no end: a connection that broke (RFC 6455 §7.4.1). */
const cutCodes = new Set([0, 1006, 1015]);

const { Deno } = globalThis as { Deno?: DenoUpgrades };

/** @returns null where no WebSocket is asked for, or this runtime has no way to one by what it gave with the request */
export function upgradeOf({ request, env }: Upgrade): Upgrade | null {
  if (request.method !== 'GET' || request.headers.get('upgrade')?.toLowerCase() !== 'websocket') return null;
  const way = (env as { upgrade?: unknown } | undefined)?.upgrade;
  const able = 'WebSocketPair' in globalThis || Deno?.upgradeWebSocket !== undefined || way !== undefined;
  return able ? { request, env } : null;
}

/**
 * A WebSocket to the upstream, and one to the client, joined. Both handshakes are the runtime's own.
 * @returns a response with the status 101 for the runtime, or one with the status that the upstream refuses with
 */
export async function joinWebSocket(url: string, init: DialInit, { request, env }: Upgrade): Promise<Response> {
  const client = new End();
  const upstream = new End();
  client.other = upstream;
  upstream.other = client;
  const dialed = await dial(url, init, upstream);
  if (dialed instanceof Response) return dialed;
  upstream.open(dialed);
  try {
    return accept(dialed.protocol, request, env, client);
  } catch (cause) {
    upstream.close(1006, '');
    // Asking the upstream once more would not help.
    throw new RangeError(`this program can't take the client's WebSocket: ${(cause as Error).message}`, { cause });
  }
}

/** @param protocol that the upstream has chosen; '' for none */
function accept(protocol: string, request: Request, env: unknown, client: End): Response {
  const headers: Record<string, string> = protocol === '' ? {} : { 'sec-websocket-protocol': protocol };
  if (Deno?.upgradeWebSocket === undefined) {
    if ((env as BunServer).upgrade(request, { headers, data: { client } })) return new Response(null, { status: 101 });
    throw new TypeError("Bun.serve has refused; give it the websocket of '@oo/proxy'");
  }
  // With an option for it Deno finds only protocols that are listed with spaces.
  const { socket, response } = Deno.upgradeWebSocket(request, {});
  for (const name in headers) response.headers.set(name, headers[name]);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => client.open(socket);
  listen(socket, client.other);
  return response;
}

/** One side of two joined WebSockets. */
class End {
  other!: End;
  private socket: Socket | undefined;
  private waiting: Data[] = [];
  private bytes = 0;
  private last: [code: number, reason: string] | undefined;

  open(socket: Socket): void {
    this.socket = socket;
    for (const data of this.waiting.splice(0)) this.send(data);
    if (this.last !== undefined) this.close(...this.last);
  }

  send(data: Data): void {
    const { socket } = this;
    if (socket === undefined) {
      this.waiting.push(data);
      this.bytes += sizeOf(data);
      if (this.bytes > mostWaiting) this.other.close(1006, '');
      return;
    }
    // Bun says by 0 that it has dropped it.
    const sent = socket.send(data);
    const waits = socket.getBufferedAmount?.() ?? socket.bufferedAmount ?? 0;
    if (waits <= mostWaiting && (sent !== 0 || sizeOf(data) === 0)) return;
    this.close(1006, '');
    this.other.close(1006, '');
  }

  close(code: number, reason: string): void {
    const { socket } = this;
    this.last = [code, reason];
    if (socket === undefined) return;
    if (code === 1005) return socket.close();
    const isCut = cutCodes.has(code);
    if (isCut && socket.terminate !== undefined) return socket.terminate();
    try {
      socket.close(isCut ? 4006 : code, reason);
    } catch {
      // To a server a standard WebSocket sends none but 1000 and those from 3000 on.
      try {
        socket.close(3000 + code, reason);
      } catch {
        // A code that nobody may send, or a reason that is no UTF-8 and so longer than it was.
        socket.close(4006);
      }
    }
  }
}

function sizeOf(data: Data): number {
  return typeof data === 'string' ? data.length : data.byteLength;
}

function listen(socket: WebSocket, to: End): void {
  socket.onmessage = ({ data }) => to.send(data as Data);
  socket.onclose = ({ code, reason }) => to.close(code, reason);
  socket.onerror = () => {};
}

const protocolForm = /^[!#$%&'*+.^`|~\w-]+$/;
const handshakeStatus = /status code: ([2-5]\d\d)\b/;

/** @param end of the other side, which hears of nothing before this is through but what comes after the handshake */
function dial(url: string, { headers, signal }: DialInit, end: End): Promise<WebSocket | Response> {
  const sent: Record<string, string> = {};
  for (const [name, value] of headers) {
    // Deno adds its own, beside ours.
    if (!name.startsWith('sec-websocket-') && (Deno === undefined || name !== 'user-agent')) sent[name] = value;
  }
  const protocols =
    headers
      .get('sec-websocket-protocol')
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => protocolForm.test(name)) ?? [];
  const open = WebSocket as unknown as new (url: string, options: object) => WebSocket;
  const socket = new open(url.replace('http', 'ws'), { headers: sent, protocols: [...new Set(protocols)] });
  socket.binaryType = 'arraybuffer';
  return new Promise((resolve, reject) => {
    const leave = () => {
      socket.close();
      reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    socket.onopen = () => {
      signal.removeEventListener('abort', leave);
      listen(socket, end.other);
      resolve(socket);
    };
    socket.onerror = (event) => {
      signal.removeEventListener('abort', leave);
      const { message = '', error } = event as ErrorEvent;
      const status = handshakeStatus.exec(message);
      if (status !== null) resolve(new Response(null, { status: Number(status[1]) }));
      else reject(error instanceof Error ? error : new TypeError(message));
    };
    if (signal.aborted) leave();
  });
}

/** A WebSocket of Bun's, on the server's side. */
interface BunSocket extends Socket {
  readonly data: { readonly client: End };
}

/** For `Bun.serve({ fetch: proxy.fetch, websocket })`: without it Bun has no WebSockets. */
export const websocket = {
  open: (socket: BunSocket): void => socket.data.client.open(socket),
  message: (socket: BunSocket, data: string | Uint8Array<ArrayBuffer>): void => socket.data.client.other.send(data),
  close: (socket: BunSocket, code: number, reason: string): void => socket.data.client.other.close(code, reason),
  /** Seconds; the two sides' own pings say when one is gone. */
  idleTimeout: 0,
  backpressureLimit: mostWaiting,
  closeOnBackpressureLimit: true,
};
