import type net from 'node:net';
import { isIP } from 'node:net';
import type tls from 'node:tls';
import { normalName, type ServedEntry } from './certificates.ts';
import { ClientConnection } from './client.ts';
import { clock } from './clock.ts';
import type { Edge } from './edge.ts';
import { Http2Client } from './http2-client.ts';
import type { Question } from './messages.ts';
import { type ClientHello, HELLO, HelloReader, MORE_HELLO, NO_TLS } from './tls-hello.ts';
import { alertRecord, alerts, looksLikeHttp, plainHttpAnswer } from './tls-refusal.ts';
import type { Arrival, ArrivalOwner, OwnedSocket } from './tls-socket.ts';

/** Handshakes under way in one process; the oldest makes room for the newest. */
const maxHandshakes = 8_192;
/** How long a handshake waits for a certificate that is to be had on demand. */
const askTimeoutMs = 30_000;
/** After a refusal, how long the client may take to read it and leave. */
const refusalMs = 1_000;

const acmeProtocol = 'acme-tls/1';
const acmeProtocols = wireForm(acmeProtocol);
const protocols = wireForm('h2', 'http/1.1');

/**
 * A connection to a TLS listener until its handshake is done: reads the client's hello, finds what to answer it with, lets
 * OpenSSL do the rest, and hands the socket to the protocol that was agreed on. What has no answer is refused before
 * anything of OpenSSL's is made.
 */
export class TlsHandshake implements ArrivalOwner {
  private readonly edge: Edge;
  private readonly arrival: Arrival;
  private readonly reader = new HelloReader();
  private entry: ServedEntry | null = null;
  /** `clock.now` at which it is too late. */
  private deadline: number;
  private asked = false;

  constructor(edge: Edge, arrival: Arrival) {
    this.edge = edge;
    this.arrival = arrival;
    this.deadline = clock.now + edge.settings.headTimeoutMs;
    const [oldest] = edge.handshakes;
    if (edge.handshakes.size >= maxHandshakes) oldest.close();
    edge.handshakes.add(this);
    arrival.start(this);
  }

  onTick(now: number): void {
    if (now >= this.deadline) this.close();
  }

  onGone(): void {
    this.close();
  }

  /** Ends it at once, unless it is done. */
  close(): void {
    if (this.leave()) this.arrival.destroy();
  }

  /** Returns false if it had been done before. */
  private leave(): boolean {
    if (!this.edge.handshakes.delete(this)) return false;
    this.edge.onClientClosed();
    return true;
  }

  // ---- the hello

  onBytes(chunk: Buffer): void {
    if (this.reader.hello !== undefined) return;
    const result = this.reader.feed(chunk);
    if (result === MORE_HELLO) return;
    if (result === HELLO) return this.answer(this.reader.hello!);
    if (result !== NO_TLS) return this.refuse(alertRecord(alerts.decodeError));
    if (looksLikeHttp(this.reader.bytes)) this.refuse(plainHttpAnswer);
    else this.close();
  }

  private answer(hello: ClientHello): void {
    const { certificates, challenges } = this.edge;
    if (hello.protocols.includes(acmeProtocol)) {
      const name = hello.serverName === undefined ? undefined : identifierOf(hello.serverName);
      const context = name === undefined ? undefined : challenges.alpn(name);
      if (context !== undefined) return this.begin(context, acmeProtocols);
      if (name !== undefined && this.mayAsk()) return this.ask({ what: 'tls-alpn-01', name }, hello);
      return this.refuse(alertRecord(alerts.unrecognizedName));
    }
    for (;;) {
      const entry = certificates.find(hello.serverName, this.arrival.localAddress, hello.ecdsa);
      if (entry === undefined) break;
      const context = certificates.contextOf(entry, hello.ticketKeys);
      if (context === undefined) continue;
      this.entry = entry;
      return this.begin(context, protocols);
    }
    const name = hello.serverName === undefined ? undefined : normalName(hello.serverName);
    if (name !== undefined && this.mayAsk() && isRouted(this.edge, name))
      this.ask({ what: 'certificate', name }, hello);
    else this.refuse(alertRecord(alerts.unrecognizedName));
  }

  private mayAsk(): boolean {
    return this.edge.ask !== null && !this.asked;
  }

  private ask(question: Question, hello: ClientHello): void {
    this.asked = true;
    this.deadline = clock.now + askTimeoutMs;
    this.arrival.pause();
    // What was read lies where every client's next bytes go.
    this.reader.bytes = Buffer.from(this.reader.bytes);
    this.edge.ask!(question)
      .catch(() => false)
      .then(() => {
        if (!this.edge.handshakes.has(this)) return;
        this.deadline = clock.now + this.edge.settings.headTimeoutMs;
        this.answer(hello);
      });
  }

  /** Sends a last word, and gives the client a moment to read it before the connection ends. */
  private refuse(word: Buffer): void {
    this.deadline = clock.now + refusalMs;
    this.arrival.refuse(word);
  }

  // ---- the handshake

  private begin(context: tls.SecureContext, offered: Buffer): void {
    this.arrival.begin(this.reader.bytes, { context, protocols: offered });
  }

  onSecure(socket: net.Socket, protocol: string): void {
    const { edge, arrival, entry } = this;
    edge.handshakes.delete(this);
    const Client = protocol === 'h2' ? Http2Client : ClientConnection;
    // A challenge is answered by the handshake itself.
    if (protocol === acmeProtocol) endProven(socket);
    else new Client(edge, socket, arrival.peer, arrival.localPort, 'https', entry);
    edge.onClientClosed();
  }
}

/** Ends a connection that was only there for its handshake. */
function endProven(socket: net.Socket): void {
  (socket as OwnedSocket).owner = { read() {} };
  socket.on('error', () => socket.destroy());
  socket.end(() => socket.destroy());
}

/** Whether a name has a route: only then a certificate may be on its way, or be had at this first visit. */
function isRouted(edge: Edge, name: string): boolean {
  return (edge.hosts.https.find(edge.table, name)?.levels.length ?? 0) > 0;
}

/** RFC 8738 §6: an address is proven under its name for reverse look-ups. */
function identifierOf(serverName: string): string | undefined {
  const name = normalName(serverName);
  if (name?.endsWith('.in-addr.arpa')) {
    const address = name.split('.').slice(0, -2).reverse().join('.');
    return isIP(address) === 4 ? address : undefined;
  }
  if (name?.endsWith('.ip6.arpa')) {
    const digits = name.split('.').slice(0, -2).reverse().join('');
    return normalName(digits.match(/.{4}/g)?.join(':') ?? '')?.slice(1, -1);
  }
  return name;
}

function wireForm(...names: string[]): Buffer {
  return Buffer.concat(names.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`, 'latin1')));
}
