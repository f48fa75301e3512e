const open = new Set<{ close(): void }>();

/** Has `thing` closed by the next `cleanUp`. @returns it */
export function closeLater<T extends { close(): void }>(thing: T): T {
  open.add(thing);
  return thing;
}

/** Closes all that was opened since: a suite's `after.each`, so that a test that fails leaves nothing that keeps its process up. */
export function cleanUp(): void {
  for (const thing of open) thing.close();
  open.clear();
}
