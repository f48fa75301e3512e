import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { day, minute, printable, second, sentence, span, structured, table } from '../../cli/output.ts';

const output = suite('cli: output');

for (const [text, expected] of [
  ['plain', 'plain'],
  ['bücher 証明書', 'bücher 証明書'],
  ['a\nb\r\n\tc', 'a b c'],
  ['\u001b[31mred\u001b[0m', '?[31mred?[0m'],
  ['\u009b2J\u0000\u007f', '?2J??'],
  // Direction of writing, invisible characters, separators, halves of surrogate pairs, private use.
  ['\u202e\u200b\u2028\u2029\ud800\ue000', '??????'],
] as const) {
  output(`printable: ${JSON.stringify(text)}`, () => assert.is(printable(text), expected));
}

output('structured: nothing that a terminal acts on, and the value comes out as it was', async () => {
  const value = { 'k\u009b': ['a\u001b[2J', 'b\u202e\u2028', '\u{e0001}', 'line\nline', 'é'] };
  for (const format of ['json', 'yaml'] as const) {
    const text = await structured(value, format);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.not.match(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028\u{e0001}]/u);
    assert.equal(format === 'json' ? JSON.parse(text) : parse(text), value);
  }
  assert.is(await structured({ a: 'é\nb' }, 'yaml'), 'a: |-\n  é\n  b\n');
});

output('dates are in UTC; none stays blank', () => {
  const iso = '2025-08-09T23:59:44.900+02:00';
  assert.equal([day(iso), second(iso), minute(iso)], ['2025-08-09', '2025-08-09 21:59:44', '2025-08-09 21:59 UTC']);
  assert.equal([day(undefined), day(''), second(undefined)], ['', '', '']);
});

for (const [ms, expected] of [
  [0, '0 seconds'],
  [1_000, '1 second'],
  [-119_999, '119 seconds'],
  [120_000, '2 minutes'],
  [7_199_999, '119 minutes'],
  [7_200_000, '2 hours'],
  [172_799_999, '47 hours'],
  [172_800_000, '2 days'],
  [90 * 86_400_000, '90 days'],
] as const) {
  output(`span of ${ms} ms`, () => assert.is(span(ms), expected));
}

output('sentence: one full stop', () => {
  assert.equal(['a', 'a.', 'a?', ''].map(sentence), ['a.', 'a.', 'a?', '']);
});

output('table: blank cells at the end leave no spaces', () => {
  assert.is(
    table(
      ['A', 'BB'],
      [
        ['xxx', ''],
        ['', 'y'],
      ],
    ),
    'A     BB\nxxx\n      y\n',
  );
});

output.run();
