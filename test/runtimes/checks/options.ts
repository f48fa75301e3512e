import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { closeLater } from '../../helpers/cleanup.ts';
import { reply, startOrigin } from '../../helpers/origin.ts';
import { cheapHash } from '../../helpers/passwords.ts';
import { until } from '../../helpers/wait.ts';
import { ask, codeOf, type Group, limit, see } from '../check.ts';
import { embeddings } from '../runtime.ts';

export const options: Group = {
  title: 'Route options',
  checks: [
    {
      name: '`stripPrefix`, `addPrefix`, `requestHeaders`, `responseHeaders`',
      async run(subject) {
        const origin = await startOrigin(() => reply('x', 'X-Old: 1\r\n'));
        await subject.use({
          ...{ id: 'app.test/app', target: origin.target, stripPrefix: true, addPrefix: '/v2' },
          requestHeaders: { set: { 'X-Route': '{route}' }, remove: ['X-Gone'] },
          responseHeaders: { set: { 'X-New': '2' }, remove: ['X-Old'] },
        });
        const answer = await ask(subject, '/app/a?b', { fields: 'X-Gone: 1\r\n' });
        const [request] = origin.requests;
        see(request?.line, 'GET /v2/a?b HTTP/1.1', 'the request line');
        see([request.get('x-gone') ?? null, request.get('x-forwarded-prefix') ?? null], [null, '/app'], 'the request');
        see([answer.get('x-old') ?? null, answer.get('x-new')], [null, '2'], 'the response');
      },
    },
    {
      name: '`redirect` and `respond`, without a target',
      async run(subject) {
        await subject.use(
          { id: 'app.test/old', redirect: { to: 'https://b.example', status: 301, keepPath: true } },
          { id: 'app.test/tea', respond: { status: 418, body: 'tea', headers: { 'X-A': 'b' } } },
        );
        const moved = await ask(subject, '/old/x?y');
        see([moved.status, moved.get('location')], [301, 'https://b.example/x?y'], 'redirect');
        const tea = await ask(subject, '/tea');
        see([tea.status, tea.text, tea.get('x-a')], [418, 'tea', 'b'], 'respond');
      },
    },
    {
      name: '`basicAuth`',
      async run(subject) {
        const origin = await startOrigin(() => reply('in'));
        await subject.use({ id: 'app.test', target: origin.target, basicAuth: { users: { ann: cheapHash('pass') } } });
        const asked = (password: string) =>
          ask(subject, '/', {
            fields: `Authorization: Basic ${Buffer.from(`ann:${password}`).toString('base64')}\r\n`,
          });
        const outside = await ask(subject, '/');
        see([outside.status, codeOf(outside)], [401, 'OO_UNAUTHORIZED'], 'without a password');
        see((await asked('wrong')).status, 401, 'with a wrong one');
        see((await asked('pass')).text, 'in', 'with the right one');
      },
    },
    {
      name: '`access` by the address of the client',
      async run(subject) {
        const origin = await startOrigin(() => reply('in'));
        await subject.use(
          { id: 'app.test', target: origin.target, access: { allow: ['127.0.0.0/8'] } },
          { id: 'other.test', target: origin.target, access: { deny: ['127.0.0.0/8'] } },
        );
        see((await ask(subject, '/')).text, 'in', 'who is let in');
        see(codeOf(await ask(subject, '/', { host: 'other.test' })), 'OO_FORBIDDEN_ADDRESS', 'who is not');
      },
      cannot: limit(
        'it tells no address of the client; without `clientIp` nobody is let in',
        /who is let in: "500 .*OO_INTERNAL/,
        'workerd',
      ),
    },
    {
      name: '`rateLimit` by a field',
      async run(subject) {
        const origin = await startOrigin(() => reply('in'));
        const rateLimit = { requests: 2, perMs: 3_600_000, by: 'header:X-Key' } as const;
        await subject.use({ id: 'app.test', target: origin.target, rateLimit });
        const statuses: number[] = [];
        for (const key of ['a', 'a', 'a', 'b'])
          statuses.push((await ask(subject, '/', { fields: `X-Key: ${key}\r\n` })).status);
        see(statuses, [200, 200, 429, 200], 'statuses');
      },
    },
    {
      name: '`compress` in gzip',
      async run(subject) {
        const text = 'text '.repeat(1_000);
        const origin = await startOrigin(() => reply(text, 'Content-Type: text/plain\r\n'));
        await subject.use({ id: 'app.test', target: origin.target, compress: true });
        const answer = await ask(subject, '/', { fields: 'Accept-Encoding: gzip\r\n' });
        see(answer.get('content-encoding') ?? null, 'gzip', 'Content-Encoding');
        see(gunzipSync(answer.body).toString() === text, true, 'the same text');
        see((await ask(subject, '/')).text === text, true, 'the same text for who wants no gzip');
      },
    },
    {
      name: '`cors`',
      async run(subject) {
        const origin = await startOrigin(() => reply('in'));
        await subject.use({ id: 'app.test', target: origin.target, cors: { origins: ['https://a.example'] } });
        const fields = 'Origin: https://a.example\r\n';
        const asked = await ask(subject, '/', {
          method: 'OPTIONS',
          fields: `${fields}Access-Control-Request-Method: PUT\r\n`,
        });
        see([asked.status, asked.get('access-control-allow-origin')], [204, 'https://a.example'], 'the preflight');
        see(origin.requests.length, 0, 'requests at the target');
        const answer = await ask(subject, '/', { fields });
        see([answer.text, answer.get('access-control-allow-origin')], ['in', 'https://a.example'], 'the answer');
      },
    },
    {
      name: '`h2c://` targets, HTTP/2 without TLS',
      async run(subject) {
        const server = createServer((_, response) => void response.end('by HTTP/2'));
        server.listen(0, '127.0.0.1');
        closeLater({ close: () => void server.close() });
        await once(server, 'listening');
        await subject.use({ id: 'app.test', target: `h2c://127.0.0.1:${(server.address() as AddressInfo).port}` });
        see((await ask(subject, '/')).text, 'by HTTP/2', 'the answer');
      },
      cannot: limit('no fetch speaks it; such a route is refused', /TypeError: .*h2c/, ...embeddings),
    },
    {
      name: '`health`: targets are probed',
      async run(subject) {
        const origin = await startOrigin(() => reply('up'));
        const health = { path: '/up', intervalMs: 100, timeoutMs: 90 };
        await subject.use({ id: 'app.test', target: [origin.target, `${origin.target}/b`], health });
        await until(() => /^GET \/up /m.test(origin.text), 'a probe at the target', 2_000);
      },
      cannot: limit(
        'nothing probes: what requests meet is the only health',
        /a probe at the target: not/,
        ...embeddings,
      ),
    },
    {
      name: '`balance.sticky`: a cookie keeps a client at its target',
      async run(subject) {
        const origin = await startOrigin(() => reply('in'));
        const balance = { policy: 'round-robin', sticky: true } as const;
        await subject.use({ id: 'app.test', target: [origin.target, `${origin.target}/b`], balance });
        see((await ask(subject, '/')).get('set-cookie')?.split('=')[0] ?? null, 'oo_sticky', 'the cookie');
      },
      cannot: limit('no cookie is set; `hash` by a cookie of the app does it', /the cookie: null/, ...embeddings),
    },
    {
      name: '`service://` targets: what has registered itself',
      async run(subject) {
        see(await subject.refusal({ id: 'app.test', target: 'service://user-svc' }), '', 'what is said of the route');
      },
      cannot: limit('nothing registers there; such a route is refused', /TypeError: .*service:/, ...embeddings),
    },
  ],
};
