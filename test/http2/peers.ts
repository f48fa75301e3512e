import type { FailureCode } from '../../src/core/failure.ts';
import { requestPlan } from '../../src/core/headers.ts';
import type { FieldPlan } from '../../src/core/types.ts';
import { isAuthority } from '../../src/http1/host.ts';
import { isTrailerRefused } from '../../src/http1/trailers.ts';
import { ClientConnection, type ClientHandler } from '../../src/http2/client.ts';
import { HpackDecoder } from '../../src/http2/hpack-decode.ts';
import { type ConnectionOptions, defaultOptions } from '../../src/http2/options.ts';
import { giveOutput } from '../../src/http2/output.ts';
import { RequestHead } from '../../src/http2/request.ts';
import type { RequestLimits } from '../../src/http2/request-registers.ts';
import { ResponseHead } from '../../src/http2/response.ts';
import { FieldRules } from '../../src/http2/rules.ts';
import { ServerConnection, type ServerHandler } from '../../src/http2/server.ts';
import { ClientStream, ServerStream } from '../../src/http2/stream.ts';
import { Trailers } from '../../src/http2/trailers.ts';
import { type Field, framesOf } from './wire.ts';

export const limits: RequestLimits = { maxListBytes: 32 * 1024, maxFields: 128, maxTargetBytes: 8 * 1024 };
export const text = (buf: Uint8Array, from: number, to: number): string =>
  Buffer.from(buf.buffer, buf.byteOffset, buf.length).toString('latin1', from, to);

export const requestParts = (plan: FieldPlan = requestPlan(false), l = limits) => ({
  rules: FieldRules.ofRequests(plan, isTrailerRefused),
  head: new RequestHead(l, isAuthority),
  trailers: new Trailers(l),
});
export const responseParts = (l = limits) => ({
  rules: FieldRules.ofResponses(isTrailerRefused),
  head: new ResponseHead(l),
  trailers: new Trailers(l),
});

/** The kept lines of a head that has been finished with DONE, as they go to an HTTP/1.1 upstream. */
export function forwarded(head: RequestHead): string {
  let kept = '';
  let from = head.methodStart;
  for (let i = 0; i < head.cutCount; i += 2) {
    kept += text(head.bytes, from, head.cuts[i]);
    from = head.cuts[i + 1];
  }
  return kept + text(head.bytes, from, head.end);
}

/** What has happened, in order. Data of one stream that comes in pieces is one event. */
export class Events {
  readonly list: string[] = [];
  private readonly open = new Map<number, number>();

  add(id: number, what: string): void {
    this.open.delete(id);
    this.list.push(id === 0 ? what : `${id} ${what}`);
  }

  data(id: number, piece: string, ended: boolean): void {
    const at = this.open.get(id);
    if (at === undefined) {
      this.open.set(id, this.list.length);
      this.list.push(`${id} data ${piece}`);
    } else this.list[at] += piece;
    if (ended) this.add(id, 'end');
  }
}

export class TestServerStream extends ServerStream {
  readonly server: TestServer;
  body = '';
  received = 0;

  constructor(server: TestServer) {
    super();
    this.server = server;
  }

  override onRequest(head: RequestHead, fault: FailureCode | null, ended: boolean): void {
    this.server.events.add(this.id, `request ${fault ?? JSON.stringify(forwarded(head))}${ended ? ' end' : ''}`);
    this.server.onRequest?.(this, head, fault, ended);
  }

  override onData(buf: Uint8Array, from: number, to: number, ended: boolean): void {
    this.received += to - from;
    this.server.events.data(this.id, text(buf, from, to), ended);
    if (this.server.taking) this.server.connection.consume(this, to - from);
    if (ended) this.server.onEnd?.(this);
  }

  override onTrailers(trailers: Trailers): void {
    this.server.events.add(this.id, `trailers ${JSON.stringify(text(trailers.bytes, 0, trailers.end))}`);
    this.server.onEnd?.(this);
  }

  override onWritable(): void {
    this.server.events.add(this.id, 'writable');
    this.server.onWritable?.(this);
  }

  override onAbort(code: number, by: number, reason: string): void {
    this.server.events.add(this.id, `abort ${code} ${['peer', 'us', 'connection'][by]}`);
    this.server.reasons.push(reason);
  }
}

/** A server's connection without a socket, which notes what happens and what it sends. */
export class TestServer implements ServerHandler<TestServerStream> {
  readonly events = new Events();
  readonly reasons: string[] = [];
  readonly connection: ServerConnection<TestServerStream>;
  /** All data is consumed as it comes. */
  taking = true;
  onRequest:
    | ((stream: TestServerStream, head: RequestHead, fault: FailureCode | null, ended: boolean) => void)
    | undefined;
  onEnd: ((stream: TestServerStream) => void) | undefined;
  onWritable: ((stream: TestServerStream) => void) | undefined;
  now = 1_000;

  constructor(options: Partial<ConnectionOptions> = {}, parts = requestParts()) {
    this.connection = new ServerConnection(this, parts, { ...defaultOptions, ...options }, this.now);
  }

  onOutput(): void {}
  onFail(code: number, reason: string): void {
    this.events.add(0, `fail ${code}`);
    this.reasons.push(reason);
  }
  onGoaway(code: number): void {
    this.events.add(0, `goaway ${code}`);
  }
  onDrained(): void {
    this.events.add(0, 'drained');
  }
  onMalformed(reason: string): void {
    this.events.add(0, 'malformed');
    this.reasons.push(reason);
  }
  createStream(): TestServerStream {
    return new TestServerStream(this);
  }

  stream(id: number): TestServerStream {
    const stream = this.connection.streams.get(id);
    if (stream === undefined) throw new Error(`no stream ${id}`);
    return stream;
  }

