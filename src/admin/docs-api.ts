import type { Context } from 'hono';
import type { Api } from './operation.ts';

const html = 'text/html; charset=utf-8';
// Nothing is loaded, from anywhere: all is in the page.
const policy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What the API is, for everybody: GET `/openapi.json`, `/docs` and `/docs/errors`. Made at the first request, so that no start waits for it. */
export function addDocumentCalls({ on, operations }: Api, version: string): void {
  let document: Promise<object> | undefined;
  const made = () => {
    document ??= import('./openapi.ts').then(({ openApi }) => openApi(operations, version));
    return document;
  };
  const page = (c: Context, text: string) =>
    c.body(text, 200, { 'content-type': html, 'content-security-policy': policy, 'x-content-type-options': 'nosniff' });
  const common = { method: 'get', tag: 'documentation', scope: 'open' } as const;
  on(
    {
      ...{ ...common, id: 'getOpenApi', path: '/openapi.json', summary: 'This document' },
      answers: { 200: { description: 'OpenAPI 3.1.', type: 'application/json' } },
    },
    async (c) => c.json(await made()),
  );
  on(
    {
      ...{ ...common, id: 'getDocs', path: '/docs', summary: 'This document, to read' },
      answers: { 200: { description: 'A page.', type: 'text/html' } },
    },
    async (c) => {
      const { docsPage } = await import('./docs-page.ts');
      return page(c, docsPage((await made()) as never));
    },
  );
  on(
    {
      ...{ ...common, id: 'getErrorDocs', path: '/docs/errors', summary: 'What each code of a problem means' },
      answers: { 200: { description: 'A page.', type: 'text/html' } },
    },
    async (c) => {
      const { errorsPage } = await import('./docs-page.ts');
      return page(c, errorsPage());
    },
  );
}
