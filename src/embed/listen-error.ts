import type { ListenAddress } from '../edge/settings.ts';

/** A listener that could not be opened. */
export class EdgeListenError extends Error {
  /** The system's: EADDRINUSE, EACCES, EADDRNOTAVAIL … */
  readonly code: string;
  readonly listener: 'http' | 'https';
  readonly address: ListenAddress;

  constructor(listener: 'http' | 'https', address: ListenAddress, cause: NodeJS.ErrnoException) {
    const code = cause.code ?? 'EUNKNOWN';
    super(textOf(code, listener, address, cause.message), { cause });
    this.name = 'EdgeListenError';
    this.code = code;
    this.listener = listener;
    this.address = address;
  }
}

function textOf(code: string, listener: string, { host, port }: ListenAddress, message: string): string {
  const where = `port ${port}${host === undefined ? '' : ` of ${host}`}, for ${listener},`;
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is in use by another program; stop that one, or give ${listener}.port another number: 0 takes any free one`;
    case 'EACCES':
      return `${where} may not be listened on by this user; give ${listener}.port a number from 1024 up, or the process the capability CAP_NET_BIND_SERVICE`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${where} can't be listened on: this machine has no address ${host}; give ${listener}.host one of its own, or leave it out for all`;
    default:
      return `${where} can't be listened on: ${message}`;
  }
}
