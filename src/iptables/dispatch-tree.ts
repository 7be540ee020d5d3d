/**
 * Dispatch tree: a set of keyed entries laid out as chains that never hold many rules.
 *
 * A chain with more than `limit` entries is split by the next differing digit of their keys, so that a packet passes a
 * handful of rules at any number of entries, and a change rewrites one leaf. The layout is a function of the entries
 * alone: a chain splits when it grows over the limit and merges back when it shrinks, whatever the order of events.
 *
 * Keys are digit strings of one length per kind (hexadecimal addresses or ports, each behind a letter for its kind).
 * The tree underneath is a radix tree: every inner node has at least two children, so a common prefix costs one rule.
 *
 * @module
 */

/** One rule to be reached through the tree. */
export interface DispatchEntry<T> {
  /** Digits by which the tree branches. */
  readonly key: string;
  /** Unique among the entries of a key; orders them. */
  readonly id: string;
  readonly value: T;
}

/** What a chain holds, in order: entries of its own, and branches to the chains of longer prefixes. */
export type DispatchItem<T> =
  | { readonly kind: "entry"; readonly entry: DispatchEntry<T> }
  | { readonly kind: "branch"; readonly prefix: string };

/** What a flush found different. Chains are named by their prefix; the root is `""`. */
export interface DispatchChange<T> {
  readonly changed: ReadonlyMap<string, readonly DispatchItem<T>[]>;
  readonly removed: readonly string[];
}

interface Leaf<T> {
  readonly kind: "leaf";
  readonly prefix: string;
  /** Sorted by id. */
  readonly entries: DispatchEntry<T>[];
}

interface Inner<T> {
  readonly kind: "inner";
  readonly prefix: string;
  /** Entries below it. */
  count: number;
  /** Sorted by prefix; at least two. */
  readonly children: Node<T>[];
}

type Node<T> = Leaf<T> | Inner<T>;

/** About as many rules as a packet may pass before another jump is cheaper. */
export const defaultDispatchLimit = 16;

/** The entries of one dispatch chain of the kernel. */
export class DispatchTree<T> {
  readonly #limit: number;
  #root: Node<T> | undefined;
  readonly #touched = new Set<string>();
  /** Branches of every chain as last told by {@link flush}. */
  readonly #branches = new Map<string, readonly string[]>();
  readonly #parents = new Map<string, string>();

  constructor(limit: number = defaultDispatchLimit) {
    this.#limit = limit;
  }

  /** Number of entries. */
  get size(): number {
    return this.#root === undefined ? 0 : countOf(this.#root);
  }

  /** The value of an entry. */
  get(key: string, id: string): T | undefined {
    return this.#root === undefined ? undefined : find(this.#root, key, id);
  }

  /** Adds an entry, or replaces the one with the same key and id. */
  set(entry: DispatchEntry<T>): void {
    this.#touched.add(entry.key);
    this.#root = this.#root === undefined ? leafOf(entry) : insert(this.#root, entry);
  }

  /** Removes an entry; removing what is not there is no error. */
  delete(key: string, id: string): void {
    this.#touched.add(key);
    this.#root = this.#root === undefined ? undefined : remove(this.#root, key, id);
  }

  /** Chains whose content differs since the last flush. The first flush always tells the root. */
  flush(): DispatchChange<T> {
    const changed = new Map<string, readonly DispatchItem<T>[]>();
    const orphans = new Set<string>();
    if (this.#touched.size > 0 || !this.#branches.has("")) {
      this.#visit("", this.#root, [...this.#touched], changed, orphans);
    }
    this.#touched.clear();
    const removed: string[] = [];
    for (const orphan of orphans) {
      this.#drop(orphan, removed);
    }
    return { changed, removed: removed.sort() };
  }

  /** Every chain with its content, as if nothing had been told before. */
  *chains(): Iterable<[prefix: string, items: readonly DispatchItem<T>[]]> {
    yield* this.#chainsFrom("", this.#root);
  }

  *#chainsFrom(prefix: string, node: Node<T> | undefined): Iterable<[string, readonly DispatchItem<T>[]]> {
    yield [prefix, this.#items(prefix, node)];
    for (const child of this.#branchNodes(prefix, node)) {
      yield* this.#chainsFrom(child.prefix, child);
    }
  }

