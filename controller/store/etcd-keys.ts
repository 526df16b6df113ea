/** Between the port's keys, relative to the prefix, and etcd's bytes; pure. */
import type { IKeyValue } from "etcd3";
import type { Entry } from "./store.ts";

export class EtcdKeys {
  readonly #prefix: string;
  readonly #prefixBytes: number;

  /** `prefix` as EtcdOptions has it: no slash at the end. */
  constructor(prefix: string) {
    this.#prefix = `${prefix}/`;
    this.#prefixBytes = Buffer.byteLength(this.#prefix);
  }

  key(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }

  /** The etcd range of everything that begins with `range`. */
  range(range: string): { readonly key: Buffer; readonly range_end: Buffer } {
    const key = this.key(range);
    return { key, range_end: rangeEnd(key) };
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

/** The first key behind all that begin with `start`: one more in the last byte (UTF-8 has no 0xff). */
function rangeEnd(start: Buffer): Buffer {
  const last = start.length - 1;
  return Buffer.concat([start.subarray(0, last), Buffer.from([(start[last] ?? 0) + 1])]);
}