  /** Receives each piece in a buffer of its own, with other bytes around it. */
  receive(...pieces: Uint8Array[]): this {
    for (const piece of pieces) {
      const buf = Buffer.concat([Buffer.from('>>>'), piece, Buffer.from('<<<')]);
      this.connection.receive(buf, 3, 3 + piece.length, this.now);
      buf.fill(0xee);
    }
    return this;
  }

  /** What it has to send, taken. */
  sent(): Buffer {
    return taken(this.connection);
  }
}

export class TestClientStream extends ClientStream {
  readonly client: TestClient;
  constructor(client: TestClient) {
    super();
    this.client = client;
  }
  override onInterim(head: ResponseHead): void {
    this.client.events.add(this.id, `interim ${JSON.stringify(text(head.bytes, 0, head.end))}`);
  }
  override onResponse(head: ResponseHead, ended: boolean): void {
    const said = JSON.stringify(text(head.bytes, 0, head.end));
    this.client.events.add(this.id, `response ${said}${ended ? ' end' : ''}`);
  }
  override onData(buf: Uint8Array, from: number, to: number, ended: boolean): void {
    this.client.events.data(this.id, text(buf, from, to), ended);
    if (this.client.taking) this.client.connection.consume(this, to - from);
  }
  override onTrailers(trailers: Trailers): void {
    this.client.events.add(this.id, `trailers ${JSON.stringify(text(trailers.bytes, 0, trailers.end))}`);
  }
  override onWritable(): void {
    this.client.events.add(this.id, 'writable');
  }
  override onAbort(code: number, by: number, reason: string): void {
    this.client.events.add(this.id, `abort ${code} ${['peer', 'us', 'connection'][by]}`);
    this.client.reasons.push(reason);
  }
}

/** The same for a client's connection. */
export class TestClient implements ClientHandler {
  readonly events = new Events();
  readonly reasons: string[] = [];
  readonly connection: ClientConnection<TestClientStream>;
  taking = true;
  rooms = 0;
  now = 1_000;

  constructor(options: Partial<ConnectionOptions> = {}, parts = responseParts()) {
    this.connection = new ClientConnection(this, parts, { ...defaultOptions, ...options }, this.now);
    this.connection.start();
  }

  onOutput(): void {}
  onRoom(): void {
    this.rooms++;
  }
  onFail(code: number, reason: string): void {
    this.events.add(0, `fail ${code}`);
    this.reasons.push(reason);
  }
  onGoaway(code: number): void {
    this.events.add(0, `goaway ${code}`);
  }
  onDrained(): void {
    this.events.add(0, 'drained');
  }

  /** Opens a stream with an HTTP/1.1 head. */
  request(head: string, kind: Partial<import('../../src/http2/client.ts').RequestKind> = {}): TestClientStream {
    const stream = new TestClientStream(this);
    const buf = Buffer.from(`xx${head}yy`, 'latin1');
    const all = { tls: true, trailersWelcome: false, ended: true, bodiless: false, ...kind };
    this.connection.sendRequest(stream, buf, 2, buf.length - 2, all);
    return stream;
  }

  receive(...pieces: Uint8Array[]): this {
    for (const piece of pieces) this.connection.receive(Buffer.from(piece), 0, piece.length, this.now);
    return this;
  }

  sent(): Buffer {
    return taken(this.connection);
  }
}

function taken(connection: ServerConnection<TestServerStream> | ClientConnection<TestClientStream>): Buffer {
  const out = connection.takeOutput();
  if (out === null) return Buffer.alloc(0);
  const copy = Buffer.from(out.bytes.subarray(0, out.length));
  giveOutput(out);
  return copy;
}

/** Decodes field blocks, each as what it says line by line, without any of the rules for messages. */
export class BlockReader {
  private readonly decoder: HpackDecoder;
  private readonly lines = new Lines(limits);
  constructor(tableBytes = 4096) {
    this.decoder = new HpackDecoder(
      FieldRules.ofResponses(() => false),
      tableBytes,
    );
  }
  /** @returns undefined for a COMPRESSION_ERROR */
  read(block: Uint8Array): Field[] | undefined {
    this.lines.begin();
    this.lines.found.length = 0;
    return this.decoder.decode(block, 0, block.length, this.lines) ? [...this.lines.found] : undefined;
  }
  /** The table, newest entry first, as RFC 7541 shows it. */
  table(): { entries: string[]; size: number } {
    const { table } = this.decoder;
    const entries = Array.from({ length: table.count }, (_, i) =>
      text(table.bytes, table.place(i), table.place(i) + table.lineLength(i) - 2),
    );
    return { entries, size: table.size };
  }
  limitTable(bytes: number): void {
    this.decoder.limitTable(bytes);
  }
  get neverIndexed(): boolean {
    return this.lines.neverIndexed;
  }
}

class Lines extends Trailers {
  readonly found: Field[] = [];
  override onField(_kind: number, line: number, nameEnd: number, lineEnd: number): number {
    this.found.push([text(this.bytes, line, nameEnd), text(this.bytes, nameEnd + 2, lineEnd - 2)]);
    return line;
  }
}

/** The fields of all field blocks in some frames, block by block, as `name: value`. */
export function fieldsOf(wire: Uint8Array, reader = new BlockReader()): string[][] {
  const blocks: Buffer[] = [];
  for (const { type, payload } of framesOf(wire)) {
    if (type === 1) blocks.push(payload);
    if (type === 9) blocks.push(Buffer.concat([blocks.pop()!, payload]));
  }
  return blocks.map((block) => reader.read(block)!.map(([name, value]) => `${name}: ${value}`));
}
