/**
 * extension (contract 3.7): how packets travel is what the operator's four commands make it.
 * The planner says which calls are due with which variables; agent/extension runs them. What
 * a peer says of itself goes to standard input, byte for byte, and nowhere else.
 */
import type { ExtensionBackend } from "../../common/config/backend-config.ts";
import { type Lease, subnetOf } from "../../common/lease/lease.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { type Family, formatIp, type Ip } from "../../common/net/ip.ts";
import {
  type CommandWords,
  fillIn,
  readCommand,
  type Variables,
} from "../extension/command-words.ts";
import { readPeer } from "../peers/peer.ts";
import type {
  BackendPlanner,
  ExtensionCall,
  ExtensionSpec,
  MadePlanner,
  PeerPart,
  PlannerInput,
} from "./backend-planner.ts";
import type { KernelObject } from "./kernel-object.ts";
import { familiesOf, networksOf, peerContext } from "./peer-context.ts";

/** flannel's BackendType text. */
const BACKEND_TYPE = "extension";
/** What every call about a node is given: flannel's two, and the second family's. */
const NODE_NAMES = ["SUBNET", "IPV6SUBNET", "PUBLIC_IP", "PUBLIC_IPV6"] as const;
const OWN_NAMES = ["NETWORK", "IPV6NETWORK", ...NODE_NAMES] as const;

type Field =
  | "preStartupCommand"
  | "postStartupCommand"
  | "subnetAddCommand"
  | "subnetRemoveCommand";

/** Each with its name in the config and the variables it may use. */
const FIELDS: readonly { field: Field; name: string; names: readonly string[] }[] = [
  { field: "preStartupCommand", name: "PreStartupCommand", names: [] },
  { field: "postStartupCommand", name: "PostStartupCommand", names: OWN_NAMES },
  { field: "subnetAddCommand", name: "SubnetAddCommand", names: NODE_NAMES },
  { field: "subnetRemoveCommand", name: "SubnetRemoveCommand", names: NODE_NAMES },
];

type Commands = Readonly<Partial<Record<Field, CommandWords>>>;

export function extensionPlanner(input: PlannerInput, backend: ExtensionBackend): MadePlanner {
  const commands: Partial<Record<Field, CommandWords>> = {};
  for (const { field, name, names } of FIELDS) {
    const read = readCommand(name, backend[field], names);
    if (read.kind === "invalid") return { kind: "refused", reason: read.reason };
    if (read.kind === "words") commands[field] = read.words;
  }
  return { kind: "planner", planner: new ExtensionPlanner(input, commands) };
}

class ExtensionPlanner implements BackendPlanner {
  readonly type = "extension";
  readonly links = [];
  readonly mtuBytes: number;
  /** PreStartupCommand's output becomes the data (agent/extension). */
  readonly registration = { backendType: BACKEND_TYPE, backendData: "", backendV6Data: "" };
  readonly extension: ExtensionSpec;
  readonly #input: PlannerInput;
  readonly #commands: Commands;

  constructor(input: PlannerInput, commands: Commands) {
    this.#input = input;
    this.#commands = commands;
    this.mtuBytes = input.host.external.mtuBytes;
    this.extension = {
      preStartup: call(commands.preStartupCommand, {}, ""),
      postStartup: (own) => this.#postStartup(own),
    };
  }

  own(): readonly KernelObject[] {
    return [];
  }

  /** One call for both families; a lease with a bad half is not handed out at all. */
  peer(lease: Lease, own: Lease): readonly PeerPart[] {
    const context = peerContext(this.#input, own, BACKEND_TYPE);
    const families: Family[] = [];
    for (const family of familiesOf(this.#input.config)) {
      const read = readPeer(lease, family, context);
      if (read.kind === "invalid") return [{ ...read, family }];
      if (read.kind === "peer") families.push(family);
    }
    const [family] = families;
    if (family === undefined) return [];
    const { attrs } = lease;
    const stdin = `${commandInput(attrs.backendData)}\n`;
    const values = nodeValues(lease, attrs.publicIp, attrs.publicIpv6);
    return [
      {
        kind: "usable",
        family,
        claims: [`subnet ${values["SUBNET"]} ${values["IPV6SUBNET"]}`.trimEnd()],
        objects: [],
        extensionPeer: {
          key: lease.key,
          add: call(this.#commands.subnetAddCommand, values, stdin),
          remove: call(this.#commands.subnetRemoveCommand, values, stdin),
        },
      },
    ];
  }

  #postStartup(own: Lease): ExtensionCall | undefined {
    const { config, host } = this.#input;
    const { v4, v6 } = networksOf(config);
    const values = {
      NETWORK: v4 === undefined ? "" : formatCidr(v4),
      IPV6NETWORK: v6 === undefined ? "" : formatCidr(v6),
      ...nodeValues(own, host.publicIp, host.publicIpv6),
    };
    return call(this.#commands.postStartupCommand, values, "");
  }
}

function call(
  words: CommandWords | undefined,
  environment: Variables,
  stdin: string,
): ExtensionCall | undefined {
  return words && { argv: fillIn(words, environment), environment, stdin };
}

/** Addresses and subnets have been parsed: their texts are ours, not the peer's. */
function nodeValues(lease: Lease, ip: Ip | undefined, ip6: Ip | undefined): Variables {
  const [v4, v6] = [subnetOf(lease.subnets, 4), subnetOf(lease.subnets, 6)];
  return {
    SUBNET: v4 === undefined ? "" : formatCidr(v4),
    IPV6SUBNET: v6 === undefined ? "" : formatCidr(v6),
    PUBLIC_IP: ip === undefined ? "" : formatIp(ip),
    PUBLIC_IPV6: ip6 === undefined ? "" : formatIp(ip6),
  };
}

/** flannel's data is a JSON string; of anything else the command gets the JSON text. */
function commandInput(backendData: string): string {
  if (backendData === "") return "";
  try {
    const data: unknown = JSON.parse(backendData);
    return typeof data === "string" ? data : backendData;
  } catch {
    return backendData;
  }
}
