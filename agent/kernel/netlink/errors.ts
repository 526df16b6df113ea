/** errno numbers as names, and the kernel's refusals as TwillErrors with the way out. */
import { constants } from "node:os";
import { TwillError } from "../../../common/errors.ts";

/** Two names have one number on Linux; the kernel's own documentation uses these. */
const PREFERRED = ["EOPNOTSUPP", "EAGAIN"] as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  ...PREFERRED.map((name) => [constants.errno[name], name] as const),
]);

const HINTS: Readonly<Record<string, string>> = {
  EPERM: "run as root or with CAP_NET_ADMIN",
  EACCES: "IPv6 or the device's protocol is switched off (net.ipv6.conf.*.disable_ipv6)",
  ENOBUFS: "the kernel is short of memory or a table is full; see the kernel log",
  EADDRINUSE: "another program has the port; stop it, or choose another in the network config",
  EAFNOSUPPORT: "the kernel has this address family switched off",
};

/** "ENODEV" for 19; "errno 999" for what has no name. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** `what` is a sentence's beginning: "create link flannel.1". */
export function refused(what: string, errno: string, sentence = ""): TwillError {
  const said = sentence === "" ? "" : ` (${sentence})`;
  const hint = HINTS[errno] === undefined ? "" : `: ${HINTS[errno]}`;
  return new TwillError("KERNEL_REFUSED", `cannot ${what}: ${errno}${said}${hint}`, {
    context: { errno },
  });
}

/** The answer to a link type that the kernel does not know. */
export function unsupportedLink(name: string, kind: string, sentence: string): TwillError {
  return new TwillError(
    "KERNEL_UNSUPPORTED",
    `cannot create ${name}: the kernel has no link type "${kind}" (${sentence}): load the module with "modprobe ${kind}", or choose a backend that does not need it`,
    { context: { device: name, module: kind, errno: "EOPNOTSUPP" } },
  );
}
