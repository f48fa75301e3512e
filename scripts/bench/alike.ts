import http from 'node:http';
import { type Contender, WITNESS_HOST } from './proxy.ts';
import { UPLOAD_BYTES, type Witness } from './upstream.ts';

const CLIENTS = 8;
const REQUESTS_EACH = 25;

/**
 * Proves that a proxy does the same work as the others: passes on Host and adds X-Forwarded-For, keeps client and upstream
 * connections, and changes no byte of a body. Throws with what is wrong.
 */
export async function checkAlike(proxy: Contender, witness: Witness): Promise<void> {
  const wrong = (message: string): never => {
    throw new Error(`${proxy.name} is not configured alike: ${message}`);
  };
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const before = witness.connections();
  witness.seen.length = 0;
  const sockets = new Set<unknown>();
  const ask = (path: string, body?: Buffer) => exchange(agent, proxy.port, path, body, sockets);
  try {
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        for (let i = 0; i < REQUESTS_EACH; i++) {
          if (!(await ask('/small')).equals(witness.small)) wrong('a small answer differs from what the upstream sent');
        }
      }),
    );
    if (!(await ask('/large')).equals(witness.large)) wrong('a 1 MiB answer differs from what the upstream sent');
    const upload = Buffer.alloc(UPLOAD_BYTES, 'upload');
    await ask('/sink', upload);
    if (!witness.seen.at(-1)!.body.equals(upload)) wrong('an upload differs from what the client sent');
  } finally {
    agent.destroy();
  }
  const opened = witness.connections() - before;
  if (opened > CLIENTS + 2) wrong(`it opened ${opened} upstream connections for ${CLIENTS} client connections`);
  if (sockets.size > CLIENTS) wrong(`it made its clients open ${sockets.size} connections where ${CLIENTS} would do`);
  if (witness.seen.length !== CLIENTS * REQUESTS_EACH + 2) wrong(`the upstream saw ${witness.seen.length} requests`);
  for (const { headers } of witness.seen) {
    if (headers['x-forwarded-for'] !== '127.0.0.1') wrong(`X-Forwarded-For is ${headers['x-forwarded-for']}`);
    if (headers.host !== WITNESS_HOST) wrong(`Host is ${headers.host}`);
  }
}

function exchange(
  agent: http.Agent,
  port: number,
  path: string,
  body: Buffer | undefined,
  sockets: Set<unknown>,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { agent, host: '127.0.0.1', port, path, method: body ? 'POST' : 'GET', timeout: 10_000 };
    const headers = body ? { host: WITNESS_HOST, 'content-length': body.length } : { host: WITNESS_HOST };
    const request = http.request({ ...options, headers }, (response) => {
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
