/** Chapter of the tour: the leading controller is killed under running traffic. */

import { systemClock } from "../../common/async/clock.ts";
import { isLeaseOf } from "./kernel-view.ts";
import { Pinger } from "./pinger.ts";
import type { Pod } from "./pods.ts";
import { until } from "./poll.ts";
import { formatMs } from "./report.ts";
import type { Tour } from "./tour-chapter.ts";

const TAKE_OVER_MS = 60_000;
/** Traffic goes on after the change, so that a late loss shows too. */
const MORE_ANSWERS = 100;

export async function failOver({ lab, report }: Tour): Promise<void> {
  report.chapter(
    "kill -9 of the leading controller",
    "pods ping each other all the while (ping -i 0.01); a machine that joins meanwhile is served by the next leader",
  );
  const old = await until("a controller leads", { deadlineMs: TAKE_OVER_MS }, () => lab.leader());
  const oldKey = (await lab.registry.leading())?.key;
  const pingers = await Promise.all(ring(lab.pods).map(([from, to]) => Pinger.start(from, to)));
  const killedMs = systemClock.monotonicMs();
  const since = (): string => formatMs(systemClock.monotonicMs() - killedMs);
  await old.crash({ restart: false });
  report.line(`${old.name} is dead`);
  // With a single controller only its own restart helps, as systemd would do it.
  if (lab.options.controllers === 1) old.start();
  const node = await lab.addNode();
  const [leaderAfter, allocatedAfter] = await Promise.all([
    until("a controller leads again", { deadlineMs: TAKE_OVER_MS }, async () => {
      const entry = await lab.registry.leading();
      return entry === undefined || entry.key === oldKey ? undefined : since();
    }),
    until(`${node.name} has a lease`, { deadlineMs: TAKE_OVER_MS, everyMs: 10 }, async () => {
      const leases = await lab.registry.leases();
      return leases.some((lease) => isLeaseOf(lease, node.id)) ? since() : undefined;
    }),
  ]);
  const next = await lab.leader();
  report.check("next leader", next !== undefined, `${next?.name ?? "none"} after ${leaderAfter}`);
  report.check("next successful allocation", true, `${node.name} after ${allocatedAfter}`);
  await lab.waitConverged();
  old.start();
  await Promise.all(pingers.map((pinger) => pinger.answered(MORE_ANSWERS)));
  const reports = await Promise.all(pingers.map((pinger) => pinger.stop()));
  const lost = reports.reduce((sum, one) => sum + one.lost, 0);
  const sent = reports.reduce((sum, one) => sum + one.sent, 0);
  report.check("pings lost while nobody led", lost === 0, `${lost} of ${sent}`);
}

/** Each pod with the next, the last with the first. */
function ring(pods: readonly Pod[]): (readonly [Pod, Pod])[] {
  if (pods.length < 2) return [];
  return pods.map((pod, index) => [pod, pods[(index + 1) % pods.length] ?? pod]);
}
