// A process of its own, for its file descriptors: opens COUNT connections to PORT, sends one GET on each, waits for the
// answer, says `ready` and holds them until stdin ends. Exit code 1 when one of them failed or was closed.
// With a further argument over TLS, which is the name to ask for.
import net from 'node:net';
import tls from 'node:tls';

const [port, count, host, path, tlsName] = process.argv.slice(2);
const AT_ONCE = 64;
const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const held: net.Socket[] = [];

function fail(message: string): never {
  process.stderr.write(`idle client: ${message}\n`);
  process.exit(1);
}

const secureContext = tls.createSecureContext({ minVersion: 'TLSv1.3' });
const to = { host: '127.0.0.1', port: Number(port) };

function connect(onOpen: () => void): net.Socket {
  if (tlsName === undefined) return net.connect(to, onOpen);
  return tls.connect({ ...to, servername: tlsName, secureContext, rejectUnauthorized: false }, onOpen);
}

function open(): Promise<void> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(() => socket.write(request));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail(`connection ${held.length} was closed`));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      const head = answer.indexOf('\r\n\r\n');
      const length = /\r\ncontent-length: *(\d+)/i.exec(answer)?.[1];
      if (head < 0 || answer.length < head + 4 + Number(length)) return;
      if (!answer.startsWith('HTTP/1.1 200')) fail(answer.slice(0, answer.indexOf('\r\n')));
      held.push(socket);
      answer = '';
      resolve();
    });
  });
}

async function openMany(share: number): Promise<void> {
  for (let i = 0; i < share; i++) await open();
}

const share = Math.floor(Number(count) / AT_ONCE);
const rest = Number(count) - share * AT_ONCE;
await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => openMany(share + (i < rest ? 1 : 0))));
process.stdout.write('ready\n');
process.stdin.resume().on('end', () => process.exit(0));
