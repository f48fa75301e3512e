import http from 'node:http';
import https from 'node:https';
import type { CompiledRoute, Target } from '../core/types.ts';
import { nowMs } from './clock.ts';
import type { MirrorRequest } from './mirror.ts';

/** Limits on what the mirrors of one process may cost: past them copies are left out. */
export interface MirrorLimits {
  /** Copies under way. */
  readonly requests: number;
  /** Bodies held, bytes. */
  readonly bytes: number;
  /** From a copy's start to the end of its answer. */
  readonly timeoutMs: number;
}

export const defaultMirrorLimits: MirrorLimits = { requests: 128, bytes: 64 * 1024 * 1024, timeoutMs: 30_000 };

const reportEveryMs = 60_000;

/** Sends copies of requests, and throws away what is answered. Whatever becomes of them, no request hears of it. */
export class Mirrors {
  /** Copies that came to nothing: left out, refused, late. */
  lost = 0;
  private readonly limits: MirrorLimits;
  private readonly log: (line: string) => void;
  private readonly running = new Set<http.ClientRequest>();
  private agents: Readonly<Record<'http' | 'https' | 'lax', http.Agent>> | null = null;
  private held = 0;
  private reportedAt = -reportEveryMs;
  private reported = 0;

  /** @param log takes a line now and then, where copies come to nothing */
  constructor(log: (line: string) => void, limits: MirrorLimits = defaultMirrorLimits) {
    this.log = log;
    this.limits = limits;
  }

  /** Whether another copy may begin. */
  hasRoom(): boolean {
    return this.running.size < this.limits.requests;
  }

  /** Asks to hold so many bytes more. */
  hold(bytes: number): boolean {
    if (this.held + bytes > this.limits.bytes) return false;
    this.held += bytes;
    return true;
  }

  release(bytes: number): void {
    this.held -= bytes;
  }

  /** @param held how many bytes `hold` has let it have */
  send(target: Target, route: CompiledRoute, copy: MirrorRequest, held: number): void {
    const done = (why: string) => {
      this.release(held);
      if (why !== '') this.lose(route, target, why);
    };
    if (!this.hasRoom()) return done('too many are under way');
    try {
      this.start(target, route, copy, done);
    } catch (error) {
      done((error as Error).message);
    }
  }

  private start(target: Target, route: CompiledRoute, copy: MirrorRequest, done: (why: string) => void): void {
    const { method, path, fields, body } = copy;
    const isLax = route.route.insecureSkipVerify === true;
    const agent = this.agentFor(target.tls ? (isLax ? 'lax' : 'https') : 'http');
    const options = { host: target.hostname, port: target.port, method, path, agent };
    const send = target.tls ? https.request : http.request;
    const request = send({ ...options, headers: fields as string[], setHost: false });
    this.running.add(request);
    const late = setTimeout(() => request.destroy(new Error('no answer in time')), this.limits.timeoutMs).unref();
    let why = '';
    request.on('error', (error) => {
      why ||= error.message || 'failed';
    });
    request.on('response', (response) => {
      response.on('error', () => {});
      response.resume();
    });
    // A connection that it would make its own is of no use to a copy.
    request.on('upgrade', (_response, socket) => void socket.destroy());
    request.once('close', () => {
      clearTimeout(late);
      this.running.delete(request);
      done(why);
    });
    request.end(body);
  }

  private agentFor(kind: 'http' | 'https' | 'lax'): http.Agent {
    const options = { keepAlive: true, maxFreeSockets: 16, timeout: this.limits.timeoutMs };
    this.agents ??= {
      http: new http.Agent(options),
      https: new https.Agent(options),
      lax: new https.Agent({ ...options, rejectUnauthorized: false }),
    };
    return this.agents[kind];
  }

  /** One line a minute at most. */
  private lose(route: CompiledRoute, target: Target, why: string): void {
    this.lost++;
    const now = nowMs();
    if (now - this.reportedAt < reportEveryMs) return;
    const since = this.lost - this.reported;
    this.reportedAt = now;
    this.reported = this.lost;
    this.log(`mirror route=${route.id} to=${target.href}: ${why}; ${since} copies have come to nothing`);
  }

  /** Ends everything at once. */
  close(): void {
    for (const request of this.running) request.destroy();
    for (const agent of Object.values(this.agents ?? {})) agent.destroy();
  }
}
