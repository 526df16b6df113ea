/**
 * Device names to kernel indices and back, asked of the kernel each time: an answer takes
 * microseconds, and an index that was kept could by now be another device's.
 */
import { refused } from "./errors.ts";
import { decodeLinkName, encodeLinkDump, encodeLinkQuery, isDeviceName } from "./link.ts";
import type { NetlinkSocket } from "./socket.ts";

export type NameOf = (index: number) => string | undefined;

/** A device that comes up while a list is read makes it be read again, but not for ever. */
const ATTEMPTS = 5;

export class LinkNames {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Indices of those of `names` that exist. */
  async indicesOf(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, number>> {
    const asked = names.filter(isDeviceName);
    const indices = new Map<string, number>();
    await this.#socket.transact(
      {
        count: asked.length,
        encode: (writer, at, seq) => encodeLinkQuery(writer, { name: asked[at] ?? "" }, seq),
        onMessage: (message) => {
          const link = decodeLinkName(message);
          if (link !== undefined) indices.set(link.name, link.index);
        },
      },
      signal,
    );
    return indices;
  }

  async indexOf(name: string, signal: AbortSignal): Promise<number | undefined> {
    return (await this.indicesOf([name], signal)).get(name);
  }

  async nameOf(index: number, signal: AbortSignal): Promise<string | undefined> {
    let name: string | undefined;
    await this.#socket.transact(
      {
        count: 1,
        encode: (writer, _at, seq) => encodeLinkQuery(writer, { index }, seq),
        onMessage: (message) => {
          name = decodeLinkName(message)?.name;
        },
      },
      signal,
    );
    return name;
  }

  /** Every device of the namespace. */
  async all(signal: AbortSignal): Promise<ReadonlyMap<number, string>> {
    const links = await this.#socket.dump(
      { what: "list links", encode: encodeLinkDump, decode: decodeLinkName },
      signal,
    );
    return new Map(links.map(({ index, name }) => [index, name]));
  }

  /**
   * Runs `read` with the names of all devices; again when it met one that is not among them,
   * because it came up after they were listed.
   */
  async naming<T>(signal: AbortSignal, read: (nameOf: NameOf) => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const names = await this.all(signal);
      let complete = true;
      const result = await read((index) => {
        const name = names.get(index);
        complete &&= name !== undefined;
        return name;
      });
      if (complete) return result;
    }
    throw refused("list devices", "EINTR", `they changed under way ${ATTEMPTS} times`);
  }
}
