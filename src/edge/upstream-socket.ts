import net from 'node:net';
import tls from 'node:tls';
import type { Target } from '../core/types.ts';

/** How the sockets to an instance are read: as Node's `onread`. */
export type OnRead = NonNullable<net.SocketConstructorOpts['onread']>;

/**
 * Opens a connection to a target. Over TLS, its certificate is verified for the target's own name, whatever the client asked for.
 * @param protocol what is asked for by ALPN
 */
export function connectTo(
  target: Target,
  protocol: 'h2' | 'http/1.1',
  skipVerify: boolean,
  onread: OnRead,
): net.Socket {
  const options = { host: target.hostname, port: target.port, noDelay: true, allowHalfOpen: true, onread };
  if (!target.tls) return net.connect(options);
  return tls.connect({
    ...options,
    servername: net.isIP(target.hostname) ? '' : target.hostname,
    rejectUnauthorized: !skipVerify,
    ALPNProtocols: [protocol],
  });
}

/** What went wrong on a socket, in one line. OpenSSL's own errors are cut down to what they say of the matter. */
export function causeOf(error: NodeJS.ErrnoException): string {
  const reason = /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1];
  return reason === undefined ? error.message || error.code || 'error' : `TLS: ${reason}`;
}

/** Whether a TLS server has refused what was asked for by ALPN (RFC 7301 §3.2). */
export function isProtocolRefused(error: NodeJS.ErrnoException): boolean {
  return causeOf(error).endsWith('alert no application protocol');
}
