import { GantryError } from '#errors/index.ts';
import { decodeName } from '#tar/index.ts';
import { joinPath } from '../entry-path.ts';
import { Column, f64, u32 } from './column.ts';
import { MAX_NAME } from './on-disk.ts';

/** What one image may have: far more than images in use do, and few enough to be held in memory. */
export const treeLimits = { entries: 1 << 22, nameBytes: 1 << 29, attributeBytes: 1 << 26 };

export const modeBits = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;
export type NodeType = keyof typeof modeBits;
const typeBits = 0o170000;

export interface NewNode {
  readonly type: NodeType;
  /** The low 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Bytes of a file. */
  readonly size?: number;
  /** First block of a file, or a device's number. */
  readonly place?: number;
  /** Of a symlink. */
  readonly target?: Uint8Array;
}

const NONE = 0;

/**
 * A layer's tree without the contents of its files: nodes (inodes) and entries (names), both by number from 1 on, in
 * columns of numbers, so that a million of them take some hundred megabytes and not a gigabyte. Numbers are not used again.
 */
export class LayerTree {
  readonly root: number;
  readonly #mode = new Column(u32);
  readonly #uid = new Column(u32);
  readonly #gid = new Column(u32);
  readonly #size = new Column(f64);
  readonly #seconds = new Column(f64);
  readonly #nanoseconds = new Column(u32);
  readonly #links = new Column(u32);
  /** A file's block, a device's number, a symlink's target in the text, a directory's first entry. */
  readonly #place = new Column(u32);
  /** The entry that a directory is. */
  readonly #self = new Column(u32);
  readonly #attributes = new Map<number, Map<string, Uint8Array>>();
  #nodes = 0;
  #attributeBytes = 0;

  readonly #node = new Column(u32);
  readonly #directory = new Column(u32);
  readonly #next = new Column(u32);
  readonly #previous = new Column(u32);
  readonly #nameAt = new Column(u32);
  readonly #nameLength = new Column((length) => new Uint8Array(length));
  /** The next entry of the same bucket. */
  readonly #chain = new Column(u32);
  #entries = 0;
  #buckets = new Uint32Array(1 << 10);

  #text = Buffer.alloc(1 << 16);
  #textLength = 0;

  constructor() {
    this.root = this.add({ type: 'directory', mode: 0o755, uid: 0, gid: 0, seconds: 0, nanoseconds: 0 });
  }

  /** @throws GantryError exhausted */
  add(node: NewNode): number {
    this.#count('entries', ++this.#nodes);
    const id = this.#nodes;
    this.#size.set(id, node.target?.length ?? node.size ?? 0);
    this.#place.set(id, node.target === undefined ? (node.place ?? 0) : this.#keepText(node.target));
    this.#mode.set(id, modeBits[node.type]);
    this.describe(id, node);
    return id;
  }

  /** Owner, mode and time. */
  describe(id: number, { mode, uid, gid, seconds, nanoseconds }: Omit<NewNode, 'type'>): void {
    this.#mode.set(id, (this.#mode.at(id) & typeBits) | mode);
    this.#uid.set(id, uid);
    this.#gid.set(id, gid);
    this.#seconds.set(id, seconds);
    this.#nanoseconds.set(id, nanoseconds);
  }

  setAttribute(id: number, key: string, value: Uint8Array): void {
    const own = this.#attributes.get(id) ?? new Map<string, Uint8Array>();
    this.#attributes.set(id, own);
    this.#attributeBytes += key.length + value.length;
    this.#count('attributeBytes', this.#attributeBytes);
    own.set(key, Uint8Array.from(value));
  }

  attributes(id: number): ReadonlyMap<string, Uint8Array> {
    return this.#attributes.get(id) ?? new Map();
  }

