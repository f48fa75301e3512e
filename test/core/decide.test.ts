import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decide, decidePath, replyWith } from '../../src/core/decide.ts';
import { type FailureCode, failures } from '../../src/core/failure.ts';
import { compile } from '../../src/core/routes.ts';
import { emptyTable, findHosts, getRoute } from '../../src/core/table.ts';

const deciding = suite('decide');

const made = compile(
  ['a.test', 'b.test', 'b.test/app'].map((id) => ({ id, target: '10.0.0.1' })),
  1,
);
if ('faults' in made) throw new Error(made.faults[0].message);
const { table } = made;

deciding('forward is one object a route, whatever the request', () => {
  const { forward } = getRoute(table, 'b.test/app')!;
  assert.is(decide(table, 'http', 'b.test', '/app'), forward);
  assert.is(decide(table, 'https', 'B.test.:444', '/app/x%20y'), forward);
});

deciding('a reply is one object a code', () => {
  for (const code of Object.keys(failures) as FailureCode[]) {
    assert.equal(replyWith(code), { kind: 'reply', code });
    assert.is(replyWith(code), replyWith(code));
    assert.ok(Object.isFrozen(replyWith(code)));
  }
});

const replies: [authority: string, path: string, code: FailureCode][] = [
  ['c.test', '/', 'OO_NO_ROUTE'],
  ['', '/', 'OO_NO_ROUTE'],
  ['a@b', '/', 'OO_BAD_HOST'],
  ['a.test,b.test', '/', 'OO_BAD_HOST'],
  ['a.test', '/../x', 'OO_BAD_PATH'],
  ['c.test', '/../x', 'OO_BAD_PATH'],
  ['b.test', '/app%2fx', 'OO_BAD_PATH'],
  ['a@b', '/../x', 'OO_BAD_HOST'],
];
for (const [authority, path, code] of replies) {
  deciding(`'${authority}' ${path} is ${code}`, () =>
    assert.is(decide(table, 'http', authority, path), replyWith(code)),
  );
}

deciding('an empty table has no route for anything', () => {
  assert.is(decide(emptyTable(), 'http', 'a.test', '/'), replyWith('OO_NO_ROUTE'));
});

deciding('plain skips the policy, with one route and with several; else it is never skipped', () => {
  for (const host of ['a.test', 'b.test']) {
    const hosts = findHosts(table, 'http', host)!;
    assert.is(hosts.single === undefined, host === 'b.test');
    assert.is(decidePath(hosts, '/x', true), getRoute(table, host)!.forward);
    assert.is(decidePath(hosts, '/x', false), getRoute(table, host)!.forward);
    assert.is(decidePath(hosts, '/../x', false), replyWith('OO_BAD_PATH'));
    assert.is(decidePath(hosts, '//x', false), getRoute(table, host)!.forward);
  }
});

deciding.run();
