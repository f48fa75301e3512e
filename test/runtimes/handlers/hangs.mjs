/** Never answers. @type {import('../../../src/core/handler-types.ts').Handler} */
export default function hangs() {
  return new Promise((resolve) => setTimeout(resolve, 60_000));
}
