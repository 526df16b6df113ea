/** What runs on each kind of machine: the command lines, as an operator would write them. */
import { fileURLToPath } from "node:url";
import { DAEMON_TLS_OPTIONS, ENROL_KEY_FILE, JOIN_OPTIONS } from "./certificates.ts";
import type { MachineId } from "./topology.ts";
import type { UnitSpec } from "./unit.ts";

export const ETCD_PORT = 2379;
const ETCD_PEER_PORT = 2380;
export const CONTROLLER_PORT = 7470;
const ENROL_PORT = 7472;
/** Of the controllers' web consoles. */
export const CONSOLE_PORT = 7480;
/** Where both daemons answer /healthz and /readyz, on 127.0.0.1 of their machine. */
export const HEALTHZ_PORT = 7471;

export interface ClusterPlan {
  readonly etcdMembers: readonly MachineId[];
  readonly controllers: readonly MachineId[];
  readonly controllerOptions: readonly string[];
  readonly agentOptions: readonly string[];
  /** Plaintext between agents, controllers and operators. */
  readonly insecure: boolean;
  readonly joinByToken: boolean;
  readonly etcdOptions: readonly string[];
}

/** Compiled daemons of this checkout. */
function program(path: string): string[] {
  return [process.execPath, fileURLToPath(new URL(`../../${path}`, import.meta.url))];
}

export function etcdEndpoints(members: readonly MachineId[]): string {
  return members.map((member) => `http://${member.ip}:${ETCD_PORT}`).join(",");
}

export function etcdUnit(plan: ClusterPlan, member: MachineId, dataFolder: string): UnitSpec {
  const peer = (id: MachineId): string => `http://${id.ip}:${ETCD_PEER_PORT}`;
  const client = `http://${member.ip}:${ETCD_PORT}`;
  const cluster = plan.etcdMembers.map((id) => `${id.name}=${peer(id)}`).join(",");
  return {
    name: member.name,
    argv: [
      ...["etcd", "--name", member.name, "--data-dir", dataFolder],
      ...["--listen-client-urls", `${client},http://127.0.0.1:${ETCD_PORT}`],
      ...["--advertise-client-urls", client],
      ...["--listen-peer-urls", peer(member), "--initial-advertise-peer-urls", peer(member)],
      ...["--initial-cluster", cluster, "--logger", "zap", ...plan.etcdOptions],
    ],
    // etcd 3.4 refuses to run on arm64 without this word of consent.
    env: { ETCD_UNSUPPORTED_ARCH: process.arch },
  };
}

function channelOptions({ insecure }: ClusterPlan): readonly string[] {
  return insecure ? ["--insecure"] : DAEMON_TLS_OPTIONS;
}

function enrolOptions({ joinByToken }: ClusterPlan, { ip }: MachineId): readonly string[] {
  if (!joinByToken) return [];
  return ["--enrol-listen", `${ip}:${ENROL_PORT}`, "--enrol-ca-key-file", ENROL_KEY_FILE];
}

export function controllerUnit(plan: ClusterPlan, controller: MachineId): UnitSpec {
  return {
    name: controller.name,
    argv: [
      ...program("controller/main.js"),
      ...["--etcd-endpoints", etcdEndpoints(plan.etcdMembers), "--name", controller.name],
      ...["--listen", `${controller.ip}:${CONTROLLER_PORT}`],
      ...["--advertise-address", `${controller.ip}:${CONTROLLER_PORT}`],
      ...["--healthz-ip", "127.0.0.1", "--healthz-port", String(HEALTHZ_PORT)],
      ...["--console-listen", consoleAddress(plan, controller)],
      ...channelOptions(plan),
      ...enrolOptions(plan, controller),
      ...["--log-format", "json", ...plan.controllerOptions],
    ],
  };
}

/** Without certificates it is the machine's own affair. */
function consoleAddress({ insecure }: ClusterPlan, controller: MachineId): string {
  return `${insecure ? "127.0.0.1" : controller.ip}:${CONSOLE_PORT}`;
}

export function agentUnit(plan: ClusterPlan, node: MachineId): UnitSpec {
  const controllers = plan.controllers.map((id) => `${id.ip}:${CONTROLLER_PORT}`).join(",");
  return {
    name: node.name,
    argv: [
      ...program("agent/main.js"),
      ...["--controllers", controllers, "--ip-masq"],
      ...["--healthz-ip", "127.0.0.1", "--healthz-port", String(HEALTHZ_PORT)],
      ...(plan.joinByToken ? JOIN_OPTIONS : channelOptions(plan)),
      ...["--log-format", "json", ...plan.agentOptions],
    ],
  };
}
