/** What must be so before a lab can be built, said in words instead of by the first command that fails. */
import { fileURLToPath } from "node:url";
import { TwillError } from "../../common/errors.ts";
import { isLabName } from "./topology.ts";

/** Machines have a /run of their own: programs there would be gone. */
const HIDDEN = "/run/";

/** Throws OPTION_INVALID with the way out. */
export function requireStartable(name: string): void {
  if (!isLabName(name)) {
    throw refusal(`lab name "${name}": use lower-case letters and digits, a letter first`);
  }
  if (process.getuid?.() !== 0) {
    throw refusal("a lab makes network namespaces and needs root; run it as root or with sudo");
  }
  const programs = fileURLToPath(new URL("../../", import.meta.url));
  if (programs.startsWith(HIDDEN)) {
    throw refusal(
      `${programs} is below ${HIDDEN}, which every machine of a lab has for itself; clone elsewhere`,
    );
  }
}

function refusal(message: string): TwillError {
  return new TwillError("OPTION_INVALID", message);
}
