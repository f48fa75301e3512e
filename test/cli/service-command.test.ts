import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cac } from 'cac';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { addServiceCommands, type ServiceHost } from '../../cli/service-command.ts';
import { unitPath, unitText } from '../../cli/service-unit.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { temporary } from '../helpers/temporary.ts';

const service = suite('cli: oo service');

/** A machine in memory. */
function machine(is: Partial<ServiceHost> = {}) {
  const files = new Map<string, string>();
  const said: string[] = [];
  const host: ServiceHost = {
    ...{ isRoot: true, executable: '/usr/local/bin/oo', hasSystemd: true },
    read: (path) => files.get(path),
    write: (path, text) => void files.set(path, text),
    remove: (path) => void files.delete(path),
    systemctl: async (...words) => {
      said.push(words.join(' '));
      return '';
    },
    ...is,
  };
  const run = async (verb: 'install' | 'uninstall', ...rest: string[]) => {
    const io = memoryIo();
    const program = cac('oo');
    addServiceCommands(program, io, () => host);
    program.parse(['node', 'oo', `service ${verb}`, ...rest], { run: false });
    await program.runMatchedCommand();
    return io.said;
  };
  return { files, said, run };
}

service('installed, installed again, taken out', async () => {
  const { files, said, run } = machine();
  assert.match((await run('install')).out, /^installed /);
  assert.equal(said, ['daemon-reload', 'enable oo', 'restart oo']);
  assert.match(files.get(unitPath) ?? '', /^ExecStart=\/usr\/local\/bin\/oo serve$/m);
  assert.match((await run('install')).out, /^unchanged /);
  assert.match((await run('install', '--user', 'www-data')).out, /^updated /);
  assert.match(files.get(unitPath) ?? '', /^User=www-data$/m);
  said.length = 0;
  assert.match((await run('uninstall')).out, /^removed /);
  assert.equal([said, files.size], [['disable --now oo', 'daemon-reload'], 0]);
});

service('a dry run prints the unit and touches nothing, whoever asks', async () => {
  const { files, said, run } = machine({ isRoot: false, hasSystemd: false, executable: undefined });
  const { out } = await run('install', '--dry-run');
  assert.match(out, /^\[Unit\]\n/);
  assert.equal([said, files.size], [[], 0]);
});

for (const [why, is, code] of [
  ['systemd does not run', { hasSystemd: false }, 1],
  ["root's rights", { isRoot: false }, 4],
  ['from its source', { executable: undefined }, 1],
] as const)
  service(`refused: ${why}`, async () => {
    const { files, run } = machine(is);
    const error = await run('install').catch((thrown) => thrown);
    assert.ok(error.message.includes(why), error.message);
    assert.equal([error.exitCode, files.size], [code, 0]);
  });

service('flags of oo serve, by the whole command line', async () => {
  const io = memoryIo();
  const line = ['service', 'install', '--dry-run', '--', '--http-port', '8080', '--access-log', '/var/log/a b.log'];
  assert.is(await createProgram(io, '1').run(line), 0, io.said.err);
  assert.match(io.said.out, /^ExecStart=\S+ serve --http-port 8080 --access-log "\/var\/log\/a b\.log"$/m);
  assert.is(await createProgram(memoryIo(), '1').run(['service', 'install', '--dry-run', 'word']), 2);
});

service('what systemd itself says of the unit', () => {
  if (!existsSync('/usr/bin/systemd-analyze')) return;
  const path = join(temporary(), 'oo-test.service');
  const flags = ['--db', 'file:/a b/100%$HOME.db', '--email', 'a"b@example.com'];
  writeFileSync(path, unitText({ executable: '/bin/true', flags, stopSeconds: 45 }));
  const said = execFileSync('sh', ['-c', `systemd-analyze verify --man=no ${path} 2>&1 || true`], { encoding: 'utf8' });
  assert.not.match(said, /oo-test\.service.*(Unknown|Failed|Invalid|ignoring)/i, said);
});

service.run();
