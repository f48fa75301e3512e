const leastNode = 22;

/**
 * Proves that the raw-socket data path can work here.
 * @param versions default: this process's
 * @throws Error that says what is needed
 */
export function proveRuntime(versions: Readonly<Record<string, string | undefined>> = process.versions): void {
  for (const name of ['bun', 'deno'])
    if (versions[name] !== undefined)
      throw new Error(
        `createEdge works on Node's sockets, and this is ${name} ${versions[name]}; use createProxy, whose fetch its own server takes`,
      );
  const [major] = (versions.node ?? '0').split('.');
  if (Number(major) < leastNode)
    throw new Error(`createEdge needs Node ${leastNode} or newer, and this is Node ${versions.node}; update Node`);
}
