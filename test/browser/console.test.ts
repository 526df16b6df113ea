/**
 * The console as people have it: a real Chromium on a real controller's page. Nothing it asks
 * leaves the controllers, and it complains of nothing.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, describe, it, type TestContext } from "node:test";
import { systemClock } from "../../common/async/clock.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { Browser, type Watched } from "../support/browser.ts";
import { ConsoleFleet } from "../support/console-fleet.ts";
import { ControllerProcess } from "../support/controller-process.ts";
import { type EtcdCluster, freePort, startEtcd } from "../support/etcd-server.ts";
import { leaseValue } from "../support/lease-texts.ts";
import { SyncAgent } from "../support/sync-agent.ts";

const NODES = 1000;
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const KEY = "/coreos.com/network";
/** What Chromium itself says of a connection that a test cut on purpose. */
const CUT = /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_NETWORK/;

describe("the console in a browser", () => {
  let browser: Browser;
  before(async () => {
    browser = await Browser.start();
  });
  after(() => browser[Symbol.asyncDispose]());

  describe("of a thousand nodes", () => {
    let fleet: ConsoleFleet;
    let watched: Watched;
    before(async () => {
      fleet = await ConsoleFleet.start(NODES);
      watched = await browser.open(fleet.url);
    });
    after(() => fleet[Symbol.asyncDispose]());

    it("says the state in a sentence and draws every node", async () => {
      const { page } = watched;
      await page.getByRole("heading", { name: "All 1,000 nodes hold revision" }).waitFor();
      await page.getByRole("listbox", { name: "1,000 nodes" }).waitFor();
      await page.getByText("1,000 of 4,096 taken").waitFor();
    });

    it("is walked by keys alone, from the picture to a node's page and back", async () => {
      const { page } = watched;
      await page.getByRole("listbox", { name: "1,000 nodes" }).focus();
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      const option = page.getByRole("option", { name: "node3, 10.240.3.0/24, in step" });
      await option.waitFor({ state: "attached" });
      await page.keyboard.press("Enter");
      const title = page.getByRole("heading", { name: "node3", exact: true });
      await title.waitFor();
      assert.equal(await page.evaluate("document.activeElement.tagName"), "H1");
      await page.getByText("Its kernel holds revision").waitFor();
      await page.getByRole("cell", { name: "10.240.1.0/24" }).waitFor();
      await page.keyboard.press("Tab");
      await page.keyboard.press("Shift+Tab");
      await page.getByRole("link", { name: "All nodes" }).press("Enter");
      await page.getByRole("listbox", { name: "1,000 nodes" }).waitFor();
    });

    it("shows the same as a table, of which only the rows in sight are in the document", async () => {
      const { page } = watched;
      const nodes = page.getByRole("region", { name: "Nodes", exact: true });
      await nodes.getByRole("button", { name: "Table" }).click();
      const table = nodes.getByRole("table", { name: "Nodes" });
      await table.getByRole("link", { name: "node1", exact: true }).waitFor();
      assert.equal(await table.getAttribute("aria-rowcount"), "1001");
      assert.ok((await table.getByRole("row").count()) < 60);
      await nodes.getByRole("button", { name: "Picture" }).click();
    });

    it("tells who is behind, failing or gone, and shows their events", async () => {
      const { page } = watched;
      fleet.putForeign("10.250.9.0-24", "10.99.200.1");
      for (let n = 1; n <= NODES; n += 1) fleet.set(n, { appliedRevision: fleet.revision });
      fleet.set(2, { appliedRevision: fleet.revision - 1 });
      const failure = { kind: "route", key: "10.240.9.0/24", code: "EPERM", message: "refused" };
      fleet.set(5, { appliedRevision: fleet.revision, failures: [failure] });
      fleet.lose(7);
      await page.getByRole("heading", { name: "997 of 1,000 nodes hold revision" }).waitFor();
      await page
        .getByText("1 cannot program their kernel, 1 without a stream, 1 behind.")
        .waitFor();
      const events = page.getByRole("list", { name: "Events, newest first" });
      await events.getByText("10.250.9.0/24 is a flannel node's").waitFor();
      await events.getByText("node7 has no stream any more").waitFor();
      await page.getByRole("searchbox", { name: "With these words" }).fill("cannot program");
      await events.getByText("node5 cannot program route 10.240.9.0/24").waitFor();
      assert.equal(await events.getByRole("listitem").count(), 1);
      await page.getByRole("searchbox", { name: "With these words" }).fill("");
      await page.getByRole("searchbox", { name: "With these words" }).blur();
      await takeShot(watched, "console-fleet.png", "dark");
    });

    it("has nothing that axe objects to, in light and in dark, with pictures and tables", async () => {
      const { page } = watched;
      const require = createRequire(import.meta.url);
      await page.evaluate(await readFile(require.resolve("axe-core/axe.min.js"), "utf8"));
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        for (const kind of ["Table", "Picture"]) {
          const buttons = page.getByRole("button", { name: kind });
          for (const button of await buttons.all()) await button.click();
          assert.deepEqual(await axeObjections(watched), [], `${colorScheme}, ${kind}`);
        }
      }
    });

    it("goes on drawing while all nodes change several times a second", async (t) => {
      const { page } = watched;
      const stop = new AbortController();
      const change = async (): Promise<void> => {
        for (let turn = 0; !stop.signal.aborted; turn += 1) {
          fleet.putForeign("10.250.9.0-24", `10.99.201.${(turn % 200) + 1}`);
          for (let n = 8; n <= NODES; n += 1) fleet.set(n, { appliedRevision: fleet.revision });
          await systemClock.sleep(200, new AbortController().signal);
        }
      };
      const changing = change();
      const frames: unknown = await page.evaluate(FRAMES);
      stop.abort();
      await changing;
      assert.ok(Array.isArray(frames) && frames.length > 10, "it draws");
      reportFrames(t, frames.map(Number));
    });

    it("asked nobody but its controller, and complained of nothing", () => {
      assert.deepEqual([...watched.origins], [new URL(fleet.url).origin]);
      assert.deepEqual(watched.complaints, []);
    });
  });

  describe("of real controllers", () => {
    let etcd: EtcdCluster;
    const controllers: ControllerProcess[] = [];
    const consoles: string[] = [];
    const agents: SyncAgent[] = [];
    let watched: Watched;

    before(async () => {
      etcd = await startEtcd();
      await etcd.etcdctl("put", `${KEY}/config`, CONFIG);
      for (const name of ["ctl-1", "ctl-2"]) {
        const listen = `127.0.0.1:${await freePort()}`;
        const args = ["--console-listen", listen];
        controllers.push(await ControllerProcess.start(name, { etcd: etcd.endpoints, args }));
        consoles.push(`http://${listen}`);
      }
    });
    after(async () => {
      for (const agent of agents) agent.close();
      for (const controller of controllers) await controller.kill();
      await etcd.close();
    });

    it("shows the nodes of every replica, whichever serves the page", async () => {
      await listening(controllers);
      // The page is the leader's: when it dies, the other one buries its candidacy.
      const { leader } = (await controllers[0]?.status()) ?? {};
      if (controllers[1]?.address === leader)
        for (const list of [controllers, consoles]) list.reverse();
      watched = await browser.open(`${consoles[0]}/`);
      for (const [index, name] of ["a", "b", "c"].entries()) {
        const agent = new SyncAgent(name, controllers[index % 2]?.address ?? "").hello();
        agents.push(agent);
        await agent.obtain(`10.99.0.${index + 1}`);
      }
      for (const agent of agents) {
        await agent.until("all leases", () => agent.table.size === 3 || undefined);
        agent.ack();
      }
      await watched.page.getByRole("heading", { name: "All 3 nodes hold revision" }).waitFor();
      await watched.page.getByText("2 nodes").waitFor();
    });

    it("shows a lease as soon as etcd has it", async (t) => {
      const { page } = watched;
      const startMs = systemClock.monotonicMs();
      await etcd.etcdctl("put", `${KEY}/subnets/10.5.77.0-24`, leaseValue("10.99.7.7"));
      await page.getByText("10.5.77.0/24 is reserved, reached at 10.99.7.7").waitFor();
      t.diagnostic(
        `etcdctl put to the page: ${Math.round(systemClock.monotonicMs() - startMs)} ms`,
      );
      await page.getByText("4 of 256 taken").waitFor();
      await page.getByRole("heading", { name: "0 of 3 nodes hold revision" }).waitFor();
      for (const agent of agents) {
        await agent.until("it", () => agent.table.get("10.5.77.0-24"));
        agent.ack();
      }
      await page.getByRole("heading", { name: "All 3 nodes hold revision" }).waitFor();
      await takeShot(watched, "console.png", "light");
    });

    it("says that its controller is lost, and goes on with the other", async () => {
      const { page } = watched;
      await page.getByText(`Live from ${controllers[0]?.name}`).waitFor();
      await controllers[0]?.kill();
      await page.getByText(`Live from ${controllers[1]?.name}`).waitFor();
      await etcd.etcdctl("put", `${KEY}/subnets/10.5.78.0-24`, leaseValue("10.99.7.8"));
      await page.getByText("10.5.78.0/24 is reserved, reached at 10.99.7.8").waitFor();
    });

    it("keeps what was known, with its time, while nobody answers, and comes back by itself", async () => {
      const { page } = watched;
      await controllers[1]?.kill();
      await page.getByRole("alert").getByText("does not answer").waitFor();
      await page.getByText("What you see is from").waitFor();
      await page.getByText("5 of 256 taken").waitFor();
      await controllers[0]?.restart();
      await page.getByText(`Live from ${controllers[0]?.name}`).waitFor();
      await page.getByRole("alert").getByText("does not answer").waitFor({ state: "detached" });
    });

    it("asked nobody but the two controllers, and complained of nothing else", () => {
      assert.deepEqual([...watched.origins].sort(), [...consoles].sort());
      assert.deepEqual(
        watched.complaints.filter((text) => !CUT.test(text)),
        [],
      );
    });
  });
});

