// time limit: 240 s
import { front } from '../helpers/front.ts';

// HTTP/2 over TLS by the public way, judged by the tests of HTTP/2 over plain TCP.
front.tls = true;
for (const name of ['forwarding', 'websocket', 'attacks', 'soak', 'large', 'gate'])
  await import(`./http2-${name}.test.ts`);
