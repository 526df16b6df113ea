/**
 * The command `cleanup`: removes what Twill made on this machine, and only that. What is ours
 * is known by the networks that subnet.env and the cached table name, and by the devices whose
 * MACs are kept.
 */
import { systemClock } from "../common/async/clock.ts";
import type { Environment } from "../common/config/option-table.ts";
import { parseNetworkConfig } from "../common/config/parse-network-config.ts";
import { TwillError } from "../common/errors.ts";
import { createLogger, errorFields, type Logger } from "../common/log.ts";
import { type Cidr, formatCidr, sameCidr } from "../common/net/cidr.ts";
import { removeFile } from "./host/atomic-file.ts";
import { StateDir } from "./host/state-dir.ts";
import { commandRunner } from "./kernel/command.ts";
import { NetlinkKernel } from "./kernel/netlink-kernel.ts";
import { procSysctl } from "./kernel/sysctl.ts";
import { cniConflistPath, SubnetFile } from "./node/subnet-file.ts";
import type { AgentCommand, AgentOptions } from "./options.ts";
import { networksOf } from "./plan/peer-context.ts";
import { cleanUp } from "./reconcile/clean-up.ts";
import { looksLikeOurs } from "./reconcile/ownership.ts";

type CleanupCommand = Extract<AgentCommand, { kind: "run" | "cleanup" }>;

/** Answers the exit code. */
export async function runCleanup(
  { options, warnings }: CleanupCommand,
  env: Environment,
): Promise<number> {
  const { logFormat: format, logLevel: level } = options;
  const log = createLogger({ format, level, clock: systemClock });
  for (const warning of warnings) log.event("option.ignored", warning, { key: warning });
  try {
    await removeAll(options, env, log);
    return 0;
  } catch (error) {
    log.event("process.failed", "not everything of ours could be removed", errorFields(error));
    return TwillError.from(error).traits.exit;
  }
}

async function removeAll(options: AgentOptions, env: Environment, log: Logger): Promise<void> {
  const state = new StateDir({ path: options.stateDir, log, randomBytes: () => new Uint8Array(6) });
  const file = new SubnetFile(options, log);
  const networks = await knownNetworks(state, file);
  const devices = await state.deviceNames();
  await using kernel = new NetlinkKernel();
  await cleanUp(
    {
      kernel,
      sysctl: procSysctl(),
      clock: systemClock,
      log,
      random: Math.random,
      run: commandRunner(env["PATH"]),
    },
    { networks, devices },
    new AbortController().signal,
  );
  // A runtime must not start containers in a network that is gone.
  if (options.cniConfDir !== undefined) await removeFile(cniConflistPath(options.cniConfDir));
  const purged = options.purge ? await purge(options, state) : [];
  const where = networks.map(formatCidr).join(", ");
  const message =
    networks.length === 0
      ? `nothing to remove: neither ${options.subnetFile} nor ${options.stateDir} names a network${await leftovers(kernel)}`
      : `everything of ours in ${where} was removed`;
  log.event("cleanup.done", message, { networks: where, files: purged.join(" ") });
}

/** With all state lost nobody can tell whose these are (another network's agent, flanneld): said, not done. */
async function leftovers(kernel: NetlinkKernel): Promise<string> {
  const links = await kernel.listLinks(new AbortController().signal);
  const names = links.filter(looksLikeOurs).map(({ name }) => name);
  if (names.length === 0) return "";
  return `; ${names.join(", ")} may be of a run whose state is lost: "ip link delete NAME" removes a device with its routes`;
}

async function knownNetworks(state: StateDir, file: SubnetFile): Promise<readonly Cidr[]> {
  const { networks } = await file.previous();
  const cached = await state.readTable(undefined);
  const parsed = cached && parseNetworkConfig(cached.configJson);
  const { v4, v6 } =
    parsed?.kind === "valid" ? networksOf(parsed.config) : { v4: undefined, v6: undefined };
  const all = [...networks, v4, v6].filter((network) => network !== undefined);
  return all.filter((network, index) => all.findIndex((one) => sameCidr(one, network)) === index);
}

async function purge(options: AgentOptions, state: StateDir): Promise<readonly string[]> {
  await removeFile(options.subnetFile);
  return [options.subnetFile, ...(await state.purge())];
}
