import type net from 'node:net';
import { isIP } from 'node:net';
import type tls from 'node:tls';
import { normalName, type ServedEntry } from './certificates.ts';
import { ClientConnection, type ClientSocket } from './client.ts';
import { clock } from './clock.ts';
import type { Edge } from './edge.ts';
import { Http2Client } from './http2-client.ts';
import type { Question } from './messages.ts';
import { type ClientHello, HELLO, HelloReader, MORE_HELLO, NO_TLS } from './tls-hello.ts';
import { alertRecord, alerts, looksLikeHttp, plainHttpAnswer } from './tls-refusal.ts';
import { type SecureEvents, secure } from './tls-socket.ts';

/** Handshakes under way in one process; the oldest makes room for the newest. */
const maxHandshakes = 8_192;
/** How long a handshake waits for a certificate that is to be had on demand. */
const askTimeoutMs = 30_000;
/** After a refusal, how long the client may take to read it and leave. */
const refusalMs = 1_000;

const acmeProtocol = 'acme-tls/1';
const acmeProtocols = wireForm(acmeProtocol);
const protocols = wireForm('h2', 'http/1.1');

type HandshakeSocket = tls.TLSSocket & { handshake: TlsHandshake };

const events: SecureEvents = {
  onSecure(this: tls.TLSSocket) {
    (this as HandshakeSocket).handshake.onSecure();
  },
  onFailed(this: tls.TLSSocket) {
    (this as HandshakeSocket).handshake.close();
  },
  onChunk(n, buffer) {
    (this as ClientSocket).owner.read(buffer, n);
    return true;
  },
};

/**
 * A connection to a TLS listener until its handshake is done: reads the client's hello, finds what to answer it with, lets
 * OpenSSL do the rest, and hands the socket to the protocol that was agreed on. What has no answer is refused before
 * anything of OpenSSL's is made.
 */
export class TlsHandshake {
  private readonly edge: Edge;
  private readonly raw: net.Socket;
  private readonly peer: string;
  private readonly localAddress: string;
  private readonly localPort: number;
  private readonly reader = new HelloReader();
  private socket: tls.TLSSocket | null = null;
  private entry: ServedEntry | null = null;
  /** `clock.now` at which it is too late. */
  private deadline: number;
  private asked = false;

  private readonly onData = (chunk: Buffer) => this.read(chunk);
  private readonly onGone = () => this.close();

  /** @param raw just accepted, and not read from */
  constructor(edge: Edge, raw: net.Socket) {
    this.edge = edge;
    this.raw = raw;
    this.peer = raw.remoteAddress ?? '';
    this.localAddress = raw.localAddress ?? '';
    this.localPort = raw.localPort ?? 0;
    this.deadline = clock.now + edge.settings.headTimeoutMs;
    const [oldest] = edge.handshakes;
    if (edge.handshakes.size >= maxHandshakes) oldest.close();
    edge.handshakes.add(this);
    raw.on('data', this.onData);
    raw.on('end', this.onGone);
    raw.on('error', this.onGone);
    raw.on('close', this.onGone);
  }

  onTick(now: number): void {
    if (now >= this.deadline) this.close();
  }

  /** Ends it at once, unless it is done. */
  close(): void {
    if (!this.leave()) return;
    (this.socket ?? this.raw).destroy();
  }

  /** Returns false if it had been done before. */
  private leave(): boolean {
    if (!this.edge.handshakes.delete(this)) return false;
    this.edge.onClientClosed();
    return true;
  }

  // ---- the hello

  private read(chunk: Buffer): void {
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
      const entry = certificates.find(hello.serverName, this.localAddress, hello.ecdsa);
      if (entry === undefined) break;
      const context = certificates.contextOf(entry);
      if (context === undefined) continue;
      this.entry = entry;
      return this.begin(context, protocols);
    }
    const name = hello.serverName === undefined ? undefined : normalName(hello.serverName);
    if (name !== undefined && this.mayAsk() && isOnDemand(this.edge, name))
      this.ask({ what: 'certificate', name }, hello);
    else this.refuse(alertRecord(alerts.unrecognizedName));
  }

  private mayAsk(): boolean {
    return this.edge.ask !== null && !this.asked;
  }

  private ask(question: Question, hello: ClientHello): void {
    this.asked = true;
    this.deadline = clock.now + askTimeoutMs;
    this.raw.pause();
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
    this.raw.off('data', this.onData);
    this.raw.resume();
    this.raw.end(word);
  }

  // ---- the handshake

  private begin(context: tls.SecureContext, offered: Buffer): void {
    const { raw } = this;
    raw.off('data', this.onData);
    raw.off('end', this.onGone);
    raw.off('error', this.onGone);
    raw.off('close', this.onGone);
    this.socket = secure.begin(raw, this.reader.bytes, { context, protocols: offered }, events);
    (this.socket as HandshakeSocket).handshake = this;
  }

  /** The handshake is done. */
  onSecure(): void {
    const socket = this.socket!;
    if (!this.leave()) return void socket.destroy();
    if (socket.alpnProtocol === acmeProtocol) return void socket.end();
    const Client = socket.alpnProtocol === 'h2' ? Http2Client : ClientConnection;
    new Client(this.edge, socket, this.peer, this.localPort, 'https', this.entry);
  }
}

/** Whether a name has a route, but none of its own: only then it may have no certificate yet. */
function isOnDemand(edge: Edge, name: string): boolean {
  if (edge.table.hosts.get(name) !== undefined) return false;
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
