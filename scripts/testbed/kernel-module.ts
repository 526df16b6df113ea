/** Whether this kernel can make the device that a backend needs; some (ipip, wireguard) are modules. */
import { TwillError } from "../../common/errors.ts";
import { run, tryRun } from "./command.ts";

const LINK_TYPES: Readonly<Record<string, string>> = { ipip: "ipip", wireguard: "wireguard" };

/** Throws with the way out: the same lab in a guest, whose kernel has both. */
export async function requireLinkType(backend: string, labName: string): Promise<void> {
  const type = LINK_TYPES[backend];
  if (type === undefined) return;
  const namespace = `twl-${labName}-probe`;
  await run(["ip", "netns", "add", namespace]);
  try {
    const add = ["ip", "-n", namespace, "link", "add", "name", "probe", "type", type];
    const { stderr } = await tryRun(add);
    if (!/Unknown device type|not supported/i.test(stderr)) return;
  } finally {
    await tryRun(["ip", "netns", "del", namespace]);
  }
  throw new TwillError(
    "OPTION_INVALID",
    `this machine's kernel has no "${type}", which backend ${backend} needs: load it with ` +
      `"modprobe ${type}", or run the same lab under a kernel of its own: ` +
      `scripts/lab --guest --backend ${backend}`,
  );
}
