import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileRoute } from '../../src/core/routes.ts';
import type { Route } from '../../src/core/types.ts';

const base = { id: 'app.test', target: 'http://10.0.0.1:3000' };
const tls = suite('compile: what HTTPS does');

for (const [hsts, line] of [
  [undefined, ''],
  [false, ''],
  [true, 'Strict-Transport-Security: max-age=31536000\r\n'],
  ['max-age=60; includeSubDomains; preload', 'Strict-Transport-Security: max-age=60; includeSubDomains; preload\r\n'],
] as const)
  tls(`hsts ${hsts}`, () => {
    const compiled = compileRoute({ ...base, hsts });
    assert.is(Array.isArray(compiled) ? compiled : compiled.hstsLine, line);
  });

const refused: Partial<Record<keyof Route, unknown[]>> = {
  http: ['yes', '', 1],
  hsts: ['', '31536000', 'max-age=1\r\nX: y', 'max-age=1; what', 1],
  keyType: ['ed25519', ''],
  certificate: ['', '*', 'app.test/x', 'app.test:80', 'UPPER.test', 'a b'],
};
for (const [field, bad] of Object.entries(refused))
  for (const value of bad)
    tls(`refuses ${field} ${JSON.stringify(value)}`, () => {
      const faults = compileRoute({ ...base, [field]: value } as unknown as Route);
      assert.ok(Array.isArray(faults));
      assert.is(faults[0].field, field);
      assert.match(faults[0].message, /expected/);
      assert.not.match(faults[0].message, /[\r\n]/);
    });

tls('takes what is right', () => {
  for (const more of [{ http: 'allow' }, { keyType: 'rsa' }, { certificate: '*.example.com' }] as const)
    assert.not.ok(Array.isArray(compileRoute({ ...base, ...more })));
});

tls.run();
