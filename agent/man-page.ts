/** What twill-agent(8) says besides the options. */
import type { ManPage } from "../common/config/option-man.ts";
import { VERSION } from "../common/version.ts";

export const AGENT_MAN_PAGE: ManPage = {
  usage: "[run|cleanup|version] [options]",
  version: VERSION,
  files: [
    ["/etc/twill/agent.env", "environment of twill-agent.service: options as TWILL_*"],
    ["/run/flannel/subnet.env", "what containers need: network, subnet, MTU, masquerading"],
    ["/var/lib/twill", "MACs of the VTEP devices and the last table of leases"],
  ],
  seeAlso: ["twill-controller(8)", "twillctl(1)"],
};
