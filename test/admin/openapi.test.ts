import { readdirSync, readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { problemKinds } from '../../src/admin/problems.ts';
import { builtInSegments } from '../../src/core/service-path.ts';
import { apiApps } from '../helpers/api-apps.ts';
import { callerOf } from '../helpers/registry-server.ts';

const openapi = suite('admin: OpenAPI and its page');

// biome-ignore lint/suspicious/noExplicitAny: a test looks into it
async function documentOf(): Promise<any> {
  const { admin, stop } = await apiApps();
  const response = await admin.request('/openapi.json');
  assert.is(response.status, 200);
  await stop();
  return response.json();
}

openapi('a third-party validator takes the document', async () => {
  const document = await documentOf();
  const { valid, errors } = await new Validator().validate(document);
  assert.ok(valid, JSON.stringify(errors, null, 1));
  assert.match(document.openapi, /^3\.1\./);
});

openapi('each call has its scope, its refusals, and a name of its own; all references lead somewhere', async () => {
  const document = await documentOf();
  const ids = new Set<string>();
  for (const [path, methods] of Object.entries<Record<string, Record<string, never>>>(document.paths)) {
    for (const [method, call] of Object.entries(methods)) {
      const { operationId, responses, security } = call as Record<string, never>;
      assert.not.ok(ids.has(operationId), operationId);
      ids.add(operationId);
      assert.ok(call['x-scope'], `${method} ${path}`);
      assert.is((security as []).length, call['x-scope'] === 'open' ? 0 : 1);
      if (call['x-scope'] !== 'open') assert.ok(responses['401'] && responses['403'], operationId);
    }
  }
  for (const id of [
    'saveRoutes',
    'saveRoute',
    'apply',
    'listHistory',
    'diff',
    'rollback',
    'saveServices',
    'getSettings',
  ])
    assert.ok(ids.has(id), id);
  const { parameters, responses } = document.paths['/v1/routes'].put;
  assert.ok(parameters.some(({ name }: { name?: string }) => name === 'dryRun'));
  assert.ok(parameters.some(({ $ref }: { $ref?: string }) => $ref === '#/components/parameters/IfMatch'));
  assert.ok(responses['412'] && responses['200'].headers.ETag);
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, place]) => place.split('/'));
  assert.ok(refs.length > 50);
  for (const keys of refs) {
    let value = document;
    for (const key of keys) value = value?.[key];
    assert.ok(value, keys.join('/'));
  }
});

openapi('everybody may read it, over the port too; no service can be called docs', async () => {
  const { open, stop } = await apiApps();
  for (const path of ['/openapi.json', '/docs', '/docs/errors']) {
    const response = await open.request(`http://127.0.0.1:11337${path}`);
    assert.is(response.status, 200, path);
    await response.text();
  }
  const home = await callerOf(open)('GET', '/');
  assert.match(home.body.docs, '/docs');
  assert.is((await callerOf(open)('GET', '/v1/routes')).status, 401);
  for (const segment of ['docs', 'openapi.json'] as const) assert.ok(builtInSegments.includes(segment));
  await stop();
});

openapi('the page shows each call with its scope, needs no script and no other host', async () => {
  const { admin, stop } = await apiApps();
  const document = await documentOf();
  const response = await admin.request('/docs');
  const page = await response.text();
  assert.match(response.headers.get('content-security-policy') ?? '', "default-src 'none'");
  assert.not.match(page, /<script|<link|src=|@import|url\(/);
  assert.match(page, 'prefers-color-scheme:dark');
  for (const [path, methods] of Object.entries(document.paths))
    for (const method of Object.keys(methods as object))
      assert.ok(page.includes(`<code>${method.toUpperCase()} ${path}</code>`), `${method} ${path}`);
  for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(page.includes(`id="${target}"`), target);
  await stop();
});

openapi('every code of the API has its place on the page of errors, where `type` leads', async () => {
  const { admin, stop } = await apiApps();
  const codes = new Set<string>();
  // What explain says of the edge's answers to others is no answer of the API.
  for (const file of readdirSync('src/admin').filter((name) => name.endsWith('.ts') && !name.startsWith('explain')))
    for (const [, code] of readFileSync(`src/admin/${file}`, 'utf8').matchAll(/'(OO_[A-Z_]*[A-Z])'/g)) codes.add(code);
  assert.ok(codes.size > 15);
  assert.equal([...codes].filter((code) => !Object.hasOwn(problemKinds, code)).sort(), []);
  const refused = await admin.request('/v1/routes/none');
  assert.is(refused.headers.get('content-type'), 'application/problem+json');
  const { type, title, status, detail, error, code } = (await refused.json()) as Record<string, string>;
  assert.equal([type, status, detail, code], ['/docs/errors#OO_NOT_FOUND', 404, error, 'OO_NOT_FOUND']);
  assert.ok(title);
  const page = await (await admin.request('/docs/errors')).text();
  for (const known of Object.keys(problemKinds)) assert.ok(page.includes(`id="${known}"`), known);
  await stop();
});

openapi.run();
