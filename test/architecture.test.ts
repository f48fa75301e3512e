import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

/** What a room may import: rooms, packages, `node:` for all of Node. Its own files are always allowed. */
interface Rule {
  readonly may: readonly string[];
  /** With `import type` only. */
  readonly types?: readonly string[];
  /** Only decisions or bytes: no clock, no chance, no I/O, nothing of a runtime. */
  readonly pure?: true;
}

const anything = [
  ...[
    'core',
    'clock',
    'http1',
    'http2',
    'proxy',
    'index',
    'certs',
    'services',
    'edge',
    'handler',
    'admin',
    'db',
    'cli',
    'node:',
  ],
  ...['cac', 'yaml', 'diff', 'hono', '@hono/node-server', 'valibot'],
];

const rules: Readonly<Record<string, Rule>> = {
  core: { may: [], types: ['http1', 'http2'], pure: true },
  http1: { may: [], types: ['core', 'http2'], pure: true },
  http2: { may: [], types: ['core', 'http1'], pure: true },
  proxy: { may: ['core', 'hono'] },
  index: { may: ['core', 'proxy'] },
  store: { may: ['core', 'admin', 'db'] },
  'store-web': { may: ['store', 'db'], types: ['core'] },
  // The system's, for those that let tests turn it.
  clock: { may: [] },
  certs: { may: ['core', 'clock', 'node:'] },
  'certs/issuer': { may: ['core', 'clock', 'certs', 'node:', 'acme-client', '@peculiar/x509', 'reflect-metadata'] },
  services: { may: ['core', 'clock', 'node:'] },
  // The program inside of a handler's process.
  handler: { may: ['core', 'node:'] },
  // Of the handler's room: what both say to each other.
  edge: { may: ['core', 'http1', 'http2', 'certs', 'services', 'handler', 'node:'] },
  // The edge as a library: what `oo serve` wires up, without its processes, its database and its API.
  embed: { may: ['core', 'clock', 'edge', 'certs', 'services', 'handler', 'proxy', 'node:'] },
  node: { may: ['embed', 'core', 'edge', 'certs', 'services', 'proxy', 'index'] },
  admin: { may: ['core', 'valibot', '@valibot/to-json-schema', 'hono'], types: ['services'] },
  db: { may: ['drizzle-orm', 'libsql', '@libsql/client', 'node:'], types: ['core', 'certs', 'services', 'admin'] },
  cli: { may: ['core', 'admin', 'cac', 'yaml', 'diff', 'node:'] },
  // The files that wire a server together, and the one that opens the database where none runs.
  'cli/serve': { may: anything },
  'cli/offline': { may: ['core', 'admin', 'db', 'cli', 'node:'] },
};

// Part of `oo serve` or `oo demo`: a new file of theirs is added here, any other cli file talks to the server's socket.
const serving = [
  'acme-issuers.ts',
  'admin-servers.ts',
  'backup-offline.ts',
  'certificate-admin.ts',
  'certificate-files.ts',
  'certificate-info.ts',
  'certificate-offline.ts',
  'certificate-settings.ts',
  'certificates.ts',
  'demo.ts',
  'explain-server.ts',
  'main.ts',
  'serve.ts',
  'server-admin.ts',
  'server-events.ts',
  'server.ts',
  'services.ts',
  'settings.ts',
];

/** Which rule a file is under. @param path from the project's root, with slashes */
function ruleNameOf(path: string): string {
  const [top, second = '', third = ''] = path.split('/');
  if (top === 'db') return 'db';
  if (top === 'cli') return serving.includes(second) ? 'cli/serve' : second === 'offline.ts' ? 'cli/offline' : 'cli';
  if (second === 'certs' && third.startsWith('issuer')) return 'certs/issuer';
  return second.replace(/\.ts$/, '');
}

function roomOf(path: string): string {
  return ruleNameOf(path).split('/')[0];
}

/** Comments and types gone, quotes made one: what is left can be searched. */
function strip(source: string): string {
  const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } };
  return transformSync(source, { loader: 'ts', format: 'esm', legalComments: 'none', tsconfigRaw }).code;
}

interface Import {
  readonly from: string;
  readonly isType: boolean;
}

