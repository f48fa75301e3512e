import net, { isIP } from 'node:net';
import tls from 'node:tls';
import type { HealthCheck } from '../core/health-check.ts';
import { noAnswer, type ProbeResult } from '../core/health-probe.ts';
import { classify, type ProbeStage } from './probe-error.ts';
import { askHttp } from './probe-http.ts';
import { askGrpc, askHttp2 } from './probe-http2.ts';
import type { Probe, ProbeTarget } from './probe-types.ts';

/** Looks a name up. @returns its addresses, the first to be used first @throws Error whose message says why there are none */
export type LookUp = (name: string) => Promise<readonly string[]>;

/**
 * A prober over real sockets. Each probe opens a connection of its own and closes it: what is proven is that the instance takes new ones. No
 * redirect is followed, no cookie kept, no proxy used. Of a name's addresses the next is tried where one takes no connection.
 * @param lookUp for targets whose address is not given
 */
export function createProbe(lookUp: LookUp): Probe {
  return (check, target, signal) =>
    signal.aborted ? Promise.resolve(undefined) : new Attempt(check, target, lookUp, signal).done;
}

class Attempt {
  readonly done: Promise<ProbeResult | undefined>;
  readonly #check: HealthCheck;
  readonly #of: ProbeTarget;
  readonly #signal: AbortSignal;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #resolve: (result: ProbeResult | undefined) => void = () => {};
  #socket: net.Socket | undefined;
  #stage: ProbeStage = 'resolve';
  #settled = false;

  constructor(check: HealthCheck, of: ProbeTarget, lookUp: LookUp, signal: AbortSignal) {
    this.#check = check;
    this.#of = of;
    this.#signal = signal;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    // One for all of it: a trickle is no answer.
    this.#timer = setTimeout(() => this.#settle({ error: 'timeout', detail: this.#stage }), check.timeoutMs);
    signal.addEventListener('abort', this.#abort);
    const { hostname } = of.target;
    const address = of.address || (isIP(hostname) === 0 ? '' : hostname);
    if (address !== '') this.#connect([address]);
    else lookUp(hostname).then((addresses) => this.#connect(addresses), this.#fail);
  }

  #connect([address, ...others]: readonly string[]): void {
    if (this.#settled) return;
    if (address === undefined) return this.#settle({ error: 'unresolved', detail: 'it has no address' });
    this.#stage = 'connect';
    const port = this.#check.port || this.#of.target.port;
    const socket = net.connect({ host: address, port, noDelay: true });
    this.#socket = socket;
    socket.on('error', (error) => {
      if (this.#stage === 'connect' && others.length > 0) this.#connect(others);
      else this.#fail(error);
    });
    socket.on('connect', () => {
      if (this.#of.target.tls) this.#shakeHands(socket);
      else this.#ask(socket);
    });
  }

  #shakeHands(plain: net.Socket): void {
    this.#stage = 'handshake';
    const { hostname } = this.#of.target;
    const socket = tls.connect({
      socket: plain,
      host: hostname,
      ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
      rejectUnauthorized: !this.#of.insecureSkipVerify,
      ALPNProtocols: [this.#check.kind === 'grpc' ? 'h2' : 'http/1.1'],
    });
    this.#socket = socket;
    socket.on('error', this.#fail);
    socket.on('secureConnect', () => this.#ask(socket));
  }

  #ask(socket: net.Socket): void {
    if (this.#settled) return;
    this.#stage = 'answer';
    const { kind } = this.#check;
    if (kind === 'tcp') return this.#settle({});
    socket.on('close', () => this.#settle({ error: 'closed' }));
    const { target } = this.#of;
    const context = { check: this.#check, target, settle: this.#settle, fail: this.#fail };
    if (kind === 'grpc') askGrpc(socket, context);
    else if (target.http2) askHttp2(socket, context);
    else askHttp(socket, context);
  }

  readonly #fail = (error: Error): void => {
    const fault = classify(error, this.#stage);
    if (fault === undefined) this.#end(undefined);
    else this.#settle(fault);
  };

  readonly #abort = (): void => this.#end(undefined);

  readonly #settle = (answer: Partial<ProbeResult>): void => {
    this.#end({ ...noAnswer, ...answer, tookMs: performance.now() - this.#startedAt });
  };

  #end(result: ProbeResult | undefined): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#abort);
    // Its error, if it still has one, has a listener.
    this.#socket?.destroy();
    this.#resolve(result);
  }
}
