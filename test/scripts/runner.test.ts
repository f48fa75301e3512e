import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runFile, wishesOf } from '../../scripts/test/file.ts';

const root = join(import.meta.dirname, '../..');
const fixture = (name: string) => join(import.meta.dirname, 'fixtures/runner', `${name}.ts`);

/** @returns the first value that is not empty */
async function eventually<T>(value: () => T): Promise<T> {
  for (let waited = 0; waited < 5_000; waited += 20) {
    const now = value();
    if (now) return now;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`not within 5 s: ${value}`);
}

const runner = suite('test runner');

runner('counts the tests that passed', async () => {
  const result = await runFile(fixture('good'));
  assert.equal([result.passed, result.failed, result.problems], [2, 0, []], result.output);
});

runner('counts the tests that failed, and shows why', async () => {
  const result = await runFile(fixture('failing'));
  assert.equal([result.passed, result.failed], [1, 1]);
  assert.match(result.output, '"wrong"');
});

const bad: [name: string, problem: RegExp][] = [
  ['hung', /^did not end within 1 s$/],
  ['unsettled', /^ended with exit code 1 without a uvu summary$/],
  ['crashed', /^was ended by SIGSEGV without a uvu summary$/],
  ['broken', /^ended with exit code 1 without a uvu summary$/],
  ['not-run', /^ended with exit code 1, though its tests passed$/],
  ['early-exit', /^ended with exit code \d without a uvu summary$/],
  ['exit-at-load', /^ended with exit code 0 without a uvu summary$/],
  ['rejection', /^ended with exit code 1, though its tests passed$/],
  ['skipped', /^has 1 skipped tests$/],
  ['only', /^ended with exit code 1, though its tests passed$/],
  ['empty', /^has no tests$/],
  ['bad-after', /^ended with exit code 1 without a uvu summary$/],
  ['leaves-process', /^left a process running: \d+ /],
];
for (const [name, problem] of bad) {
  runner(`fails a file: ${name}`, async () => {
    const { failed, problems, output } = await runFile(fixture(name));
    assert.is(failed, 1, output);
    assert.match(problems.join('\n'), problem);
  });
}

runner('fails a file whose before hook throws, which uvu reports as success', async () => {
  const { passed, failed, output } = await runFile(fixture('bad-before'));
  assert.equal([passed, failed], [0, 1], output);
});

runner('says which suite was not run', async () => {
  assert.match((await runFile(fixture('not-run'))).output, 'the suite "forgotten" was never run');
});

runner('ends what a file left running', async () => {
  const { output } = await runFile(fixture('leaves-process'));
  const pid = /^.*child (\d+)$/m.exec(output)![1];
  await eventually(() => !existsSync(`/proc/${pid}/exe`));
});

runner('ends the files that run when it is ended itself', async () => {
  const script = `import { runFile } from ${JSON.stringify(join(root, 'scripts/test/file.ts'))};
    process.once('SIGTERM', () => process.exit(1));
    await runFile(${JSON.stringify(fixture('hung'))}, { timeLimitMs: 60_000 });`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  const child = await eventually(() => readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim());
  parent.kill('SIGTERM');
  await eventually(() => !existsSync(`/proc/${child}/exe`));
});

runner('gives each file a temporary directory and removes it', async () => {
  process.env.OO_HTTP_PORT = '1';
  const { failed, output } = await runFile(fixture('surroundings'));
  assert.is(failed, 0, output);
  const directory = /directory (\S+)/.exec(output)![1]!;
  assert.not.ok(existsSync(directory));
});

runner('reads what a file says of itself at its top', () => {
  assert.equal(wishesOf("// time limit: 300 s\n// exclusive\nimport 'x';\n"), {
    timeLimitMs: 300_000,
    exclusive: true,
  });
  assert.equal(wishesOf("import 'x';\n// exclusive\n"), { timeLimitMs: 120_000, exclusive: false });
});

runner.run();
