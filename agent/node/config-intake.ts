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
  /** The other config while the backend is changed live. */
  readonly also: NetworkConfig | undefined;
  /** Name of that change's step; empty: there is none. */
  readonly mark: string;
}

/** How a config may be accompanied. */
export interface Transition {
  readonly alsoJson: string;
  readonly mark: string;
}

const NO_TRANSITION: Transition = { alsoJson: "", mark: "" };

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
  take(json: string, revision: Revision, transition = NO_TRANSITION): boolean {
    const known = this.#accepted;
    if (json === known?.json) {
      this.#accepted = { ...known, revision, ...accompanying(transition, known) };
      this.#refusedJson = undefined;
      this.#health.ok();
      return transition.mark !== known.mark;
    }
    if (json === this.#refusedJson) return false;
    const parsed = parseNetworkConfig(json);
    if (parsed.kind === "invalid") {
      this.#refuse(json, revision, parsed.problems);
      return false;
    }
    this.#refusedJson = undefined;
    const { config } = parsed;
    this.#accepted = { config, revision, json, ...accompanying(transition, undefined) };
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

/** The object stays the same while the text does: planners are made anew for another. */
function accompanying(
  { alsoJson, mark }: Transition,
  known: AcceptedConfig | undefined,
): Pick<AcceptedConfig, "also" | "mark"> {
  if (alsoJson === "") return { also: undefined, mark };
  if (known?.mark === mark) return { also: known.also, mark };
  const parsed = parseNetworkConfig(alsoJson);
  return { also: parsed.kind === "valid" ? parsed.config : undefined, mark };
}
