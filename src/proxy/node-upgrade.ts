import type { ProxyApp } from './types.ts';

/** As much of node:net's sockets as is used here. */
interface Wire {
  readonly encrypted?: boolean;
  readonly destroyed: boolean;
  readonly writableNeedDrain: boolean;
  on(event: string, listener: (argument: never) => void): this;
  once(event: string, listener: (argument: never) => void): this;
  pipe(to: unknown): unknown;
  unshift(bytes: unknown): void;
  write(bytes: string | Uint8Array, encoding?: string): boolean;
  end(bytes?: string): void;
  destroy(): void;
  setTimeout(ms: number): void;
  setNoDelay(on: boolean): void;
}

interface UpgradingMessage {
  readonly url?: string;
  readonly method?: string;
  readonly rawHeaders: readonly string[];
}

/** The client's side of a tunnel that is to be. */
export interface Tunnel {
  readonly socket: Wire;
  /** What came behind the request. */
  readonly head: { readonly length: number };
  /** The client has its answer. */
  taken: boolean;
}

/**
 * Lets WebSockets through on Node: `serve({ fetch: proxy.fetch }).on('upgrade', nodeUpgrade(proxy))`. Routes, guards and targets are as for any request; once the
 * upstream agrees, bytes go both ways as they are: pings, extensions, all of it. Whatever else is asked for by Upgrade is refused.
 */
export function nodeUpgrade(proxy: Pick<ProxyApp, 'fetch'>): (message: object, socket: object, head: object) => void {
  return (message, socket, head) => {
    const wire = socket as Wire;
    const tunnel: Tunnel = { socket: wire, head: head as Tunnel['head'], taken: false };
    wire.on('error', () => wire.destroy());
    answer(proxy, message as UpgradingMessage, tunnel).catch(() => wire.destroy());
  };
}

async function answer(proxy: Pick<ProxyApp, 'fetch'>, incoming: UpgradingMessage, tunnel: Tunnel): Promise<void> {
  const { socket } = tunnel;
  const left = new AbortController();
  socket.once('close', () => left.abort());
  const request = requestOf(incoming, socket.encrypted === true, left.signal);
  if (request === undefined)
    return socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  const response = await proxy.fetch(request, { incoming, upgrade: tunnel });
  if (tunnel.taken) return;
  tunnel.taken = true;
  const { status, statusText, headers, body } = response;
  const fields = [...headers].filter(([name]) => name !== 'connection').map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${statusText}\r\n${fields.join('')}connection: close\r\n\r\n`, 'latin1');
  const reader = body?.getReader();
  socket.once('close', () => void reader?.cancel().catch(() => {}));
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) return socket.end();
    if (!socket.write(piece.value)) await new Promise<void>((resolve) => socket.once('drain', () => resolve()));
  }
}

function requestOf(
  { url, method, rawHeaders }: UpgradingMessage,
  tls: boolean,
  signal: AbortSignal,
): Request | undefined {
  try {
    const headers = new Headers();
    for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i], rawHeaders[i + 1]);
    const host = headers.get('host') ?? '';
    // Its body would be lost: Node gives none with an upgrade.
    if (headers.has('transfer-encoding') || Number(headers.get('content-length') ?? 0) !== 0) return undefined;
    // What could move the URL's host is no path.
    if (!url?.startsWith('/') || !/^[\w.:[\]-]+$/.test(host)) return undefined;
    return new Request(`http${tls ? 's' : ''}://${host}${url}`, { method, headers, signal });
  } catch {
    return undefined;
  }
}

/**
 * Joins the client to an upstream that has changed to the WebSocket protocol.
 * @param rawHeaders of its 101, names and values in turn
 * @returns stands for it in the proxy; nobody sends it
 */
export function openTunnel(
  { socket: client, head }: Tunnel,
  upstream: Wire,
  early: { readonly length: number },
  rawHeaders: readonly string[],
): Response {
  let text = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (let i = 0; i < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  client.write(`${text}\r\n`, 'latin1');
  if (early.length > 0) upstream.unshift(early);
  if (head.length > 0) client.unshift(head);
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ]) {
    from.setTimeout(0);
    from.setNoDelay(true);
    from.on('error', () => to.destroy());
    from.once('close', () => to.destroy());
    from.pipe(to);
  }
  // No Response can be made with it.
  return Object.defineProperty(new Response(null), 'status', { value: 101 });
}
