import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { instancesTable } from '../../cli/instance.ts';
import { ooAt } from '../helpers/cert-cli.ts';
import { registryApps, selfUrl, serveApp } from '../helpers/registry-server.ts';
import { temporary } from '../helpers/temporary.ts';

const instance = suite('cli: oo instance, node, definition, token');

/** A server's admin API on a state directory's socket, its service port, and `oo` as its user runs it. */
async function started() {
  const dir = temporary();
  const apps = await registryApps();
  const local = await serveApp(apps.admin, { dir });
  const open = await serveApp(apps.open, { port: 0 });
  const url = `http://127.0.0.1:${open.port}`;
  return {
    ...{ ...apps, dir, url, oo: ooAt(dir) },
    /** From another machine: by its service port, with a token. */
    from: (token: string) => ooAt(join(dir, 'none'), { OO_URL: url, OO_TOKEN: token }),
    async stop() {
      await local.stop();
      await open.stop();
      await apps.stop();
    },
  };
}

instance("the seed's table", async () => {
  const now = Date.UTC(2026, 10, 23, 12);
  const one = { status: 'Healthy', slug: 'user-svc', url: 'http://10.0.0.2:3000' } as const;
  const at = (ms: number) => new Date(now - ms).toISOString();
  const rows = [
    { ...one, id: 'inst_1', lastHeartbeat: at(8_400) },
    { ...one, id: 'inst_2', status: 'Unreachable', lastHeartbeat: at(200_000) },
    { ...one, id: 'inst_3', lastHeartbeat: at(-500) },
    { ...one, id: 'inst_4', lastHeartbeat: at(7_300_000) },
    { ...one, id: 'inst_5', lastHeartbeat: at(200_000_000) },
  ];
  assert.is(
    instancesTable(rows as never, now),
    [
      'INSTANCE ID   URL                    STATUS        OWNER SLUG   LAST HEARTBEAT',
      'inst_1        http://10.0.0.2:3000   Healthy       user-svc     8s ago',
      'inst_2        http://10.0.0.2:3000   Unreachable   user-svc     3m ago',
      'inst_3        http://10.0.0.2:3000   Healthy       user-svc     0s ago',
      'inst_4        http://10.0.0.2:3000   Healthy       user-svc     2h ago',
      'inst_5        http://10.0.0.2:3000   Healthy       user-svc     2d ago',
      '',
    ].join('\n'),
  );
});

instance('save by flags, ls in every form and by every word, rm', async () => {
  const { oo, registry, stop } = await started();
  const flags = '--slug user-svc --url 127.0.0.1:3000 --ttl 2m --weight 3 --priority 1 --tags a,b --deployment-id d';
  const saved = await oo(`instance save ${flags}`);
  const [{ id, url, ttlMs, weight, priority, tags, deploymentId }] = registry.list();
  assert.equal(saved, {
    code: 0,
    out: `registered ${id}\n`,
    err: 'It expires without another heartbeat, the first in 2m.\n',
  });
  assert.equal(
    [url, ttlMs, weight, priority, tags, deploymentId],
    ['http://127.0.0.1:3000', 120_000, 3, 1, ['a', 'b'], 'd'],
  );
  assert.is((await oo('i save --slug user-svc --url http://127.0.0.1:3000')).out, `renewed ${id}\n`);
  await oo('instance save --slug other --url http://127.0.0.1:3001 --id mine');
  for (const words of ['instance ls', 'instance list', 'instances ls', 'instances list', 'i ls', 'i list'])
    assert.is((await oo(`${words} -q`)).out, `mine\n${id}\n`, words);
  const { out } = await oo('instance ls --slug user-svc');
  assert.match(
    out,
    new RegExp(
      `^INSTANCE ID +URL +STATUS +OWNER SLUG +LAST HEARTBEAT\n${id} +http://127.0.0.1:3000 +Unknown +user-svc +\\ds ago\n$`,
    ),
  );
  const [one] = JSON.parse((await oo('instance ls --slug other -o json')).out);
  assert.equal([one.id, one.nodeUrl, one.status], ['mine', selfUrl, 'Unknown']);
  assert.match((await oo('instance ls -o yaml')).out, /^- id: mine\n/);
  assert.equal(await oo(`instance rm ${id} none`), {
    code: 1,
    out: `removed ${id}\n`,
    err: 'oo: There is no instance none.\n    oo instance ls shows those that are.\n',
  });
  assert.is((await oo('i remove mine')).out, 'removed mine\n');
  assert.match((await oo('instance ls')).err, /There are no instances: oo instance register --help/);
  await stop();
});

