import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ran, systemHost, type TrustHost } from '../../cli/trust-host.ts';
import { browserDatabases, trust, untrust } from '../../cli/trust-stores.ts';
import { certServer, ooAt } from '../helpers/cert-cli.ts';
import { makeLocalRoot } from '../helpers/local-root.ts';
import { temporary } from '../helpers/temporary.ts';

const trusting = suite('cli: oo trust');
const { root, rootFile, leafFile } = makeLocalRoot();
const other = makeLocalRoot('oo local CA other').root;

interface FakeHost extends TrustHost {
  readonly ran: string[];
  answer: (command: string, args: readonly string[]) => Partial<Ran>;
}

/** A machine of its own: an empty directory for a root, and commands that only are written down. */
function fakeHost(commands: readonly string[], dirs: readonly string[], platform: NodeJS.Platform = 'linux'): FakeHost {
  const dir = temporary();
  for (const one of dirs) mkdirSync(dir + one, { recursive: true });
  const host: FakeHost = {
    root: dir,
    platform,
    home: '/home/ann',
    user: undefined,
    ran: [],
    answer: () => ({}),
    has: (command) => commands.includes(command),
    async run(command, args, _user, input = '') {
      host.ran.push([command, ...args].join(' ') + (input && ` < ${input}`));
      return { code: 0, out: '', err: '', ...host.answer(command, args) };
    },
  };
  return host;
}

for (const [system, command, args, dir] of [
  ['Debian', 'update-ca-certificates', '', '/usr/local/share/ca-certificates'],
  ['Fedora', 'update-ca-trust', ' extract', '/etc/pki/ca-trust/source/anchors'],
  ['Arch', 'trust', ' extract-compat', '/etc/ca-certificates/trust-source/anchors'],
  ['openSUSE', 'update-ca-certificates', '', '/usr/share/pki/trust/anchors'],
] as const) {
  trusting(`${system}: a file and a command; again: nothing; untrust: the file goes`, async () => {
    const host = fakeHost([command], [dir]);
    const path = `${dir}/oo-local-ca.crt`;
    const where = `the system's store (${path})`;
    assert.equal(await trust(host, root), [{ did: 'added', where, why: '', hint: '', needsRoot: false }]);
    assert.is(readFileSync(host.root + path, 'utf8'), root);
    assert.equal(host.ran, [command + args]);
    assert.equal((await trust(host, root))[0].did, 'there');
    assert.is(host.ran.length, 1);
    const replaced = await trust(host, other);
    assert.equal([replaced[0].did, replaced[0].why], ['added', "in the place of another oo's root"]);
    assert.is(readFileSync(host.root + path, 'utf8'), other);
    assert.equal((await untrust(host))[0].did, 'removed');
    assert.not.ok(existsSync(host.root + path));
    assert.equal(host.ran.slice(2), [command + args]);
    assert.equal((await untrust(host))[0].did, 'absent');
    assert.is(host.ran.length, 3);
  });
}

trusting('Debian: untrust takes its links along, and no other, and tells Java', async () => {
  const host = fakeHost(
    ['update-ca-certificates'],
    ['/usr/local/share/ca-certificates', '/etc/ssl/certs', '/etc/ca-certificates/update.d'],
  );
  const hook = '/etc/ca-certificates/update.d/jks-keystore';
  writeFileSync(host.root + hook, '');
  await trust(host, root);
  const link = (target: string, name: string) => symlinkSync(target, `${host.root}/etc/ssl/certs/${name}`);
  link('/usr/local/share/ca-certificates/oo-local-ca.crt', 'oo-local-ca.pem');
  link('oo-local-ca.pem', '12345678.0');
  link('other.pem', '12345678.1');
  writeFileSync(`${host.root}/etc/ssl/certs/other.pem`, other);
  await untrust(host);
  const left = execFileSync('ls', [`${host.root}/etc/ssl/certs`], { encoding: 'utf8' });
  assert.is(left, '12345678.1\nother.pem\n');
  assert.equal(host.ran.slice(1), ['update-ca-certificates', `${hook} < -/etc/ssl/certs/oo-local-ca.pem\n`]);
});

trusting('a command that fails, and a system of another kind', async () => {
  const host = fakeHost(['update-ca-certificates'], ['/usr/local/share/ca-certificates']);
  host.answer = () => ({ code: 1, err: 'first\nno space\n' });
  const [failed] = await trust(host, root);
  assert.equal([failed.did, failed.why], ['failed', 'update-ca-certificates failed: no space']);
  const [unknown] = await trust(fakeHost([], []), root);
  assert.equal([unknown.did, unknown.needsRoot], ['failed', false]);
  assert.match(unknown.hint, 'oo trust --print');
});

