/** Lets all through as it is. @type {import('../../../src/core/handler-types.ts').Handler} */
export default function through(_request, next) {
  return next();
}
