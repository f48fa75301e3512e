/** Answers by itself; with what it was told. @type {import('../../../src/core/handler-types.ts').Handler} */
export default function answer(request, _next, context) {
  const { pathname } = new URL(request.url);
  return new Response(`${request.method} ${pathname} by ${context.route}, ${context.requestId.length > 0}`, {
    status: 203,
    headers: { 'x-by': 'handler' },
  });
}
