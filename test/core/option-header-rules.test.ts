import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { requestPlan } from '../../src/core/headers.ts';
import {
  compileFields,
  describeFields,
  dropFields,
  type FieldRules,
  putFieldsOf,
  putLines,
} from '../../src/core/option-header-rules.ts';
import { placeholders } from '../../src/core/option-placeholder.ts';
import { DONE, RequestScanner } from '../../src/http1/scan.ts';
import { random } from '../helpers/random.ts';

const rules = suite('header rules');

function compiled(value: unknown): { fields: FieldRules | null; faults: string[] } {
  const faults: string[] = [];
  return { fields: compileFields(value, 'requestHeaders', (message) => faults.push(message)), faults };
}

const nothing = () => '';

rules('first remove, then set, then add, whatever order they are written in', () => {
  const { fields, faults } = compiled({
    add: { 'X-B': ['1', '2'], 'x-c': '3' },
    set: { 'X-B': 'set' },
    remove: ['X-A', 'x-d'],
  });
  assert.equal(faults, []);
  assert.equal([...fields!.drop], ['x-a', 'x-d', 'x-b']);
  assert.is(putLines(fields!, nothing), 'X-B: set\r\nX-B: 1\r\nX-B: 2\r\nx-c: 3\r\n');
  assert.equal(putFieldsOf(fields!, nothing)[0], ['X-B', 'set']);
  const expected = ['remove x-a', 'remove x-d', 'set X-B: set', 'add X-B: 1', 'add X-B: 2', 'add x-c: 3'];
  assert.equal(describeFields(fields!), expected);
  assert.is(fields!.fills, false);
});

rules('nothing to do is null', () => {
  for (const value of [undefined, {}, { remove: [] }, { set: {}, add: {} }, { remove: undefined }])
    assert.equal(compiled(value), { fields: null, faults: [] });
});

const refusedNames = [
  ...['Content-Length', 'transfer-encoding', 'CONNECTION', 'keep-alive', 'TE', 'Trailer', 'Upgrade', 'Expect'],
  ...[
    'HTTP2-Settings',
    'Proxy',
    'proxy-authorization',
    'Proxy-Connection',
    'Sec-WebSocket-Key',
    'X-Oo-Mirror',
    'Host',
    ':path',
    '',
  ],
  ...['X A', 'X:', 'X\r\nY', 'X-*', 'é', 'X\0', '(x)', 'x'.repeat(300)],
];
for (const name of refusedNames) {
  rules(`refuses the name ${JSON.stringify(name.slice(0, 30))}`, () => {
    for (const value of [{ remove: [name] }, { set: { [name]: 'v' } }, { add: { [name]: ['v'] } }])
      assert.is(compiled(value).faults.length, 1, JSON.stringify(value));
  });
}

rules('Host has an option of its own, and the fault says so', () => {
  assert.match(compiled({ set: { host: 'x' } }).faults[0], /the option hostHeader/);
});

for (const value of [
  'a\r\nX-Evil: 1',
  'a\nb',
  'a\0',
  ' a',
  'a ',
  '\ta',
  'é',
  '\x7f',
  '',
  'x'.repeat(5_000),
  7,
  null,
  true,
  {},
  ['a'],
  [[]],
]) {
  rules(`refuses the value ${JSON.stringify(value).slice(0, 30)}`, () => {
    assert.is(compiled({ set: { 'X-A': value } }).faults.length, 1);
    if (!(Array.isArray(value) && value[0] === 'a')) assert.is(compiled({ add: { 'X-A': [value] } }).faults.length, 1);
  });
}

for (const value of [
  null,
  1,
  'x',
  [],
  { remove: 'x' },
  { remove: {} },
  { set: [] },
  { add: 'x' },
  { delete: ['x'] },
  { set: { A: 'x', a: 'y' } },
]) {
  rules(`refuses ${JSON.stringify(value)}`, () => assert.is(compiled(value).faults.length, 1));
}

rules('too many rules', () => {
  const add = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`X-${i}`, 'v']));
  assert.is(compiled({ add }).faults.length, 1);
});

