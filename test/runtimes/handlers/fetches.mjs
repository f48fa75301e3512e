/** Answers with what it fetches by itself, in a coding that it asks for. @type {import('../../../src/core/handler-types.ts').Handler} */
export default function fetches(request) {
  return fetch(request.headers.get('x-from') ?? '', { headers: { 'accept-encoding': 'gzip' } });
}
