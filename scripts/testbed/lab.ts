/**
 * A whole cluster in network namespaces: etcd, controllers, nodes with agents, pods. The
 * `lab` command shows it to people, tests break it:
 *
 *   await using lab = await Lab.start({ name: "t1", nodes: 3, controllers: 3, etcdMembers: 1 });
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { TwillError } from "../../common/errors.ts";
import { LabAuthority } from "./certificates.ts";
import { agentUnit, type ClusterPlan, controllerUnit, etcdUnit } from "./daemons.ts";
import { differences, isLeaseOf, readKernel } from "./kernel-view.ts";
import { writeLabFile } from "./lab-file.ts";
import { Machine } from "./machine.ts";
import { operatorEnvironment } from "./operator-environment.ts";
import { addPod, type Pod } from "./pods.ts";
import { until } from "./poll.ts";
import { requireStartable } from "./preflight.ts";
import { CONFIG_KEY, type LeaseRow, Registry } from "./registry.ts";
import { logFile, openSite, type Site } from "./site.ts";
import { sweep } from "./sweep.ts";
import { type MachineId, machineId, machineIds, parseMachineName, type Role } from "./topology.ts";
import { Underlay } from "./underlay.ts";
import { Unit, type UnitSpec } from "./unit.ts";

export interface LabOptions {
  /** Lower-case letters and digits; labs of different names live side by side. */
  readonly name: string;
  readonly nodes: number;
  readonly controllers: number;
  readonly etcdMembers: number;
  /** JSON text for <prefix>/config; undefined: none is put. */
  readonly config?: string;
  /** Which daemons run; default all. Machines exist for the others too. */
  readonly run?: readonly Role[];
  /** Plaintext between agents, controllers and operators; default mutual TLS. */
  readonly insecure?: boolean;
  /** Nodes get no certificate: they wait for the token of `twillctl node invite` in JOIN_TOKEN. */
  readonly joinByToken?: boolean;
  /** More options for every daemon of a kind. */
  readonly agentOptions?: readonly string[];
  readonly controllerOptions?: readonly string[];
  readonly etcdOptions?: readonly string[];
  /** Told what is being done, for people who wait. */
  readonly onStep?: (text: string) => void;
  /** Ends the start before its time. */
  readonly signal?: AbortSignal;
}

export const DEFAULT_CONFIG = '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}';

const ETCD_START_MS = 20_000;
/** An agent starts, registers and writes subnet.env; generous for a busy machine. */
const SUBNET_MS = 30_000;
const CONVERGE_MS = 30_000;
export const POD = "pod1";

export class Lab implements AsyncDisposable {
  readonly options: LabOptions;
  readonly site: Site;
  readonly underlay: Underlay;
  readonly registry: Registry;
  readonly #plan: ClusterPlan;
  /** undefined in a lab that asked for plaintext. */
  readonly #authority: Promise<LabAuthority> | undefined;
  readonly #machines = new Map<string, Machine>();
  readonly #units = new Map<string, Unit>();
  readonly #pods = new Map<string, Pod>();

