import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseTarget } from '../../src/core/target.ts';
import type { Target } from '../../src/core/types.ts';
import { retargetBound, retargetHead } from '../../src/edge/retarget.ts';

const retarget = suite('retarget');

const head = (path: string, host: string) =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Path: /a Host: b\r\nX-Forwarded-Host: app.test\r\n\r\n`;

function rewrite(text: string, from: string, to: string, hostIsTarget: boolean): string {
  const [before, after] = [from, to].map((url) => parseTarget(url) as Target);
  const source = Buffer.from(text, 'latin1');
  const bound = retargetBound(source.length, after);
  const out = Buffer.alloc(bound);
  const length = retargetHead(out, source, before, after, hostIsTarget);
  assert.ok(length <= bound);
  return out.toString('latin1', 0, length);
}

const paths: [from: string, to: string][] = [
  ['', ''],
  ['', '/longer/base'],
  ['/longer/base', ''],
  ['/a', '/b'],
  ['/a/a', '/a'],
];
for (const [from, to] of paths) {
  retarget(`from '${from}' to '${to}', the client's Host`, () => {
    const sent = head(`${from}/a/a?b=${from}/a`, 'app.test');
    const wanted = head(`${to}/a/a?b=${from}/a`, 'app.test');
    assert.is(rewrite(sent, `http://10.0.0.1:3000${from}`, `http://10.0.0.2:30000${to}`, false), wanted);
  });

  retarget(`from '${from}' to '${to}', the target's Host`, () => {
    const sent = head(`${from}/x`, '10.0.0.1:3000');
    const wanted = head(`${to}/x`, 'b.internal');
    assert.is(rewrite(sent, `http://10.0.0.1:3000${from}`, `http://b.internal${to}`, true), wanted);
    assert.is(rewrite(wanted, `http://b.internal${to}`, `http://10.0.0.1:3000${from}`, true), sent);
  });
}

retarget('a path that is only a slash', () => {
  assert.is(rewrite(head('/base/', 'app.test'), 'http://a/base', 'http://b', false), head('/', 'app.test'));
});

retarget.run();
