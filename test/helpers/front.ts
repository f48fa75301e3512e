import net from 'node:net';
import tls from 'node:tls';
import type { ServedCertificate } from '../../src/certs/types.ts';
import type { Edge } from '../../src/edge/edge.ts';
import { makeServed } from './certificate.ts';

let served: ServedCertificate | undefined;

/** How the tests of the edge reach it, where that is not plain TCP: set before their suites are imported. */
export const front: { tls: boolean; readonly name: string; protocol: 'http/1.1' | 'h2' } = {
  tls: false,
  name: 'front.test',
  protocol: 'http/1.1',
};

/** Opens the listener that tests use. @returns its port */
export async function listenFront(edge: Edge): Promise<number> {
  const address = { port: 0, host: '127.0.0.1' };
  if (!front.tls) return edge.listen(address, false);
  served ??= makeServed([front.name]);
  edge.certificates.save([served]);
  // The tests ask for hosts as they like.
  edge.certificates.find(front.name)!.covers = () => true;
  return edge.listenTls(address, false);
}

/** Connects to it. `resetAndDestroy` cuts the connection in either case. */
export function connectFront(options: net.TcpNetConnectOpts): net.Socket {
  const socket = net.connect(options);
  if (!front.tls) return socket;
  const secure = tls.connect({
    socket,
    servername: front.name,
    ALPNProtocols: [front.protocol],
    rejectUnauthorized: false,
  });
  secure.allowHalfOpen = true;
  secure.resetAndDestroy = () => {
    socket.resetAndDestroy();
    return secure;
  };
  return secure;
}