  private constructor(options: LabOptions, site: Site) {
    this.options = options;
    this.site = site;
    this.underlay = new Underlay(site);
    const joinByToken = options.joinByToken ?? false;
    this.#authority = options.insecure === true ? undefined : LabAuthority.create({ joinByToken });
    this.#plan = {
      etcdMembers: machineIds("etcd", options.etcdMembers),
      controllers: machineIds("controller", options.controllers),
      controllerOptions: options.controllerOptions ?? [],
      agentOptions: options.agentOptions ?? [],
      insecure: options.insecure ?? false,
      joinByToken,
      etcdOptions: options.etcdOptions ?? [],
    };
    const env = operatorEnvironment(options, "etcd");
    const members = this.#plan.etcdMembers.map((id) => new Machine(site, id, env));
    this.registry = new Registry(members);
  }

  /** Starts everything; cleans a crashed lab of this name first. Rejects with nothing left behind. */
  static async start(options: LabOptions): Promise<Lab> {
    requireStartable(options.name);
    await sweep(options.name);
    const lab = new Lab(options, await openSite(options.name));
    try {
      writeLabFile(lab.site, options);
      await lab.#build();
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get machines(): readonly Machine[] {
    return [...this.#machines.values()];
  }

  get nodes(): readonly Machine[] {
    return this.machines.filter((machine) => machine.id.role === "node");
  }

  get pods(): readonly Pod[] {
    return this.nodes.flatMap((node) => this.#pods.get(node.name) ?? []);
  }

  get units(): readonly Unit[] {
    return [...this.#units.values()];
  }

  machine(name: string): Machine {
    return this.#machines.get(name) ?? unknownName(name, this.#machines.keys());
  }

  /** The daemon of a machine goes by the machine's name. */
  unit(name: string): Unit {
    return this.#units.get(name) ?? unknownName(name, this.#units.keys());
  }

  pod(node: string): Pod {
    return this.#pods.get(node) ?? unknownName(node, this.#pods.keys());
  }

  /** The controller that etcd's election names; undefined while nobody leads. */
  async leader(): Promise<Unit | undefined> {
    const value = (await this.registry.leading())?.value;
    return this.units.find(
      ({ machine: { id } }) =>
        id.role === "controller" && (value?.includes(`${id.ip}:`) || value === id.name),
    );
  }

  /** One more node; default: with the number after the highest. */
  async addNode(name?: string): Promise<Machine> {
    const index = Math.max(0, ...this.nodes.map((node) => node.id.index)) + 1;
    const id = name === undefined ? machineId("node", index) : parseMachineName(name);
    if (id?.role !== "node" || this.#machines.has(id.name)) {
      throw new TwillError(
        "OPTION_INVALID",
        `"${name}" is no free node name; node${index} would be`,
      );
    }
    return this.#add(id);
  }

  /** Drops every frame between two machines. */
  async cut(a: string, b: string): Promise<void> {
    await this.underlay.cut(this.machine(a), this.machine(b));
  }

  /** Stops the agent, gives its lease back, and takes the machine away. */
  async removeNode(name: string): Promise<void> {
    const node = this.machine(name);
    if (node.id.role !== "node") {
      throw new TwillError("OPTION_INVALID", `${name} is no node; stop or kill its daemon instead`);
    }
    await this.#units.get(name)?.stop();
    const lease = (await this.registry.leases()).find((row) => isLeaseOf(row, node.id));
    if (lease !== undefined) await this.registry.revoke(lease);
    await node.destroy();
    this.#machines.delete(name);
    this.#units.delete(name);
    this.#pods.delete(name);
  }

  /** Waits until the node has its subnet. */
  async subnetReady(node: Machine): Promise<void> {
    const what = `${node.name} has /run/flannel/subnet.env`;
    await until(what, { deadlineMs: SUBNET_MS, everyMs: 10 }, async () => {
      if (node.readRunFile("flannel/subnet.env") !== undefined) return true;
      throw new TwillError(
        "FILE_FAILED",
        (await this.#units.get(node.name)?.lastLine()) ?? "no agent",
      );
    });
  }

  /** Waits until etcd holds a lease of the node. */
  async leaseOf(node: Machine): Promise<LeaseRow> {
    return until(
      `${node.name} has a lease in etcd`,
      { deadlineMs: SUBNET_MS, everyMs: 10 },
      async () => (await this.registry.leases()).find((lease) => isLeaseOf(lease, node.id)),
    );
  }

  /** A pod on the node, as soon as the node has its subnet. */
  async addPod(node: Machine): Promise<Pod> {
    await this.subnetReady(node);
    const pod = await addPod(node, POD);
    this.#pods.set(node.name, pod);
    return pod;
  }

  /** What each node's kernel lacks or has too much compared with etcd's leases; empty: converged. */
  async differences(): Promise<string[]> {
    const leases = await this.registry.leases();
    const unleased = this.nodes
      .filter((node) => !leases.some((lease) => isLeaseOf(lease, node.id)))
      .map((node) => `${node.name}: no lease in etcd`);
    const each = this.nodes.map(async (node) => {
      const found = differences(await readKernel(node), leases, node.id);
      return found.map((text) => `${node.name}: ${text}`);
    });
    return [...unleased, ...(await Promise.all(each)).flat()];
  }

  async waitConverged(deadlineMs = CONVERGE_MS): Promise<void> {
    await until("every kernel holds every lease", { deadlineMs, everyMs: 20 }, async () => {
      const found = await this.differences();
      if (found.length === 0) return true;
      throw new TwillError("COMMAND_FAILED", found.slice(0, 5).join("; "));
    });
  }

  /** Ends everything and leaves nothing behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const unit of this.units) await unit.crash({ restart: false });
    await sweep(this.options.name);
  }

  async #build(): Promise<void> {
    const { nodes, onStep = () => undefined } = this.options;
    onStep("the switch and the machines");
    await this.underlay.create();
    for (const id of [...this.#plan.etcdMembers, ...this.#plan.controllers]) await this.#add(id);
    if (this.#runs("etcd")) {
      onStep("etcd answers, network config put");
      await this.#awaitEtcd();
    }
    onStep("controllers and nodes");
    for (const id of this.#plan.controllers) this.#units.get(id.name)?.start();
    for (const id of machineIds("node", nodes)) await this.#add(id);
  }

  async #awaitEtcd(): Promise<void> {
    const { config } = this.options;
    await until("etcd answers", { deadlineMs: ETCD_START_MS }, async () => {
      await this.registry.etcdctl(["endpoint", "health"]);
      return true;
    });
    if (config !== undefined) await this.registry.put(CONFIG_KEY, config);
  }

  async #add(id: MachineId): Promise<Machine> {
    this.options.signal?.throwIfAborted();
    const env = operatorEnvironment(this.options, id.role);
    const machine = new Machine(this.site, id, env);
    this.#machines.set(id.name, machine);
    await machine.create();
    await (await this.#authority)?.equip(machine);
    await this.underlay.attach(machine);
    if (this.#runs(id.role)) {
      const unit = new Unit(machine, this.#spec(id), logFile(this.site, id.name));
      this.#units.set(id.name, unit);
      // Controllers wait for etcd and its config: a newcomer's log should begin without errors.
      if (id.role !== "controller") unit.start();
    }
    return machine;
  }

  #runs(role: Role): boolean {
    return this.options.run?.includes(role) ?? true;
  }

  #spec(id: MachineId): UnitSpec {
    if (id.role === "controller") return controllerUnit(this.#plan, id);
    if (id.role === "node") return agentUnit(this.#plan, id);
    const data = join(this.site.folder, "etcd", id.name);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    return etcdUnit(this.#plan, id, data);
  }
}

function unknownName(name: string, known: Iterable<string>): never {
  throw new TwillError(
    "OPTION_INVALID",
    `"${name}" is not in this lab; it has ${[...known].join(", ")}`,
  );
}