rules('placeholders: all that are known; unknown ones are faults; other braces stand for themselves', () => {
  const all = placeholders.map((name) => `{${name}}`).join(' ');
  const { fields, faults } = compiled({ set: { 'X-A': all, 'X-B': '{"a":{}} {A} {x_y} {}', 'X-C': '{host}' } });
  assert.equal(faults, []);
  assert.is(fields!.fills, true);
  assert.is(
    putLines(fields!, (name) => `<${name}>`).split('\r\n')[0],
    `X-A: ${all.replace(/\{/g, '<').replace(/\}/g, '>')}`,
  );
  assert.match(
    putLines(fields!, nothing),
    /^X-B: \{"a":\{\}\} \{A\} \{x_y\} \{\}\r\n$/,
    'a line without a value is none',
  );
  assert.match(
    compiled({ set: { 'X-A': '{remote.ip}' } }).faults[0],
    /unknown placeholder \{remote\.ip\}; expected one of \{client\.ip\}/,
  );
});

rules('what a placeholder is filled with never breaks the line', () => {
  const { fields } = compiled({ set: { 'X-A': 'a{host}b', 'X-B': '{host}' } });
  for (const value of ['x\r\nX-Evil: 1', '\n', '\0', 'é', '\x7f'])
    assert.is(
      putLines(fields!, () => value),
      'X-A: ab\r\n',
    );
  assert.is(
    putLines(fields!, () => ' x '),
    'X-A: a x b\r\nX-B: x\r\n',
  );
  assert.is(
    putLines(fields!, () => '{path}'),
    'X-A: a{path}b\r\nX-B: {path}\r\n',
    'filled once',
  );
});

const limits = { maxHeadBytes: 64 * 1024, maxFields: 256, maxTargetBytes: 8_192 };

rules('random heads and rules: our own strict scanner takes the result, and it is what the rules say', () => {
  const next = random(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)];
  const some = <T>(list: readonly T[], most: number) =>
    Array.from({ length: Math.floor(next() * most) }, () => pick(list));
  const names = ['X-A', 'x-a', 'X-Ab', 'X-B', 'COOKIE', 'Cookie', 'Via', 'X', 'x-forwarded-for'];
  const values = ['', '1', 'a:b', ' padded ', 'x-a: 1', 'tab\there', '\xe9\xff', 'a,b', '{host}'];
  const scanner = new RequestScanner(requestPlan(false), limits);
  for (let i = 0; i < 4_000; i++) {
    const lines = some(names, 8).map((name): [string, string] => [name, pick(values)]);
    const head = `GET /x HTTP/1.1\r\nHost: app.test\r\n${lines.map(([name, value]) => `${name}:${value}\r\n`).join('')}`;
    const set = Object.fromEntries(some(['X-A', 'X-New', 'via'], 3).map((name) => [name, pick(['v', '{host}{path}'])]));
    const { fields, faults } = compiled({
      remove: some(names, 3),
      set,
      add: Object.fromEntries(some(names, 3).map((name) => [name, ['w']])),
    });
    assert.equal(faults, []);
    const changed =
      fields === null ? head : dropFields(head, fields.drop) + putLines(fields, () => pick(['h', 'x\r\ny', '']));
    const bytes = Buffer.from(`${changed}\r\n`, 'latin1');
    assert.is(scanner.scan(bytes, 0, bytes.length), DONE, changed);
    assert.is(scanner.end, bytes.length);
    const kept = lines
      .filter(([name]) => !fields?.drop.has(name.toLowerCase()))
      .map(([name, value]) => `${name}:${value}`);
    assert.equal(changed.split('\r\n').slice(2, 2 + kept.length), kept);
    if (fields === null) continue;
    for (const name of fields.drop) {
      const put = fields.put.filter((line) => line.name.toLowerCase() === name).length;
      const left = changed.split('\r\n').filter((line) => line.toLowerCase().startsWith(`${name}:`)).length;
      assert.ok(left <= put, changed);
    }
  }
});

rules.run();
