// time limit: 300 s

import { spawnSync } from 'node:child_process';
import { cpSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureClientPackage } from '../../scripts/test/client-package.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { type Server, serve } from './oo.ts';

// A program that only knows /openapi.json: its types are made of the document, and it calls the server by them.
const client = suite('a generated client');

const directory = temporary();
let server: Server;
let base: string;

/** Runs a tool of the client's package in the program's directory. */
function tool(path: string, ...args: string[]): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(directory, 'node_modules', path), ...args], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, out: `${stdout}${stderr}` };
}

client.before(async () => {
  const fixture = ensureClientPackage();
  for (const name of ['package.json', 'tsconfig.json', 'drive.ts', 'wrong.ts'])
    cpSync(join(fixture, name), join(directory, name));
  symlinkSync(join(fixture, 'node_modules'), join(directory, 'node_modules'));
  server = await serve();
  base = `http://127.0.0.1:${server.adminPort}`;
  // Without a token: the document is everybody's to read.
  const response = await fetch(`${base}/openapi.json`);
  assert.is(response.status, 200);
  writeFileSync(join(directory, 'openapi.json'), await response.text());
  const made = tool(
    'openapi-typescript/bin/cli.js',
    'openapi.json',
    '--output',
    'api.ts',
    '--default-non-nullable=false',
  );
  assert.is(made.status, 0, made.out);
});

client.after(async () => {
  const ended = await server?.stop().finally(cleanUp);
  assert.is(ended?.code, 0);
});

client('its types take a right program, and find each mistake of a wrong one', () => {
  const { out } = tool('typescript/bin/tsc', '-p', '.', '--pretty', 'false');
  const errors = out.split('\n').filter((line) => line.includes(': error TS'));
  assert.equal(
    errors.filter((line) => !line.startsWith('wrong.ts')),
    [],
  );
  const lines = new Set(errors.map((line) => Number(/^wrong\.ts\((\d+),/.exec(line)?.[1])));
  assert.equal([...lines], [6, 7, 8, 9, 10, 11, 13], out);
});

client('it lists, saves, plans, explains, goes back, and makes tokens', async () => {
  const token = (await server.ok('token', 'create', '--admin', '-q')).out.trim();
  const { drive } = await import(pathToFileURL(join(directory, 'drive.ts')).href);
  const said = await drive(base, token);
  assert.equal(said, {
    planned: [['route', 'shop.example.com', null]],
    absent: [404, 'OO_NOT_FOUND'],
    saved: [['shop.example.com'], true],
    got: ['http://127.0.0.1:3000', 'shop'],
    replaced: ['updated', 'shop'],
    late: [412, 'OO_CONFLICT'],
    refused: [400, 'OO_BAD_ROUTES', ['/routes/0/connectTimeoutMs']],
    pages: [
      ['a.example.com', 'b.example.com'],
      ['c.example.com', 'shop.example.com'],
    ],
    services: [['user-svc'], 'random'],
    explained: ['answered', 410],
    reasons: ['', '', 'closed', 'opened'],
    diff: ['a.example.com', 'b.example.com', 'c.example.com', 'shop.example.com', 'user-svc'],
    past: ['shop.example.com'],
    back: true,
    restored: 'http://127.0.0.1:3000',
    exported: 1,
    applied: [0, 1],
    status: 1,
    reads: [201, 1],
    forbidden: [403, 'OO_FORBIDDEN'],
    removed: 1,
    ended: [401, 'OO_BAD_TOKEN'],
    closed: [401, 'OO_NO_TOKEN', ['application/problem+json']],
  });
});

client.run();
