import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { requestPlan } from '../core/headers.ts';
import type { CompiledHandler } from '../core/option-handler.ts';
import type { CompiledRoute, Scheme } from '../core/types.ts';
import { type HandlerTicket, writeTicket } from '../handler/protocol.ts';
import { RequestScanner } from '../http1/scan.ts';
import type { AskedHost } from './asked-host.ts';
import type { Edge } from './edge.ts';
import { handlerKey, handlerSocket } from './handler-place.ts';
import { compileHandlerRoute } from './handler-route.ts';
import type { EdgePool } from './pool.ts';
import type { RequestRegisters } from './request-head.ts';
import type { EdgeSettings } from './settings.ts';

/** What our field and what a handler adds may make of a head that was just within the limits. */
const moreHeadBytes = 32 * 1024;
const moreFields = 64;
/** How long a handler counts as hung that has been: it is being ended. */
const hungMs = 500;

/** As the upstream is told: a trusted proxy knows better than the connection. */
function schemeOf({ lines, scheme }: AskedHost): Scheme {
  const told = /^X-Forwarded-Proto: (https?)\r/m.exec(lines.toString('latin1'))?.[1];
  return (told as Scheme | undefined) ?? scheme;
}

/** A request that is at its handler. */
export interface Visitor {
  /** The handler does not react, and is ended. */
  onHandlerHung(): void;
}

/** One request's way through its handler. */
export class HandlerVisit {
  /** The one that the handler is of; what it comes back for. */
  readonly route: CompiledRoute;
  readonly place: HandlerPlace;
  readonly visitor: Visitor;
  number = 0;
  requestId = '';
  clientIp = '';
  /** What was asked, and how the client is told of. Set when it goes there. */
  asked: AskedHost | null = null;
  /** Whom the handler's `next` has been sent to, as logs call it; '' for none. */
  instance = '';

  constructor(route: CompiledRoute, place: HandlerPlace, visitor: Visitor) {
    this.route = route;
    this.place = place;
    this.visitor = visitor;
  }
}

/** Where a route's handler is. */
export interface HandlerPlace {
  readonly key: string;
  /** A route to it. */
  readonly route: CompiledRoute;
}

type OpenBack = (edge: Edge, socketPath: string) => () => void;

/** What an edge knows of handlers: where they are, and who is there. */
export class Handlers {
  /** For what comes back from them. */
  readonly scanner: RequestScanner;
  private readonly edge: Edge;
  private readonly places = new WeakMap<CompiledRoute, HandlerPlace>();
  private readonly visits = new Map<number, HandlerVisit>();
  /** `performance.now()` until which a handler counts as hung, by its key. */
  private readonly hung = new Map<string, number>();
  private readonly openBack: OpenBack;
  private next = 1;
  /** The name of the socket where handlers find this worker; '' until the first request needs it. */
  private worker = '';
  private close: () => void = () => {};

  /** @param openBack opens a listener on a unix socket for what comes back from handlers, and returns what closes it */
  constructor(edge: Edge, settings: EdgeSettings, openBack: OpenBack) {
    this.edge = edge;
    this.openBack = openBack;
    this.scanner = new RequestScanner(requestPlan(false), {
      maxHeadBytes: settings.maxHeadBytes + moreHeadBytes,
      maxFields: settings.maxFields + moreFields,
      maxTargetBytes: settings.maxTargetBytes * 2,
    });
  }

  /** Where the handler of a route is; undefined where none are run. */
  placeOf(route: CompiledRoute, { version }: CompiledHandler): HandlerPlace | undefined {
    const known = this.places.get(route);
    const settings = this.edge.settings.handlers;
    if (known !== undefined || settings === null) return known;
    const key = handlerKey(route.id, version);
    const place = { key, route: compileHandlerRoute(route.id, key, handlerSocket(settings.directory, key)) };
    this.places.set(route, place);
    return place;
  }

  /** The pool that leads to a handler; it counts as its route's. */
  poolFor(place: HandlerPlace, route: CompiledRoute): EdgePool {
    const { edge } = this;
    const pool = edge.poolFor(place.route);
    pool.record = edge.poolFor(route).record;
    return pool;
  }

  /**
   * A request goes to its handler. @param more other lines of ours for it
   * @returns the lines that it gets there
   */
  enter(visit: HandlerVisit, asked: AskedHost, buffer: Buffer, head: RequestRegisters, more: Buffer): Buffer {
    const { edge } = this;
    const told = head.captureCount > 0;
    visit.number = this.next++;
    visit.requestId ||= randomUUID();
    visit.asked = asked.kept(told ? asked.priorLines(buffer, head) : asked.lines);
    visit.clientIp = told ? edge.clientOf(asked.peer, buffer, head) : asked.peer;
    this.visits.set(visit.number, visit);
    this.worker ||= this.open();
    const { number, clientIp, requestId } = visit;
    const scheme = told ? schemeOf(visit.asked) : asked.scheme;
    const ticket: HandlerTicket = { number, clientIp, requestId, scheme, worker: this.worker };
    const line = Buffer.from(`${edge.settings.handlers?.field}: ${writeTicket(ticket)}\r\n`, 'latin1');
    return more.length === 0 ? line : Buffer.concat([line, more]);
  }

  /** It is over: what its handler still asks for is for nobody. */
  leave({ number }: HandlerVisit): void {
    this.visits.delete(number);
  }

  visitOf(number: number): HandlerVisit | undefined {
    return this.visits.get(number);
  }

  /** A handler does not react, and is ended. */
  onHung(key: string): void {
    this.hung.set(key, performance.now() + hungMs);
    for (const visit of [...this.visits.values()]) if (visit.place.key === key) visit.visitor.onHandlerHung();
  }

  isHung({ key }: HandlerPlace): boolean {
    const until = this.hung.get(key);
    if (until === undefined) return false;
    if (performance.now() < until) return true;
    this.hung.delete(key);
    return false;
  }

  private open(): string {
    const { edge } = this;
    const name = `w${process.pid}-${edge.place.index}.sock`;
    this.close = this.openBack(edge, join(edge.settings.handlers?.directory ?? '', name));
    return name;
  }

  /** The listener has failed: the next request opens another. */
  onBackClosed(): void {
    this.worker = '';
  }

  stop(): void {
    this.close();
  }
}
