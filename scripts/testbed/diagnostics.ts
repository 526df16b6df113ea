/** Everything one needs to understand a failure, in a folder that outlives the lab. */
import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kernelText } from "./kernel-view.ts";
import type { Lab } from "./lab.ts";

/** Copies logs, and writes etcd's content and every node's kernel; answers the folder. */
export async function dumpDiagnostics(lab: Lab): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `twill-lab-${lab.options.name}-`));
  await cp(join(lab.site.folder, "logs"), join(folder, "logs"), { recursive: true });
  await writeFile(join(folder, "etcd.txt"), await etcdText(lab));
  await writeFile(join(folder, "units.txt"), unitsText(lab));
  for (const node of lab.nodes) {
    await writeFile(join(folder, `${node.name}.kernel.txt`), await kernelText(node).catch(String));
  }
  return folder;
}

async function etcdText(lab: Lab): Promise<string> {
  const parts = [
    await lab.registry.etcdctl(["get", "--prefix", "/"]).catch(String),
    await lab.registry.etcdctl(["lease", "list"]).catch(String),
    (await lab.differences().catch((error: unknown) => [String(error)])).join("\n"),
  ];
  return parts.join("\n\n");
}

function unitsText(lab: Lab): string {
  const lines = lab.units.map(
    (unit) =>
      `${unit.name}: ${unit.state}, pid ${unit.pid ?? "-"}, started ${unit.starts} times\n  ${unit.spec.argv.join(" ")}`,
  );
  return `${lines.join("\n")}\n`;
}
