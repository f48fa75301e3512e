import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { createProgram } from '../../cli/program.ts';
import { memoryIo } from '../helpers/memory-io.ts';

const schema = suite('cli: oo schema');

async function validator(of: string) {
  const io = memoryIo();
  assert.is(await createProgram(io, '1').run(['schema', of]), 0);
  const ajv = new Ajv2020.default({ strict: false, allErrors: true });
  addFormats.default(ajv);
  return ajv.compile(JSON.parse(io.said.out));
}

schema('of apply: takes every form of a file, and refuses what apply refuses', async () => {
  const isValid = await validator('apply');
  for (const text of [
    'id: a\ntarget: http://t\n',
    '- id: a\n  target: http://t\n- { id: b, redirect: "https://x.example.com" }\n',
    'routes:\n  a:\n    target: http://t\n    balance: { policy: random }\nowner: shop\n',
    'routes:\n  - { id: a, target: service://web }\nservices:\n  - { id: web, balance: least-requests }\n',
    'settings: { historyRevisions: 5 }\ncertificates:\n  - { id: x, cert: ./a.pem, key: ./a.key }\n',
  ])
    assert.ok(isValid(parse(text)), `${text}: ${JSON.stringify(isValid.errors?.slice(0, 3))}`);
  for (const text of [
    'id: a\ntarget: http://t\nnonsense: 1\n',
    'id: 5\ntarget: http://t\n',
    'routes:\n  a:\n    targets: http://t\n',
    'certificates:\n  - { id: x, cert: ./a.pem }\n',
    'extra: 1\nroutes: []\n',
    'settings: { historyRevisions: 0 }\n',
  ])
    assert.not.ok(isValid(parse(text)), text);
});

schema('of route: no mapping of all', async () => {
  const isValid = await validator('route');
  assert.ok(isValid({ id: 'a', target: 'http://t' }));
  assert.not.ok(isValid({ routes: [] }));
  assert.is(await createProgram(memoryIo(), '1').run(['schema', 'nonsense']), 2);
});

schema.run();
