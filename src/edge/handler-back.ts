import { rmSync } from 'node:fs';
import type net from 'node:net';
import type { FailureCode } from '../core/failure.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import { getRoute } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import { readTicket } from '../handler/protocol.ts';
import { createSharedBufferServer } from './accept.ts';
import type { AskedHost } from './asked-host.ts';
import { Attempts } from './attempts.ts';
import { ClientConnection, type ClientSocket } from './client.ts';
import type { Upstream } from './downstream.ts';
import type { Edge } from './edge.ts';
import type { HandlerVisit } from './handler-visits.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { findField, found } from './request-field.ts';
import type { RequestRegisters } from './request-head.ts';
import { type Rewrite, rewriteOf } from './rewrite.ts';

/*
 * What a handler's `next` sends: requests that come back from where an exchange has sent them. They go on as that exchange would have gone on
 * without a handler; what is done to its answer is that one's.
 */

/** Opens the listener of an edge for what comes back from handlers. @returns closes it */
export function openBack(edge: Edge, socketPath: string): () => void {
  const server = createSharedBufferServer(
    function (this: net.Socket, n, buffer) {
      (this as ClientSocket).owner.read(buffer, n);
      return true;
    },
    (socket) => new BackConnection(edge, socket),
    true,
  );
  server.on('error', (error) => {
    edge.reportError(`handlers can't ask back: ${error.message}`);
    edge.handlers.onBackClosed();
  });
  rmSync(socketPath, { force: true });
  server.listen({ path: socketPath, backlog: 4_096 });
  return () => void server.close();
}

class BackConnection extends ClientConnection {
  constructor(edge: Edge, socket: net.Socket) {
    super(edge, socket, '', 0, 'http', null, true, (connection) => new BackExchange(connection));
    (this as unknown as { scanner: unknown }).scanner = edge.handlers.scanner;
  }

  /** Unix sockets have no resets: a body that ends before its end tells as much. */
  protected override reset(): void {
    this.socket.destroy();
  }
}

/** Its client is a handler. */
class BackExchange extends Http1Exchange {
  protected override readonly attempts = new Attempts(true);
  private origin: HandlerVisit | null = null;

  protected override decide(buffer: Buffer, head: RequestRegisters): CompiledRoute | FailureCode {
    const { edge } = this;
    this.origin = null;
    const name = Buffer.from(edge.settings.handlers?.field ?? '');
    if (name.length === 0 || !findField(buffer, head, name)) return 'OO_NO_ROUTE';
    const ticket = readTicket(buffer.toString('latin1', found.start, found.end));
    const line = buffer.lastIndexOf(10, found.start) + 1;
    head.cutAlso(line, buffer.indexOf(10, found.end) + 1);
    const origin = ticket === undefined ? undefined : edge.handlers.visitOf(ticket.number);
    // Its client has its answer, or has left.
    if (origin?.asked === undefined || origin.asked === null) return 'OO_HANDLER_FAILED';
    this.origin = origin;
    (this as unknown as { asked: AskedHost }).asked = origin.asked;
    (this as unknown as { peer: string }).peer = origin.clientIp;
    // As it is now: the old one's pool must not take the place of the present one's.
    return getRoute(edge.table, origin.route.id) ?? origin.route;
  }

  protected override meetOptions(
    route: CompiledRoute,
    _options: CompiledOptions,
    buffer: Buffer,
    head: RequestRegisters,
  ): 'pass' {
    const { edge, asked, peer } = this;
    this.rewrite ??= rewriteOf(route, buffer, head, { edge, asked, peer, requestId: this.origin?.requestId });
    return 'pass';
  }

  /** It has been there. */
  protected override findHandler(): true {
    return true;
  }

  protected override begin(buffer: Buffer, head: RequestRegisters, route: CompiledRoute, up: Upstream): number {
    if (this.origin !== null) this.origin.instance = this.instanceKey();
    return super.begin(buffer, head, route, up);
  }

  protected override compresses(): boolean {
    return false;
  }

  override get responseRewrite(): Rewrite | null {
    return null;
  }

  protected override replyLines(): readonly string[] {
    return [];
  }

  protected override hstsLine(): string {
    return '';
  }

  protected override log(): void {}

  /** What a handler still asks for when its client has its answer, or has left, is nobody's failure. */
  protected override report(code: FailureCode, requestId: string, cause: string): void {
    if (this.origin !== null) super.report(code, requestId, cause);
  }
}
