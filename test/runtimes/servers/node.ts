import { serve } from '@hono/node-server';
import { contractServer } from './control.ts';

serve({ fetch: contractServer(), port: 0, hostname: '127.0.0.1' }, ({ port }) => console.log(`listening ${port}`));
