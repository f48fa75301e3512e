import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createPublicApp } from '../../src/admin/public.ts';

const pub = suite('admin: the service port');
const app = createPublicApp({ version: '1.2.3' });
const get = (path: string, init: RequestInit = {}) => app.request(`http://127.0.0.1:11337${path}`, init);

pub('says what it is, and that it lives', async () => {
  const root = await get('/');
  assert.is(root.status, 200);
  const body = (await root.json()) as Record<string, string>;
  assert.equal([body.name, body.version], ['oo', '1.2.3']);
  assert.match(body.docs, /oo --help/);
  assert.is((await get('/healthz')).status, 200);
});

pub('the route API answers 401 there, whatever the method and the token, with the way that works', async () => {
  for (const method of ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS']) {
    const paths = ['/proxy-svc/routes', '/proxy-svc/certs', '/v1/routes', '/v1/status', '/v1/certs'];
    for (const path of [...paths, '/v1/certs/a.test/raw?withKey=true', '/v1/keys/rotate', '/v1/trust/root']) {
      const response = await get(path, { method, headers: { authorization: 'Bearer guess' } });
      assert.is(response.status, 401, `${method} ${path}`);
      const body = (await response.json()) as Record<string, string>;
      assert.is(body.code, 'OO_NO_TOKEN');
      assert.match(body.hint, /unix socket/);
      assert.is(response.headers.get('access-control-allow-origin'), null);
    }
  }
});

pub("another site's page in a browser: 403; this server's own, or a program: not that", async () => {
  const status = async (headers: Record<string, string>) =>
    (await get('/v1/routes', { method: 'PUT', headers })).status;
  assert.is(await status({ origin: 'https://evil.example' }), 403);
  assert.is(await status({ origin: 'null' }), 403);
  assert.is(await status({ origin: 'http://127.0.0.1:80' }), 403);
  assert.is(await status({ 'sec-fetch-site': 'cross-site' }), 403);
  assert.is(await status({ 'sec-fetch-site': 'same-site' }), 403);
  assert.is(await status({ origin: 'http://127.0.0.1:11337', 'sec-fetch-site': 'same-origin' }), 401);
  assert.is(await status({}), 401);
});

pub('anything else: 404', async () => {
  const response = await get('/user-svc/login');
  assert.is(response.status, 404);
  assert.is(((await response.json()) as { code: string }).code, 'OO_NOT_FOUND');
});

pub.run();
