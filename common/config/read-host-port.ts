/** "host:port" as an option's value: the one rule and its words, for every option that takes an address. */
import { type HostPort, parseHostPort } from "../net/host-port.ts";
import { type Reading, value, wrong } from "./option-spec.ts";

/** What may not be left out: a listener may do without a host (all addresses), or take port 0 (any). */
export type Needed = "host" | "port";

export function readHostPort(
  text: string,
  needed: readonly Needed[] = [],
  rule = "must be host:port",
): Reading<HostPort> {
  const parsed = parseHostPort(text);
  const isWhole =
    parsed !== undefined &&
    (parsed.host !== "" || !needed.includes("host")) &&
    (parsed.port !== 0 || !needed.includes("port"));
  return isWhole ? value(parsed) : wrong(rule, text);
}
