/** From the network config to the planner of its backend: the one switch over backends. */

import { allocPlanner } from "./alloc.ts";
import type { MadePlanner, PlannerInput } from "./backend-planner.ts";
import { extensionPlanner } from "./extension.ts";
import { hostGwPlanner } from "./host-gw.ts";
import { ipipPlanner } from "./ipip.ts";
import { udpPlanner } from "./udp.ts";
import { vxlanPlanner } from "./vxlan.ts";
import { wireguardPlanner } from "./wireguard.ts";

export function makePlanner(input: PlannerInput): MadePlanner {
  const { backend } = input.config;
  switch (backend.type) {
    case "vxlan":
      return vxlanPlanner(input, backend);
    case "host-gw":
      return hostGwPlanner(input);
    case "alloc":
      return { kind: "planner", planner: allocPlanner(input) };
    case "udp":
      return udpPlanner(input, backend);
    case "ipip":
      return ipipPlanner(input, backend);
    case "wireguard":
      return wireguardPlanner(input, backend);
    case "extension":
      return extensionPlanner(input, backend);
  }
}
