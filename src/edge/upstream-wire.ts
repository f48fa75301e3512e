import { isTrailerRefused } from '../http1/trailers.ts';
import { type ClientParts, ClientStream, FieldRules, ResponseHead, Trailers } from '../http2/codec.ts';
import { maxResponseFields, maxResponseHeadBytes } from './settings.ts';
import type { UpstreamStream } from './upstream-stream.ts';

const limits = { maxListBytes: maxResponseHeadBytes, maxFields: maxResponseFields };
const trailerLimits = { maxListBytes: 8 * 1024, maxFields: 64 };

/** What reads the heads and trailers of all upstream connections of this process. */
export const parts: ClientParts = {
  rules: FieldRules.ofResponses(isTrailerRefused),
  head: new ResponseHead(limits),
  trailers: new Trailers(trailerLimits),
};

/** A stream as the codec has it: it lasts for one attempt, and says everything to the exchange that it carries. */
export class WireStream extends ClientStream {
  readonly owner: UpstreamStream;

  constructor(owner: UpstreamStream) {
    super();
    this.owner = owner;
  }

  override onInterim(head: ResponseHead): void {
    if (this.owner.wire === this) this.owner.onInterim(head);
  }

  override onResponse(head: ResponseHead, ended: boolean): void {
    if (this.owner.wire === this) this.owner.onHead(head, ended);
  }

  override onData(buf: Uint8Array, from: number, to: number, ended: boolean): void {
    if (this.owner.wire === this) this.owner.onData(buf, from, to, ended);
  }

  override onTrailers(trailers: Trailers): void {
    if (this.owner.wire === this) this.owner.onTrailers(trailers);
  }

  override onWritable(): void {
    if (this.owner.wire === this) this.owner.onWritable();
  }

  override onAbort(code: number, by: number, reason: string): void {
    if (this.owner.wire === this) this.owner.onAbort(code, by, reason);
  }
}
