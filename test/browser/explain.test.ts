/** The drawn path on a real lab: two nodes' own kernels and real packets, through `lab console`'s door. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { openConsoleDoor } from "../../scripts/testbed/console-door.ts";
import { Browser } from "../support/browser.ts";
import { startLab } from "../support/lab.ts";

it("draws the way between two nodes by their kernels, and tells of a node that is gone", async (t) => {
  const lab = await startLab(t, { nodes: 3, controllers: 2 });
  await lab.waitConverged();
  const machine = lab.machine("controller1");
  const door = await openConsoleDoor({ machine, controllers: 2, insecure: false, port: 0 });
  t.after(door.close);
  const browser = await Browser.start();
  t.after(() => browser[Symbol.asyncDispose]());
  const { page, complaints, origins } = await browser.open(`${door.url}#/node/node1`);
  await page.getByText("Its kernel holds revision").waitFor();
  await page.getByRole("button", { name: "Explain the way to node2" }).click();
  await page.getByText("Every packet came back.").waitFor();
  for (const [from, to] of [
    ["node1", "node2"],
    ["node2", "node1"],
  ]) {
    const drawn = page.getByRole("region", { name: `From ${from} to ${to}` });
    await drawn.getByText(/^10\.244\.\d+\.0\/24 via .* dev flannel\.1/).waitFor();
    await drawn.getByText(/ is at 10\.99\.0\.\d$/).waitFor();
    await drawn.getByText("nothing drops it").waitFor();
    await drawn.getByText(/^overlay: 3 of 3 back/).waitFor();
  }
  const folder = process.env["TWILL_SCREENSHOTS"];
  if (folder !== undefined) {
    await page.emulateMedia({ colorScheme: "light" });
    await page.screenshot({ path: `${folder}/console-node.png`, animations: "disabled" });
  }
  await lab.unit("node2").stop();
  await page.getByRole("button", { name: "Explain the way to node2" }).click();
  await page
    .getByText(/node2 has no stream with any controller/)
    .first()
    .waitFor();
  assert.deepEqual([...origins], [new URL(door.url).origin]);
  assert.deepEqual(complaints, []);
});
