/** The Fabric service: one Sync stream per agent, with bytes out and checked messages in. */
import type {
  MethodDefinition,
  ServiceDefinition,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { TwillError } from "../../common/errors.ts";
import type { FoundIdentity } from "../../common/identity/identity.ts";
import { FabricService } from "../../proto/gen/twill/v1/fabric.ts";
import type { Frame } from "../view/stream-frames.ts";
import { decodeAgentMessage, type Inbound } from "./agent-message.ts";
import { AgentStream, type AgentStreamParts } from "./agent-stream.ts";
import { HELLOS } from "./hello-admission.ts";
import { TokenBucket, TokenBuckets } from "./limits/token-buckets.ts";
import { listenTo, type SyncCall, SyncOutlet } from "./sync-stream.ts";

export interface FabricServiceParts extends Omit<AgentStreamParts, "hellos"> {
  /** Somebody was held back, and by which limit. */
  readonly limited: (limit: string, key: string) => void;
  /** Destroys the connection of this peer ("address:port"). */
  readonly cut: (peer: string) => void;
  /** Who the certificate of the call's connection speaks for; undefined: plaintext. */
  readonly identityOf: (call: SyncCall) => FoundIdentity | undefined;
}

/**
 * Of one agent, after Hello: an ack for each of at most fifty deltas a second, heartbeats,
 * reports. Who says more is read more slowly, and TCP makes it wait.
 */
const MESSAGES = { burst: 500, perSecond: 100 } as const;

/** The generated Sync, except that responses are bytes already and requests are checked. */
const SYNC: MethodDefinition<Inbound, Frame> = {
  path: FabricService.sync.path,
  requestStream: true,
  responseStream: true,
  requestSerialize: () => Buffer.alloc(0),
  requestDeserialize: decodeAgentMessage,
  responseSerialize: asBuffer,
  responseDeserialize: (bytes: Buffer): Frame => bytes,
};

export const FABRIC_DEFINITION: ServiceDefinition = { sync: SYNC };

export interface Fabric {
  readonly implementation: UntypedServiceImplementation;
  /** Ends every stream with this reason, and every later one at once; agents go elsewhere. */
  endAll(reason: TwillError): void;
  /** Ends the streams of one connection ("address:port"); answers whose they were. */
  endPeer(peer: string, reason: TwillError): readonly string[];
  /** Ends the streams that have been open for longer than this; later ones are welcome. */
  endOlder(ageMs: number, reason: TwillError): void;
}

export function createFabricService(given: FabricServiceParts): Fabric {
  const parts = { ...given, hellos: new TokenBuckets(HELLOS) };
  const streams = new Set<AgentStream>();
  let over: TwillError | undefined;
  const sync = (call: SyncCall): void => {
    const address = call.getPeer();
    const outlet = new SyncOutlet(call, () => parts.cut(address));
    const stream = new AgentStream(outlet, { address, identity: parts.identityOf(call) }, parts);
    streams.add(stream);
    const closed = (reason: string): void => {
      streams.delete(stream);
      stream.closed(reason);
    };
    const pace = new TokenBucket(MESSAGES, parts.clock.monotonicMs());
    const tooFast = (): void => parts.limited("messages", stream.node ?? address);
    listenTo(call, {
      ...{ receive: (inbound) => stream.receive(inbound), closed, tooFast },
      waitMs: () => pace.take(parts.clock.monotonicMs()),
    });
    if (over !== undefined) stream.end(over);
  };
  return {
    implementation: { sync },
    endAll(reason) {
      over = reason;
      for (const stream of [...streams]) stream.end(reason);
    },
    endPeer(peer, reason) {
      const ended = [...streams].filter(({ address }) => address === peer);
      const nodes = ended.flatMap(({ node }) => (node === undefined ? [] : [node]));
      for (const stream of ended) stream.end(reason);
      return nodes;
    },
    endOlder(ageMs, reason) {
      const openedBefore = parts.clock.monotonicMs() - ageMs;
      for (const stream of [...streams]) {
        if (stream.openedMs <= openedBefore) stream.end(reason);
      }
    },
  };
}

/** The same memory under the name that grpc-js wants. */
function asBuffer(frame: Frame): Buffer {
  return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
}
