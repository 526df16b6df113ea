/** The config as agents are told it: what is in force, and the other one while the backend changes. */
import type { NetworkConfig } from "../../proto/gen/twill/v1/fabric.ts";
import type { LeaseView } from "./lease-view.ts";

export function agentConfig({ config, rollout }: LeaseView): NetworkConfig | undefined {
  const { accepted } = config;
  if (accepted === undefined) return undefined;
  const { revision, json } = accepted;
  if (rollout === undefined || (json !== rollout.from && json !== rollout.to)) {
    return { revision, json, transition: undefined };
  }
  const alsoJson = json === rollout.from ? rollout.to : rollout.from;
  return { revision, json, transition: { alsoJson, mark: rollout.mark } };
}
