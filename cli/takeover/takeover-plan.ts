/** The steps of a takeover as commands for this very machine. Pure. */
import type { NodeFacts } from "./takeover-check.ts";

export function planTakeover({ flanneld, subnetEnv }: NodeFacts): readonly string[] {
  const subnet = subnetEnv?.get("FLANNEL_SUBNET") ?? "(no subnet.env here)";
  const settings = flanneld?.agentEnv ?? [];
  const ofControllers = flanneld?.ofControllers ?? [];
  return [
    "# 1. twill-agent gets flanneld's options; --controllers and the certificate are new",
    ...(settings.length === 0 ? ["# (flanneld's are the defaults, or it does not run)"] : []),
    ...settings.map((line) => `echo '${line.replaceAll("'", "'\\''")}' >> /etc/twill/agent.env`),
    ...(ofControllers.length === 0
      ? []
      : [
          "#    of twill-controller, the same values:",
          ...ofControllers.map((text) => `#      ${text}`),
        ]),
    "# 2. flanneld stops, the kernel goes on forwarding",
    "systemctl disable --now flanneld",
    `# 3. twill-agent takes over: subnet ${subnet}, the same devices`,
    "systemctl enable --now twill-agent",
    "grep FLANNEL_SUBNET /run/flannel/subnet.env",
    "# the way back:",
    "#   systemctl disable --now twill-agent && systemctl enable --now flanneld",
  ];
}
