/** `--console-listen`: where the console is served; it is off unless asked for. */
import { type OptionSpec, valueOption } from "../../common/config/option-spec.ts";
import { readHostPort } from "../../common/config/read-host-port.ts";
import type { HostPort } from "../../common/net/host-port.ts";

export const consoleListenOption: OptionSpec<HostPort | undefined> = valueOption({
  flag: "console-listen",
  help: "Serve the web console (docs/console.md) here, by the same TLS files; with --insecure only on a loopback address. Off when not given.",
  group: "Console",
  placeholder: "HOST:PORT",
  fallback: undefined,
  fallbackText: "",
  parse: (text) => readHostPort(text),
});
