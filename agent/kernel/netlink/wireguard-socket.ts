/**
 * WireGuard devices and their peers over generic netlink. The family's number is asked for with
 * the first call; asking makes the kernel load its module.
 */
import type { WireguardLink } from "../../plan/kernel-state.ts";
import type { ChangeFailure, WireguardInfo, WireguardPeerState } from "../kernel.ts";
import { failuresOf, type WireguardChange } from "./change.ts";
import { refused } from "./errors.ts";
import { Attributes } from "./message.ts";
import { NetlinkSocket } from "./socket.ts";
import {
  decodeWireguardPage,
  encodeWireguardDevice,
  encodeWireguardDump,
  encodeWireguardPeer,
  joinPages,
  type WireguardPage,
} from "./wireguard.ts";

/** The controller family of generic netlink, which knows all others (linux/genetlink.h). */
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_VERSION = 1;
const CTRL_ATTR = { FAMILY_ID: 1, FAMILY_NAME: 2 } as const;
const GENLMSGHDR_BYTES = 4;
const FAMILY = "wireguard";

export class WireguardSocket implements AsyncDisposable {
  readonly #socket: NetlinkSocket;
  #familyId: number | undefined;

  constructor(open: () => number) {
    this.#socket = new NetlinkSocket(open);
  }

  /** undefined: there is no such device. */
  async info(name: string, signal: AbortSignal): Promise<WireguardInfo | undefined> {
    const [page] = await this.#pages(name, signal);
    return page?.info;
  }

  async peers(name: string, signal: AbortSignal): Promise<readonly WireguardPeerState[]> {
    return joinPages(await this.#pages(name, signal), name);
  }

  async setDevice(
    set: Pick<WireguardLink, "name" | "privateKey" | "listenPort">,
    signal: AbortSignal,
  ): Promise<void> {
    const familyId = await this.#family(signal);
    const [refusal] = await this.#socket.transact(
      {
        count: 1,
        encode: (writer, _at, seq) => encodeWireguardDevice(writer, familyId, set, seq),
      },
      signal,
    );
    if (refusal === undefined) return;
    throw refused(`set key and port of ${set.name}`, refusal.errno, refusal.sentence);
  }

  async apply(
    changes: readonly WireguardChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeFailure[]> {
    const familyId = await this.#family(signal);
    const refusals = await this.#socket.transact(
      {
        count: changes.length,
        encode: (writer, at, seq) => {
          const change = changes[at];
          if (change !== undefined) encodeWireguardPeer(writer, familyId, change, seq);
        },
      },
      signal,
    );
    return failuresOf(changes, refusals);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#socket[Symbol.asyncDispose]();
  }

  async #pages(name: string, signal: AbortSignal): Promise<readonly WireguardPage[]> {
    const familyId = await this.#family(signal);
    const nowSeconds = Date.now() / 1000;
    return this.#socket.dump(
      {
        what: `list WireGuard peers of ${name}`,
        encode: (writer, seq) => encodeWireguardDump(writer, familyId, name, seq),
        decode: (message) => decodeWireguardPage(message, nowSeconds),
        emptyWhen: "ENODEV",
      },
      signal,
    );
  }

  async #family(signal: AbortSignal): Promise<number> {
    this.#familyId ??= await this.#askFamily(signal);
    return this.#familyId;
  }

  async #askFamily(signal: AbortSignal): Promise<number> {
    const attributes = new Attributes();
    let found: number | undefined;
    const [refusal] = await this.#socket.transact(
      {
        count: 1,
        encode: (writer, _at, seq) => {
          writer.begin(GENL_ID_CTRL, 0, seq);
          writer.u8(CTRL_CMD_GETFAMILY);
          writer.u8(CTRL_VERSION);
          writer.u16(0);
          writer.attributeText(CTRL_ATTR.FAMILY_NAME, FAMILY);
          writer.end();
        },
        onMessage: (message) => {
          found = message.attributes(GENLMSGHDR_BYTES, attributes).u16(CTRL_ATTR.FAMILY_ID);
        },
      },
      signal,
    );
    if (found !== undefined) return found;
    throw refused("find the kernel's WireGuard", refusal?.errno ?? "ENOENT", refusal?.sentence);
  }
}
