/**
 * The reference pages of docs/ that are made from code. The option tables and the verbs are
 * printed by the programs themselves, run as processes: scripts import neither side.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { renderEventsTable } from "../common/events.ts";
import { renderMetricsTable } from "../common/metric-catalogue.ts";

const run = promisify(execFile);

export interface Page {
  /** Below docs/. */
  readonly name: string;
  readonly text: string;
}

const NOTICE = "<!-- Made by scripts/gen-docs from the code; do not edit. -->";

export async function renderPages(): Promise<Page[]> {
  const [controller, agent, cli] = await Promise.all([
    print("controller", "help", "--markdown"),
    print("agent", "help", "--markdown"),
    print("cli", "reference"),
  ]);
  return [
    page(
      "cli.md",
      "twillctl",
      "Every verb as `--help` shows it. A context in `~/.config/twill/config.yaml`, the environment (`TWILL_CONTROLLERS`, `TWILL_TLS_CA_FILE`, `TWILL_TLS_CERT_FILE`, `TWILL_TLS_KEY_FILE`) or options say whom to ask, the last of these first.",
      cli,
    ),
    page(
      "configuration.md",
      "Options of the daemons",
      "An option can be given by environment too: `TWILL_X` stands for `--x`, and `FLANNELD_X` is read after it. The command line comes first; an empty value is the same as none.",
      `## twill-controller\n\n${controller.trimEnd()}\n\n## twill-agent\n\n${agent}`,
    ),
    page(
      "events.md",
      "Log events",
      "Each line of the daemons' logs has one of these names in its field `event`. The names are stable.",
      renderEventsTable(),
    ),
    page(
      "metrics.md",
      "Metrics",
      "Served as `/metrics` on `--healthz-port` of each daemon. The names are stable.",
      renderMetricsTable(),
    ),
  ];
}

function page(name: string, title: string, about: string, body: string): Page {
  return { name, text: `${NOTICE}\n\n# ${title}\n\n${about}\n\n${body.trimEnd()}\n` };
}

async function print(program: string, ...args: readonly string[]): Promise<string> {
  const main = fileURLToPath(new URL(`../${program}/main.js`, import.meta.url));
  return (await run(process.execPath, [main, ...args])).stdout;
}
