/** Changes a body as it streams through. @type {import('../../../src/core/handler-types.ts').Handler} */
export default async function upper(_request, next) {
  const response = await next();
  const change = new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte)));
    },
  });
  const headers = new Headers(response.headers);
  headers.delete('content-length');
  return new Response(response.body.pipeThrough(change), { status: response.status, headers });
}