instance('save from files; faults have file and line', async () => {
  const { dir, oo, registry, stop } = await started();
  const path = join(dir, 'instances.yaml');
  writeFileSync(path, '- slug: a\n  url: http://127.0.0.1:1\n- slug: b\n  url: http://127.0.0.1:2\n  weight: 2\n');
  assert.is((await oo(`instance save ${path} -q`)).out.split('\n').length, 3);
  assert.equal(
    registry.list().map(({ slug, weight }) => [slug, weight]),
    [
      ['a', 1],
      ['b', 2],
    ],
  );
  writeFileSync(path, 'slug: a\nurl: http://127.0.0.1:1\nwieght: 2\n---\nslug: c\nurl: http://127.0.0.1:3\n');
  const wrong = await oo(`instance save ${path}`);
  assert.is(wrong.code, 1);
  assert.match(
    wrong.err,
    `${path}:3: unknown field 'wieght'; did you mean weight?\noo: One fault was found; nothing was saved.`,
  );
  writeFileSync(path, '- slug: c\n  url: http://127.0.0.1:3\n- slug: c\n  url: ftp://x\n');
  const refused = await oo(`instance save ${path}`);
  assert.is(refused.code, 1);
  assert.match(refused.err, `oo: ${path}:3: url 'ftp://x' has the unknown scheme 'ftp'`);
  assert.match(refused.err, '(1 before it is registered)');
  await stop();
});

instance('nodes', async () => {
  const { oo, stop } = await started();
  const table = /^NODE ID +URL +LAST HEARTBEAT\nnode-1 +http:\/\/127\.0\.0\.1:11337 +0s ago\n$/;
  for (const words of ['node ls', 'node list', 'nodes ls', 'n ls']) assert.match((await oo(words)).out, table);
  assert.is((await oo('node ls -q')).out, 'node-1\n');
  assert.is(JSON.parse((await oo('node ls -o json')).out)[0].id, 'node-1');
  await stop();
});

instance('definitions: files, directories, documents, standard input; what list prints, save takes', async () => {
  const { dir, oo, registry, stop } = await started();
  mkdirSync(join(dir, 'services/sub'), { recursive: true });
  writeFileSync(join(dir, 'services/a.yaml'), 'id: a\nbalance: least-requests\nhealth: /up\n---\nid: b\n');
  writeFileSync(join(dir, 'services/sub/c.json'), '[{"id":"c","limits":{"maxConnections":5},"image":"x"}]');
  assert.equal(await oo(`definition save ${dir}/services`), {
    code: 0,
    out: 'created a\ncreated b\ncreated c\n',
    err: '',
  });
  assert.is(registry.definitions().length, 3);
  assert.is((await oo('def save - -q', 'id: d\nbalance: random\n')).out, 'd\n');
  for (const words of ['definition ls', 'definitions list', 'def ls'])
    assert.is((await oo(`${words} -q`)).out, 'a\nb\nc\nd\n');
  assert.is(
    (await oo('definition ls')).out,
    'DEFINITION ID   OPTIONS\na               balance=least-requests health=/up\nb\nc               limits={"maxConnections":5}\nd               balance=random\n',
  );
  for (const format of ['json', 'yaml']) {
    const { out } = await oo(`definition ls -o ${format}`);
    assert.is((await oo('definition save -', out)).out, 'unchanged a\nunchanged b\nunchanged c\nunchanged d\n');
  }
  assert.is((await oo('definition get a')).out, 'id: a\nbalance: least-requests\nhealth: /up\n');
  assert.equal(JSON.parse((await oo('definition get c -o json')).out), {
    id: 'c',
    limits: { maxConnections: 5 },
    image: 'x',
  });
  assert.is((await oo('definition get none')).code, 1);
  assert.equal(await oo('definition rm a none'), {
    code: 1,
    out: 'removed a\n',
    err: 'oo: There is no definition none.\n    oo definition ls shows those that are.\n',
  });
  await stop();
});

