/** Between the port's keys, relative to the prefix, and etcd's bytes; pure. */
import type { IKeyValue } from "etcd3";
import type { Entry } from "./store.ts";

export class EtcdKeys {
  readonly #prefix: string;
  readonly #prefixBytes: number;

  /** `prefix` as EtcdOptions has it: no slash at the end. */
  constructor(prefix: string) {
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#prefixBytes = Buffer.byteLength(this.#prefix);
  }

  key(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }

  /** The etcd range of everything that begins with `range`. */
  range(range: string): { readonly key: Buffer; readonly range_end: Buffer } {
    const start = this.key(range);
    // etcd has no empty key: "\0" to "\0" is its whole store.
    if (start.length === 0) return { key: Buffer.from([0]), range_end: Buffer.from([0]) };
    return { key: start, range_end: rangeEnd(start) };
  }

  /** The key as the port names it. */
  relative(key: Buffer): string {
    return key.toString("utf8", this.#prefixBytes);
  }

  entry(kv: IKeyValue): Entry {
    return {
      key: this.relative(kv.key),
      value: kv.value.toString("utf8"),
      createRevision: Number(kv.create_revision),
      modRevision: Number(kv.mod_revision),
      etcdLease: kv.lease,
    };
  }
}

/** The first key behind all that begin with `start`: its last byte below 0xff plus one. */
function rangeEnd(start: Buffer): Buffer {
  const end = Buffer.from(start);
  for (let i = end.length - 1; i >= 0; i -= 1) {
    const byte = end[i] ?? 0xff;
    if (byte < 0xff) {
      end[i] = byte + 1;
      return end.subarray(0, i + 1);
    }
  }
  return Buffer.from([0]);
}
