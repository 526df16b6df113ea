/** Making, changing and removing devices: by rtnetlink, generic netlink (WireGuard) or ioctl (TUN). */
import { closeSync } from "node:fs";
import type { LinkSpec, TunLink } from "../../plan/kernel-state.ts";
import type { LinkChange } from "../kernel.ts";
import { setTxChecksum } from "../tx-checksum.ts";
import { refused, unsupportedLink } from "./errors.ts";
import { encodeLinkChange, encodeLinkCreation, encodeLinkDeletion } from "./link.ts";
import type { NetlinkLink } from "./link-info.ts";
import type { LinkNames } from "./names.ts";
import { inNamespace } from "./open.ts";
import type { NetlinkSocket, Refusal } from "./socket.ts";
import type { WireguardSocket } from "./wireguard-socket.ts";
import type { MessageWriter } from "./writer.ts";

export interface LinkWritesPorts {
  readonly writes: NetlinkSocket;
  readonly wireguard: WireguardSocket;
  readonly names: LinkNames;
  readonly netns: string | undefined;
}

export class LinkWrites {
  readonly #ports: LinkWritesPorts;

  constructor(ports: LinkWritesPorts) {
    this.#ports = ports;
  }

  create(link: LinkSpec, signal: AbortSignal): Promise<void> {
    return link.kind === "tun" ? this.#createTun(link, signal) : this.#createByLink(link, signal);
  }

  async set(name: string, set: LinkChange, signal: AbortSignal): Promise<void> {
    const { wireguard, txChecksum, ...plain } = set;
    // Before the device comes up, which is when it takes its port.
    if (wireguard !== undefined) {
      await this.#ports.wireguard.setDevice({ name, ...wireguard }, signal);
    }
    if (Object.keys(plain).length > 0) await this.#setPlain(name, plain, signal);
    if (txChecksum !== undefined) await setTxChecksum(name, txChecksum, this.#ports.netns);
  }

  async delete(name: string, signal: AbortSignal): Promise<void> {
    const refusal = await this.#writeOne(
      (writer, seq) => encodeLinkDeletion(writer, name, seq),
      signal,
    );
    if (refusal === undefined || refusal.errno === "ENODEV") return;
    throw refused(`delete ${name}`, refusal.errno, refusal.sentence);
  }

  async #setPlain(name: string, set: LinkChange, signal: AbortSignal): Promise<void> {
    const refusal = await this.#writeOne(
      (writer, seq) => encodeLinkChange(writer, name, set, seq),
      signal,
    );
    if (refusal !== undefined) throw refused(`change ${name}`, refusal.errno, refusal.sentence);
  }

  async #createByLink(link: NetlinkLink, signal: AbortSignal): Promise<void> {
    const lowerIndex = await this.#lowerIndexOf(link, signal);
    const refusal = await this.#writeOne(
      (writer, seq) => encodeLinkCreation(writer, link, lowerIndex, seq),
      signal,
    );
    if (refusal !== undefined) {
      const { errno, sentence } = refusal;
      if (errno === "EOPNOTSUPP") throw unsupportedLink(link.name, link.kind, sentence);
      throw refused(`create ${link.name}`, errno, sentence);
    }
    if (link.kind === "wireguard") await this.#ports.wireguard.setDevice(link, signal);
  }

  async #lowerIndexOf(link: NetlinkLink, signal: AbortSignal): Promise<number> {
    if (link.kind !== "vxlan") return 0;
    const index = await this.#ports.names.indexOf(link.lower, signal);
    if (index !== undefined) return index;
    throw refused(`create ${link.name}`, "ENODEV", `there is no interface ${link.lower}`);
  }

  /** The kernel makes TUN devices by ioctl only; loaded for the udp backend alone. */
  async #createTun(link: TunLink, signal: AbortSignal): Promise<void> {
    if ((await this.#ports.names.indexOf(link.name, signal)) !== undefined) {
      throw refused(`create ${link.name}`, "EEXIST");
    }
    const { openTunDevice } = await import("../../tunnel/tun-device.ts");
    closeSync(inNamespace(this.#ports.netns, () => openTunDevice(link.name, true).fd));
    await this.set(link.name, { mtuBytes: link.mtuBytes }, signal);
  }

  async #writeOne(
    encode: (writer: MessageWriter, seq: number) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    const refusals = await this.#ports.writes.transact(
      { count: 1, encode: (writer, _at, seq) => encode(writer, seq) },
      signal,
    );
    return refusals[0];
  }
}
