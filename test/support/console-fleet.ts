/**
 * A real console of a cluster of any size without daemons: keys folded by a real view, and
 * nodes that are what the test says. Served on loopback.
 */
import { systemClock } from "../../common/async/clock.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import { silentLogger } from "../../common/log.ts";
import { startConsole } from "../../controller/console/console.ts";
import type { ReplicaCredentials } from "../../controller/rpc/tls/replica-credentials.ts";
import { LeaseView } from "../../controller/view/lease-view.ts";
import type { NodeStatus } from "../../proto/gen/twill/v1/operator.ts";
import { leaseValue, recordValue } from "./lease-texts.ts";
import { StoreHistory } from "./store-history.ts";

const SELF = "10.99.1.1:7470";
const TTL_SECONDS = 86_400;

type FleetCredentials = Pick<ReplicaCredentials, "material" | "distrustOf">;

export interface FleetOptions {
  readonly network?: string;
  readonly credentials?: FleetCredentials;
}

const PLAINTEXT: FleetCredentials = { material: undefined, distrustOf: () => undefined };

export class ConsoleFleet implements AsyncDisposable {
  readonly history = new StoreHistory();
  readonly view = new LeaseView(silentLogger);
  readonly #nodes = new Map<string, NodeStatus>();
  readonly #group = new TaskGroup();
  #close: () => Promise<void> = async () => undefined;
  #url = "";

  static async start(nodes: number, options: FleetOptions = {}): Promise<ConsoleFleet> {
    const { network = "10.240.0.0/12", credentials = PLAINTEXT } = options;
    const fleet = new ConsoleFleet();
    const { history } = fleet;
    const puts = new Map<string, { value: string; etcdLease: string }>();
    const put = (key: string, value: string): void =>
      void puts.set(key, { value, etcdLease: "77" });
    put("config", JSON.stringify({ Network: network, Backend: { Type: "vxlan" } }));
    for (const index of [1, 2, 3]) {
      const value = { name: `controller${index}`, address: `10.99.1.${index}:7470` };
      put(`twill/election/${index}`, JSON.stringify(value));
    }
    fleet.view.load({ ...history.listing() }, "etcd/fleet");
    fleet.view.apply(history.commit(puts));
    const leases = new Map<string, { value: string; etcdLease: string }>();
    for (let n = 1; n <= nodes; n += 1) {
      const block = blockOf(n);
      leases.set(`subnets/${block}`, { value: leaseValue(publicIpOf(n)), etcdLease: String(n) });
      const record = recordValue(`node${n}`, block, publicIpOf(n));
      leases.set(`twill/nodes/node${n}`, { value: record, etcdLease: "0" });
    }
    fleet.view.apply(history.commit(leases));
    const { revision } = fleet.view.chain.head;
    for (let n = 1; n <= nodes; n += 1) fleet.set(n, { appliedRevision: revision });
    await fleet.#serve(credentials);
    return fleet;
  }

  get url(): string {
    return this.#url;
  }

  get revision(): number {
    return this.view.chain.head.revision;
  }

  /** Says something of a node: what is not said stays. */
  set(n: number, status: Partial<NodeStatus>): void {
    const node = `node${n}`;
    const before = this.#nodes.get(node) ?? {
      node,
      version: "0.1.0",
      address: `${publicIpOf(n)}:40000`,
      sentRevision: 0,
      appliedRevision: 0,
      failures: [],
      state: "in-sync",
      reason: "",
      driftRepaired: 0,
      connectedSeconds: 3600,
    };
    this.#nodes.set(node, { ...before, sentRevision: this.revision, ...status });
  }

  lose(n: number): void {
    this.#nodes.delete(`node${n}`);
  }

  /** A lease of a flannel node: a new revision, which nobody has applied yet. */
  putForeign(block: string, publicIp: string): void {
    this.view.apply(this.history.put(`subnets/${block}`, leaseValue(publicIp)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#close();
    await this.#group.join();
  }

  async #serve(credentials: FleetCredentials): Promise<void> {
    const server = await startConsole({
      options: {
        console: { host: "127.0.0.1", port: 0 },
        address: SELF,
        leaseTtlSeconds: TTL_SECONDS,
      },
      credentials,
      views: { view: this.view },
      store: { timeToLive: async () => TTL_SECONDS - 60 },
      storeFault: () => undefined,
      nodes: () => [...this.#nodes.values()],
      askNode: async ({ node }) => {
        throw new TwillError("NODE_UNAVAILABLE", `node ${node} is a test's`);
      },
      others: () => ({
        answers: new Map([
          ["10.99.1.2:7470", ""],
          ["10.99.1.3:7470", ""],
        ]),
        nodes: () => [],
        run: async () => undefined,
      }),
      clock: systemClock,
      log: silentLogger,
      group: this.#group,
    });
    if (server === undefined) throw new Error("no console");
    this.#close = () => server.close();
    const scheme = credentials.material === undefined ? "http" : "https";
    this.#url = `${scheme}://127.0.0.1:${server.address.port}/`;
  }
}

export function blockOf(n: number): string {
  return `10.${240 + (n >> 8)}.${n & 255}.0-24`;
}

function publicIpOf(n: number): string {
  return `10.99.${n >> 8}.${n & 255}`;
}
