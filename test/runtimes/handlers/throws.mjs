/** Always throws. @type {import('../../../src/core/handler-types.ts').Handler} */
export default function throws() {
  throw new Error('thrown by the handler');
}
