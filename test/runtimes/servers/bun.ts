import { websocket } from '../../../src/index.ts';
import { contractServer } from './control.ts';

const { Bun } = globalThis as unknown as { Bun: { serve(options: object): { port: number } } };
const { port } = Bun.serve({ fetch: contractServer(), websocket, port: 0, hostname: '127.0.0.1', idleTimeout: 0 });
console.log(`listening ${port}`);
