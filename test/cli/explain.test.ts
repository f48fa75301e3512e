import { cac } from 'cac';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addExplainCommand } from '../../cli/explain.ts';
import { explainText } from '../../cli/explain-text.ts';
import type { Explanation } from '../../src/admin/explain-types.ts';
import { ooAt } from '../helpers/cert-cli.ts';
import { type ExplainedWorld, explained } from '../helpers/explained.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { serveApp } from '../helpers/registry-server.ts';
import { temporary } from '../helpers/temporary.ts';

const explaining = suite('cli: oo explain');

const world: ExplainedWorld = {
  server: { https: 0 },
  routes: [
    { id: 'app.test', target: ['http://10.0.0.1:3000', { url: 'http://10.0.0.2:3000', weight: 3 }] },
    {
      ...{ id: 'app.test/api', target: 'http://10.0.0.3', stripPrefix: true },
      access: { deny: ['10.0.0.0/8'] },
      connectTimeoutMs: 700,
    },
  ],
  instances: [{ key: 'http://10.0.0.1:3000', state: 'Unreachable', reason: 'connection refused' }],
};

async function withOo(run: (oo: ReturnType<typeof ooAt>) => Promise<void>, of = world): Promise<void> {
  const dir = temporary();
  const { app } = await explained(of);
  const server = await serveApp(app, { dir });
  try {
    await run(ooAt(dir));
  } finally {
    await server.stop();
  }
}

explaining('a report in the order in which a request meets things', () =>
  withOo(async (oo) => {
    const { code, out, err } = await oo([
      ...['explain', 'http://app.test/api/users?x=1', '-H', 'Cookie: a=1', '-H', 'X-Forwarded-For: 1.1.1.1'],
      ...['--from', '203.0.113.9'],
    ]);
    assert.is(err, '');
    assert.is(code, 0);
    assert.is(
      out,
      `GET http://app.test/api/users?x=1
forwarded: it goes to http://10.0.0.3:80

request      Host app.test, path /api/users?x=1, from 203.0.113.9
listener     the HTTP listener on port 80
route        app.test/api (revision 3)
             app.test is the host itself; /api is the longest prefix of /api/users that it has
not          app.test  it takes all paths, but /api is longer
options      access passes: 203.0.113.9 is not denied
             stripPrefix changes: /api is taken off the path: /users?x=1
pool         power-of-two: its healthy instances are used
             → http://10.0.0.3:80  not probed, 0 in flight: it is the only one
upstream     GET /users?x=1, Host app.test
             - x-forwarded-for: anybody may write it: only what a trusted proxy says counts
             + X-Forwarded-For: 203.0.113.9
             + X-Forwarded-Proto: http
             + X-Forwarded-Host: app.test
             + X-Forwarded-Port: 80
             + X-Real-IP: 203.0.113.9
             + Via: 1.1 oo
             + X-Forwarded-Prefix: /api
limits       connectTimeoutMs 700ms (the route)
             responseTimeoutMs 1m (the default)
             idleTimeoutMs 1m (the default)
             retry.tries 3 (the default)
             retry.tryTimeoutMs none (the default)
             retry.totalTimeoutMs none (the default)
             retry.budget 0.2 (the default)
retries      up to 3 tries, on other instances where there are any, also after it was sent, until an answer begins
`,
    );
  }),
);

explaining('instances with their state; what would fail ends with 1', () =>
  withOo(async (oo) => {
    const { code, out } = await oo('explain http://app.test/ -X POST');
    assert.is(code, 0);
    assert.match(out, '✗ http://10.0.0.1:3000  unreachable, 0 in flight: probes fail: connection refused\n');
    assert.match(out, 'only while nothing of it was sent: POST may have done its work\n');
    assert.match(out, '→ http://10.0.0.2:3000  not probed, weight 3, 0 in flight: 100 % by weight\n');
    const denied = await oo('explain http://app.test/api --from 10.0.0.9');
    assert.is(denied.code, 1);
    assert.match(denied.out, 'refused 403 OO_FORBIDDEN_ADDRESS: access: 403');
    const nobody = await oo('explain http://ap.test/');
    assert.is(nobody.code, 1);
    assert.match(nobody.out, 'nobody takes it 404 OO_NO_ROUTE: no route is for ap.test\n');
    assert.match(nobody.out, 'did you mean app.test?\n');
  }),
);

explaining('-o json, yaml and name', () =>
  withOo(async (oo) => {
    const json = await oo('explain http://app.test/ -o json');
    assert.is((JSON.parse(json.out) as Explanation).outcome.kind, 'forwarded');
    const yaml = await oo('explain http://nobody.test/ -o yaml');
    assert.is(yaml.code, 1);
    assert.match(yaml.out, '  code: OO_NO_ROUTE\n');
    assert.is((await oo('explain http://app.test/ -q')).out, 'app.test\n');
    assert.is((await oo('explain http://nobody.test/ -o name')).out, '');
  }),
);

const wrong: [line: string[], code: number, words: RegExp][] = [
  [['explain'], 2, /url/i],
  [['explain', 'ftp://x'], 1, /scheme is not http or https/],
  [['explain', 'app.test', '-H', 'no colon'], 2, /-H is 'no colon'; expected 'Name: value'/],
  [['explain', 'app.test', '--at', 'five'], 2, /--at is 'five'; expected one such as @5/],
  [['explain', 'app.test', '--at', '@9'], 1, /Revision 9 is not kept/],
  [['explain', 'app.test', '--from', 'here'], 1, /'here' is no address/],
  [['explain', 'app.test', '--colour'], 2, /has no flag --colour/],
];
for (const [line, code, words] of wrong) {
  explaining(`oo ${line.join(' ')} ends with ${code}`, () =>
    withOo(async (oo) => {
      const told = await oo(line);
      assert.match(told.err, words);
      assert.is(told.out, '');
      assert.is(told.code, code);
    }),
  );
}

explaining('painted on a terminal only; what a stranger wrote does nothing to it', async () => {
  const { ask } = await explained({ server: { https: 0 }, routes: [{ id: 'app.test', target: '10.0.0.1' }] });
  const told = await ask({ url: 'http://app.test/', headers: { 'x-forwarded-for': '\u001b[31m' } });
  const plain = explainText(told, false);
  assert.not.ok(plain.includes('\u001b'));
  const painted = explainText(told, true);
  assert.match(painted, '\u001b[32mforwarded: it goes to http://10.0.0.1:80\u001b[0m');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what painting adds
  assert.is(painted.replace(/\u001b\[\d+m/g, ''), plain);
});

explaining('the examples of its help are lines that it takes', async () => {
  const io = memoryIo({ OO_STATE_DIR: temporary() });
  const program = cac('oo');
  addExplainCommand(program, io);
  const { examples } = program.commands[0];
  assert.ok(examples.length >= 4);
  await withOo(async (oo) => {
    for (const example of examples as string[]) {
      const line = example
        .replace(/\s+#.*$/, '')
        .replace(/ \| .*$/, '')
        .replace(/^oo /, '')
        .replace('@5', '@3');
      const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare);
      const { code, err } = await oo(words);
      assert.is(err, '', line);
      assert.ok(code === 0 || code === 1, line);
    }
  });
});

explaining.run();
