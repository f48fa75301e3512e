import type { FailureCode } from '../core/failure.ts';
import { type RequestHead, ServerStream, type Trailers } from '../http2/codec.ts';
import type { Http2Exchange } from './http2-exchange.ts';

/** The codec's side of an exchange: one stream of an HTTP/2 client. */
export class Http2Stream extends ServerStream {
  exchange!: Http2Exchange;

  override onRequest(head: RequestHead, fault: FailureCode | null, ended: boolean): void {
    this.exchange.start(head, fault, ended);
  }

  override onData(buf: Uint8Array, from: number, to: number, ended: boolean): void {
    this.exchange.readBody(buf as Buffer, from, to, ended);
  }

  override onTrailers(trailers: Trailers): void {
    this.exchange.readTrailers(trailers);
  }

  override onWritable(): void {
    this.exchange.onWritable();
  }

  override onAbort(): void {
    this.exchange.abandon();
  }
}
