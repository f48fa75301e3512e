/** Lets through who has the key, and changes both messages. @type {import('../../../src/core/handler-types.ts').Handler} */
export default async function around(request, next) {
  if (request.headers.get('x-key') !== 'secret') return new Response('no key\n', { status: 401 });
  const headers = new Headers(request.headers);
  headers.set('x-user', 'ann');
  const response = await next(new Request(request, { headers }));
  response.headers.set('x-checked', 'yes');
  return response;
}
