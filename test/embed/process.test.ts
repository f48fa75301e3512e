// time limit: 60 s
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { proveRuntime } from '../../src/embed/runtime.ts';
import { startChild } from '../helpers/child.ts';
import { temporary } from '../helpers/temporary.ts';
import { within } from '../helpers/wait.ts';

const processes = suite('the process of an embedded edge');

processes('ends by itself once its edges are closed, and keeps nothing of them', async () => {
  const child = startChild('--expose-gc', ['test/embed/fixtures/ends.ts', temporary()]);
  const code = await within(child.ended, 'the end of the process', 40_000);
  assert.equal(child.lines(), ['kept: 0', 'open: ']);
  assert.is(code, 0);
});

for (const how of ['exit', 'throw'])
  processes(`its handlers leave no sockets behind, by ${how}`, () => {
    const directory = temporary();
    const { stderr } = spawnSync(process.execPath, ['test/embed/fixtures/exits.ts', how], {
      ...{ env: { ...process.env, TMPDIR: directory }, encoding: 'utf8', timeout: 30_000 },
    });
    assert.not.match(stderr, 'MaxListeners');
    assert.is(stderr.includes('nobody catches this'), how === 'throw');
    assert.equal(
      readdirSync(directory).filter((name) => name.startsWith('oo-')),
      [],
    );
  });

processes('needs a Node that is new enough, and says so', () => {
  assert.throws(() => proveRuntime({ node: '20.19.2' }), /needs Node 22 or newer, and this is Node 20\.19\.2/);
  assert.throws(() => proveRuntime({ node: '24.0.0', bun: '1.4.5' }), /this is bun 1\.4\.5; use createProxy/);
  assert.throws(() => proveRuntime({ node: '24.0.0', deno: '2.9.6' }), /this is deno 2\.9\.6; use createProxy/);
  proveRuntime({ node: '22.0.0' });
  proveRuntime();
});

processes.run();
