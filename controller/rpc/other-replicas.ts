/**
 * The nodes whose streams other replicas serve, asked of each of them now and then: often while
 * somebody looks, seldom otherwise. One question under way per replica, so a slow one costs
 * nothing. What a replica said stays for a while when it falls silent: its nodes come to another.
 */
import { type ChannelCredentials, Metadata } from "@grpc/grpc-js";
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import { fromCallError } from "../../common/rpc/call-error.ts";
import { type NodeStatus, OperatorClient, type Status } from "../../proto/gen/twill/v1/operator.ts";
import { REPLICA_CHANNEL } from "./replica-channel.ts";

export interface OtherReplicasParts {
  /** "host:port" of every replica but this one. */
  readonly others: () => readonly string[];
  readonly credentials: () => ChannelCredentials;
  readonly clock: Clock;
  /** Whether somebody looks. */
  readonly isWatched: () => boolean;
}

/** A status carries all leases: 120 kB of 1,000, encoded and decoded in 10 ms. */
const WATCHED_MS = 2000;
const UNWATCHED_MS = 15_000;
const LOOK_MS = 250;
const DEADLINE_MS = 4000;
/** How long the nodes of a silent replica are still counted as its own. */
const KEPT_MS = 6000;

interface Replica {
  readonly client: OperatorClient;
  readonly credentials: ChannelCredentials;
  askedMs: number;
  heardMs: number;
  isAsked: boolean;
  /** "": it answers; undefined: not known yet. */
  fault: string | undefined;
  nodes: readonly NodeStatus[];
}

export class OtherReplicas {
  readonly #parts: OtherReplicasParts;
  readonly #replicas = new Map<string, Replica>();

  constructor(parts: OtherReplicasParts) {
    this.#parts = parts;
  }

  /** Why each does not answer, "" when it does; who has not been heard of yet is left out. */
  get answers(): ReadonlyMap<string, string> {
    const answers = new Map<string, string>();
    for (const [address, { fault }] of this.#replicas) {
      if (fault !== undefined) answers.set(address, fault);
    }
    return answers;
  }

  /** Their nodes, by the address of the replica. */
  *nodes(): Iterable<readonly [controller: string, status: NodeStatus]> {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const [address, { nodes, heardMs }] of this.#replicas) {
      const age = Math.floor((nowMs - heardMs) / 1000);
      for (const status of nodes) {
        yield [address, { ...status, connectedSeconds: status.connectedSeconds + age }];
      }
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    try {
      for (;;) {
        this.#look();
        await clock.sleep(LOOK_MS, signal);
      }
    } finally {
      for (const { client } of this.#replicas.values()) client.close();
    }
  }

  #look(): void {
    const { others, credentials, clock, isWatched } = this.#parts;
    const nowMs = clock.monotonicMs();
    const addresses = new Set(others());
    for (const [address, replica] of this.#replicas) {
      if (addresses.has(address) && replica.credentials === credentials()) continue;
      replica.client.close();
      this.#replicas.delete(address);
    }
    const everyMs = isWatched() ? WATCHED_MS : UNWATCHED_MS;
    for (const address of addresses) {
      const replica = this.#replicas.get(address) ?? this.#add(address, credentials());
      if (replica.fault !== "" && nowMs - replica.heardMs > KEPT_MS) replica.nodes = [];
      // A silent one is asked again soon: its nodes are elsewhere, and the page says so meanwhile.
      const waitMs = replica.fault === "" ? everyMs : WATCHED_MS;
      if (!replica.isAsked && nowMs - replica.askedMs >= waitMs) this.#ask(address, replica, nowMs);
    }
  }

  #add(address: string, credentials: ChannelCredentials): Replica {
    const client = new OperatorClient(address, credentials, {
      ...REPLICA_CHANNEL,
      "grpc.enable_retries": 0,
      "grpc.max_receive_message_length": 64 * 1024 * 1024,
    });
    const never = Number.NEGATIVE_INFINITY;
    const begun = { client, credentials, isAsked: false, fault: undefined, nodes: [] };
    const replica: Replica = { ...begun, askedMs: never, heardMs: never };
    this.#replicas.set(address, replica);
    return replica;
  }

  #ask(address: string, replica: Replica, nowMs: number): void {
    const { clock } = this.#parts;
    replica.isAsked = true;
    replica.askedMs = nowMs;
    const deadline = clock.wallMs() + DEADLINE_MS;
    const heard = (error: Error | null, status: Status): void => {
      replica.isAsked = false;
      if (error !== null) {
        replica.fault = TwillError.from(fromCallError(error, address)).message;
        return;
      }
      replica.heardMs = clock.monotonicMs();
      replica.fault = "";
      replica.nodes = status.nodes;
    };
    replica.client.getStatus({}, new Metadata(), { deadline }, heard);
  }
}
