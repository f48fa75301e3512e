import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CallerEnv } from '../../src/admin/access.ts';
import { configurationServer } from '../helpers/configuration-server.ts';

const remote = suite('cli: the configuration of another machine');

remote('routes, apply, diff, history, export by URL and token; what the token is not for ends with 4', async () => {
  const there = await configurationServer();
  // The port's side: a token's scopes, as public.ts hands them on.
  const scopes = { rw: ['routes:write', 'services:write', 'history:read'], r: ['routes:read'] } as const;
  const fetch = (request: Request) => {
    const token = request.headers.get('authorization')?.replace('Bearer ', '') as keyof typeof scopes;
    const caller = { actor: `token:${token}`, from: '192.0.2.7', scopes: scopes[token] };
    return there.app.fetch(request, { caller } satisfies CallerEnv);
  };
  const server = createAdaptorServer({ fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = (token: string) => ({
    OO_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    OO_TOKEN: token,
  });
  const oo = (line: string, token: string, input = '') => there.oo(line, input, { ...at(token), OO_STATE_DIR: '' });
  try {
    assert.is((await oo('apply -', 'rw', 'id: a\ntarget: http://t\n')).out, 'created route a\n');
    assert.is((await oo('route save --id b --target http://t', 'rw')).code, 0);
    assert.is((await oo('routes ls -q', 'r')).out, 'a\nb\n');
    assert.is((await oo('routes ls -q --at @1', 'r')).out, 'a\n');
    assert.is((await oo('diff -', 'rw', 'id: a\ntarget: http://u\n')).code, 1);
    assert.match((await oo('history', 'rw')).out, /token:rw {3}192\.0\.2\.7/);
    assert.match((await oo('export', 'rw')).out, /- id: a\n/);
    for (const line of ['apply -', 'rollback @1', 'history', 'diff -', 'route rm a'])
      assert.is((await oo(line, 'r', 'id: a\ntarget: http://u\n')).code, 4, line);
    assert.is(there.configuration.table.revision, 2);
    assert.is((await there.oo('route ls --offline --server http://127.0.0.1:1')).code, 2);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await there.stop();
  }
});

remote.run();
