import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { type Contender, TLS_CIPHER, TLS_GROUP, TLS_NAME, WITNESS_HOST } from './proxy.ts';
import { UPLOAD_BYTES, type Witness } from './upstream.ts';

const CLIENTS = 8;
const REQUESTS_EACH = 25;
const PATIENCE_MS = 10_000;

/** Where and how a proxy is asked. */
interface Way {
  readonly client: typeof http | typeof https;
  readonly agent: http.Agent;
  readonly port: number;
}

/**
 * Proves that a proxy does the same work as the others: passes on Host and adds X-Forwarded-For, keeps client and upstream
 * connections, and changes no byte of a body; over HTTPS the same, with TLS 1.3, one cipher, HTTP/2 on offer, and tickets that
 * resume a session. Throws with what is wrong.
 * @param ca the certificate that all of them show, PEM
 */
export async function checkAlike(proxy: Contender, witness: Witness, ca: string): Promise<void> {
  const kept = { keepAlive: true, maxSockets: CLIENTS };
  const secure = {
    ca,
    servername: TLS_NAME,
    minVersion: 'TLSv1.3',
    ciphers: TLS_CIPHER,
    ecdhCurve: TLS_GROUP,
  } as const;
  await checkExchanges(proxy, witness, { client: http, agent: new http.Agent(kept), port: proxy.port });
  await checkExchanges(proxy, witness, {
    client: https,
    agent: new https.Agent({ ...kept, ...secure }),
    port: proxy.tlsPort,
  });
  await checkTls(proxy, { ...secure, host: '127.0.0.1', port: proxy.tlsPort, ALPNProtocols: ['h2', 'http/1.1'] });
}

async function checkExchanges(proxy: Contender, witness: Witness, way: Way): Promise<void> {
  const before = witness.connections();
  witness.seen.length = 0;
  const sockets = new Set<unknown>();
  const ask = (path: string, body?: Buffer) => exchange(way, path, body, sockets);
  try {
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        for (let i = 0; i < REQUESTS_EACH; i++) {
          if (!(await ask('/small')).equals(witness.small))
            wrong(proxy, 'a small answer differs from what the upstream sent');
        }
      }),
    );
    if (!(await ask('/large')).equals(witness.large))
      wrong(proxy, 'a 1 MiB answer differs from what the upstream sent');
    const upload = Buffer.alloc(UPLOAD_BYTES, 'upload');
    await ask('/sink', upload);
    if (!witness.seen.at(-1)!.body.equals(upload)) wrong(proxy, 'an upload differs from what the client sent');
  } finally {
    way.agent.destroy();
  }
  const opened = witness.connections() - before;
  if (opened > CLIENTS + 2) wrong(proxy, `it opened ${opened} upstream connections for ${CLIENTS} client connections`);
  if (sockets.size > CLIENTS)
    wrong(proxy, `it made its clients open ${sockets.size} connections where ${CLIENTS} would do`);
  if (witness.seen.length !== CLIENTS * REQUESTS_EACH + 2)
    wrong(proxy, `the upstream saw ${witness.seen.length} requests`);
  for (const { headers } of witness.seen) {
    if (headers['x-forwarded-for'] !== '127.0.0.1') wrong(proxy, `X-Forwarded-For is ${headers['x-forwarded-for']}`);
    if (headers.host !== WITNESS_HOST) wrong(proxy, `Host is ${headers.host}`);
  }
}

async function checkTls(proxy: Contender, options: tls.ConnectionOptions): Promise<void> {
  const first = await connect(options);
  if (first.reused) wrong(proxy, 'a session was resumed that there is none of');
  if (first.alpn !== 'h2') wrong(proxy, `of HTTP/2 and HTTP/1.1 it chose ${first.alpn}`);
  const { name } = first.cipher;
  if (name !== TLS_CIPHER) wrong(proxy, `the cipher is ${name}`);
  if (first.session === undefined) wrong(proxy, 'it gives no session ticket');
  if (!(await connect({ ...options, session: first.session })).reused) wrong(proxy, 'a session is not resumed');
}

interface Connected {
  readonly reused: boolean;
  readonly alpn: string | false | null;
  readonly cipher: tls.CipherNameAndProtocol;
  readonly session: Buffer | undefined;
}

/** A handshake, and the ticket that follows it. */
function connect(options: tls.ConnectionOptions): Promise<Connected> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(options);
    const end = (session?: Buffer) => {
      resolve({ reused: socket.isSessionReused(), alpn: socket.alpnProtocol, cipher: socket.getCipher(), session });
      socket.destroy();
    };
    socket.on('error', reject);
    socket.on('session', end);
    // HTTP/2's settings, or silence: tickets come first.
    socket.setTimeout(PATIENCE_MS, () => end());
    socket.on('close', () => end());
    socket.resume();
  });
}

function wrong(proxy: Contender, message: string): never {
  throw new Error(`${proxy.name} is not configured alike: ${message}`);
}

function exchange(way: Way, path: string, body: Buffer | undefined, sockets: Set<unknown>): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { agent, port } = way;
    const options = { agent, host: '127.0.0.1', port, path, method: body ? 'POST' : 'GET', timeout: PATIENCE_MS };
    const headers = body ? { host: WITNESS_HOST, 'content-length': body.length } : { host: WITNESS_HOST };
    const request = way.client.request({ ...options, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks));
        else reject(new Error(`${path} was answered ${response.statusCode}: ${Buffer.concat(chunks)}`));
      });
    });
    request.on('socket', (socket) => sockets.add(socket));
    request.on('timeout', () => request.destroy(new Error(`${path} was not answered in 10 s`)));
    request.on('error', reject);
    request.end(body);
  });
}