trusting('without the right to write: that is what is said', async () => {
  const results = await withoutRights((host) => trust(host, root));
  assert.equal([results[0].did, results[0].needsRoot], ['failed', true]);
  assert.is(results[0].why, 'this user may not write there');
});

/** A machine whose store this process may not write to. As root it becomes nobody when it is about to write. */
async function withoutRights<T>(work: (host: FakeHost) => Promise<T>): Promise<T> {
  const host = fakeHost(['update-ca-certificates'], ['/usr/local/share/ca-certificates']);
  chmodSync(host.root, 0o755);
  chmodSync(`${host.root}/usr/local/share/ca-certificates`, 0o555);
  const isRoot = process.geteuid?.() === 0;
  const dropped = {
    ...host,
    has(command: string) {
      if (isRoot) process.seteuid?.(65_534);
      return host.has(command);
    },
  };
  try {
    return await work(dropped);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

trusting('macOS: the keychain', async () => {
  const host = fakeHost(['security'], [], 'darwin');
  let kept = '';
  host.answer = (_, args) => {
    if (args[0] === 'add-trusted-cert') kept = readFileSync(args[args.length - 1], 'utf8');
    if (args[0] === 'delete-certificate') kept = '';
    return args[0] === 'find-certificate' ? { out: kept, code: kept ? 0 : 44 } : {};
  };
  assert.equal((await trust(host, root))[0].did, 'added');
  assert.is(kept, root);
  assert.equal((await trust(host, root))[0].did, 'there');
  assert.equal((await untrust(host))[0].did, 'removed');
  assert.is(kept, '');
  assert.equal((await untrust(host))[0].did, 'absent');
  assert.match(
    host.ran.join('\n'),
    /security add-trusted-cert -d -r trustRoot -k \/Library\/Keychains\/System\.keychain /,
  );
  host.answer = () => ({ code: 1, err: 'SecTrustSettingsSetTrustSettings: no' });
  assert.is((await trust(host, root))[0].needsRoot, true);
});

/** A machine whose browsers' databases are real, by the real certutil. */
function browserHost() {
  const home = temporary();
  for (const dir of ['.pki/nssdb', '.mozilla/firefox/abc.default']) {
    mkdirSync(join(home, dir), { recursive: true });
    execFileSync('certutil', ['-N', '-d', `sql:${join(home, dir)}`, '--empty-password']);
  }
  mkdirSync(join(home, '.mozilla/firefox/Crash Reports'));
  return { ...fakeHost([], []), ...systemHost({ PATH: process.env.PATH }), root: '', home, platform: 'linux' as const };
}

trusting('browsers: added once, replaced, and taken out', async () => {
  const host = browserHost();
  assert.equal(browserDatabases(host), [
    join(host.home, '.pki/nssdb'),
    join(host.home, '.mozilla/firefox/abc.default'),
  ]);
  const databases = async (work: (host: TrustHost) => ReturnType<typeof untrust>) => {
    // The system's own store stays as it is.
    const results = await work({ ...host, platform: 'linux', has: (command) => command === 'certutil' });
    return results.slice(1).map(({ did }) => did);
  };
  const listed = () => {
    const args = ['-L', '-d', `sql:${join(host.home, '.pki/nssdb')}`, '-n', 'oo local CA', '-a'];
    return spawnSync('certutil', args, { encoding: 'utf8' }).stdout.replaceAll('\r', '');
  };
  assert.equal(await databases(untrust), ['absent', 'absent']);
  assert.equal(await databases((one) => trust(one, root)), ['added', 'added']);
  assert.is(listed(), root);
  assert.equal(await databases((one) => trust(one, root)), ['there', 'there']);
  assert.equal(await databases((one) => trust(one, other)), ['added', 'added']);
  assert.is(listed(), other);
  assert.equal(await databases(untrust), ['removed', 'removed']);
  assert.is(listed(), '');
});

trusting('browsers without certutil: what to install', async () => {
  const host = { ...browserHost(), has: () => false };
  const [, missing] = await trust(host, root);
  assert.equal([missing.did, missing.why], ['failed', 'certutil is not there']);
  assert.match(missing.hint, 'libnss3-tools');
});

trusting('oo trust: a line for each store; oo untrust the same', async () => {
  const { dir, memory, stop } = await certServer();
  memory.root = { ...memory.root, cert: root };
  const host = fakeHost(['update-ca-certificates'], ['/usr/local/share/ca-certificates']);
  const oo = ooAt(dir, {}, host);
  const path = '/usr/local/share/ca-certificates/oo-local-ca.crt';
  assert.equal(await oo('trust'), {
    code: 0,
    out: `added to the system's store (${path})\n`,
    err: 'The root is oo local CA, valid until 2035-01-01 00:00 UTC, SHA-256 AB:CD\n',
  });
  assert.is((await oo('trust')).out, `already in the system's store (${path})\n`);
  assert.equal(await oo('untrust'), { code: 0, out: `taken out of the system's store (${path})\n`, err: '' });
  assert.is((await oo('untrust')).out, "not in the system's store\n");
  assert.equal(await oo('trust --print'), { code: 0, out: root, err: '' });
  await stop();
});

trusting('oo trust where root is needed: exit code 1 and the command, which finds the same server', async () => {
  const { dir, memory, stop } = await certServer();
  memory.root = { ...memory.root, cert: root };
  const { code, out, err } = await withoutRights((host) => ooAt(dir, {}, host)('trust'));
  assert.is(code, 1);
  assert.match(out, /^NOT done: the system's store .*: this user may not write there\.\n$/);
  assert.match(
    err,
    `oo: One store could not be changed.\n    Root's rights are needed. Run: sudo oo trust --state-dir ${dir}\n`,
  );
  await stop();
});

trusting('oo trust --file: needs no server, and takes a root only', async () => {
  const host = fakeHost(['update-ca-certificates'], ['/usr/local/share/ca-certificates']);
  const oo = ooAt(temporary(), {}, host);
  for (const [line, input] of [
    [`trust --file ${leafFile}`, ''],
    ['trust --file -', 'nothing'],
    ['trust --file /not/there', ''],
  ]) {
    assert.is((await oo(line, input)).code, 1);
  }
  assert.equal(host.ran, []);
  assert.match((await oo(`trust --file ${rootFile}`)).out, /^added to /);
  assert.match((await oo('trust --file -', root)).out, /^already in /);
});

trusting("under sudo the browsers are those of the user that called it, and so are their files' owners", async () => {
  const host = systemHost({ PATH: process.env.PATH, HOME: '/root', SUDO_UID: '65534', SUDO_GID: '65534' });
  const isRoot = process.getuid?.() === 0;
  assert.equal([host.home, host.user?.uid], isRoot ? ['/nonexistent', 65_534] : ['/root', undefined]);
  const { code, out } = await host.run('id', ['-u'], host.user);
  assert.equal([code, out.trim()], [0, String(isRoot ? 65_534 : process.getuid?.())]);
  assert.is(systemHost({ HOME: '/h', SUDO_UID: 'x', SUDO_GID: '1' }).home, '/h');
  assert.is((await host.run('cat', [], undefined, 'by stdin')).out, 'by stdin');
  assert.is((await host.run('not-a-command', [])).code, 127);
  assert.ok(host.has('sh') && !host.has('not-a-command'));
});

trusting("Debian's own store, in a mount namespace: OpenSSL believes, then no more, and all is as before", () => {
  const work = temporary();
  const script = `
    set -e
    local=/usr/local/share/ca-certificates certs=/etc/ssl/certs
    mkdir -p $local
    cp -a $local ${work}/local; cp -a $certs ${work}/certs
    mount --bind ${work}/local $local; mount --bind ${work}/certs $certs
    list() { ls -l $local $certs | awk '{print $1, $9, $10, $11}'; grep -c BEGIN $certs/ca-certificates.crt; }
    update-ca-certificates >/dev/null
    list > ${work}/before
    oo() { ${process.execPath} ${join(dirname(import.meta.dirname), '../cli/main.ts')} "$@"; }
    oo trust --file ${rootFile}
    openssl verify -no-CAfile -no-CAstore -CApath $certs ${leafFile}
    openssl verify -CAfile $certs/ca-certificates.crt ${leafFile}
    oo untrust
    ! openssl verify -no-CAfile -no-CAstore -CApath $certs ${leafFile} 2>/dev/null
    list > ${work}/after
    diff ${work}/before ${work}/after
  `;
  const env = { ...process.env, HOME: work, OO_STATE_DIR: work };
  const ran = spawnSync('unshare', [process.geteuid?.() === 0 ? '-m' : '-rm', 'sh', '-c', script], {
    encoding: 'utf8',
    timeout: 60_000,
    env,
  });
  assert.is(ran.status, 0, ran.stdout + ran.stderr);
  const path = '/usr/local/share/ca-certificates/oo-local-ca.crt';
  assert.match(ran.stdout, `added to the system's store (${path})\n${leafFile}: OK\n${leafFile}: OK\n`);
  assert.match(ran.stdout, `taken out of the system's store (${path})\n`);
});

trusting.run();
