// time limit: 240 s
import { front } from '../helpers/front.ts';

// The same edge, over TLS by the public way, judged by the same tests. The private one: tls-handles.test.ts.
front.tls = true;
for (const name of ['upgrade', 'isolation', 'timeouts', 'chunk-attacks', 'expect', 'large', 'gate', 'wait'])
  await import(`./${name}.test.ts`);
