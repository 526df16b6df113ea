/**
 * The operator's config as this node has it: parsed again here, because an agent may be older
 * or newer than its controller. An invalid one is refused loudly; the last good one stays.
 */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import type { HealthComponent } from "../../common/health.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Logger } from "../../common/log.ts";

export interface AcceptedConfig {
  readonly config: NetworkConfig;
  readonly revision: Revision;
  readonly json: string;
}

export class ConfigIntake {
  readonly #log: Logger;
  readonly #health: HealthComponent;
  #accepted: AcceptedConfig | undefined;
  #refusedJson: string | undefined;

  constructor(log: Logger, health: HealthComponent) {
    this.#log = log;
    this.#health = health;
  }

  /** The config in force; undefined before the first valid one. */
  get accepted(): AcceptedConfig | undefined {
    return this.#accepted;
  }

  /** True when another config is in force now. */
  take(json: string, revision: Revision): boolean {
    if (json === this.#accepted?.json) {
      this.#accepted = { ...this.#accepted, revision };
      this.#refusedJson = undefined;
      this.#health.ok();
      return false;
    }
    if (json === this.#refusedJson) return false;
    const parsed = parseNetworkConfig(json);
    if (parsed.kind === "invalid") {
      this.#refuse(json, revision, parsed.problems);
      return false;
    }
    this.#refusedJson = undefined;
    this.#accepted = { config: parsed.config, revision, json };
    this.#health.ok();
    this.#log.event("config.accepted", "a valid network config is in force", { revision });
    return true;
  }

  #refuse(
    json: string,
    revision: Revision,
    problems: readonly { readonly path: string; readonly message: string }[],
  ): void {
    this.#refusedJson = json;
    const text = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
    const stays = this.#accepted === undefined ? "there is none yet" : "the last good one stays";
    this.#health.degraded(`the network config is invalid (${stays}): ${text}`);
    this.#log.event("config.rejected", `the network config is invalid; ${stays}: ${text}`, {
      revision,
    });
  }
}
