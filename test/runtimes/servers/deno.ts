import { contractServer } from './control.ts';

type Serve = (options: object, handle: (request: Request, info: unknown) => unknown) => unknown;
const { Deno } = globalThis as unknown as { Deno: { serve: Serve } };
const onListen = ({ port }: { port: number }) => console.log(`listening ${port}`);
Deno.serve({ port: 0, hostname: '127.0.0.1', onListen }, contractServer());
