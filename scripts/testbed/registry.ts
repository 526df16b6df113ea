/**
 * What etcd holds, asked by etcdctl from an etcd member's machine: the test bed judges the
 * daemons by what any operator can see, never by their own code.
 */
import { TwillError } from "../../common/errors.ts";
import type { CommandOptions } from "./command.ts";
import type { Machine } from "./machine.ts";

export const PREFIX = "/coreos.com/network";
export const CONFIG_KEY = `${PREFIX}/config`;
export const SUBNETS = `${PREFIX}/subnets/`;
export const ELECTION = `${PREFIX}/twill/election`;

export interface EtcdEntry {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Decimal; "0": none. */
  readonly etcdLease: string;
}

/** One address family of a lease. */
export interface Reach {
  /** "10.244.7.0/24" */
  readonly subnet: string;
  readonly publicIp: string;
  /** Empty when the backend has none. */
  readonly vtepMac: string;
}

/** One row of the lease table as etcd has it; its own reach is IPv4's where there is one. */
export interface LeaseRow extends Reach {
  readonly backendType: string;
  /** One per family, IPv4 first. */
  readonly reaches: readonly Reach[];
  readonly entry: EtcdEntry;
}

export class Registry {
  readonly #members: readonly Machine[];

  constructor(members: readonly Machine[]) {
    this.#members = members;
  }

  /** Runs etcdctl; endpoints come from the machine's environment. */
  async etcdctl(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const [machine] = this.#members;
    if (machine === undefined) throw new TwillError("BUG", "a lab has at least one etcd member");
    const command = ["etcdctl", "--command-timeout=3s", ...argv];
    // Some of its commands (lease list) know no time-out of their own.
    return machine.exec(command, { timeoutMs: 10_000, ...options });
  }

  async put(key: string, value: string): Promise<void> {
    await this.etcdctl(["put", key], { input: value });
  }

  async list(prefix: string): Promise<EtcdEntry[]> {
    return parseEntries(await this.etcdctl(["get", "--prefix", "-w", "json", prefix]));
  }

  async leases(): Promise<LeaseRow[]> {
    return (await this.list(SUBNETS)).map(leaseRow).filter((row) => row !== undefined);
  }

  /** Seconds left of an etcd lease, and what it was granted for; undefined when it is gone. */
  async timeToLive(etcdLease: string): Promise<{ left: number; granted: number } | undefined> {
    const hex = BigInt(etcdLease).toString(16);
    const text = await this.etcdctl(["lease", "timetolive", hex]);
    const match = /granted with TTL\((\d+)s\), remaining\((\d+)s\)/.exec(text);
    return match === null ? undefined : { granted: Number(match[1]), left: Number(match[2]) };
  }

  /** Gives a lease back as an operator would; its key goes with it. */
  async revoke(row: LeaseRow): Promise<void> {
    if (row.entry.etcdLease === "0") await this.etcdctl(["del", row.entry.key]);
    else await this.etcdctl(["lease", "revoke", BigInt(row.entry.etcdLease).toString(16)]);
  }

  /**
   * The campaign as etcd's own election layout has it: who made the oldest key below the
   * election leads. This is what `etcdctl elect --listen` answers.
   */
  async leading(): Promise<EtcdEntry | undefined> {
    const campaign = await this.list(`${ELECTION}/`);
    return campaign.toSorted((a, b) => a.createRevision - b.createRevision)[0];
  }
}

/** Entries of `etcdctl get -w json`. */
export function parseEntries(json: string): EtcdEntry[] {
  // Lease ids exceed 2^53: they are read as text (values are base64, so this hits nothing else).
  const answer: unknown = JSON.parse(json.replaceAll(/"lease":(-?[0-9]+)/g, '"lease":"$1"'));
  const kvs = field(answer, "kvs");
  if (!Array.isArray(kvs)) return [];
  return kvs.map((kv: unknown) => ({
    key: base64(field(kv, "key")),
    value: base64(field(kv, "value")),
    createRevision: Number(field(kv, "create_revision")),
    modRevision: Number(field(kv, "mod_revision")),
    etcdLease: text(field(kv, "lease")) || "0",
  }));
}

function leaseRow(entry: EtcdEntry): LeaseRow | undefined {
  const [v4 = "", v6] = entry.key.slice(SUBNETS.length).split("&").map(subnetText);
  try {
    const value: unknown = JSON.parse(entry.value);
    const reach4 = reachOf(v4, field(value, "PublicIP"), field(value, "BackendData"));
    const reach6 = reachOf(v6 ?? "", field(value, "PublicIPv6"), field(value, "BackendV6Data"));
    const reaches = [reach4, reach6].filter(({ subnet }) => !ABSENT.has(subnet));
    const [first = reach4] = reaches;
    return { ...first, backendType: text(field(value, "BackendType")), reaches, entry };
  } catch {
    return undefined;
  }
}

/** No IPv6 half, or what stands for a missing IPv4 half. */
const ABSENT: ReadonlySet<string> = new Set(["", "0.0.0.0/0"]);

/** "10.244.7.0-24" as iproute2 prints it. */
function subnetText(half: string): string {
  return half.replace(/-([0-9]+)$/, "/$1");
}

function reachOf(subnet: string, publicIp: unknown, data: unknown): Reach {
  return { subnet, publicIp: text(publicIp), vtepMac: text(field(data, "VtepMAC")) };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function base64(value: unknown): string {
  return Buffer.from(text(value), "base64").toString("utf8");
}