async function listening(controllers: readonly ControllerProcess[]): Promise<void> {
  for (const controller of controllers) {
    await until(`${controller.name} serves its console`, { deadlineMs: 30_000 }, async () => {
      const { leader } = await controller.status();
      return leader !== "" && controller.events("console.listening").length > 0 ? true : undefined;
    });
  }
}

/** A picture for the README, when one is asked for. */
async function takeShot(
  { page }: Watched,
  name: string,
  colorScheme: "light" | "dark",
): Promise<void> {
  const folder = process.env["TWILL_SCREENSHOTS"];
  if (folder === undefined) return;
  await page.emulateMedia({ colorScheme });
  await page.mouse.move(0, 0);
  await page.screenshot({ path: `${folder}/${name}`, animations: "disabled" });
}

async function axeObjections({ page }: Watched): Promise<readonly string[]> {
  const found: unknown = await page.evaluate(
    "axe.run(document).then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))",
  );
  return Array.isArray(found) ? found.map(String) : ["no answer"];
}

/** Times between frames of three seconds. */
const FRAMES = `new Promise((resolve) => {
  const times = [];
  let last = performance.now();
  const end = last + 3000;
  const next = (now) => {
    times.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(next);
    else resolve(times);
  };
  requestAnimationFrame(next);
})`;

function reportFrames(t: TestContext, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
  t.diagnostic(
    `${times.length} frames in 3 s with 1,000 nodes changing: median ${at(0.5)} ms, 95% ${at(0.95)} ms, longest ${at(1)} ms`,
  );
}
