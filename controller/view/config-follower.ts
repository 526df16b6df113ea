/**
 * Follows the operator's config key: a valid value comes into force, an invalid one is refused
 * and the last good one stays. Pure; lease-view.ts says it aloud.
 */
import { isJsonObject } from "../../common/config/json-fields.ts";
import type { ConfigProblem, NetworkConfig } from "../../common/config/network-config.ts";
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";

/** The config in force. */
export interface AcceptedConfig {
  readonly revision: Revision;
  /** As it stands in etcd, byte for byte. */
  readonly json: string;
  readonly config: NetworkConfig;
  /** Without `Backend` flannel's code takes udp, its documentation and Twill vxlan. */
  readonly isBackendless: boolean;
}

export type ConfigStep =
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "accepted";
      readonly accepted: AcceptedConfig;
      readonly warnings: readonly ConfigProblem[];
    }
  | {
      readonly kind: "rejected";
      readonly revision: Revision;
      readonly problems: readonly ConfigProblem[];
    }
  | { readonly kind: "missing" };

export class ConfigFollower {
  #accepted: AcceptedConfig | undefined;
  #seen: Revision | undefined;
  #fault: ConfigStep & { readonly kind: "rejected" | "missing" } = { kind: "missing" };
  #isFaulty = true;

  /** The last good config; undefined: none was seen yet. */
  get accepted(): AcceptedConfig | undefined {
    return this.#accepted;
  }

  /** Why the key as it stands now is not in force; undefined: it is. */
  get fault(): string | undefined {
    if (!this.#isFaulty) return undefined;
    if (this.#fault.kind === "missing") return "etcd holds no config key";
    return `the config at revision ${this.#fault.revision} is invalid: ${formatProblems(this.#fault.problems)}`;
  }

  /** Takes the key as it stands; undefined: it is not there. */
  follow(entry: Entry | undefined): ConfigStep {
    const revision = entry?.modRevision ?? 0;
    if (revision === this.#seen && entry?.value === this.#accepted?.json) {
      return { kind: "unchanged" };
    }
    this.#seen = revision;
    if (entry === undefined) return this.#refuse({ kind: "missing" });
    const parsed = parseNetworkConfig(entry.value);
    if (parsed.kind === "invalid") {
      return this.#refuse({ kind: "rejected", revision, problems: parsed.problems });
    }
    const { config, warnings } = parsed;
    const isBackendless = lacksBackend(entry.value);
    this.#accepted = { revision, json: entry.value, config, isBackendless };
    this.#isFaulty = false;
    return { kind: "accepted", accepted: this.#accepted, warnings };
  }

  #refuse<Fault extends ConfigStep & { readonly kind: "rejected" | "missing" }>(
    fault: Fault,
  ): Fault {
    this.#fault = fault;
    this.#isFaulty = true;
    return fault;
  }
}

export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
}

/** Of a text that has been parsed as a config already; flannel reads names in any case. */
function lacksBackend(json: string): boolean {
  const parsed: unknown = JSON.parse(json);
  const names = isJsonObject(parsed) ? Object.keys(parsed) : [];
  return !names.some((name) => name.toLowerCase() === "backend");
}
