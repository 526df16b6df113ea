/**
 * What the agent keeps between two runs (--state-dir): the MAC of each VTEP device, the last
 * table it had in the kernel, and whom an operator's commands have added. Losing the folder costs nothing but a MAC that peers must
 * learn again; a damaged file is named, left out and written anew.
 */
import { join } from "node:path";
import { errorFields, type Logger } from "../../common/log.ts";
import type { Cidr } from "../../common/net/cidr.ts";
import type { Mac } from "../../common/net/mac.ts";
import type { LinkState } from "../kernel/kernel.ts";
import { readFileIfPresent, removeFile, writeFileAtomic } from "./atomic-file.ts";
import { type CachedTable, parseTable, renderTable } from "./table-cache.ts";
import { chooseUdpDevice, type HostDevices } from "./udp-device.ts";
import { decideMac, parseMacFile, renderMacFile, type VtepDevice } from "./vtep-mac.ts";

const MAC_FILE = "vtep-macs";
const TABLE_FILE = "table";
const UDP_DEVICE_FILE = "udp-device";
const EXTENSION_FILE = "extension-peers";
const MODE = 0o600;

export interface StateDirOptions {
  readonly path: string;
  readonly log: Logger;
  /** Six random bytes at each call. */
  readonly randomBytes: () => Uint8Array;
}

export class StateDir {
  readonly #options: StateDirOptions;
  #macs: Map<string, Mac> | undefined;

  constructor(options: StateDirOptions) {
    this.#options = options;
  }

  /**
   * The device's MAC: persisted, else that of the device as it is in the kernel, else a new
   * one. It is on disk before it is answered; when it cannot be, that is logged and the MAC
   * still holds for this run (and for the next one while the device lives).
   */
  async macFor(device: VtepDevice, links: readonly LinkState[]): Promise<Mac> {
    this.#macs ??= await this.#readMacs();
    const persisted = this.#macs.get(device.name);
    const decision = decideMac(device, persisted, links, this.#options.randomBytes());
    if (decision.source !== "persisted") {
      this.#macs.set(device.name, decision.mac);
      await this.#write(MAC_FILE, renderMacFile(this.#macs));
    }
    return decision.mac;
  }

  /** Devices that runs of this machine made. */
  async deviceNames(): Promise<readonly string[]> {
    this.#macs ??= await this.#readMacs();
    return [...this.#macs.keys()];
  }

  /**
   * The table of an earlier run of `node` (undefined: of whatever node); undefined when there
   * is none to be trusted.
   */
  async readTable(node: string | undefined): Promise<CachedTable | undefined> {
    const text = await this.#read(TABLE_FILE);
    if (text === undefined) return undefined;
    const parsed = parseTable(text);
    if (parsed.kind === "corrupt") {
      this.#ignore(TABLE_FILE, parsed.reason);
    } else if (node !== undefined && parsed.table.node !== node) {
      this.#ignore(TABLE_FILE, `it is of node ${parsed.table.node}, this one is ${node}`);
    } else {
      return parsed.table;
    }
    return undefined;
  }

  /** A failure is logged, not thrown: the cache is a help, not a duty. */
  async writeTable(table: CachedTable): Promise<void> {
    await this.#write(TABLE_FILE, renderTable(table));
  }

  /** This network's TUN device; on disk before it is answered, as far as that is possible. */
  async udpDevice(network: Cidr, host: HostDevices): Promise<string> {
    const persisted = await this.#read(UDP_DEVICE_FILE);
    const name = chooseUdpDevice(persisted, network, host);
    if (persisted?.trim() !== name) await this.#write(UDP_DEVICE_FILE, `${name}\n`);
    return name;
  }

  /** For agent/extension, which knows what is in it. */
  readExtensionPeers(): Promise<string | undefined> {
    return this.#read(EXTENSION_FILE);
  }

  async writeExtensionPeers(text: string): Promise<void> {
    await this.#write(EXTENSION_FILE, text);
  }

  /** Forgets everything (`twill-agent cleanup --purge`). */
  async purge(): Promise<readonly string[]> {
    const files = [MAC_FILE, TABLE_FILE, UDP_DEVICE_FILE, EXTENSION_FILE].map((name) =>
      this.#path(name),
    );
    for (const file of files) await removeFile(file);
    this.#macs = undefined;
    return files;
  }

  async #readMacs(): Promise<Map<string, Mac>> {
    const text = await this.#read(MAC_FILE);
    if (text === undefined) return new Map();
    const parsed = parseMacFile(text);
    if (parsed.kind === "macs") return new Map(parsed.macs);
    this.#ignore(MAC_FILE, parsed.reason);
    return new Map();
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readFileIfPresent(this.#path(name));
    } catch (error) {
      this.#ignore(name, errorFields(error)["error"]);
      return undefined;
    }
  }

  async #write(name: string, text: string): Promise<void> {
    const path = this.#path(name);
    try {
      await writeFileAtomic(path, text, MODE);
    } catch (error) {
      this.#options.log.event(
        "state.unwritable",
        `cannot keep ${path}; the agent works, but a restart without it loses what it held`,
        { key: path, ...errorFields(error) },
      );
    }
  }

  #ignore(name: string, reason: unknown): void {
    const path = this.#path(name);
    this.#options.log.event("state.ignored", `${path} is not used: ${String(reason)}`, {
      key: path,
    });
  }

  #path(name: string): string {
    return join(this.#options.path, name);
  }
}
