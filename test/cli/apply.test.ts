import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ConfigurationServer, configurationServer } from '../helpers/configuration-server.ts';
import { secretKey, somePem } from '../helpers/memory-certificates.ts';
import { temporary } from '../helpers/temporary.ts';

const apply = suite('cli: oo apply, diff, history, rollback');

/** A directory of files, by their names. */
function filesOf(files: Readonly<Record<string, string>>): string {
  const dir = temporary();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

/** A test with a server that is stopped behind it. */
function test(name: string, run: (server: ConfigurationServer) => Promise<void>): void {
  apply(name, async () => {
    const server = await configurationServer();
    try {
      await run(server);
    } finally {
      await server.stop();
    }
  });
}

const shop = {
  'routes/a.yaml': 'id: a.example.com\ntarget: http://10.0.0.1\n---\nid: b.example.com\ntarget: http://10.0.0.2\n',
  'routes/.hidden/c.yaml': 'id: c.example.com\ntarget: http://10.0.0.3\n',
  'all.yaml':
    'routes:\n  d.example.com:\n    target: service://web\nservices:\n  - id: web\n    balance: least-requests\nsettings:\n  historyRevisions: 50\n',
  'json.json': '[{"id":"e.example.com","target":"http://10.0.0.5"}]',
};

test('a directory in all its forms, then the same again', async ({ oo, configuration }) => {
  const dir = filesOf(shop);
  const first = await oo(['apply', dir, '--reason', 'the shop']);
  assert.equal(first, {
    code: 0,
    out: 'created route d.example.com\ncreated route e.example.com\ncreated route a.example.com\ncreated route b.example.com\ncreated service web\ncreated settings\n',
    err: '6 created; revision 1\n',
  });
  assert.is(configuration.service('web')?.balance, 'least-requests');
  assert.is(configuration.settings().historyRevisions, 50);
  assert.equal(await oo(['apply', dir]), { code: 0, out: '', err: '6 unchanged; revision 1\n' });
  assert.equal(await oo(['diff', dir]), { code: 0, out: '', err: '' });
  const [line] = (await oo('history')).out.split('\n').slice(1);
  assert.match(line, /^@1 {9}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {3}cli:ann {3}socket {3}6 {9}the shop$/);
});

test('standard input; names, and JSON', async ({ oo }) => {
  const text = 'id: a\ntarget: http://t\n';
  assert.is((await oo('apply - -q', text)).out, 'route/a\n');
  const json = JSON.parse((await oo('apply - -o json', text)).out);
  assert.equal([json.revision, json.changes, json.unchanged], [1, [], 1]);
});

test('a dry run shows the difference and changes nothing', async ({ oo, configuration }) => {
  await oo('apply -', '- {id: a, target: http://t}\n- {id: b, target: http://t}');
  const { code, out, err } = await oo(
    'apply - --dry-run',
    '- {id: a, target: http://new}\n- {id: c, target: http://t}',
  );
  assert.is(code, 0);
  assert.is(
    out,
    [
      ...[
        '--- route a  @1',
        '+++ route a  the files',
        '@@ -1,2 +1,2 @@',
        ' id: a',
        '-target: http://t',
        '+target: http://new',
      ],
      ...['--- /dev/null  @1', '+++ route c  the files', '@@ -0,0 +1,2 @@', '+id: c', '+target: http://t'],
      ...['created route c', 'updated route a', ''],
    ].join('\n'),
  );
  assert.is(err, 'Would be: 1 created, 1 updated. Nothing was changed; revision 1\n');
  assert.is(configuration.table.revision, 1);
});

test('diff: 1 where something differs, 2 where it can not tell; colors at a terminal alone', async (server) => {
  const { oo, ooAtTerminal } = server;
  await oo('apply -', 'id: a\ntarget: http://t');
  const dir = filesOf({ 'a.yaml': 'id: a\ntarget: http://new\n' });
  const plain = await oo(['diff', dir]);
  assert.is(plain.code, 1);
  assert.not.ok(plain.out.includes('\x1b'));
  const colored = await ooAtTerminal(['diff', dir]);
  assert.is(colored.code, 1);
  assert.ok(colored.out.includes('\x1b[31m-target: http://t\x1b[0m\n\x1b[32m+target'));
  assert.is((await oo('diff /nowhere')).code, 2);
  assert.is((await oo('diff @77')).code, 2);
  assert.is((await oo('diff')).code, 2);
  assert.is((await oo('diff @1 x.yaml')).code, 2);
  assert.is(server.configuration.table.revision, 1);
});

test('prune removes what the same owner made, and nobody else’s', async ({ oo, configuration }) => {
  await oo('apply - --owner shop', '- {id: a, target: http://t}\n- {id: b, target: http://t}');
  await oo('apply - --owner blog', 'id: c\ntarget: http://t');
  await oo('route save --id d --target http://t');
  const { code, out } = await oo('apply - --owner shop --prune', 'id: a\ntarget: http://t');
  assert.equal([code, out], [0, 'removed route b\n']);
  assert.equal(
    configuration.list().map(({ id }) => id),
    ['a', 'c', 'd'],
  );
  const none = await oo('apply - --prune', 'id: a\ntarget: http://t');
  assert.equal([none.code, none.err.split('\n')[0]], [2, 'oo: --prune needs an owner.']);
  assert.is((await oo('apply - --prune', 'owner: shop\n')).out, 'removed route a\n');
});

test('at a terminal a removal is asked for; what was agreed to is what happens', async (server) => {
  const { oo, ooAtTerminal, configuration } = server;
  await oo('apply - --owner shop', '- {id: a, target: http://t}\n- {id: b, target: http://t}');
  const dir = filesOf({ 'a.yaml': 'id: a\ntarget: http://t\n' });
  const line = ['apply', dir, '--owner', 'shop', '--prune'];
  const no = await ooAtTerminal(line, ['n']);
  assert.equal([no.code, no.asked], [2, ['1 is removed. Go on? [y/N] ']]);
  assert.match(no.err, /removed route b/);
  assert.is(configuration.table.size, 2);
  const yes = await ooAtTerminal(line, ['y']);
  assert.equal([yes.code, yes.out], [0, 'removed route b\n']);
  assert.is(configuration.table.size, 1);
  await oo('route save --id x --target http://t');
  assert.equal((await ooAtTerminal([...line, '--yes'])).asked, []);
});

test('a change in between ends what was agreed to', async ({ dir: _, ...server }) => {
  const { oo, configuration } = server;
  await oo('apply - --owner shop', '- {id: a, target: http://t}\n- {id: b, target: http://t}');
  const dir = filesOf({ 'a.yaml': 'id: a\ntarget: http://t\n' });
  // The answer comes after somebody else's change.
  const answers = {
    shift() {
      void configuration.save([{ id: 'z', target: 'http://t' }], { actor: 'other' });
      return 'y';
    },
  } as unknown as string[];
  const late = await server.ooAtTerminal(['apply', dir, '--owner', 'shop', '--prune'], answers);
  assert.is(late.code, 1);
  assert.match(late.err, /The revision is 2, not the one of If-Match/);
  assert.is(configuration.get('b')?.id, 'b');
});

test('--if-match', async ({ oo }) => {
  await oo('apply -', 'id: a\ntarget: http://t');
  assert.is((await oo('apply - --if-match @7', 'id: a\ntarget: http://u')).code, 1);
  assert.is((await oo('apply - --if-match @1', 'id: a\ntarget: http://u')).code, 0);
  assert.is((await oo('apply - --if-match x', 'id: a\ntarget: http://u')).code, 2);
});

test('faults have file and line, and nothing is done', async ({ oo, configuration }) => {
  const dir = filesOf({
    '1.yaml':
      'id: a\ntarget: http://t\n---\nroutes:\n  - id: b\n    target: http://t\n    balance:\n      policy: fastest\n',
    '2.yaml': 'settings:\n  historyRevisions: 0\n',
    '3.yaml': 'services:\n  web:\n    retry:\n      tries: x\nextra: 1\nowner: 5\n',
    '4.yaml': 'certificates:\n  - id: x\n    cert: ./none.pem\n    keys: ./none.key\n',
    '5.yaml': 'target: http://t\nid: A.\n',
    '6.json': '{"settings":{},\n"owner":"x"}',
  });
  const { code, err, out } = await oo(['apply', dir]);
  assert.equal([code, out], [1, '']);
  const lines = err.replaceAll(`${dir}/`, '').split('\n');
  for (const line of [
    /^1\.yaml:8: balance\.policy is 'fastest'/,
    /^2\.yaml:2: historyRevisions is no whole number/,
    /^3\.yaml:4: retry\.tries is/,
    /^3\.yaml:5: unknown field 'extra'; expected one of routes, services, settings, certificates, owner/,
    /^3\.yaml:6: owner is no text/,
    /^4\.yaml:3: cert: \.\/none\.pem: there is no such file/,
    /^4\.yaml:2: key is missing/,
    /^4\.yaml:4: unknown field 'keys'/,
    /^5\.yaml:2: id 'A\.' is that of 1\.yaml:1 too; expected each id once/,
    /^6\.json:1: settings are given in 2\.yaml:1 too/,
  ])
    assert.ok(
      lines.some((one) => line.test(one)),
      `${line} in\n${lines.join('\n')}`,
    );
  assert.match(err, /faults were found; nothing was saved\./);
  assert.is(configuration.table.revision, 0);
});

test('what only the server finds has file and line too', async ({ oo }) => {
  await oo('apply - --owner blog', 'id: a\ntarget: http://t');
  const dir = filesOf({ 'x.yaml': '- id: c\n  target: http://t\n- id: a\n  target: http://t\n' });
  const { code, err } = await oo(['apply', dir, '--owner', 'shop']);
  assert.is(code, 1);
  assert.match(err.replaceAll(`${dir}/`, ''), /^x\.yaml:3: .*blog/);
});

test('certificates are read beside the file that names them; one that is served already is no difference', async ({
  oo,
  certificates,
}) => {
  const dir = filesOf({
    'in/all.yaml': 'certificates:\n  - { id: a.example.com, cert: ../a.pem, key: ./a.key }\n',
    'a.pem': somePem,
    'in/a.key': secretKey,
  });
  const difference = { code: 1, out: 'stored certificate a.example.com\n', err: '' };
  assert.equal(await oo(['diff', `${dir}/in`]), difference);
  assert.equal(certificates.saved, []);
  assert.is((await oo(['apply', `${dir}/in`])).out, difference.out);
  assert.equal(certificates.saved, [{ id: 'a.example.com', cert: somePem, key: secretKey }]);
  assert.equal(await oo(['diff', `${dir}/in`]), { code: 0, out: '', err: '' });
  writeFileSync(join(dir, 'a.pem'), somePem.replace('QUJD', 'QUJE'));
  assert.is((await oo(['diff', `${dir}/in`])).code, 1);
  assert.not.match((await oo('export')).out, /PRIVATE/);
  assert.match(
    (await oo('export')).out,
    /^# Certificates of your own.*\n# certificates:\n# {3}- \{ id: a\.example\.com,/,
  );
});

test('revisions are compared, shown, and gone back to', async ({ oo, configuration }) => {
  await oo('apply -', '- {id: a, target: http://one}\n- {id: b, target: http://t}');
  await oo('apply - --reason two', 'id: a\ntarget: http://two');
  await oo('route rm b --reason old');
  const diff = await oo('diff @1 @3');
  assert.is(diff.code, 1);
  assert.match(diff.out, /-target: http:\/\/one\n\+target: http:\/\/two\n/);
  assert.match(diff.out, /--- route b {2}@1\n\+\+\+ \/dev\/null {2}@3\n/);
  assert.is((await oo('diff @1')).out, diff.out.replaceAll('@3', 'now'));
  assert.is((await oo('diff @3')).code, 0);
  const shown = await oo('history @2');
  assert.match(shown.err, /^@2: .*, by cli:ann, from socket: two\n$/);
  assert.match(shown.out, /^--- route a {2}@1\n\+\+\+ route a {2}@2\n/);
  assert.is((await oo('history -n 2 -q')).out, '@3\n@2\n');
  assert.is((await oo('history --since 1h -q')).out, '@3\n@2\n@1\n');
  assert.is((await oo('history --since 2999-01-01 -q')).out, '');
  assert.is((await oo('history --since yesterday')).code, 2);
  assert.is((await oo('history @9')).code, 1);

  const dry = await oo('rollback @1 --dry-run');
  assert.match(dry.out, /\+target: http:\/\/one\n/);
  assert.is(dry.err, 'Would be: 1 created, 1 updated. Nothing was changed; revision 3\n');
  assert.is(configuration.table.revision, 3);
  const back = await oo('rollback @1 --reason oops');
  assert.equal([back.code, back.out], [0, 'created route b\nupdated route a\n']);
  assert.is(configuration.get('a')?.target, 'http://one');
  assert.is((await oo('diff @1')).code, 0);
  assert.is((await oo('rollback @1 --force')).code, 2);
  assert.is((await oo('rollback a --dry-run')).code, 2);
});

test('nothing to apply, and flags that can not be', async ({ oo }) => {
  assert.is((await oo('apply')).code, 2);
  assert.is((await oo('apply -', '')).code, 1);
  assert.is((await oo('apply /nowhere')).code, 1);
  assert.is((await oo('apply - -o xml', '')).code, 2);
});

apply.run();
