/** Who may change a node in place. Each draft has its own, and drops it when it is finished. */
export type Owner = object;

/** A leaf has entries, a branch has kids. */
interface Node<V> {
  readonly owner: Owner;
  entries: Map<string, V> | undefined;
  kids: Node<V>[] | undefined;
}

// A leaf of this many entries is copied in microseconds, and is large enough that its Map's own cost does not count.
const leafLimit = 256;
const bits = 5;
const fanOut = 1 << bits;
// Past this depth the hash has no bits left: the leaf just grows.
const maxDepth = 6;

/**
 * A map that shares structure with its earlier versions: a change copies one leaf and the branches above it, never the rest.
 * `set` and `delete` return the changed map; given the owner that made this map, they change it in place and return it.
 * A small map is one native Map; a large one is a tree of them, by the bits of the key's hash.
 */
export class SharedMap<V> {
  readonly #owner: Owner;
  #root: Node<V>;
  #size: number;

  constructor(owner: Owner, root: Node<V> = leaf(owner), size = 0) {
    this.#owner = owner;
    this.#root = root;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    let node = this.#root;
    if (node.kids === undefined) return node.entries!.get(key);
    let hash = hashOf(key);
    while (node.kids !== undefined) {
      node = node.kids[hash & (fanOut - 1)];
      hash >>>= bits;
    }
    return node.entries!.get(key);
  }

  set(key: string, value: V, owner: Owner): SharedMap<V> {
    const map = this.#ownedBy(owner);
    const entries = map.#entriesFor(key, owner);
    map.#size -= entries.size;
    entries.set(key, value);
    map.#size += entries.size;
    return map;
  }

  delete(key: string, owner: Owner): SharedMap<V> {
    if (this.get(key) === undefined) return this;
    const map = this.#ownedBy(owner);
    map.#entriesFor(key, owner).delete(key);
    map.#size -= 1;
    return map;
  }

  /** All values, in no order that means anything. */
  *values(): Generator<V> {
    const open: Node<V>[] = [this.#root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.kids !== undefined) open.push(...node.kids);
      else yield* node.entries!.values();
    }
  }

  #ownedBy(owner: Owner): SharedMap<V> {
    return this.#owner === owner ? this : new SharedMap(owner, this.#root, this.#size);
  }

  /** The entries of the leaf that holds the key, or is to hold it; the way to it belongs to the owner afterwards. */
  #entriesFor(key: string, owner: Owner): Map<string, V> {
    let node = ownNode(this.#root, owner);
    this.#root = node;
    let hash = -1;
    for (let depth = 0; ; depth++) {
      if (node.entries !== undefined && node.entries.size >= leafLimit && depth < maxDepth) split(node, depth);
      if (node.kids === undefined) return node.entries!;
      if (depth === 0) hash = hashOf(key);
      const at = hash & (fanOut - 1);
      hash >>>= bits;
      node.kids[at] = ownNode(node.kids[at], owner);
      node = node.kids[at];
    }
  }
}

function leaf<V>(owner: Owner): Node<V> {
  return { owner, entries: new Map(), kids: undefined };
}

function ownNode<V>(node: Node<V>, owner: Owner): Node<V> {
  if (node.owner === owner) return node;
  return { owner, entries: node.entries && new Map(node.entries), kids: node.kids?.slice() };
}

/** Turns an owned leaf into a branch, in place. */
function split<V>(node: Node<V>, depth: number): void {
  const kids: Node<V>[] = Array.from({ length: fanOut }, () => leaf<V>(node.owner));
  for (const [key, value] of node.entries!) {
    kids[(hashOf(key) >>> (depth * bits)) & (fanOut - 1)].entries!.set(key, value);
  }
  node.entries = undefined;
  node.kids = kids;
}

/** FNV-1a with a last mix: the low bits, which choose the first branch, depend on every character. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
