import type { GuardedRequest } from '../core/option-guard.ts';
import type { AskedHost } from './asked-host.ts';
import type { Edge } from './edge.ts';
import { findField, found } from './request-field.ts';
import type { RequestRegisters } from './request-head.ts';
import { pathText } from './request-text.ts';

/** A request as guards see it: texts are made of its head when they are asked for. Good as long as the head is there. */
export class GuardRequest implements GuardedRequest {
  private readonly edge: Edge;
  private readonly asked: AskedHost;
  private readonly peer: string;
  private readonly buffer: Buffer;
  private readonly head: RequestRegisters;

  constructor(edge: Edge, asked: AskedHost, peer: string, buffer: Buffer, head: RequestRegisters) {
    this.edge = edge;
    this.asked = asked;
    this.peer = peer;
    this.buffer = buffer;
    this.head = head;
  }

  get method(): string {
    return this.buffer.toString('latin1', this.head.methodStart, this.head.methodEnd);
  }

  get path(): string {
    return pathText(this.buffer, this.head);
  }

  get query(): string {
    return this.buffer.toString('latin1', this.head.pathEnd, this.head.targetEnd);
  }

  get address(): string {
    const { edge, peer, buffer, head } = this;
    return head.captureCount > 0 ? edge.clientOf(peer, buffer, head) : peer;
  }

  get accept(): string {
    return this.buffer.toString('latin1', this.head.acceptStart, this.head.acceptEnd);
  }

  get host(): string {
    return this.asked.authority;
  }

  field(name: string): string {
    const { buffer, head } = this;
    const bytes = Buffer.from(name);
    let value = '';
    for (let from = 0; findField(buffer, head, bytes, from); from = found.end) {
      const next = buffer.toString('latin1', found.start, found.end);
      value += value === '' ? next : `${name === 'cookie' ? '; ' : ', '}${next}`;
    }
    return value;
  }

  /** What the upstream is told of the client, as names and values. */
  forwarding(): [name: string, value: string][] {
    const { asked, buffer, head } = this;
    const lines = head.captureCount > 0 ? asked.priorLines(buffer, head) : asked.lines;
    return lines
      .toString('latin1')
      .split('\r\n')
      .filter((line) => line.startsWith('X-'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]);
  }
}
