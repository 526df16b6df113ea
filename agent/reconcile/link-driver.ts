/**
 * Devices of ours: created, taken over, put right or made anew, and always looked at again
 * afterwards, because others (systemd-networkd above all) rewrite what they see come up
 * (contract 7.15). A device of our name but of another kind is never deleted.
 */
import { TwillError } from "../../common/errors.ts";
import type { Logger } from "../../common/log.ts";
import type { Kernel, LinkState } from "../kernel/kernel.ts";
import type { Sysctl } from "../kernel/sysctl.ts";
import type { LinkSpec } from "../plan/kernel-state.ts";
import { decideLink, formatLink, type LinkDecision, lowerOf } from "./link-decision.ts";
import { ownsLink, type Realm } from "./ownership.ts";

export interface LinkPorts {
  readonly kernel: Kernel;
  readonly sysctl: Pick<Sysctl, "write">;
  readonly log: Logger;
}

export type LinkOutcome =
  | {
      readonly kind: "ready";
      /** What had to be put right; undefined: nothing. */
      readonly found: string | undefined;
      /** True when addresses, neighbours, FDB entries or routes of the device may be gone. */
      readonly isWiped: boolean;
    }
  /** It must be made anew, and that may not happen yet. */
  | { readonly kind: "deferred"; readonly found: string }
  | { readonly kind: "failed"; readonly error: TwillError };

/** Create, set up, put right what another daemon changed meanwhile; more is a fight. */
const MAX_ROUNDS = 4;

export class LinkDriver {
  readonly #ports: LinkPorts;
  /** Devices that were seen right by this process: what differs later is drift. */
  readonly #settled = new Set<string>();

  constructor(ports: LinkPorts) {
    this.#ports = ports;
  }

  /** True when the device was right before. */
  wasSettled(name: string): boolean {
    return this.#settled.has(name);
  }

  forget(name: string): void {
    this.#settled.delete(name);
  }

  /** `mayRecreate`: false as long as the device could not be filled again at once. */
  async ensure(spec: LinkSpec, mayRecreate: boolean, signal: AbortSignal): Promise<LinkOutcome> {
    try {
      return await this.#ensure(spec, mayRecreate, signal);
    } catch (error) {
      signal.throwIfAborted();
      return { kind: "failed", error: TwillError.from(error) };
    }
  }

  /** Removes devices that earlier runs made for our networks and that are not wanted now. */
  async pruneStale(realm: Realm, signal: AbortSignal): Promise<readonly string[]> {
    const links = await this.#ports.kernel.listLinks(signal);
    const candidates = links.filter((link) => !realm.devices.has(link.name));
    if (!candidates.some(({ kind }) => kind !== "")) return [];
    const addresses = await this.#ports.kernel.listAddresses(signal);
    const stale = candidates.filter((link) => ownsLink(link, addresses, realm));
    for (const { name } of stale) {
      await this.#ports.kernel.deleteLink(name, signal);
      this.#settled.delete(name);
      this.#ports.log.event("link.removed", `removed device ${name} of an earlier config`, {
        name,
      });
    }
    return stale.map(({ name }) => name);
  }

  async #ensure(spec: LinkSpec, mayRecreate: boolean, signal: AbortSignal): Promise<LinkOutcome> {
    let found: string | undefined;
    let isWiped = false;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const links = await this.#ports.kernel.listLinks(signal);
      const decision = decideLink(spec, named(links, spec.name), named(links, lowerOf(spec)));
      if (decision.kind === "use") {
        await this.#settle(spec, round > 0);
        return { kind: "ready", found, isWiped };
      }
      if (decision.kind === "recreate" && !mayRecreate) {
        return { kind: "deferred", found: decision.found };
      }
      found ??= decision.kind === "create" ? "absent" : decision.found;
      isWiped ||= wipes(decision);
      await this.#act(spec, decision, links, signal);
    }
    throw new TwillError(
      "KERNEL_REFUSED",
      `device ${spec.name} does not stay as it was set (wanted: ${formatLink(spec)}; last found: ` +
        `${found ?? "?"}); another program manages it: exclude flannel.* from it`,
      { context: { device: spec.name } },
    );
  }

  async #act(
    spec: LinkSpec,
    decision: Exclude<LinkDecision, { kind: "use" }>,
    links: readonly LinkState[],
    signal: AbortSignal,
  ): Promise<void> {
    const { kernel, log } = this.#ports;
    const { name } = spec;
    switch (decision.kind) {
      case "foreign":
        throw new TwillError(
          "DEVICE_FOREIGN",
          `${name} exists as ${decision.found}, which is not Twill's to replace; remove or rename it, or choose another VNI`,
          { context: { device: name } },
        );
      case "create":
        requireLower(spec, links);
        await this.#create(spec, signal);
        if (this.#settled.has(name)) {
          log.event("link.recreated", `${name} was gone and is made anew`, { key: name, name });
        } else {
          log.event("link.created", `created ${formatLink(spec)}`, { name });
        }
        return;
      case "recreate":
        requireLower(spec, links);
        await kernel.deleteLink(name, signal);
        await this.#create(spec, signal);
        log.event("link.recreated", `${name} had ${decision.found} and is made anew`, {
          key: name,
          name,
          found: decision.found,
        });
        return;
      case "change":
        await kernel.setLink(name, decision.set, signal);
        return;
    }
  }

  async #create(spec: LinkSpec, signal: AbortSignal): Promise<void> {
    await this.#ports.kernel.createLink(spec, signal);
    await this.#refuseRouterAdvertisements(spec.name);
  }

  async #settle({ name }: LinkSpec, changed: boolean): Promise<void> {
    const isNew = !this.#settled.has(name);
    this.#settled.add(name);
    if (changed || !isNew) return;
    await this.#refuseRouterAdvertisements(name);
    this.#ports.log.event("link.adopted", `${name} fits and is used as it is`, { name });
  }

  /** They have no say on a tunnel. As in flannel, failing is no fault: there may be no IPv6. */
  async #refuseRouterAdvertisements(name: string): Promise<void> {
    try {
      await this.#ports.sysctl.write(["net", "ipv6", "conf", name, "accept_ra"], "0");
    } catch (error) {
      const { message } = TwillError.from(error);
      this.#ports.log.event("link.unset", message, { name });
    }
  }
}

/** A device that goes down loses its routes, one that changes its MAC its neighbours. */
function wipes(decision: LinkDecision): boolean {
  if (decision.kind === "change") {
    return decision.set.up === true || decision.set.mac !== undefined;
  }
  return decision.kind === "create" || decision.kind === "recreate";
}

function named(links: readonly LinkState[], name: string | undefined): LinkState | undefined {
  return links.find((link) => link.name === name);
}

/** Says which device is missing, where the kernel would only say ENODEV. */
function requireLower(spec: LinkSpec, links: readonly LinkState[]): void {
  const lower = lowerOf(spec);
  if (lower === undefined || named(links, lower) !== undefined) return;
  throw new TwillError(
    "INTERFACE_NOT_FOUND",
    `${spec.name} needs interface ${lower}, which is not there; it is created when that appears`,
    { context: { device: spec.name, interface: lower } },
  );
}
