import { serve } from '@hono/node-server';
import { nodeUpgrade } from '../../../src/index.ts';
import { contractServer } from './control.ts';

const fetch = contractServer();
const server = serve({ fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => console.log(`listening ${port}`));
server.on('upgrade', nodeUpgrade({ fetch }));
