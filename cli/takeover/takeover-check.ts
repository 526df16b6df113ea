/**
 * Whether this machine can change from flanneld to twill-agent without losing a packet or its
 * subnet: what is here, compared with what the controllers have. Pure.
 */
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import type { LeaseStatus } from "../../proto/gen/twill/v1/operator.ts";
import type { Finding } from "../cluster/ipam-check.ts";
import type { FlanneldOptions } from "./flanneld-options.ts";

/** What was found on this machine. */
export interface NodeFacts {
  /** undefined: none runs in this network namespace. */
  readonly flanneld: FlanneldOptions | undefined;
  readonly isAgentRunning: boolean;
  /** Of subnet.env; undefined: there is none. */
  readonly subnetEnv: ReadonlyMap<string, string> | undefined;
  /** Names of the network devices. */
  readonly devices: ReadonlySet<string>;
}

/** What a controller answered. */
export interface NetworkFacts {
  readonly configJson: string;
  readonly leases: readonly LeaseStatus[];
}

/** Codes that do not stand in the way; what to know before. */
const NOTES: ReadonlySet<string> = new Set([
  "FLANNELD_ABSENT",
  "OPTION_UNKNOWN",
  "OPTION_REPEATED",
  "DEVICE_MISSING",
  "TRAFFIC_GAP",
]);

export function isNote({ code }: Finding): boolean {
  return NOTES.has(code);
}

export function checkTakeover(node: NodeFacts, network: NetworkFacts): Finding[] {
  return [...checkNode(node), ...checkNetwork(node, network)];
}

function checkNode({ flanneld, isAgentRunning, subnetEnv }: NodeFacts): Finding[] {
  const findings: Finding[] = [...(flanneld?.findings ?? [])];
  if (flanneld === undefined) {
    findings.push({
      code: "FLANNELD_ABSENT",
      message: "no flanneld runs here: its options are not known, its leases and devices count",
    });
  }
  if (isAgentRunning) {
    findings.push({ code: "AGENT_RUNNING", message: "twill-agent runs here already" });
  }
  if (subnetEnv === undefined) {
    const message = "no subnet.env: flanneld never was ready here, or keeps it elsewhere";
    findings.push({ code: "SUBNET_ENV_MISSING", message });
  }
  return findings;
}

function checkNetwork(node: NodeFacts, { configJson, leases }: NetworkFacts): Finding[] {
  const parsed = parseNetworkConfig(configJson);
  if (parsed.kind !== "valid") {
    const message = "the controllers have no valid network config";
    return [{ code: "CONFIG_INVALID", message }];
  }
  const { backend } = parsed.config;
  const findings = checkLease(node, leases);
  if (!/"backend"/i.test(configJson)) {
    const message =
      'the config names no Backend: flanneld takes udp then, Twill vxlan; write {"Type":"udp"} into it';
    findings.push({ code: "BACKEND_IMPLICIT", message });
  }
  const device = deviceOf(backend.type, "vni" in backend ? backend.vni : 1);
  if (device !== undefined && !node.devices.has(device)) {
    const message = `no device ${device}: it will be made`;
    findings.push({ code: "DEVICE_MISSING", message });
  }
  if (backend.type === "udp" || backend.type === "wireguard") {
    const message = `the ${backend.type} device goes with flanneld: no packet passes until twill-agent is ready`;
    findings.push({ code: "TRAFFIC_GAP", message });
  }
  return findings;
}

function checkLease({ subnetEnv }: NodeFacts, leases: readonly LeaseStatus[]): Finding[] {
  const subnet = subnetEnv?.get("FLANNEL_SUBNET");
  if (subnet === undefined) return [];
  const prefix = subnet.replace(/\.[0-9]+\//, ".");
  const held = leases.find(({ lease }) => isLeaseFor(lease?.key ?? "", subnet));
  if (held === undefined) {
    const message = `no lease for ${prefix} in etcd: another prefix, or it has ended; this machine would get another subnet`;
    return [{ code: "LEASE_MISSING", message }];
  }
  const twin = leases.filter(({ lease }) => lease?.publicIp === held.lease?.publicIp);
  if (twin.length < 2) return [];
  const keys = twin.map(({ lease }) => lease?.key ?? "").join(" and ");
  return [{ code: "PUBLIC_IP_DUPLICATE", message: `${keys} have one public address` }];
}

/** "10.244.7.0-24" (or with "&" and an IPv6 half) against "10.244.7.1/24". */
function isLeaseFor(key: string, subnet: string): boolean {
  const [address = "", length = ""] = subnet.split("/");
  const network = address.replace(/1$/, "0");
  return new RegExp(`(^|/)${network.replaceAll(".", "\\.")}-${length}($|&)`).test(key);
}

function deviceOf(type: string, vni: number): string | undefined {
  switch (type) {
    case "vxlan":
      return `flannel.${vni}`;
    case "ipip":
      return "flannel.ipip";
    default:
      return undefined;
  }
}
