/**
 * What controllers ask of this node about configs: which one its kernel equals (they go on
 * with a change of backend only when every node says so), and what another would change.
 */
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import { formatIp, type Ip } from "../../common/net/ip.ts";
import type { ConfigPlan, ConfigState } from "../../proto/gen/twill/v1/node.ts";
import type { PeerSources } from "../inspect/peer-states.ts";
import { planConfigChange } from "../plan/config-plan.ts";
import type { AcceptedConfig } from "./config-intake.ts";
import { peerAddresses } from "./node-input.ts";
import type { NodeLoop } from "./node-loop.ts";

/** What this agent's Hello says that it can do. */
export const TRANSITION_FEATURE = "transition";

export interface ConfigAnswersParts {
  readonly accepted: () => AcceptedConfig | undefined;
  /** Leases and the last report. */
  readonly sources: () => PeerSources;
  readonly loop: Pick<NodeLoop, "input" | "inputUnder">;
  readonly host: {
    /** Which of these addresses are on this machine's own links. */
    direct(addresses: Iterable<Ip>, signal: AbortSignal): Promise<ReadonlySet<string>>;
  };
}

export class ConfigAnswers {
  readonly #parts: ConfigAnswersParts;

  constructor(parts: ConfigAnswersParts) {
    this.#parts = parts;
  }

  async state(signal: AbortSignal): Promise<ConfigState> {
    const config = this.#parts.accepted();
    const { report: reached } = this.#parts.sources();
    const isWhole =
      reached?.isInSync === true && reached.devicesWork && reached.failures.length === 0;
    return {
      heard: config?.mark ?? "",
      mark: isWhole ? (reached.mark ?? "") : "",
      revision: reached?.applied?.revision ?? 0,
      problem: reached?.refusal ?? (await this.#unreachable(config, signal)),
    };
  }

  async plan(json: string, signal: AbortSignal): Promise<ConfigPlan> {
    const refused = (refusal: string): ConfigPlan => ({
      ...{ operations: [], refusal, mtuBytesBefore: 0, mtuBytesAfter: 0 },
    });
    const parsed = parseNetworkConfig(json);
    if (parsed.kind === "invalid") return refused("this agent cannot read the config");
    const { loop, sources } = this.#parts;
    const before = loop.input;
    const after = await loop.inputUnder(parsed.config, signal);
    if (before?.own === undefined || after === undefined) return refused("it has no lease yet");
    return planConfigChange(before, after, { own: before.own, leases: [...sources().leases] });
  }

  /** host-gw reaches nobody behind a router; better known before than after. */
  async #unreachable(config: AcceptedConfig | undefined, signal: AbortSignal): Promise<string> {
    const backends = [config?.config.backend.type, config?.also?.backend.type];
    if (config?.also === undefined || !backends.includes("host-gw")) return "";
    const { leases, ownKey } = this.#parts.sources();
    const others = [...leases].filter(({ key }) => key !== ownKey);
    const addresses = [...peerAddresses(others)];
    const near = await this.#parts.host.direct(addresses, signal);
    const far = addresses.find((ip) => !near.has(formatIp(ip)));
    return far === undefined
      ? ""
      : `host-gw cannot reach ${formatIp(far)}: it is not on a link of this machine`;
  }
}
