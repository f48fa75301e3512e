import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { memoryIo } from '../helpers/memory-io.ts';

const argv = suite('cli: arguments');

/** Runs a command line on a program with `gadget list|ls`, `serve` and some flags: what the command got, or what was said. */
async function run(...args: string[]) {
  const io = memoryIo();
  const program = createProgram(io, '1.2.3');
  let got: unknown[] | undefined;
  const take = (...all: unknown[]) => {
    const { '--': _, ...options } = all.pop() as Record<string, unknown>;
    got = [...all, options];
  };
  const flags = (name: string) =>
    program.cac
      .command(name, 'x')
      .option('--some-value <X>', 'x')
      .option('--dry-run', 'x')
      .option('-o, --output <X>', 'x')
      .option('-q, --quiet', 'x')
      .action(take);
  flags('serve [...args]');
  flags('gadget list [...args]').alias('gadget ls');
  const code = await program.run(args);
  return { got, code, out: io.said.out, err: io.said.err };
}

for (const [args, expected] of [
  [
    ['gadget', 'list'],
    [[], {}],
  ],
  [
    ['gadget', 'ls', 'a', 'b'],
    [['a', 'b'], {}],
  ],
  [
    ['--dry-run', 'gadget', '-q', 'ls', 'x'],
    [['x'], { dryRun: true, q: true, quiet: true }],
  ],
  [
    ['--some-value', 'gadget', 'gadget', 'ls'],
    [[], { someValue: 'gadget' }],
  ],
  [
    ['serve', '--dry-run', 'x'],
    [['x'], { dryRun: true }],
  ],
  [
    ['serve', '--some-value', '007', '1e3', '0x10'],
    [['1e3', '0x10'], { someValue: '007' }],
  ],
  [
    ['serve', '--some-value=1e3'],
    [[], { someValue: '1e3' }],
  ],
  [
    ['serve', '--some-value='],
    [[], { someValue: '' }],
  ],
  [
    ['serve', '--some-value=a=b'],
    [[], { someValue: 'a=b' }],
  ],
  [
    ['serve', '--some-value=-x'],
    [[], { someValue: '-x' }],
  ],
  [
    ['serve', '--some-value', '-'],
    [[], { someValue: '-' }],
  ],
  [
    ['serve', '-', '-'],
    [['-', '-'], {}],
  ],
  [
    ['serve', '-q', 'x', '-o', 'json'],
    [['x'], { q: true, quiet: true, o: 'json', output: 'json' }],
  ],
  [
    ['serve', '-qo', 'json'],
    [[], { q: true, quiet: true, o: 'json', output: 'json' }],
  ],
  [
    ['serve', '--no-dry-run'],
    [[], { dryRun: false }],
  ],
  [
    ['serve', '--', '--dry-run', '-x'],
    [['--dry-run', '-x'], {}],
  ],
  [
    ['serve', 'gadget', 'ls'],
    [['gadget', 'ls'], {}],
  ],
  [
    ['serve', '--some-value', 'a', '--some-value', 'b'],
    [[], { someValue: ['a', 'b'] }],
  ],
  [
    ['serve', ''],
    [[''], {}],
  ],
] as const) {
  argv(`oo ${args.join(' ')}`, async () => {
    const { got, code, err } = await run(...args);
    assert.is(err, '');
    assert.is(code, 0);
    assert.equal(got, expected);
  });
}

for (const [args, message, hint] of [
  [['sevre'], "There is no command 'oo sevre'.", 'Did you mean oo serve?'],
  [['xyzzy', 'list'], "There is no command 'oo xyzzy'.", 'See oo --help.'],
  [['toString'], "There is no command 'oo toString'.", 'See oo --help.'],
  [['gadget'], 'oo gadget needs a verb.', 'oo gadget has: list. See oo gadget list --help.'],
  [['gadget', 'lits'], "There is no command 'oo gadget lits'.", 'oo gadget has: list. See oo gadget list --help.'],
  [['r'], 'oo route needs a verb.', 'oo route has: save, list, get, rm, edit. See oo route save --help.'],
  [['--bogus'], 'oo has no flag --bogus.', 'See oo --help.'],
  [
    ['serve', '--some-valu', 'x'],
    'oo serve has no flag --some-valu.',
    'Did you mean --some-value? See oo serve --help.',
  ],
  [['gadget', 'ls', '-z'], 'oo gadget list has no flag -z.', 'See oo gadget list --help.'],
  [['serve', '--some-value'], "Option '--some-value <X>' value is missing.", 'See oo serve --help.'],
  [['serve', '--some-value', '--dry-run'], "Option '--some-value <X>' value is missing.", 'See oo serve --help.'],
  [['route', 'get'], "Missing required args for command 'route get <id>'.", 'See oo route get --help.'],
  [['route', 'ls', 'x'], "Unused args: 'x'.", 'See oo route list --help.'],
] as const) {
  argv(`oo ${args.join(' ')}: exit code 2, with a hint`, async () => {
    const { got, code, out, err } = await run(...args);
    assert.equal([got, code, out], [undefined, 2, '']);
    assert.is(err, `oo: ${message}\n    ${hint}\n`);
  });
}

argv.run();
