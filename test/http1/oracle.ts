import http from 'node:http';
import { Duplex } from 'node:stream';

/** What node:http, strict, makes of a message. undefined: it refused it, or saw no end of it. */
export interface Seen {
  /** Requests: `GET /x HTTP/1.1`; responses: `200 HTTP/1.1`. */
  readonly start: string;
  readonly body: string;
  /** The names. */
  readonly trailers: readonly string[];
}

const TIME_LIMIT_MS = 5_000;

/** A connection that gives `input` and then ends. What is written to it goes to `onWrite`. */
function connection(input: Buffer, onWrite: (text: string) => void): Duplex {
  let given = false;
  const duplex = new Duplex({
    read() {
      if (given) return;
      given = true;
      this.push(input);
      this.push(null);
    },
    write(chunk, _encoding, done) {
      onWrite(chunk.toString('latin1'));
      done();
    },
  });
  // What http expects of a socket beyond a Duplex.
  return Object.assign(duplex, {
    setTimeout: () => duplex,
    setNoDelay: () => duplex,
    setKeepAlive: () => duplex,
    ref: () => {},
    unref: () => {},
  });
}

function collect(message: http.IncomingMessage, start: string, done: (seen?: Seen) => void): void {
  let body = '';
  message.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  message.on('end', () => done({ start, body, trailers: message.rawTrailers.filter((_, i) => i % 2 === 0) }));
  message.on('error', () => done());
  message.on('close', () => done());
}

function bounded(run: (done: (seen?: Seen) => void) => void): Promise<Seen | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('node:http did not say anything')), TIME_LIMIT_MS);
    run((seen) => {
      clearTimeout(timer);
      resolve(seen);
    });
  });
}

const waiting = new WeakMap<object, (seen?: Seen) => void>();
const server = http.createServer({ insecureHTTPParser: false, requireHostHeader: true, maxHeaderSize: 65_536 });
const onRequest = (request: http.IncomingMessage, response: http.ServerResponse) => {
  const done = waiting.get(request.socket);
  if (done) collect(request, `${request.method} ${request.url} HTTP/${request.httpVersion}`, done);
  response.end();
};
server.on('request', onRequest);
server.on('checkContinue', onRequest);
server.on('clientError', (_error, socket) => {
  waiting.get(socket)?.();
  socket.destroy();
});

/**
 * The first `count` requests that a node:http server reads from these bytes.
 * undefined: it refused one, or there are fewer
 */
export async function serverSees(input: Buffer, count = 1): Promise<Seen[] | undefined> {
  const all: Seen[] = [];
  const last = await bounded((done) => {
    const one = (seen?: Seen) => {
      if (seen) all.push(seen);
      if (!seen || all.length === count) done(seen);
    };
    // Without Host, or with another expectation, it answers by itself.
    const socket = connection(input, (text) => {
      if (/^HTTP\/1\.1 4/.test(text)) done();
    });
    waiting.set(socket, one);
    socket.on('error', () => done());
    socket.on('close', () => done());
    server.emit('connection', socket);
  });
  return last && all;
}

/** The final response that a node:http client reads from these bytes, and the 1xx before it. */
export function clientSees(input: Buffer, method: string): Promise<Seen | undefined> {
  return bounded((done) => {
    const socket = connection(input, () => {});
    const request = http.request({
      method,
      host: '127.0.0.1',
      insecureHTTPParser: false,
      maxHeaderSize: 65_536,
      createConnection: () => socket as never,
    });
    let answered = false;
    request.on('response', (response) => {
      answered = true;
      collect(response, `${response.statusCode} HTTP/${response.httpVersion}`, done);
    });
    request.on('upgrade', (response, upgraded) => {
      done({ start: `${response.statusCode} HTTP/${response.httpVersion}`, body: '', trailers: [] });
      upgraded.destroy();
    });
    request.on('error', () => done());
    request.on('close', () => answered || done());
    request.end();
  });
}
