/** A process full of simulated agents: takes orders from the bench that forked it. */
import { nowMs } from "./clock.ts";
import { Crew } from "./crew.ts";
import type { Answer, NumberedAnswer, NumberedOrder, Order } from "./fleet-orders.ts";

let crew = new Crew([], []);

process.on("message", (message: NumberedOrder) => {
  void answer(message);
});
// The bench is gone, however it ended.
process.on("disconnect", () => process.exit(0));

async function answer({ id, order }: NumberedOrder): Promise<void> {
  const reply: NumberedAnswer = { id, answer: await obey(order) };
  process.send?.(reply);
}

async function obey(order: Order): Promise<Answer> {
  switch (order.kind) {
    case "crew":
      crew = new Crew(order.agents, order.controllers);
      break;
    case "connect":
      await crew.connect();
      break;
    case "settle":
      await crew.settled(order.revision);
      break;
    case "register": {
      await crew.register();
      const agents = [...crew.agents];
      const atMs = Math.max(...agents.map(({ registeredMs }) => registeredMs));
      return {
        kind: "registered",
        atMs,
        leases: agents.map(({ words, lease }) => [words.node, lease] as const),
      };
    }
    case "mark":
      return { kind: "lags", lags: await crew.mark(order.revision, order.atMs), atMs: nowMs() };
    case "report": {
      const { user, system } = process.cpuUsage();
      const snapshots = [...crew.agents].reduce((sum, agent) => sum + agent.snapshots, 0);
      const cpuMs = (user + system) / 1000;
      return { kind: "report", report: { lost: crew.ends, snapshots, cpuMs } };
    }
  }
  return { kind: "done", atMs: nowMs() };
}
