import { reply, startOrigin } from '../../helpers/origin.ts';
import { ask, codeOf, type Group, hold, limit, see } from '../check.ts';
import { embeddings, type Subject } from '../runtime.ts';

/** An origin that answers with its name and the request line. */
const named = (name: string) => startOrigin((request) => reply(`${name} ${request.line}`));

async function answers(subject: Subject, asked: readonly (readonly [host: string, path: string])[]): Promise<string[]> {
  const texts: string[] = [];
  for (const [host, path] of asked) texts.push((await ask(subject, path, { host })).text.split(' ')[0]);
  return texts;
}

export const matching: Group = {
  title: 'Matching',
  checks: [
    {
      name: 'the exact host before the wildcard, that before any; in any case',
      async run(subject) {
        const [exact, wild, any] = await Promise.all([named('exact'), named('wild'), named('any')]);
        await subject.use(
          { id: 'a.app.test', target: exact.target },
          { id: '*.app.test', target: wild.target },
          { id: '*', target: any.target },
        );
        const asked = [
          ['a.app.test', '/'],
          ['A.App.Test', '/'],
          ['b.app.test', '/'],
          ['c.b.app.test', '/'],
          ['elsewhere.test', '/'],
        ] as const;
        see(await answers(subject, asked), ['exact', 'exact', 'wild', 'any', 'any'], 'who answered');
      },
    },
    {
      name: 'the longest path, on whole segments',
      async run(subject) {
        const [all, admin, deep] = await Promise.all([named('all'), named('admin'), named('deep')]);
        await subject.use(
          { id: 'app.test', target: all.target },
          { id: 'app.test/admin', target: admin.target },
          { id: 'app.test/admin/deep', target: deep.target },
        );
        const paths = ['/', '/admin', '/admin/', '/admin/x?y', '/administrator', '/admin/deep/er', '/admin/deeper'];
        const expected = ['all', 'admin', 'admin', 'admin', 'all', 'deep', 'admin'];
        const asked = paths.map((path) => ['app.test', path] as const);
        see(await answers(subject, asked), expected, 'who answered');
      },
    },
    {
      name: 'the port that a client asked for',
      async run(subject) {
        const [any, one] = await Promise.all([named('any'), named('one')]);
        await subject.use({ id: 'app.test', target: any.target }, { id: 'app.test:8080', target: one.target });
        const asked = [
          ['app.test', '/'],
          ['app.test:8080', '/'],
          ['app.test:9090', '/'],
        ] as const;
        see(await answers(subject, asked), ['any', 'one', 'any'], 'who answered');
      },
    },
    {
      name: '404 with the host and path that no route has, and a request id',
      async run(subject) {
        const origin = await named('app');
        await subject.use({ id: 'app.test/app', target: origin.target });
        const answer = await ask(subject, '/other', { fields: 'Accept: application/json\r\n' });
        see(answer.status, 404, 'status');
        const { error, code, requestId } = JSON.parse(answer.text);
        see([error, code], ['No route matches app.test/other.', 'OO_NO_ROUTE'], 'the answer');
        see(answer.get('x-request-id'), requestId, 'X-Request-Id');
        see(origin.requests.length, 0, 'requests at the origin');
      },
    },
    {
      name: 'a path that two routes read differently is refused',
      async run(subject) {
        const [all, admin] = await Promise.all([named('all'), named('admin')]);
        await subject.use({ id: 'app.test', target: all.target }, { id: 'app.test/admin', target: admin.target });
        for (const path of ['/admin%2Fx', '//admin/x', '/%61dmin/x']) {
          const answer = await ask(subject, path);
          see([answer.status, codeOf(answer)], [400, 'OO_BAD_PATH'], path);
        }
        see(all.requests.length + admin.requests.length, 0, 'requests at the origins');
      },
    },
    {
      name: 'dot segments are refused',
      async run(subject) {
        const origin = await named('app');
        await subject.use({ id: 'app.test', target: origin.target });
        for (const path of ['/a/../admin', '/a/%2e%2E/admin', '/./a']) {
          const answer = await ask(subject, path);
          see([answer.status, codeOf(answer)], [400, 'OO_BAD_PATH'], path);
        }
      },
      cannot: limit('they are resolved before the proxy sees the path', /admin: \[200,/, ...embeddings),
    },
    {
      name: 'dot segments never lead past a route',
      async run(subject) {
        const [app, admin] = await Promise.all([named('app'), named('admin')]);
        await subject.use({ id: 'app.test/app', target: app.target }, { id: 'app.test/admin', target: admin.target });
        for (const path of ['/app/../admin/x', '/app/%2e%2e/admin/x', '/app/..%2fadmin/x', '/app/..\\admin/x']) {
          const answer = await ask(subject, path);
          const line = app.requests.at(-1)?.line ?? '';
          hold(!line.includes('admin'), `${path} reached the app as ${line}, status ${answer.status}`);
        }
      },
    },
    {
      name: "path and query reach the target as the client wrote them, behind the target's own path",
      async run(subject) {
        const origin = await named('app');
        await subject.use({ id: 'app.test', target: `${origin.target}/base` });
        for (const path of ["/a%20b;c=1,2/~x'(y)!*@:$&+=?q=%7E%2f&r=a+b&=&?/", '/x?', '/%E2%82%AC/?a=b%26c']) {
          await ask(subject, path);
          see(origin.requests.at(-1)?.line, `GET /base${path} HTTP/1.1`, 'the request line');
        }
      },
    },
    {
      name: 'characters that no URL may have reach the target unchanged',
      async run(subject) {
        const origin = await named('app');
        await subject.use({ id: 'app.test', target: origin.target });
        const path = '/a|b^c`{d}?x="y"';
        await ask(subject, path);
        see(origin.requests.at(-1)?.line, `GET ${path} HTTP/1.1`, 'the request line');
      },
      cannot: {
        ...limit('as every URL they are written anew, with escapes', /request line: .*%22y%22/, 'node', 'bun', 'deno'),
        ...limit('answered 400 by the runtime, or written with escapes', /request line: undefined/, 'workerd'),
      },
    },
  ],
};
