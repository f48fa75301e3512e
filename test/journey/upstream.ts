import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { closeLater } from '../helpers/cleanup.ts';

/** A small web app on 127.0.0.1. */
export interface Upstream {
  readonly server: Server;
  readonly port: number;
  /** As a route's target, without a scheme: the seed's way. */
  readonly target: string;
  /** Requests that it was asked. */
  readonly count: number;
  close(): void;
}

/** Starts a web app on a free port, which answers as told, or with the text. `cleanUp` closes it at the latest. */
export async function startUpstream(answer: RequestListener | string): Promise<Upstream> {
  let count = 0;
  const listener: RequestListener = typeof answer === 'string' ? (_, response) => response.end(answer) : answer;
  const server = createServer((request, response) => {
    count++;
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return closeLater({
    server,
    port,
    target: `127.0.0.1:${port}`,
    get count() {
      return count;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  });
}