instance(
  'one fault in a definition, and nothing of the call is saved; a field that is nearly an option is pointed out',
  async () => {
    const { dir, oo, registry, stop } = await started();
    const path = join(dir, 's.yaml');
    writeFileSync(path, 'id: a\n---\n- id: b\n  health: /up\n  balance: fastest\n- id: a\n');
    const { code, out, err } = await oo(`definition save ${path}`);
    assert.equal([code, out], [1, '']);
    assert.match(err, `${path}:5: balance is 'fastest'; expected `);
    assert.match(err, `${path}:6: id 'a' is that of ${path}:1 too; expected each id once`);
    assert.match(err, 'oo: 2 faults were found; nothing was saved.');
    assert.equal(registry.definitions(), []);
    const near = await oo('def save -', 'id: a\nbalence: random\nimage: x\n');
    assert.equal(near, {
      code: 0,
      out: 'created a\n',
      err: 'stdin:2: balence is kept, but says nothing to oo; did you mean balance?\n',
    });
    await stop();
  },
);

instance('tokens: shown once, listed without, removed; a script gets the token alone', async () => {
  const { oo, url, dir, stop } = await started();
  const made = await oo('token create --service user-svc --note ci --expires 90d');
  assert.match(made.out, /^oo_[\w-]{43}\n$/);
  assert.match(
    made.err,
    /^tok_[0-9a-f]{16} is for instances of user-svc, until \d{4}-\d\d-\d\d\. It is shown this once: keep it\.\n$/,
  );
  const admin = await oo(['token', 'create', '--admin', '--note', 'two words', '-q']);
  assert.equal([admin.code, admin.err], [0, '']);
  assert.match(JSON.parse((await oo('token create --admin -o json')).out).token, /^oo_/);
  const { out } = await oo('tokens ls');
  assert.match(
    out,
    /^TOKEN ID +SCOPES +SERVICE +CREATED AT +EXPIRES +NOTE\ntok_\w+ +instances:read instance:write +user-svc +[\d-]{10} +[\d-]{10} +ci\ntok_\w+ +admin {15,}[\d-]{10} +never +two words\n/,
  );
  assert.not.match(out, made.out.trim());
  const [id] = (await oo('token ls -q')).out.split('\n');
  const away = ooAt(join(dir, 'none'), { OO_URL: url, OO_TOKEN: made.out.trim() });
  assert.is((await away('instance ls')).code, 0);
  assert.is((await oo(`token rm ${id}`)).out, `removed ${id}\n`);
  const { code, err } = await away('instance ls');
  assert.is(code, 4);
  assert.match(err, /^oo: There is no such token\.\n {4}Send/);
  await stop();
});

