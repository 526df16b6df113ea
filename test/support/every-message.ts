/** Every message of the stream that says something, with every field filled in. */
import { leaseToWire } from "../../common/lease/lease-wire.ts";
import type { AgentMessage, ControllerMessage } from "../../proto/gen/twill/v1/fabric.ts";
import { vxlanLease } from "./leases.ts";

const DIGEST = "0123456789abcdef";
const LEASES = [1, 2, 3].map((n) => leaseToWire(vxlanLease(n)));

const FAILURE = { kind: "route", key: "10.244.1.0/24", code: "ENODEV", message: "no device" };
const DRIFT = { kind: "route", key: "10.244.1.0/24", expected: "x", found: "", repairedMs: 3 };
const WORDS = { instance: "i", digest: DIGEST, revision: 7 };
const REGISTER = {
  ...{ request: 1, publicIp: "10.99.0.1", publicIpv6: "fd99::1", backendType: "vxlan" },
  ...{ backendData: '{"VNI":1}', backendV6Data: "", previousSubnet: "10.244.1.0-24" },
};

export const AGENT_BODIES: readonly AgentMessage["body"][] = [
  { $case: "hello", value: { ...WORDS, node: "a", version: "1", features: ["x"], process: "p" } },
  { $case: "register", value: REGISTER },
  { $case: "ack", value: { ...WORDS, failures: [FAILURE], applyMs: 3 } },
  { $case: "report", value: { drift: [DRIFT], state: "degraded", reason: "etcd" } },
  { $case: "release", value: { request: 2 } },
  { $case: "heartbeat", value: {} },
];
export const CONTROLLER_BODIES: readonly ControllerMessage["body"][] = [
  {
    $case: "welcome",
    value: {
      ...{ instance: "i", controller: "c", leader: "c", features: ["x"], heartbeatMs: 10_000 },
      ...{ config: { revision: 2, json: "{}", transition: undefined }, version: "1" },
    },
  },
  { $case: "snapshotBegin", value: { revision: 5, leases: 3 } },
  { $case: "snapshotPart", value: { upserts: LEASES } },
  { $case: "snapshotEnd", value: { revision: 5, digest: DIGEST } },
  {
    $case: "delta",
    value: { fromRevision: 5, toRevision: 6, upserts: LEASES, removes: ["10.244.1.0-24"] },
  },
  { $case: "bookmark", value: { revision: 6, digest: DIGEST, leader: "c" } },
  { $case: "registered", value: { request: 1, lease: LEASES[0], ttlSeconds: 60, reused: true } },
  {
    $case: "refused",
    value: { request: 1, code: "SUBNET_TAKEN", message: "somebody sits there", retryAfterMs: 5 },
  },
  { $case: "config", value: { revision: 3, json: "{}", transition: undefined } },
];
