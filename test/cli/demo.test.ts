import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { executable, lives, type Program, run, start } from '../journey/oo.ts';

const demo = suite('oo demo');
demo.after.each(cleanUp);

/** Starts it in a process group of its own, as a terminal does, with a temporary directory of its own. */
function startDemo(): Program & { readonly dir: string } {
  const dir = temporary();
  return { ...start(['demo'], { env: { TMPDIR: dir }, through: ['/usr/bin/setsid'] }), dir };
}

/** Nothing is left of it: no process, no file. */
async function isGone(program: { readonly dir: string }, all: number[]): Promise<void> {
  await until(() => !all.some(lives), 'the end of every process', 5_000);
  assert.equal(readdirSync(program.dir), []);
}

demo('the lines that it prints answer as it says; Ctrl-C ends all of it', async () => {
  const program = startDemo();
  await until(() => program.out().includes('Ctrl-C stops all of it.\n') || program.hasEnded(), 'its words', 10_000);
  const lines = program
    .out()
    .split('\n')
    .map((line) => /^ {2}((?:curl|\S*oo) .*?)(?: +# (.*))?$/.exec(line));
  const found = lines.flatMap((match) => (match ? [{ line: match[1], says: match[2] }] : []));
  assert.equal(
    found.map(({ says }) => says),
    [
      'Server A',
      'Server B',
      'Server A, by its path: the longest prefix wins',
      'Server B, by a certificate of the local CA that oo trust makes known',
      undefined,
    ],
    program.out(),
  );
  const env = { PATH: `${dirname(executable)}:/usr/bin:/bin` };
  const answers: string[] = [];
  for (const { line } of found) {
    const ran = await run(
      ['-c', line.replace(/^curl /, 'curl -sS --retry 5 --retry-all-errors --retry-delay 1 ')],
      { program: '/bin/sh', env },
      10_000,
    );
    assert.is(ran.code, 0, ran.err);
    answers.push(ran.out);
  }
  assert.equal(answers.slice(0, 4), ['Server A\n', 'Server B\n', 'Server A, asked for /a/page\n', 'Server B\n']);
  assert.match(answers[4], /^ROUTE ID +TARGET\n127\.0\.0\.1 +127\.0\.0\.1:\d+\nlocalhost +127.*\nlocalhost\/a +127/);
  const all = program.tree();
  assert.ok(all.length >= 2);
  process.kill(-program.pid, 'SIGINT');
  const ended = await within(program.ended, 'the end after Ctrl-C', 10_000);
  assert.equal(ended, { code: 0, signal: null }, program.err());
  await isGone(program, all);
});

demo('SIGTERM ends it as well, a second one at once', async () => {
  for (const again of [false, true]) {
    const program = startDemo();
    await until(() => program.out().includes('Ctrl-C') || program.hasEnded(), 'its words', 10_000);
    const all = program.tree();
    program.signal('SIGTERM');
    if (again) program.signal('SIGTERM');
    await within(program.ended, 'the end', 10_000);
    await isGone(program, all);
  }
});

demo('Ctrl-C while it starts leaves nothing', async () => {
  for (const delay of [100, 160, 220, 280]) {
    const program = startDemo();
    await sleep(delay);
    const all = program.tree();
    process.kill(-program.pid, 'SIGINT');
    await within(program.ended, 'the end', 10_000);
    await isGone(program, all);
  }
});

demo.run();
