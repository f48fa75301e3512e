import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { startGitApp } from './git-app.ts';
import { run, withServer } from './oo.ts';

const git = suite('git over it');
git.after.each(cleanUp);

const root = temporary();
const env = {
  HOME: root,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@localhost',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@localhost',
};

/** Runs git in a directory; it must succeed. @returns what it printed */
async function inDir(cwd: string, ...args: string[]): Promise<string> {
  const settings = ['init.defaultBranch=main', 'core.fsync=none', 'core.compression=0'];
  const ran = await run([...settings.flatMap((one) => ['-c', one]), ...args], { program: 'git', cwd, env }, 60_000);
  assert.is(ran.code, 0, `git ${args.join(' ')}: ${ran.err}`);
  return ran.out.trim();
}

/** Some megabytes that do not compress, and many small files. */
function grow(dir: string, round: number): void {
  writeFileSync(join(dir, `large-${round}`), randomBytes(5 * 1024 * 1024));
  mkdirSync(join(dir, `small-${round}`));
  for (let i = 0; i < 100; i++) writeFileSync(join(dir, `small-${round}`, `${i}.txt`), `${round} ${i}\n`.repeat(i));
}

git('push of some megabytes, clone, push of more, pull', async () => {
  const app = await startGitApp(root);
  await inDir(root, 'init', '--bare', 'project.git');
  await inDir(join(root, 'project.git'), 'config', 'http.receivepack', 'true');
  await withServer(async (server) => {
    await server.ok('route', 'save', '--id', 'localhost', '--target', app.target);
    const url = `http://localhost:${server.port}/project.git`;
    const [work, clone] = [join(root, 'work'), join(root, 'clone')];
    await inDir(root, 'init', 'work');
    grow(work, 1);
    await inDir(work, 'add', '.');
    await inDir(work, 'commit', '-qm', 'one');
    // Larger than http.postBuffer: git sends it chunked, after a probe.
    await inDir(work, 'push', '-q', url, 'main');

    await inDir(root, 'clone', '-q', url, 'clone');
    assert.is(await inDir(clone, 'rev-parse', 'HEAD'), await inDir(work, 'rev-parse', 'HEAD'));
    assert.is(await inDir(clone, 'status', '--porcelain'), '');

    grow(clone, 2);
    await inDir(clone, 'add', '.');
    await inDir(clone, 'commit', '-qm', 'two');
    // With a length this time.
    await inDir(clone, '-c', 'http.postBuffer=20000000', 'push', '-q', 'origin', 'main');

    await inDir(work, 'pull', '-q', url, 'main');
    assert.is(await inDir(work, 'rev-parse', 'HEAD'), await inDir(clone, 'rev-parse', 'HEAD'));
    assert.ok(readFileSync(join(work, 'large-2')).equals(readFileSync(join(clone, 'large-2'))));
    await inDir(join(root, 'project.git'), 'fsck', '--full');
    await inDir(root, '-c', 'protocol.version=0', 'clone', '-q', '--depth', '1', url, 'shallow');
  });
  app.close();
});

git.run();
