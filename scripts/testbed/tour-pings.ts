/** Chapter of the tour: every pod reaches every pod. */
import { pingOnce } from "./pinger.ts";
import type { Pod } from "./pods.ts";
import { table } from "./report.ts";
import type { Tour } from "./tour-chapter.ts";

export async function pingEveryPod({ lab, report }: Tour): Promise<void> {
  report.chapter("Every pod pings every pod", "containers of all machines share one flat network");
  const pods = lab.pods;
  const rows = await Promise.all(pods.map((from) => pingsFrom(from, pods)));
  const names = pods.map((pod) => `${pod.machine.name} ${pod.ips.join(" ")}`);
  const cells = rows.map((row, index) => [names[index] ?? "", ...row.map(word)]);
  report.line();
  const columns = pods.map((pod) => `to ${pod.machine.name}`);
  for (const line of table([["from", ...columns], ...cells])) report.line(line);
  report.line();
  const answers = rows.flat().filter((answer) => answer !== undefined);
  const good = answers.filter((answer) => answer).length;
  report.check("pings between pods", good === answers.length, `${good} of ${answers.length}`);
}

/** undefined: itself. */
async function pingsFrom(from: Pod, pods: readonly Pod[]): Promise<(boolean | undefined)[]> {
  const answers: (boolean | undefined)[] = [];
  for (const to of pods) answers.push(to === from ? undefined : await pingOnce(from, to));
  return answers;
}

function word(answer: boolean | undefined): string {
  if (answer === undefined) return "-";
  return answer ? "ok" : "LOST";
}
