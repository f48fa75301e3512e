import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/* A small app in a process of its own, for tests that kill it: `node app-process.ts NAME PORT`. Its port goes to the parent. */
const [name, port] = process.argv.slice(2);
const server = createServer((request, response) => void response.end(`${name} ${request.url}`));
server.listen(Number(port), '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