  #visit(
    prefix: string,
    node: Node<T> | undefined,
    touched: readonly string[],
    changed: Map<string, readonly DispatchItem<T>[]>,
    orphans: Set<string>,
  ): void {
    const children = this.#branchNodes(prefix, node);
    const branches = children.map((child) => child.prefix);
    for (const old of this.#branches.get(prefix) ?? []) {
      if (!branches.includes(old) && this.#parents.get(old) === prefix) {
        this.#parents.delete(old);
        orphans.add(old);
      }
    }
    changed.set(prefix, this.#items(prefix, node));
    this.#branches.set(prefix, branches);
    for (const child of children) {
      this.#parents.set(child.prefix, prefix);
      orphans.delete(child.prefix);
    }
    for (const child of children) {
      const below = touched.filter((key) => key.startsWith(child.prefix));
      if (below.length > 0 || !this.#branches.has(child.prefix)) {
        this.#visit(child.prefix, child, below, changed, orphans);
      }
    }
  }

  #drop(prefix: string, removed: string[]): void {
    removed.push(prefix);
    for (const branch of this.#branches.get(prefix) ?? []) {
      // A branch that another chain has taken over meanwhile lives on.
      if (this.#parents.get(branch) === prefix) {
        this.#parents.delete(branch);
        this.#drop(branch, removed);
      }
    }
    this.#branches.delete(prefix);
  }

  #items(prefix: string, node: Node<T> | undefined): readonly DispatchItem<T>[] {
    return this.#parts(prefix, node).flatMap((part): DispatchItem<T>[] =>
      part.branch
        ? [{ kind: "branch", prefix: part.node.prefix }]
        : entriesOf(part.node).map((entry) => ({ kind: "entry", entry })),
    );
  }

  #branchNodes(prefix: string, node: Node<T> | undefined): readonly Node<T>[] {
    return this.#parts(prefix, node)
      .filter((part) => part.branch)
      .map((part) => part.node);
  }

  /** What the chain of a prefix is made of, given the node that holds everything under the prefix. */
  #parts(prefix: string, node: Node<T> | undefined): readonly Part<T>[] {
    if (node === undefined) {
      return [];
    }
    if (countOf(node) <= this.#limit || (node.kind === "leaf" && node.prefix === prefix)) {
      return [{ node, branch: false }];
    }
    // Only the root chain meets a node of a longer prefix: one rule then stands for what all entries have in common.
    const nodes = node.kind === "inner" && node.prefix === prefix ? node.children : [node];
    return nodes.map((one) => ({ node: one, branch: countOf(one) > 1 }));
  }
}

interface Part<T> {
  readonly node: Node<T>;
  /** Whether the part has a chain of its own; otherwise its entries stand in this chain. */
  readonly branch: boolean;
}

function find<T>(node: Node<T>, key: string, id: string): T | undefined {
  if (node.kind === "leaf") {
    return node.prefix === key ? node.entries.find((entry) => entry.id === id)?.value : undefined;
  }
  const child = key.startsWith(node.prefix) ? node.children[childIndex(node, key)] : undefined;
  return child === undefined ? undefined : find(child, key, id);
}

function countOf<T>(node: Node<T>): number {
  return node.kind === "leaf" ? node.entries.length : node.count;
}

function entriesOf<T>(node: Node<T>): readonly DispatchEntry<T>[] {
  return node.kind === "leaf" ? node.entries : node.children.flatMap(entriesOf);
}

function leafOf<T>(entry: DispatchEntry<T>): Leaf<T> {
  return { kind: "leaf", prefix: entry.key, entries: [entry] };
}

/** Adds the entry below the node. @returns what takes the node's place: itself, or a new one above it */
function insert<T>(node: Node<T>, entry: DispatchEntry<T>): Node<T> {
  const common = commonLength(node.prefix, entry.key);
  if (common < node.prefix.length) {
    const children = [node];
    putInOrder<Node<T>>(children, leafOf(entry), byPrefix);
    return { kind: "inner", prefix: entry.key.slice(0, common), count: countOf(node) + 1, children };
  }
  if (node.kind === "leaf") {
    putInOrder(node.entries, entry, byId);
    return node;
  }
  const index = childIndex(node, entry.key);
  const child = node.children[index];
  if (child === undefined) {
    putInOrder<Node<T>>(node.children, leafOf(entry), byPrefix);
    node.count += 1;
  } else {
    node.count -= countOf(child);
    const grown = insert(child, entry);
    node.children[index] = grown;
    node.count += countOf(grown);
  }
  return node;
}

/** Removes the entry, if it is there. @returns what takes the node's place */
function remove<T>(node: Node<T>, key: string, id: string): Node<T> | undefined {
  if (node.kind === "leaf") {
    const at = node.prefix === key ? node.entries.findIndex((one) => one.id === id) : -1;
    if (at >= 0) {
      node.entries.splice(at, 1);
    }
    return node.entries.length === 0 ? undefined : node;
  }
  const index = key.startsWith(node.prefix) ? childIndex(node, key) : -1;
  const child = node.children[index];
  if (child === undefined) {
    return node;
  }
  node.count -= countOf(child);
  const kept = remove(child, key, id);
  if (kept === undefined) {
    node.children.splice(index, 1);
  } else {
    node.children[index] = kept;
    node.count += countOf(kept);
  }
  const [first] = node.children;
  return node.children.length === 1 ? first : node;
}

function childIndex<T>(node: Inner<T>, key: string): number {
  const at = node.prefix.length;
  const digit = key.charCodeAt(at);
  return node.children.findIndex((child) => child.prefix.charCodeAt(at) === digit);
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a.charCodeAt(length) === b.charCodeAt(length)) {
    length += 1;
  }
  return length;
}

/** Puts an item into a sorted list, in the place of the one that is equal in order, if there is one. */
function putInOrder<T>(list: T[], item: T, compare: (a: T, b: T) => number): void {
  let at = list.length;
  while (at > 0 && compare(list[at - 1] as T, item) >= 0) {
    at -= 1;
  }
  const next = list[at];
  list.splice(at, next !== undefined && compare(next, item) === 0 ? 1 : 0, item);
}

function byPrefix<T>(a: Node<T>, b: Node<T>): number {
  return a.prefix < b.prefix ? -1 : Number(a.prefix > b.prefix);
}

function byId<T>(a: DispatchEntry<T>, b: DispatchEntry<T>): number {
  return a.id < b.id ? -1 : Number(a.id > b.id);
}
