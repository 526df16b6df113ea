/** What twill-controller(8) says besides the options. */
import type { ManPage } from "../common/config/option-man.ts";
import { VERSION } from "../common/version.ts";

export const CONTROLLER_MAN_PAGE: ManPage = {
  usage: "[run|version] [options]",
  version: VERSION,
  files: [
    ["/etc/twill/controller.env", "environment of twill-controller.service: options as TWILL_*"],
    ["/etc/twill/pki", "the certificate authority that twillctl pki keeps there by default"],
  ],
  seeAlso: ["twill-agent(8)", "twillctl(1)", "etcdctl(1)"],
};
