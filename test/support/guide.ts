/**
 * The commands of a guide in docs/, to be run by a test as a reader would. A fenced block whose
 * first line is "```sh machine=NAME,..." is run on each of these machines in turn; a block without
 * a name shows a file, an output, or what only the text around it can explain.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface GuideStep {
  /** The heading that the block stands under. */
  readonly heading: string;
  readonly machines: readonly string[];
  readonly script: string;
}

const FENCE = /^```(.*)$/;

export function readGuide(name: string): readonly GuideStep[] {
  const file = fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url));
  return stepsOf(readFileSync(file, "utf8"));
}

export function stepsOf(text: string): readonly GuideStep[] {
  const steps: GuideStep[] = [];
  let heading = "";
  let open: { machines: readonly string[]; lines: string[] } | undefined;
  for (const line of text.split("\n")) {
    const fence = FENCE.exec(line)?.[1];
    if (fence === undefined) {
      if (open !== undefined) open.lines.push(line);
      else if (line.startsWith("#")) heading = line.replace(/^#+ */, "");
    } else if (open === undefined) {
      open = { machines: machinesOf(fence), lines: [] };
    } else {
      const { machines, lines } = open;
      if (machines.length > 0) steps.push({ heading, machines, script: lines.join("\n") });
      open = undefined;
    }
  }
  return steps;
}

function machinesOf(info: string): readonly string[] {
  return /^sh machine=([a-z0-9,]+)$/.exec(info)?.[1]?.split(",") ?? [];
}