instance('by the service port: --server and --token, or OO_URL and OO_TOKEN', async () => {
  const { dir, url, oo, from, registry, stop } = await started();
  const token = (await oo('token create --service user-svc -q')).out.trim();
  const away = ooAt(join(dir, 'none'));
  assert.is((await away(`instance save --url http://10.0.0.9:1 --server ${url} --token ${token}`)).code, 0);
  assert.equal(
    registry.list().map(({ slug, host }) => [slug, host]),
    [['user-svc', '10.0.0.9']],
  );
  assert.is((await from(token)('instance ls -q')).out.split('\n').length, 2);
  const forbidden = await from(token)('definition ls');
  assert.is(forbidden.code, 4);
  assert.match(
    forbidden.err,
    /^oo: This token is not for GET \/v1\/definitions: it lacks services:read\.\n {4}Make one that has it: oo token create --scope services:read\n/,
  );
  const other = await from(token)('instance save --slug other --url http://10.0.0.9:1');
  assert.match(other.err, "This token registers instances of user-svc, not of 'other'.");
  const none = await away(`node ls --server ${url}`);
  assert.match(none.err, /^oo: This call needs a token\.\n {4}Give it by OO_TOKEN, or keep it: oo login\. /);
  const admin = (await oo('token create --admin -q')).out.trim();
  assert.is((await from(admin)('definition save -', 'id: a\n')).out, 'created a\n');
  await stop();
});

for (const [line, message] of [
  ['instance save', 'There is nothing to save.'],
  ['instance save x.yaml --slug a', 'Files and flags are given both.'],
  [
    'instance save --slug a --url x --ttl 1s',
    "--ttl is '1s'; expected a time such as 500ms, 30s or 5m, 5000ms or more.",
  ],
  ['instance save --slug a --url x --weight 0', "--weight is '0'; expected a whole number from 1 to 1000."],
  ['instance save --slug a --slug b --url x', '--slug is given more than once.'],
  ['instance ls --slug a --slug b', '--slug is given more than once.'],
  ['instance register --url 127.0.0.1:1', '--slug is missing.'],
  ['instance register --slug a', '--url is missing.'],
  [
    'instance register --slug a --url ftp://x',
    "--url 'ftp://x' has the unknown scheme 'ftp'; expected http://, https:// or h2c://.",
  ],
  ['instance ls --server x', "--server is 'x'; expected a URL such as http://10.0.0.1:11337."],
  [
    'instance ls --server http://x/path',
    "--server is 'http://x/path'; expected a URL such as http://10.0.0.1:11337, without a path.",
  ],
  ['instance ls --token x', '--token is given without --server.'],
  ['instance rm', "Missing required args for command 'instance rm <...ids>'."],
  ['token create', 'Nothing says what the token is for.'],
  ['token create --admin --service a', '--admin is everything: --service and --scope add nothing to it.'],
  ['token create --admin --expires 5', "--expires is '5'; expected a time such as 30m, 12h or 90d."],
  ['node', 'oo node needs a verb.'],
  ['definition save', "Missing required args for command 'definition save <...paths>'."],
] as const) {
  instance(`called wrongly, exit code 2: oo ${line}`, async () => {
    const { code, out, err } = await ooAt(temporary())(line);
    assert.equal([code, out], [2, ''], err);
    assert.is(err.split('\n')[0], `oo: ${message}`);
  });
}

instance('no server: one line that says so', async () => {
  const dir = temporary();
  assert.equal(await ooAt(dir)('instance ls'), {
    code: 1,
    out: '',
    err: `oo: No server is running on the state directory ${dir}.\n    Start one with \`oo serve\`, or name its state directory with --state-dir.\n`,
  });
  const gone = await serveApp((await registryApps()).open, { port: 0 });
  await gone.stop();
  const { code, err } = await ooAt(dir, { OO_URL: `http://127.0.0.1:${gone.port}` })('node ls');
  assert.is(code, 1);
  assert.is(
    err.split('\n')[0],
    `oo: The server http://127.0.0.1:${gone.port} can't be reached: nothing listens there.`,
  );
});

instance('10,000 instances in one answer', async () => {
  const { oo, registry, stop } = await started();
  for (let i = 0; i < 10_000; i++) registry.register(`s${i % 1_000}`, { url: `http://10.0.0.1:${i + 1}` });
  const { out } = await oo('instance ls -q');
  assert.is(out.split('\n').length, 10_001);
  await stop();
});

instance.run();