function importsOf(source: string): Import[] {
  const code = strip(source);
  const values = [...code.matchAll(/(?<!["\w.])(?:from|import|require)\s*\(?\s*"([\w.@#/][^"\s]*)"/g)].map(
    (match) => match[1],
  );
  const typed = [
    ...source.matchAll(/^\s*(?:import|export)\s+type\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm),
    ...source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)\s*\./g),
  ].map((match) => match[1]);
  return [...values.map((from) => ({ from, isType: false })), ...typed.map((from) => ({ from, isType: true }))];
}

/** The room, the package or `node:` that an import leads to. */
function nameOf(path: string, from: string): string {
  if (from.startsWith('.')) return roomOf(posix.join(posix.dirname(path), from));
  if (from.startsWith('node:')) return 'node:';
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
}

const impure = [
  /\bDate\b/,
  /\bMath\.random\b/,
  /\bset(?:Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\bperformance\b/,
  /\bcrypto\b/,
  /\bprocess\b/,
  /\bBuffer\b/,
  /\bconsole\b/,
  /\bfetch\(/,
  /\brequire\b/,
  /\bglobalThis\b/,
  /\bimport\(/,
];

/** Everything in a file that breaks its room's rule, each as a line that says what is allowed instead. */
function violations(path: string, source: string): string[] {
  const name = ruleNameOf(path);
  const rule = rules[name];
  if (rule === undefined) return [`${path} is in no room that test/architecture.test.ts knows: give '${name}' a rule`];
  const found: string[] = [];
  for (const { from, isType } of importsOf(source)) {
    const to = nameOf(path, from);
    if (to === roomOf(path) || rule.may.includes(to) || (isType && rule.types?.includes(to))) continue;
    const allowed = [...rule.may, ...(rule.types ?? []).map((room) => `types of ${room}`)].join(', ') || 'nothing';
    const hint = name === 'cli' ? "; if it is part of serve, add it to 'serving' in test/architecture.test.ts" : '';
    found.push(`${path} imports '${from}': ${name} may import ${allowed}, and its own files${hint}`);
  }
  if (rule.pure) {
    const code = strip(source);
    for (const global of impure) {
      const match = global.exec(code);
      if (match !== null) found.push(`${path} uses ${match[0]}: ${name} is pure; take it as an argument`);
    }
  }
  return found;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function files(): string[] {
  return ['src', 'db', 'cli'].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/')),
  );
}

const architecture = suite('architecture');

architecture('every file imports only what its room may', () => {
  const found = files().flatMap((path) => violations(path, readFileSync(join(root, path), 'utf8')));
  assert.is(found.length, 0, `\n${found.join('\n')}\n`);
});

architecture('all rooms are looked at', () => {
  const rooms = new Set(files().map(roomOf));
  for (const room of ['core', 'http1', 'proxy', 'index', 'edge', 'admin', 'db', 'cli'])
    assert.ok(rooms.has(room), room);
});

// The check itself: each of these must be found, and nothing in the second list.
const broken: [path: string, source: string, expected: RegExp][] = [
  [
    'src/core/x.ts',
    "import fs from 'node:fs';",
    /core\/x\.ts imports 'node:fs': core may import types of http1, types of http2/,
  ],
  ['src/core/x.ts', "import { type Scan } from '../http1/scan.ts';", /imports '\.\.\/http1\/scan\.ts'/],
  ['src/core/x.ts', "import { a } from '../http1/scan.ts';", /imports '\.\.\/http1\/scan\.ts'/],
  ['src/core/x.ts', "import type { Edge } from '../edge/edge.ts';", /imports '\.\.\/edge\/edge\.ts'/],
  ['src/core/x.ts', "import type {\n  Edge,\n  Other,\n} from '../edge/edge.ts';", /imports '\.\.\/edge\/edge\.ts'/],
  ['src/core/x.ts', "export let x: import('../edge/edge.ts').Edge;", /imports '\.\.\/edge\/edge\.ts'/],
  ['src/core/x.ts', "import ipaddr from 'ipaddr.js';", /imports 'ipaddr\.js'/],
  ['src/core/x.ts', "import 'reflect';", /imports 'reflect'/],
  ['src/core/x.ts', "export * from 'lodash/fp';", /imports 'lodash\/fp'/],
  ['src/core/x.ts', 'export const at = Date.now();', /uses Date: core is pure/],
  ['src/core/x.ts', 'export const at = +new Date();', /uses Date/],
  ['src/core/x.ts', 'export const at = Math.random();', /uses Math\.random/],
  ['src/core/x.ts', 'setTimeout(() => {}, 1);', /uses setTimeout/],
  ['src/http1/x.ts', 'export const b = Buffer.alloc(1);', /http1 is pure/],
  ['src/http2/x.ts', "const a = await import('./' + name);", /uses import\(/],
  ['src/http1/x.ts', "import { failures } from '../core/failure.ts';", /imports '\.\.\/core\/failure\.ts'/],
  ['src/proxy/proxy.ts', "import { once } from 'node:events';", /proxy may import core, hono/],
  ['src/proxy/proxy.ts', "import { Edge } from '../edge/edge.ts';", /imports '\.\.\/edge\/edge\.ts'/],
  ['src/index.ts', "export { x } from '../db/routes.ts';", /imports '\.\.\/db\/routes\.ts'/],
  ['src/edge/x.ts', "import { open } from '../../db/database.ts';", /imports '\.\.\/\.\.\/db\/database\.ts'/],
  ['src/edge/deep/x.ts', "import { open } from '../../../db/database.ts';", /database/],
  ['src/edge/x.ts', "import * as v from 'valibot';", /imports 'valibot'/],
  ['src/edge/x.ts', "await import('../admin/app.ts');", /imports '\.\.\/admin\/app\.ts'/],
  ['src/admin/x.ts', "import {\n  Edge,\n} from '../edge/edge.ts';", /imports '\.\.\/edge\/edge\.ts'/],
  ['src/admin/x.ts', "import { open } from '../../db/database.ts';", /database/],
  ['src/admin/x.ts', "import { run } from '../../cli/main.ts';", /main/],
  ['src/certs/x.ts', "import acme from 'acme-client';", /imports 'acme-client'/],
  ['src/certs/issuer.ts', "import { Edge } from '../edge/edge.ts';", /edge/],
  ['db/x.ts', "import { compile } from '../src/core/table.ts';", /db may import .*types of core/],
  ['db/x.ts', "import type { Edge } from '../src/edge/edge.ts';", /edge/],
  ['cli/route.ts', "import { open } from '../db/database.ts';", /database/],
  ['cli/route.ts', "import { Edge } from '../src/edge/edge.ts';", /edge/],
  ['cli/offline.ts', "import { Edge } from '../src/edge/edge.ts';", /edge/],
  ['cli/route.ts', "import express from 'express';", /express/],
  ['src/attic/x.ts', '', /in no room/],
];
for (const [path, source, expected] of broken) {
  architecture(`finds ${JSON.stringify(source)} in ${path}`, () => {
    assert.match(violations(path, source).join('\n'), expected);
  });
}

const fine: [path: string, source: string][] = [
  ['src/core/x.ts', "import { a } from './table.ts';\nimport type { B } from '../http1/scan.ts';"],
  ['src/core/x.ts', "// import fs from 'node:fs'; Date.now() is for others\n/** Math.random */ export const now = 1;"],
  ['src/core/x.ts', "export const text = 'away from here';\nexport interface Route { from: 'x' }"],
  ['src/http1/x.ts', "import type { FieldPlan } from '../core/types.ts';"],
  [
    'src/proxy/proxy.ts',
    "import { Hono } from 'hono';\nimport { decide } from '../core/decide.ts';\nsetTimeout(() => Date.now(), 1);",
  ],
  ['src/edge/x.ts', "import net from 'node:net';\nimport { decide } from '../core/decide.ts';"],
  ['src/admin/x.ts', "import { Hono } from 'hono';\nimport { bodyLimit } from 'hono/body-limit';"],
  ['src/certs/issuer.ts', "const acme = await import('acme-client');"],
  [
    'db/x.ts',
    "import { createClient } from '@libsql/client/http';\nimport type { Route } from '../src/core/types.ts';",
  ],
  ['cli/serve.ts', "import { Edge } from '../src/edge/edge.ts';\nimport { open } from '../db/database.ts';"],
  ['cli/offline.ts', "import { open } from '../db/database.ts';"],
];
for (const [path, source] of fine) {
  architecture(`allows ${JSON.stringify(source)} in ${path}`, () => assert.equal(violations(path, source), []));
}

architecture.run();
