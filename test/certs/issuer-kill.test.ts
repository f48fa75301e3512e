import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AcmeAccount } from '../../src/certs/types.ts';
import { type Resource, startAcmeFront } from '../helpers/acme-front.ts';
import { startChild } from '../helpers/child.ts';
import { startPebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { issue, issuerOf, startAnswers } from './issuer-kit.ts';

// Challenges need no answer here: the child that shows them is dead.
const pebble = await startPebble({ env: { PEBBLE_VA_ALWAYS_VALID: '1' } });
const answers = await startAnswers(pebble);
const child = join(import.meta.dirname, 'issuer-child.ts');

const kill = suite('issuer: killed');

const points: Resource[] = ['newAccount', 'newOrder', 'authorization', 'challenge', 'finalize', 'certificate'];
for (const point of points) {
  kill(
    `with kill -9 while the CA's answer to ${point} is on its way: the next one has the same account, and succeeds`,
    async () => {
      const name = `${point.toLowerCase()}.example.com`;
      let reached = false;
      const front = await startAcmeFront(pebble, {
        // Pebble has done it; the child never hears of it.
        change({ resource }, body) {
          if (resource !== point || reached) return body;
          reached = true;
          return new Promise(() => {});
        },
      });
      const hold = front.settings;
      const file = join(temporary(), 'accounts.json');
      writeFileSync(file, '[]');
      const running = startChild(child, [front.directory, front.caFile, file, name]);
      await until(() => reached, `the child to reach ${point}: ${running.lines()}`, 20_000);
      await running.kill('SIGKILL');
      assert.not.ok(running.lines().includes('done'));
      hold.change = undefined;

      const [account] = JSON.parse(readFileSync(file, 'utf8')) as AcmeAccount[];
      const saved: AcmeAccount[] = [account];
      const accounts = {
        accounts: async () => saved.slice(-1),
        saveAccount: async (next: AcmeAccount) => void saved.push(next),
      };
      const certificate = await issue(issuerOf(front, { accounts }), [name], answers);
      assert.is(certificate.id, name);
      assert.is(new Set(saved.map(({ key }) => key)).size, 1);
      const kids = front.requests.map((asked) => asked.protected?.kid).filter((kid) => kid !== undefined);
      assert.is(new Set(kids).size, 1, 'one account at the CA');
      front.close();
    },
  );
}

kill.run();