  mode(id: number): number {
    return this.#mode.at(id);
  }
  isDirectory(id: number): boolean {
    return (this.#mode.at(id) & typeBits) === modeBits.directory;
  }
  isSymlink(id: number): boolean {
    return (this.#mode.at(id) & typeBits) === modeBits.symlink;
  }
  /** An overlay's whiteout. */
  isWhiteout(id: number): boolean {
    return (this.#mode.at(id) & typeBits) === modeBits['character-device'] && this.#place.at(id) === 0;
  }
  owner(id: number): { readonly uid: number; readonly gid: number } {
    return { uid: this.#uid.at(id), gid: this.#gid.at(id) };
  }
  time(id: number): { readonly seconds: number; readonly nanoseconds: number } {
    return { seconds: this.#seconds.at(id), nanoseconds: this.#nanoseconds.at(id) };
  }
  size(id: number): number {
    return this.#size.at(id);
  }
  place(id: number): number {
    return this.#place.at(id);
  }
  links(id: number): number {
    return this.#links.at(id);
  }
  target(id: number): Buffer {
    const at = this.#place.at(id);
    return this.#text.subarray(at, at + this.#size.at(id));
  }

  /** The entry of a name, or 0. */
  find(directory: number, name: Uint8Array): number {
    const bucket = hashOf(directory, name) & (this.#buckets.length - 1);
    for (let entry = this.#buckets[bucket] ?? NONE; entry !== NONE; entry = this.#chain.at(entry))
      if (this.#directory.at(entry) === directory && this.name(entry).equals(name)) return entry;
    return NONE;
  }

  /** Gives a node a name that is free. @throws GantryError exhausted, invalid (a name too long) */
  link(directory: number, name: Uint8Array, node: number): number {
    if (name.length > MAX_NAME)
      throw new GantryError('invalid', `a name of ${name.length} bytes; ${MAX_NAME} is the most`);
    this.#count('entries', ++this.#entries);
    const entry = this.#entries;
    this.#node.set(entry, node);
    this.#directory.set(entry, directory);
    this.#nameAt.set(entry, this.#keepText(name));
    this.#nameLength.set(entry, name.length);
    const first = this.#place.at(directory);
    this.#next.set(entry, first);
    if (first !== NONE) this.#previous.set(first, entry);
    this.#place.set(directory, entry);
    this.#links.set(node, this.#links.at(node) + 1);
    if (this.isDirectory(node)) this.#self.set(node, entry);
    if (this.#entries > this.#buckets.length) this.#growBuckets();
    else this.#enterBucket(entry, name);
    return entry;
  }

  /** Takes a name away, of a directory with all below it. */
  unlink(entry: number): void {
    const pending = [entry];
    for (let doomed = pending.pop(); doomed !== undefined; doomed = pending.pop()) {
      const node = this.#node.at(doomed);
      if (this.isDirectory(node)) for (const below of this.entries(node)) pending.push(below);
      this.#unlinkOne(doomed, node);
    }
  }

  #unlinkOne(entry: number, node: number): void {
    const directory = this.#directory.at(entry);
    const [before, after] = [this.#previous.at(entry), this.#next.at(entry)];
    if (before === NONE) this.#place.set(directory, after);
    else this.#next.set(before, after);
    if (after !== NONE) this.#previous.set(after, before);
    const bucket = hashOf(directory, this.name(entry)) & (this.#buckets.length - 1);
    let at = this.#buckets[bucket] ?? NONE;
    if (at === entry) this.#buckets[bucket] = this.#chain.at(entry);
    else {
      while (this.#chain.at(at) !== entry) at = this.#chain.at(at);
      this.#chain.set(at, this.#chain.at(entry));
    }
    this.#node.set(entry, NONE);
    this.#links.set(node, this.#links.at(node) - 1);
    if (this.#links.at(node) === 0) this.#attributes.delete(node);
  }

  /** A directory's entries, in no order. */
  *entries(directory: number): Generator<number, void> {
    for (let entry = this.#place.at(directory); entry !== NONE; entry = this.#next.at(entry)) yield entry;
  }

  /** What an entry names; 0 once it was taken away. */
  nodeOf(entry: number): number {
    return this.#node.at(entry);
  }
  directoryOf(entry: number): number {
    return this.#directory.at(entry);
  }
  name(entry: number): Buffer {
    const at = this.#nameAt.at(entry);
    return this.#text.subarray(at, at + this.#nameLength.at(entry));
  }
  compareNames(a: number, b: number): number {
    const [atA, atB] = [this.#nameAt.at(a), this.#nameAt.at(b)];
    const [endA, endB] = [atA + this.#nameLength.at(a), atB + this.#nameLength.at(b)];
    return this.#text.compare(this.#text, atB, endB, atA, endA);
  }

  /** The directory that has this one; of the root the root. */
  parent(directory: number): number {
    return directory === this.root ? directory : this.#directory.at(this.#self.at(directory));
  }
  /** From the root; '' is the root itself. */
  path(directory: number): string {
    const parts: string[] = [];
    for (let at = directory; at !== this.root; at = this.parent(at))
      parts.push(decodeName(this.name(this.#self.at(at))));
    return parts.reverse().reduce(joinPath, '');
  }

  #enterBucket(entry: number, name: Uint8Array): void {
    const bucket = hashOf(this.#directory.at(entry), name) & (this.#buckets.length - 1);
    this.#chain.set(entry, this.#buckets[bucket] ?? NONE);
    this.#buckets[bucket] = entry;
  }

  #growBuckets(): void {
    this.#buckets = new Uint32Array(this.#buckets.length * 4);
    for (let entry = 1; entry <= this.#entries; entry++)
      if (this.#node.at(entry) !== NONE) this.#enterBucket(entry, this.name(entry));
  }

  #keepText(bytes: Uint8Array): number {
    const at = this.#textLength;
    this.#textLength += bytes.length;
    this.#count('nameBytes', this.#textLength);
    if (this.#textLength > this.#text.length) {
      const grown = Buffer.alloc(Math.max(this.#textLength, this.#text.length * 2));
      grown.set(this.#text);
      this.#text = grown;
    }
    this.#text.set(bytes, at);
    return at;
  }

  #count(what: keyof typeof treeLimits, have: number): void {
    if (have <= treeLimits[what]) return;
    const words = { entries: 'entries', nameBytes: 'bytes of names', attributeBytes: 'bytes of attributes' };
    throw new GantryError('exhausted', `the layer has more than ${treeLimits[what]} ${words[what]}; split it`, {
      code: 'layer-too-large',
    });
  }
}

function hashOf(directory: number, name: Uint8Array): number {
  let hash = Math.imul(directory, 0x9e3779b1);
  for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash ^ (hash >>> 15);
}
