import { problemKinds } from './problems.ts';

interface Schema {
  readonly [keyword: string]: unknown;
}
interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly description?: string;
}
interface Call {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly 'x-scope': string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly $ref?: string }>>;
}
interface Document {
  readonly info: { readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Call>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const style = `:root{color-scheme:light dark;--line:#8884;--soft:#8881;--ink:#0b57a4}
@media (prefers-color-scheme:dark){:root{--ink:#8ec1ff}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
a{color:var(--ink)}code,pre{font:.875em/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.75rem;overflow:auto;border-radius:.4rem}
section{border-top:1px solid var(--line);padding:.5rem 0}h2{margin:2.5rem 0 .5rem}h3{margin:.75rem 0 .25rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line)}
nav ul{columns:16rem;padding-left:1rem}.scope{border:1px solid var(--line);border-radius:1rem;padding:0 .6rem;font-size:.85em;white-space:nowrap}
.scroll{overflow-x:auto}:target{background:var(--soft)}`;

function frame(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${plain(title)}</title><style>${style}</style></head>
<body>${body}</body></html>
`;
}

/** The API to read: each call with its scope, its parameters, an example. Works without scripts. @param document as `openApi` makes it */
export function docsPage(document: Document): string {
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, call]) => ({ path, method: method.toUpperCase(), call })),
  );
  const tags = [...new Set(calls.map(({ call }) => call.tags[0]))].sort();
  const index = tags
    .map(
      (tag) => `<li><a href="#${tag}">${plain(tag)}</a> (${calls.filter(({ call }) => call.tags[0] === tag).length})`,
    )
    .join('');
  const parts = tags.map((tag) => {
    const own = calls.filter(({ call }) => call.tags[0] === tag);
    return `<h2 id="${tag}">${plain(tag)}</h2>${own.map((one) => section(one, document)).join('')}`;
  });
  const schemas = Object.entries(document.components.schemas)
    .map(([name, schema]) => `<section id="schema-${name}"><h3>${name}</h3>${schemaText(schema)}</section>`)
    .join('');
  return frame(
    'oo: the API',
    `<h1>oo ${plain(document.info.version)}: the API</h1><p>${marked(document.info.description)}</p>
<p><a href="/openapi.json">openapi.json</a> · <a href="/docs/errors">codes of problems</a> · <a href="#schemas">schemas</a></p>
<nav><ul>${index}</ul></nav>${parts.join('')}<h2 id="schemas">Schemas</h2>${schemas}`,
  );
}

function section({ path, method, call }: { path: string; method: string; call: Call }, document: Document): string {
  const rows = call.parameters
    .filter(({ $ref }) => $ref === undefined)
    .map(
      (one) =>
        `<tr><td><code>${plain(one.name)}</code><td>${one.in}${one.required ? ', needed' : ''}<td>${marked(one.description ?? '')}`,
    )
    .concat(
      call.parameters.some(({ $ref }) => $ref !== undefined)
        ? [
            '<tr><td><code>If-Match</code><td>header<td>The ETag of an answer: change only if this still is the revision.',
          ]
        : [],
    );
  const body = call.requestBody?.content['application/json']?.schema;
  const answers = Object.entries(call.responses)
    .filter(([status]) => Number(status) < 400)
    .map(([status, { description }]) => `<tr><td>${status}<td colspan="2">${marked(description ?? '')}`);
  return `<section id="${call.operationId}"><h3><code>${method} ${plain(path)}</code> <span class="scope">${plain(call['x-scope'])}</span></h3>
<p>${plain(call.summary)}. ${marked(call.description)}</p><div class="scroll"><table>${rows.join('')}${answers.join('')}</table></div>
<pre>${plain(curl(method, path, body && exampleOf(body, document, 0)))}</pre></section>`;
}

function curl(method: string, path: string, body: unknown): string {
  const url = `http://127.0.0.1:11337${path.replace(/\{(\w+)\}/g, (_, name) => (name === 'revision' ? '5' : 'app.example.com'))}`;
  const auth = "-H 'Authorization: Bearer oo_…'";
  const data = body === undefined ? '' : ` \\\n  -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`;
  return `curl ${method === 'GET' ? '' : `-X ${method} `}${auth} '${url}'${data}`;
}

/** A small value that fits: the first example, the default, what is required. */
export function exampleOf(schema: Schema, document: Pick<Document, 'components'>, depth: number): unknown {
  const { $ref, examples, type, anyOf, properties, required = [], items } = schema;
  if (typeof $ref === 'string') {
    const named = document.components.schemas[$ref.split('/').at(-1) as string];
    return depth > 6 || named === undefined ? {} : exampleOf(named, document, depth + 1);
  }
  if (Array.isArray(examples) && examples.length > 0) return examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if (Array.isArray(anyOf)) return exampleOf(anyOf[0] as Schema, document, depth + 1);
  if (type === 'object') {
    const needed = Object.entries((properties ?? {}) as Record<string, Schema>).filter(([name]) =>
      (required as string[]).includes(name),
    );
    return Object.fromEntries(needed.map(([name, one]) => [name, exampleOf(one, document, depth + 1)]));
  }
  if (type === 'array') return [exampleOf((items ?? {}) as Schema, document, depth + 1)];
  return (
    { string: 'text', number: 1, integer: (schema.minimum as number | undefined) ?? 1, boolean: true }[
      type as 'string'
    ] ?? null
  );
}

function schemaText(schema: Schema): string {
  const description = typeof schema.description === 'string' ? `<p>${marked(schema.description)}</p>` : '';
  return `${description}<details><summary>JSON Schema</summary><pre>${plain(JSON.stringify(schema, null, 2))}</pre></details>`;
}

/** What each code means: where the `type` of every problem leads. */
export function errorsPage(): string {
  const rows = Object.entries(problemKinds)
    .map(
      ([code, { title, status, about }]) =>
        `<section id="${code}"><h3><code>${code}</code> <span class="scope">${status.join(', ')}</span></h3><p><b>${plain(title)}.</b> ${marked(about)}</p></section>`,
    )
    .join('');
  return frame(
    'oo: codes of problems',
    `<h1>Codes of problems</h1><p>Each refusal of the API is <code>application/problem+json</code> (RFC 9457). Its <code>code</code> does not change; <code>detail</code> says what is wrong this time, <code>hint</code> what to do next, <code>faults</code> each value with a JSON pointer into the body that was sent. <a href="/docs">The API</a></p>${rows}`,
  );
}

function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** `code` of the descriptions, as code. */
function marked(text: string): string {
  return plain(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}
