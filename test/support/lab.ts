/**
 * Labs for tests: a name of its own for each, so that several live side by side, and a dump
 * of everything when the test fails. Leftovers of test runs that were killed are removed.
 */
import type { TestContext } from "node:test";
import { dumpDiagnostics } from "../../scripts/testbed/diagnostics.ts";
import { DEFAULT_CONFIG, Lab, type LabOptions } from "../../scripts/testbed/lab.ts";
import { abandonedLabs, sweep } from "../../scripts/testbed/sweep.ts";

let labs = 0;

/** Default: three nodes, three controllers, one etcd, vxlan. Ended after the test. */
export async function startLab(
  t: TestContext,
  options: Partial<Omit<LabOptions, "name">> = {},
): Promise<Lab> {
  for (const name of abandonedLabs()) if (/^t[0-9]/.test(name)) await sweep(name);
  labs += 1;
  const lab = await Lab.start({
    name: `t${process.pid}n${labs}`,
    nodes: 3,
    controllers: 3,
    etcdMembers: 1,
    config: DEFAULT_CONFIG,
    ...options,
  });
  t.after(async () => {
    if (!passed(t)) t.diagnostic(`lab of this failure: ${await dumpDiagnostics(lab)}`);
    await lab[Symbol.asyncDispose]();
  });
  return lab;
}

/** Node 20 has no `t.passed`; the error of a failed test is known to its after hooks. */
function passed(t: TestContext): boolean {
  const outcome: unknown = Reflect.get(t, "passed") ?? Reflect.get(t, "error") === null;
  return outcome === true;
}
